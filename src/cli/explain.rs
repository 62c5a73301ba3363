//! `explain`: where each range of a device goes, in words and in a picture.

use super::block_name::{self, NameKind};
use super::concise::{Entries, Entry};
use super::context::Context;
use super::create::unreadable;
use super::failure::{Failure, located};
use super::json::device::bytes;
use super::seen::shortened;
use super::selector::Selector;
use super::tree::speaks_utf8;
use super::{Run, table_source};
use crate::dm::{Command, DeviceNumber, Flags, Line, ListedDevice, Request, Role, Sectors, Table, Text, Use};
use crate::render::screen::Paint;
use crate::render::{ConciseForm, DeviceName, ExplainedLine, Place, explain};
use crate::target;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Tell where each range of a device goes
///
/// In words and in a picture: which sectors of the device go to which sectors of which disks, and what a line of that
/// target type does. Nothing is checked, as `check` does it, and nothing is changed.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// A device, or a table itself, or the file that holds one; - for standard input, as without it
    #[arg(value_name = "DEVICE|TABLE|FILE")]
    what: Option<OsString>,

    /// A table: lines of START LENGTH TARGET PARAMETERS
    #[arg(long)]
    table: Option<OsString>,

    /// Explain devices as `table --concise` shows them
    #[arg(long)]
    concise: bool,
}

/// A table with its name.
struct Named {
    name: String,
    lines: Vec<ExplainedLine>,
}

impl Run for Explain {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let tables = self.tables(ctx)?;
        if let Some(document) = &mut ctx.json {
            document.list("tables").extend(tables.iter().map(Named::to_json));
            return Ok(());
        }
        let paint = ctx.screen().map_or(Paint::Plain, |screen| screen.paint);
        for (index, table) in tables.iter().enumerate() {
            ctx.out.print(if index > 0 { "\n" } else { "" });
            ctx.out.print(explain(paint, &table.name, &table.lines, speaks_utf8()));
        }
        Ok(())
    }
}

impl Explain {
    fn tables(&self, ctx: &mut Context) -> Result<Vec<Named>, Failure> {
        if self.table.is_some() && (self.what.is_some() || self.concise) {
            return Err(Failure::Ours("explain: --table goes with no other table".into()));
        }
        let what = self.what.as_deref().filter(|what| *what != "-");
        if self.concise {
            return concise(ctx, &table_source::word_or_input(what)?);
        }
        if let Some(table) = &self.table {
            return Ok(vec![read(ctx, "table", table.as_bytes(), &BTreeMap::new())?]);
        }
        let Some(what) = what else {
            let text = table_source::word_or_input(None)?;
            return Ok(vec![read(ctx, "standard input", &text, &BTreeMap::new())?]);
        };
        // Neither a device nor a path that anybody has holds all the blanks of a line.
        if what.as_bytes().trim_ascii().iter().filter(|byte| byte.is_ascii_whitespace()).count() >= 2 {
            return Ok(vec![read(ctx, "table", what.as_bytes(), &BTreeMap::new())?]);
        }
        if let Some(device) = device(ctx, what)? {
            return Ok(vec![device]);
        }
        let (text, name) = table_source::text(None, Some(what)).map_err(|_| {
            Failure::Ours(format!(
                "explain: \"{}\" is no device, no file, and no table\n  hint: as in `rdmsetup explain vol0` or \
                 `rdmsetup explain \"0 1GiB linear disk.img 0\"`; `rdmsetup ls` lists the devices",
                what.display()
            ))
        })?;
        Ok(vec![read(ctx, &name, &text, &BTreeMap::new())?])
    }
}

/// The device of that name, if there is one.
fn device(ctx: &mut Context, name: &OsStr) -> Result<Option<Named>, Failure> {
    // A path that is no node's is a file's.
    let Ok(id) = Selector::default().device(ctx, Some(name)) else { return Ok(None) };
    let request = Request::new(id, Command::TableStatus).with_flags(Flags::STATUS_TABLE | Flags::NOFLUSH);
    let reply = match ctx.perform_if_exists(request) {
        Err(Failure::NoDevice(_)) => return Ok(None),
        reply => reply?,
    };
    let lines = reply.lines().iter().map(|line| Line {
        start: line.start,
        length: line.length,
        target: line.target.clone(),
        params: shortened(&line.params),
    });
    let table = Table { lines: lines.collect() };
    Ok(Some(Named { name: ctx.shown_name(&reply.device.name).to_string(), lines: explained(ctx, &table)? }))
}

