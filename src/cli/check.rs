//! `check`: everything that is wrong with a table, without loading it.

use super::concise::{Entries, Entry};
use super::context::Context;
use super::create::unreadable;
use super::failure::{Failure, located, reason};
use super::{Run, json, table_source};
use crate::dm::{Errno, Fault, Sectors, TableSyntaxError, Text};
use crate::mapper::Draft;
use crate::render::ConciseForm;
use crate::render::screen::Ink;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use zeroize::Zeroizing;

/// Find every fault in a table without loading it
///
/// Each line is checked as a load would check it, and every fault is shown, not only the first: words that are no
/// numbers, unknown target types, wrong arguments, gaps and overlaps, disks that are missing, too small or not to be
/// written to, and ranges that are not aligned to their blocks. Nothing is changed, and disks are only read.
///
/// The userspace mapper finds what its load would refuse. For the kernel's driver the lines of the target types that
/// rdmsetup itself has are checked in full; of others their place in the table, and whether the kernel has the type.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The file that holds the table, - for standard input, as without it; with --concise the devices themselves
    file: Option<OsString>,

    /// The table itself: lines of START LENGTH TARGET PARAMETERS, in sectors of 512 bytes or with a
    /// unit, as in 64MiB; a LENGTH of 100% is all that the line's device has left
    #[arg(long)]
    table: Option<OsString>,

    /// Check devices as `table --concise` shows them; the tables of later ones may use earlier ones
    #[arg(long)]
    concise: bool,

    /// Check a table that is to be loaded read-only: its disks need not be writable
    #[arg(short, long)]
    readonly: bool,
}

/// A table with what was found in it.
#[derive(Debug)]
pub(super) struct Checked {
    /// What faults call the table: `table of vol0`, or where it came from.
    called: String,
    /// The device that it is for, where that is known.
    device: Option<Text>,
    lines: usize,
    /// How large the device would be.
    pub(super) size: Sectors,
    faults: Vec<Found>,
}

/// A fault, with its place if it has one.
#[derive(Debug)]
struct Found {
    errno: Errno,
    fault: Option<Fault>,
    place: Option<TableSyntaxError>,
}

impl Run for Check {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let checked = if self.concise { self.devices(ctx)? } else { vec![self.one(ctx)?] };
        let is_faulty = checked.iter().any(Checked::is_faulty);
        if let Some(document) = &mut ctx.json {
            document.list("tables").extend(checked.iter().map(Checked::to_json));
        } else {
            checked.iter().for_each(|checked| checked.show(ctx));
        }
        if is_faulty { Err(Failure::Reported) } else { Ok(()) }
    }
}

impl Check {
    fn one(&self, ctx: &mut Context) -> Result<Checked, Failure> {
        let file = self.file.as_deref().filter(|file| *file != "-");
        if file.is_some() && self.table.is_some() {
            return Err(Failure::Ours("check: give --table or a file, not both".into()));
        }
        let (text, _) = table_source::text(self.table.as_deref(), file)?;
        let called = match (&self.table, file) {
            (Some(_), _) => "table".to_owned(),
            (None, Some(file)) => file.display().to_string(),
            (None, None) => "standard input".to_owned(),
        };
        look(
            ctx,
            called,
            &Asked { device: None, text: &text, read_only: self.readonly, planned: &BTreeMap::new() },
        )
    }

    /// The devices of --concise, each with those before it to build on.
    fn devices(&self, ctx: &mut Context) -> Result<Vec<Checked>, Failure> {
        if self.table.is_some() {
            return Err(Failure::Ours(
                "check: --concise takes the devices as its argument, and no --table".into(),
            ));
        }
        let word = self.file.as_deref().filter(|file| *file != "-");
        let text = table_source::word_or_input(word)?;
        let (mut checked, mut planned) = (Vec::new(), BTreeMap::new());
        for entry in Entries::of(&text, ConciseForm::Readable) {
            let Entry { name, table, .. } = entry.map_err(unreadable)?;
            let called = format!("table of {name}");
            if table.trim_ascii().is_empty() {
                // A device without a table is as good as any.
                planned.insert(name, Sectors::ZERO);
                continue;
            }
            let text = Zeroizing::new(table);
            let asked =
                Asked { device: Some(&name), text: &text, read_only: self.readonly, planned: &planned };
            let found = look(ctx, called, &asked)?;
            planned.insert(name, found.size);
            checked.push(found);
        }
        Ok(checked)
    }
}

/// A table to look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The device that it is for, where that is known.
    pub(super) device: Option<&'a Text>,
    pub(super) text: &'a [u8],
    pub(super) read_only: bool,
    /// Devices that would be there before, with their sizes.
    pub(super) planned: &'a BTreeMap<Text, Sectors>,
}

/// Looks at a table, which faults call so.
pub(super) fn look(ctx: &mut Context, called: String, asked: &Asked<'_>) -> Result<Checked, Failure> {
    let table = ctx.table_draft(asked.text, asked.planned);
    let name = asked.device.cloned().unwrap_or_default();
    let Asked { read_only, planned, .. } = *asked;
    let draft = Draft { device: &name, lines: &table.lines, read_only, planned };
    let size = draft.size();
    let syntax = table.faults.iter().map(|error| Found {
        errno: Errno::EINVAL,
        fault: None,
        place: Some(error.clone()),
    });
    let mut faults: Vec<Found> = syntax.collect();
    // Where no line can be read there is nothing to ask.
    if faults.is_empty() || table.lines.iter().any(Option::is_some) {
        let found = ctx.client()?.check(&draft)?;
        faults.extend(found.into_iter().map(|fault| Found {
            errno: fault.errno,
            place: table.locate(&fault),
            fault: Some(fault),
        }));
    }
    faults.sort_by_key(|found| found.place.as_ref().map(|place| (place.line, place.span.start)));
    Ok(Checked { called, device: asked.device.cloned(), lines: table.lines.len(), size, faults })
}

impl Checked {
    /// Whether anything is wrong.
    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The faults on standard error, or that there is none.
    fn show(&self, ctx: &mut Context) {
        if self.faults.is_empty() {
            let plural = if self.lines == 1 { "" } else { "s" };
            let verdict = ctx
                .screen()
                .map_or_else(|| "no fault".to_owned(), |screen| screen.paint.on(Ink::Good, "no fault"));
            ctx.out.print(format!(
                "{}: {} line{plural}, {}, {verdict}\n",
                self.called,
                self.lines,
                self.size.counted()
            ));
        }
        self.complain(ctx);
    }

    /// The faults on standard error.
    pub(super) fn complain(&self, ctx: &mut Context) {
        for found in &self.faults {
            let shown = match &found.place {
                Some(place) => Some(located(&self.called, place)),
                None => found.fault.as_ref().and_then(reason),
            };
            shown.iter().for_each(|shown| ctx.complain(shown));
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "device": self.device.as_ref().map(ToString::to_string),
            "source": self.called,
            "line_count": self.lines,
            "size_bytes": json::device::bytes(Some(self.size)),
            "faults": self.faults.iter().map(Found::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Found {
    fn to_json(&self) -> Value {
        json::failure::found(self.errno, self.place.as_ref(), self.fault.as_ref())
    }
}
