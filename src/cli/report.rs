//! The options of reports, and what commands that report do with them: `info -c`, `splitname`, `stats`.
//!
//! Where dmsetup has a plain defect in them that nobody can rely on, it is mended whatever the program is called as; those of
//! the report itself are in [`crate::render::report`].
//!
//! | what | dmsetup | here |
//! |---|---|---|
//! | `deps -S name=a -o devname` | takes `devname` for a field of the report that `-S` makes, and refuses it | names devices so |
//! | `table -v -S name=a` | selects again for each device that it shows, without end, until memory is gone | shows each once |
//! | `ls --count 2`, `ls --interval 1` | lists twice, or for ever without a pause | lists once: only reports are repeated |
//! | `table -c -o name`, `suspend -c -v vol0` | `-c` with a command that has no columns makes a report that stays empty, or shows a line of it | `-c` means nothing there |
//! | `table -S segments>1 --inactive` | asks for the state that `-S` looks at with `--inactive` too | asks for the state as it is |

use super::context::Context;
use super::failure::Failure;
use super::output::complain;
use crate::render::report::{Catalogue, Groups, Headings, Layout, Refusal, Report, Request};
use clap::{ArgAction, Args};
use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How a report looks and how often it comes.
// Beside them come `-S`, which is the selector's, and `-o`, which is each command's.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Reports")]
pub(super) struct ReportOptions {
    /// A report in columns
    #[arg(short, long, short_alias = 'C', action = ArgAction::Count)]
    pub(super) columns: u8,

    /// The fields to sort by, with commas between; - before one turns its order round
    #[arg(short = 'O', long, value_name = "FIELDS")]
    sort: Option<OsString>,

    /// No headings, `:` between columns and no blanks to align them
    #[arg(long)]
    pub(super) noheadings: bool,

    /// What stands above the columns: nothing, headings, or the names of the fields
    #[arg(long, value_name = "none|abbrev|full|0|1|2", value_parser = headings)]
    headings: Option<HeadingsArg>,

    /// What stands between columns
    #[arg(long, value_name = "TEXT")]
    separator: Option<OsString>,

    /// DM_FIELD='value' in the place of each value, for a shell to read
    #[arg(long)]
    nameprefixes: bool,

    /// No quotes with --nameprefixes
    #[arg(long)]
    unquoted: bool,

    /// A line for each field, not for each device
    #[arg(long)]
    rows: bool,

    /// Write each line as soon as it is known
    #[arg(long)]
    unbuffered: bool,

    /// How often the report comes; 0 for ever
    #[arg(long, value_name = "NUMBER", value_parser = count, allow_hyphen_values = true)]
    count: Option<u32>,

    /// The seconds between one and the next
    #[arg(long, value_name = "SECONDS", value_parser = interval, allow_hyphen_values = true)]
    interval: Option<u32>,
}

/// A value of `--headings`.
#[derive(Clone, Copy, Debug)]
struct HeadingsArg(Headings);

/// A value that is refused: dmsetup's line.
#[derive(Clone, Debug)]
struct Refused(&'static str);

fn headings(word: &str) -> Result<HeadingsArg, Refused> {
    let known = [
        ("none", "0", Headings::None),
        ("abbrev", "1", Headings::Abbreviated),
        ("full", "2", Headings::Full),
    ];
    let found = known.iter().find(|(name, digit, _)| name.eq_ignore_ascii_case(word) || *digit == word);
    found.map(|(.., headings)| HeadingsArg(*headings)).ok_or(Refused("Unknown headings type."))
}

fn count(word: &str) -> Result<u32, Refused> {
    u32::try_from(number(word)).map_err(|_| Refused("Count must be zero or greater."))
}

fn interval(word: &str) -> Result<u32, Refused> {
    let seconds = u32::try_from(number(word)).ok().filter(|seconds| *seconds > 0);
    seconds.ok_or(Refused("Interval must be a positive integer."))
}

fn number(word: &str) -> i32 {
    super::selector::number(word).unwrap_or_else(|never: Infallible| match never {})
}

impl ReportOptions {
    /// A report of the fields that `-o` names, or of `defaults` where it names none; with a `+` before them, of both.
    pub(super) fn report<R>(
        &self,
        ctx: &Context,
        catalogue: &'static Catalogue<R>,
        fields: Fields,
    ) -> Result<Report<R>, Failure> {
        if self.noheadings && self.headings.is_some() {
            return Err(Failure::refused(&["Only one of --headings and --noheadings permitted.".to_owned()]));
        }
        let asked = fields.asked.map(|asked| asked.as_bytes());
        let columns = match asked {
            Some([b'+', more @ ..]) => [fields.defaults.as_bytes(), more].join(&b','),
            Some(asked) => asked.to_vec(),
            None => fields.defaults.as_bytes().to_vec(),
        };
        let request = Request {
            columns: &columns,
            sort: self.sort.as_ref().map_or(b"", |sort| sort.as_bytes()),
            select: fields.select.map_or(b"", |select| select.as_bytes()),
            base: fields.base,
            layout: self.layout(ctx.json.is_some()),
            classic: ctx.classic,
        };
        let report =
            Report::new(catalogue, &request).map_err(|refusal| Failure::no_report(&refusal, ctx.classic))?;
        report.notes().iter().for_each(|line| complain(line));
        Ok(report)
    }

    fn layout(&self, json: bool) -> Layout {
        let plain = self.noheadings;
        let separator = self.separator.as_ref().map(|separator| separator.as_bytes().to_vec());
        let headings = if plain { Headings::None } else { Headings::Abbreviated };
        Layout {
            aligned: !plain && self.separator.is_none() && !self.nameprefixes,
            buffered: !self.unbuffered,
            headings: self.headings.map_or(headings, |HeadingsArg(headings)| headings),
            separator: separator.unwrap_or(if plain { b":".to_vec() } else { b" ".to_vec() }),
            prefix: self.nameprefixes.then_some("DM_"),
            quoted: !self.unquoted,
            by_field: self.rows,
            json,
        }
    }

    /// The time between one report and the next.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_secs(self.interval.unwrap_or(1).into())
    }

    /// The clock by which the report is repeated. One that only lists the fields is not.
    pub(super) fn clock(&self, asked: Option<&OsString>) -> Clock {
        let is_help = asked.is_some_and(|asked| asked.as_bytes().windows(4).any(|word| word == b"help"));
        let left = match (self.count, self.interval) {
            _ if is_help => Some(1),
            (None, None) => Some(1),
            (Some(0), _) | (None, Some(_)) => None,
            (Some(count), _) => Some(count),
        };
        Clock { left, interval: self.interval(), started: Instant::now(), ticks: 0 }
    }
}

