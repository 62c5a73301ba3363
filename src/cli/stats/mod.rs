//! `stats`, and all of `dmstats`: regions of devices in which the kernel counts I/O.
//!
//! A command of its own with commands of its own. Its options are all in one table, as getopt wants them; which of them
//! a command looks at is that command's business.
//!
//! What dmstats 1.02.185 gets wrong is kept where a caller may rely on it, and then only when called as it is:
//!
//! | what | as dmsetup | as rdmsetup |
//! |---|---|---|
//! | `print --allregions` | each region twice | once |
//! | `--programid`, `--allprograms` with clear, print, group, ungroup | ignored | honoured |
//! | `--regionid` with list, report | ignored | honoured |
//! | `--bounds 1ms,2` | 2 ms, the unit carried on | 2 ns, as the manual has it |
//! | `--areas -3` | areas of 3 sectors | refused |
//! | `--length 3kx`, `--length 3x` | 3 KiB, 3 bytes | refused |
//! | `ungroup` that fails | says that it is done, too | says why not |
//! | `report` of a region whose last area is short | takes it for longer than it is | as long as it is |
//!
//! Mended under any name:
//!
//! | what | dmsetup | here |
//! |---|---|---|
//! | The areas of a whole region | begin at an exabyte, or where a sum wraps to | begin where the device does |
//! | Merges a second and service times | always 0.00 | as they are |
//! | The text of a region with options | its last letter cut off, and lost for good when its group changes | whole |
//! | A group whose alias has a colon | cannot be read again | as it was made |
//! | `--bounds 0` | refused for want of memory | refused for what it is |
//! | `stats delete --allprograms` | the regions of a program of its own file's name | those of all programs |
//! | A device given by `-u` | called "(null)" in messages | called by its name |
//! | `info -c -o read_count`, a field of statistics | dies | empty |
//! | `update_filemap` of a group that loses its first region | dies | the group goes on with its new regions |
//! | `create --filemap` that cannot be done | at times without a word | the reason |

mod create;
pub(super) mod fields;
mod filemap;
mod groups;
mod regions;
mod report;
pub(super) mod sample;
mod target;

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::output::complain;
use super::report::ReportOptions;
use super::selector::{Selected, Selector, number};
use super::version::Version;
use crate::render::{NoUnits, Units};
use clap::Args;
use std::ffi::OsString;
use std::fmt::Write;

/// The program that regions made here belong to, unless another is named.
const PROGRAM: &str = "dmstats";

/// Count the I/O of devices: make regions, show and remove them
#[derive(Args, Debug)]
#[command(after_long_help = commands())]
pub(super) struct Stats {
    /// What to do, and the devices or files to do it with
    #[arg(value_names = ["COMMAND", "DEVICE"], num_args = 1.., required = true)]
    words: Vec<OsString>,

    /// All devices
    #[arg(long)]
    alldevices: bool,

    /// Regions of all programs
    #[arg(long)]
    allprograms: bool,

    /// Regions of this program; for `create`, the program that the new ones belong to
    #[arg(long, value_name = "ID")]
    programid: Option<OsString>,

    /// All regions
    #[arg(long)]
    allregions: bool,

    /// The region of this number
    #[arg(long, value_name = "NUMBER", value_parser = number, allow_hyphen_values = true)]
    regionid: Option<i32>,

    /// The regions to group: numbers and ranges with commas between
    #[arg(long, value_name = "LIST")]
    regions: Option<OsString>,

    /// The group of this number
    #[arg(long, value_name = "NUMBER", value_parser = number, allow_hyphen_values = true)]
    groupid: Option<i32>,

    /// A name for the group
    #[arg(long, value_name = "NAME")]
    alias: Option<OsString>,

    /// Where the new region begins: sectors, or a number with a unit (bskmgtpe, capitals for powers of 1000)
    #[arg(long, value_name = "SIZE")]
    start: Option<String>,

    /// How long the new region is
    #[arg(long, value_name = "SIZE")]
    length: Option<String>,

    /// A region for each line of the device's table
    #[arg(long)]
    segments: bool,

    /// So many areas of equal length
    #[arg(long, value_name = "NUMBER", value_parser = number, allow_hyphen_values = true)]
    areas: Option<i32>,

    /// Areas of this length
    #[arg(long, value_name = "SIZE")]
    areasize: Option<String>,

    /// The bounds of a latency histogram, with commas between: nanoseconds, or with ns, us, ms or s behind
    #[arg(long, value_name = "TIMES")]
    bounds: Option<String>,

    /// Count in nanoseconds
    #[arg(long)]
    precise: bool,

    /// A word to store with the region
    #[arg(long, value_name = "WORD")]
    userdata: Option<OsString>,

    /// Regions where the files lie, in place of devices
    #[arg(long)]
    filemap: bool,

    /// Do not group the new regions
    #[arg(long)]
    nogroup: bool,

    /// Do not start dmfilemapd, which follows a file that changes
    #[arg(long)]
    nomonitor: bool,

    /// What dmfilemapd follows: the file, or the path
    #[arg(long, value_name = "inode|path")]
    follow: Option<OsString>,

    /// Become dmfilemapd, and do not start it in the background
    #[arg(long)]
    foreground: bool,

    /// Set the counters to 0 once they are printed
    #[arg(long)]
    clear: bool,

    /// Do what is most often a mistake
    #[arg(short, long)]
    force: bool,

    /// The unit of sizes: h, or one of bskmgtpe, capitals for powers of 1000; a number before it makes it so many
    #[arg(long, value_name = "UNITS", value_parser = units)]
    units: Option<Units>,