/// A table from its text; devices that come before it may be `planned`.
fn read(
    ctx: &mut Context,
    name: &str,
    text: &[u8],
    planned: &BTreeMap<Text, Sectors>,
) -> Result<Named, Failure> {
    let source = ctx.source_table(text, planned).map_err(|error| {
        ctx.complain(&located(name, &error));
        Failure::Reported
    })?;
    Ok(Named { name: name.to_owned(), lines: explained(ctx, &source.table)? })
}

fn concise(ctx: &mut Context, text: &[u8]) -> Result<Vec<Named>, Failure> {
    let (mut tables, mut planned) = (Vec::new(), BTreeMap::new());
    for entry in Entries::of(text, ConciseForm::Readable) {
        let Entry { name, table, .. } = entry.map_err(unreadable)?;
        let named = read(ctx, &name.to_string(), &table, &planned)?;
        let end = named.lines.last().and_then(|line| line.start.checked_add(line.length));
        planned.insert(name, end.unwrap_or_default());
        tables.push(named);
    }
    Ok(tables)
}

fn explained(ctx: &mut Context, table: &Table) -> Result<Vec<ExplainedLine>, Failure> {
    let mapped = ctx.perform(Request::global(Command::ListDevices))?.devices().to_vec();
    Ok(table.lines.iter().map(|line| explained_line(ctx, line, &mapped)).collect())
}

fn explained_line(ctx: &mut Context, line: &Line, mapped: &[ListedDevice]) -> ExplainedLine {
    let words = line.params.words();
    let known = target::find(&line.target);
    let roles = known.map_or_else(Vec::new, |known| (known.roles)(&words));
    let mut places = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        let Role::Device(uses) = *role else { continue };
        let offset = words.get(index + 1).filter(|_| roles.get(index + 1) == Some(&Role::Offset));
        let from = offset.and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        places.push(Place {
            device: named(ctx, &words[index], mapped),
            from: Sectors(from.unwrap_or(0)),
            uses,
        });
    }
    let summary = known.and_then(|known| known.help.split_inclusive(". ").next()).unwrap_or_default();
    ExplainedLine {
        start: line.start,
        length: line.length,
        target: line.target.clone(),
        summary: summary.trim_end().to_owned(),
        places,
    }
}

/// What a word of a table is called: a device's number with its name.
fn named(ctx: &mut Context, word: &Text, mapped: &[ListedDevice]) -> Text {
    let Some(dev) = DeviceNumber::parse(word) else { return word.clone() };
    match block_name::called(ctx, NameKind::Mapped, dev, mapped) {
        DeviceName::Name(name) => format!("{name} ({dev})").into(),
        DeviceName::Number(_) => word.clone(),
    }
}

impl Named {
    fn to_json(&self) -> Value {
        let place = |place: &Place, line: &ExplainedLine| {
            let (uses, of) = match place.uses {
                Use::Whole => ("whole", 1),
                Use::Share(count) => ("share", count),
                Use::Times(count) => ("times", count),
                Use::Own => ("own", 1),
            };
            json!({
                "device": place.device.to_string(),
                "uses": uses,
                "of": of,
                "start_bytes": bytes(Some(place.from)),
                "length_bytes": bytes(place.length(line.length)),
            })
        };
        let line = |line: &ExplainedLine| {
            json!({
                "start_bytes": bytes(Some(line.start)),
                "length_bytes": bytes(Some(line.length)),
                "target": line.target.to_string(),
                "summary": line.summary,
                "devices": line.places.iter().map(|found| place(found, line)).collect::<Vec<_>>(),
            })
        };
        json!({ "name": self.name, "lines": self.lines.iter().map(line).collect::<Vec<_>>() })
    }
}