/// Which fields a report has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    /// Those of `-o`.
    pub(super) asked: Option<&'a OsString>,
    /// Those that it has without.
    pub(super) defaults: &'a str,
    /// The rows of `-S`.
    pub(super) select: Option<&'a OsString>,
    /// The groups that the command is about.
    pub(super) base: Groups,
}

/// Repeats a report.
#[derive(Debug)]
pub(super) struct Clock {
    /// How often it is still to come; `None` for ever.
    left: Option<u32>,
    interval: Duration,
    started: Instant,
    ticks: u32,
}

impl Clock {
    /// Prints the report again and again: each time `fill` adds its rows. The first failure ends it, and what was added
    /// before that is printed.
    pub(super) fn repeat<R>(
        mut self,
        ctx: &mut Context,
        report: &mut Report<R>,
        mut fill: impl FnMut(&mut Context, &mut Report<R>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(document) = &mut ctx.json {
            document.in_lines = self.left != Some(1);
        }
        loop {
            let outcome = fill(ctx, report);
            put(ctx, report.output());
            outcome?;
            self.left = self.left.map(|left| left.saturating_sub(1));
            if self.left == Some(0) {
                return Ok(());
            }
            ctx.out.print("\n");
            ctx.out.flush();
            ctx.write_document();
            ctx.yield_driver()?;
            self.wait();
        }
    }

    /// Sleeps until the next interval begins. Those that passed meanwhile are told of and left out.
    fn wait(&mut self) {
        let passed = self.started.elapsed().as_nanos() / self.interval.as_nanos().max(1);
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        let missed = passed.saturating_sub(self.ticks + 1);
        if passed > self.ticks {
            self.ticks = passed;
            if missed > 0 {
                complain(&format!("WARNING: Try increasing --interval ({missed} missed timer events)."));
            }
            return;
        }
        self.ticks += 1;
        sleep((self.interval * self.ticks).saturating_sub(self.started.elapsed()));
    }
}

/// Prints a report, or puts its rows into the document.
fn put(ctx: &mut Context, report: Vec<u8>) {
    let Some(document) = &mut ctx.json else { return ctx.out.print(report) };
    let read: Option<serde_json::Value> = serde_json::from_slice(&report).ok();
    let rows = read.and_then(|mut read| Some(read.get_mut("report")?.take()));
    // A list of the fields is none, and stands on standard error.
    document.set("report", rows.unwrap_or_else(|| Vec::<serde_json::Value>::new().into()));
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}

impl Failure {
    /// Those lines; what dmsetup says last elsewhere, it does not say here.
    pub(super) fn refused(lines: &[String]) -> Self {
        Self::Refused(lines.to_vec())
    }

    /// A report that cannot be made; unless `classic` with where to read how its conditions are written.
    pub(super) fn no_report(refusal: &Refusal, classic: bool) -> Self {
        let is_condition = refusal.lines.iter().any(|line| line.starts_with("Selection syntax error"));
        let hint = "  hint: as in -S 'name=~vol && open>0'; `-S help` tells of all that can be written";
        let hint = (is_condition && !classic).then(|| hint.to_owned());
        Self::refused(&refusal.lines.iter().cloned().chain(hint).collect::<Vec<_>>())
    }
}