    /// Times in histograms as numbers of nanoseconds
    #[arg(long)]
    notimesuffix: bool,

    /// Taken for dmsetup's sake, and of no effect there either
    #[arg(long, hide = true)]
    nosuffix: bool,

    /// Show areas
    #[arg(long)]
    area: bool,

    /// Show regions
    #[arg(long)]
    region: bool,

    /// Show groups
    #[arg(long)]
    group: bool,

    /// Show latency histograms
    #[arg(long)]
    histogram: bool,

    /// With --histogram: parts of all requests, in percent
    #[arg(long)]
    relative: bool,

    /// Show the counters, not what follows from them
    #[arg(long)]
    raw: bool,

    /// The fields of a report, with commas between; + before them adds them; `help` lists them
    #[arg(short, long, value_name = "FIELDS")]
    options: Option<OsString>,

    #[command(flatten)]
    report: ReportOptions,

    #[command(flatten)]
    selector: Selector,
}

/// A command of `stats`.
#[derive(Debug)]
struct Action {
    name: &'static str,
    about: &'static str,
    run: fn(&Stats, &mut Context) -> Result<(), Failure>,
}

/// The list of them.
const ACTIONS: &[Action] = &[
    Action { name: "help", about: "List these commands", run: help },
    Action { name: "clear", about: "Set the counters of regions to 0", run: regions::clear },
    Action { name: "create", about: "Make regions, of devices or where files lie", run: create::run },
    Action { name: "delete", about: "Remove regions, or a group with its regions", run: regions::delete },
    Action { name: "group", about: "Make a group of regions", run: groups::group },
    Action { name: "list", about: "Show regions and groups", run: report::list },
    Action { name: "print", about: "Print the counters as the kernel has them", run: regions::print },
    Action { name: "report", about: "Show what was counted since the last report", run: report::report },
    Action { name: "ungroup", about: "Remove a group and leave its regions", run: groups::ungroup },
    Action { name: "update_filemap", about: "Let a file's regions follow it", run: filemap::update },
    Action { name: "version", about: "Show the version of this program and of the driver", run: version },
];

/// The commands of `stats`, each with what it does.
#[cfg(feature = "desk")]
pub(super) fn actions() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTIONS.iter().map(|action| (action.name, action.about))
}

fn units(word: &str) -> Result<Units, NoUnits> {
    Units::parse(word)
}

impl Run for Stats {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let name = self.words.first();
        let Some(action) = ACTIONS.iter().find(|action| name.is_some_and(|name| name == action.name)) else {
            ctx.report(&Failure::classic(format!("Unknown stats command.\n{}", usage())));
            return Err(Failure::Reported);
        };
        let refused = |line: &str| Err(Failure::classic(line));
        match () {
            () if self.allprograms && self.programid.is_some() => {
                refused("Please supply one of --allprograms and --programid")
            }
            () if self.allregions && self.regionid.is_some() => {
                refused("Please supply one of --allregions and --regionid")
            }
            () if self.follow.is_some() && self.nomonitor => {
                refused("Use of --follow is incompatible with --nomonitor.")
            }
            () => (action.run)(&self, ctx),
        }
    }
}

impl Stats {
    /// The words behind the command: devices, or files.
    fn names(&self) -> &[OsString] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether no device is named.
    fn names_none(&self) -> bool {
        self.names().is_empty() && !self.selector.is_given()
    }

    /// Does something with each device that is named, or else with all; where that changes them, only if
    /// `--alldevices` says so.
    fn each_device(
        &self,
        ctx: &mut Context,
        must_name: bool,
        mut act: impl FnMut(&mut Context, &Selected) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if must_name && !self.alldevices && self.names_none() {
            return Err(Failure::classic("Please specify device(s) or use --alldevices."));
        }
        self.selector.each_given(ctx, self.names(), &mut act)
    }

    /// The program whose regions are meant; empty for all. Called as `dmstats`, some commands look at those of dmstats
    /// itself whatever is asked for, and say so in no word of their manual.
    fn program(&self, ctx: &Context, honoured: bool) -> Vec<u8> {
        match &self.programid {
            _ if ctx.classic && !honoured => PROGRAM.into(),
            _ if self.allprograms => Vec::new(),
            Some(id) => id.as_encoded_bytes().to_vec(),
            None => PROGRAM.into(),
        }
    }

    /// The number of `--regionid` or `--groupid`: one below 0 is above all that there are, as in C.
    fn id(number: Option<i32>) -> u64 {
        i64::from(number.unwrap_or(0)).cast_unsigned()
    }
}

/// How `stats` is called.
pub(super) fn usage() -> String {
    let options = "`rdmsetup help stats` tells of the options.";
    format!("Usage:\n\nstats COMMAND [OPTIONS] [DEVICE...]\n\n{}\n{options}\n", commands())
}

/// The commands of `stats`, a line each.
fn commands() -> String {
    let mut text = String::from("Commands:\n");
    for action in ACTIONS {
        // A String takes whatever is written to it.
        let _ = writeln!(text, "  {:<15} {}", action.name, action.about);
    }
    text
}

fn help(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    if let Some(document) = &mut ctx.json {
        document.set("text", usage());
    }
    complain(&usage());
    if stats.report.columns > 0 || stats.names().first().is_some_and(|word| word == "report") {
        report::fields(stats, ctx)?;
    }
    Ok(())
}

/// Once for each word behind it, as dmstats has it.
fn version(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    (0..stats.names().len().max(1)).try_for_each(|_| Version {}.run(ctx))
}
