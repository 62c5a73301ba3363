//! `diff`: the devices of a file compared with what is there.

use super::Run;
use super::apply::prefix;
use super::context::Context;
use super::device_file;
use super::failure::Failure;
use super::place::Places;
use super::plan::{Plan, Step, is_same};
use crate::dm::{Flags, Line, StatusLine, Text};
use crate::render::{self, Keys};
use clap::Args;
use serde_json::{Value, json};
use std::ffi::OsString;

/// Compare the devices of a file with those that are there
///
/// It shows what `apply` would change, and changes nothing: below a device's name, `+` before what the file has and
/// is not there, `-` before what is there and the file does not have, `~` where a device is changed. Keys are shown as
/// zeros. The exit status is 0 where nothing is to be done, and 1 where something is, or where it failed, which standard
/// error then tells.
///
/// Tables are compared by their words, a disk's path being as good as its number. Where a target's own words for its table are
/// not those that it was given, a difference is shown that is none: `apply` finds that out by loading the table.
#[derive(Args, Debug)]
pub(super) struct Diff {
    /// The file with the devices, - for standard input
    file: OsString,

    /// Take the file for the concise form, whatever it begins with
    #[arg(long)]
    concise: bool,

    /// Show devices that the file does not have and whose uuid begins so, which apply --prune removes
    #[arg(long, value_name = "PREFIX")]
    prune: Option<OsString>,
}

/// A device that differs.
struct Difference {
    sign: char,
    name: Text,
    /// Each with its sign.
    lines: Vec<(char, Vec<u8>)>,
}

impl Run for Diff {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let prune = prefix(self.prune.as_ref())?;
        let devices = device_file::read(ctx, &self.file, self.concise)?;
        let plan = Plan::make(ctx, devices, prune.as_ref())?;
        if plan.steps.iter().any(|step| step.wanted.source.is_none()) {
            // It cannot be read, which a check tells.
            plan.check(ctx)?;
        }
        plan.refuse(ctx)?;
        let places = Places::look(ctx)?;
        let mut differences = Vec::new();
        for step in plan.steps.iter().filter(|step| step.is_needed()) {
            differences.push(of_step(ctx, step, &places));
        }
        for gone in &plan.removals {
            let lines = gone.lines.iter().map(|line| ('-', there(line))).collect();
            differences.push(Difference { sign: '-', name: ctx.shown_name(&gone.id.name), lines });
        }
        let is_same = differences.is_empty();
        if let Some(document) = &mut ctx.json {
            document.set("equal", is_same);
            document.list("devices").extend(differences.iter().map(Difference::to_json));
        } else {
            for Difference { sign, name, lines } in &differences {
                ctx.out.print(format!("{sign} "));
                ctx.out.print(&**name);
                ctx.out.print("\n");
                for (sign, line) in lines {
                    ctx.out.print(format!("{sign}   "));
                    ctx.out.print(line);
                    ctx.out.print("\n");
                }
            }
        }
        if is_same { Ok(()) } else { Err(Failure::Silent) }
    }
}

fn of_step(ctx: &Context, step: &Step, places: &Places) -> Difference {
    let wanted = &step.wanted;
    let name = ctx.shown_name(&wanted.name);
    let word = |word: &str, text: &Text| [word.as_bytes(), &ctx.shown_name(text)].concat();
    let new: &[Line] = wanted.source.as_ref().map_or(&[], |source| &source.table.lines);
    let mut lines = Vec::new();
    let Some(found) = &step.found else {
        lines.extend((!wanted.uuid.is_empty()).then(|| ('+', word("uuid ", &wanted.uuid))));
        lines.extend(wanted.minor.map(|minor| ('+', format!("minor {minor}").into_bytes())));
        lines.extend(wanted.readonly.then(|| ('+', b"readonly".to_vec())));
        lines.extend(new.iter().map(|line| ('+', planned(line))));
        return Difference { sign: '+', name, lines };
    };
    if let Some(old) = step.old_name() {
        lines.push(('-', word("name ", old)));
        lines.push(('+', word("name ", &wanted.name)));
    }
    lines.extend(step.uuid.then(|| ('+', word("uuid ", &wanted.uuid))));
    lines.extend(step.resumes().then(|| ('-', b"suspended".to_vec())));
    if step.table {
        match (found.is(Flags::READONLY), wanted.readonly) {
            (true, false) => lines.push(('-', b"readonly".to_vec())),
            (false, true) => lines.push(('+', b"readonly".to_vec())),
            (true, true) | (false, false) => {}
        }
        let is_new = |line: &&Line| !found.lines.iter().any(|old| is_same(line, old, places));
        let is_old = |line: &&StatusLine| !new.iter().any(|new| is_same(new, line, places));
        let mut table: Vec<_> =
            found.lines.iter().filter(is_old).map(|line| (line.start, '-', there(line))).collect();
        table.extend(new.iter().filter(is_new).map(|line| (line.start, '+', planned(line))));
        // What goes before what comes.
        table.sort_by_key(|(start, sign, _)| (*start, *sign == '+'));
        lines.extend(table.into_iter().map(|(_, sign, line)| (sign, line)));
    }
    Difference { sign: '~', name, lines }
}

fn there(line: &StatusLine) -> Vec<u8> {
    render::line(line, Keys::Hidden).trim_ascii_end().to_vec()
}

fn planned(line: &Line) -> Vec<u8> {
    let Line { start, length, target, params } = line;
    there(&StatusLine {
        start: *start,
        length: *length,
        target: target.clone(),
        status: 0,
        params: params.clone(),
    })
}

impl Difference {
    fn to_json(&self) -> Value {
        let change = |sign: &char| match sign {
            '+' => "added",
            '-' => "removed",
            _ => "changed",
        };
        let line = |(sign, line): &(char, Vec<u8>)| json!({ "change": change(sign), "text": String::from_utf8_lossy(line) });
        json!({
            "device": self.name.to_string(),
            "change": change(&self.sign),
            "lines": self.lines.iter().map(line).collect::<Vec<_>>(),
        })
    }
}
