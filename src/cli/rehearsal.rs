//! `--dry-run`: what would be sent to the driver, in words, and nothing sent that changes anything.
//!
//! Requests that only ask still go out, so that a device that is missing, taken or in use is found as it would be, and
//! a table is checked as `check` does it.

use super::context::Context;
use super::diagnosis::taken;
use super::failure::Failure;
use super::json::{self, device::Texts};
use crate::backend::CallError;
use crate::dm::{
    Command, DeviceId, Errno, Fault, Flags, Line, Reply, ReplyBody, Request, Sectors, StatusLine, Table, Text,
};
use crate::mapper::Draft;
use crate::render::{self, Keys};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The option of commands that can be rehearsed.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct DryRun {
    /// Only show the requests that would be sent, with -v as dictionaries too, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What would have been done so far.
#[derive(Debug, Default)]
pub(super) struct Rehearsal {
    /// The devices that would be there, with their sizes; no size where there is no table yet.
    created: BTreeMap<Text, Sectors>,
    /// The one that was made last, which is meant where none is named.
    last: Text,
}

impl DryRun {
    /// Whether it is asked for.
    #[cfg(feature = "desk")]
    pub(super) fn is_asked(self) -> bool {
        self.dry_run
    }

    /// Has the requests to come rehearsed, if that is asked for.
    pub(super) fn apply(self, ctx: &mut Context) {
        ctx.rehearsal = self.dry_run.then(Rehearsal::default);
    }
}

/// Whether a request changes something.
pub(super) fn changes(command: &Command) -> bool {
    match command {
        Command::RemoveAll
        | Command::DevCreate
        | Command::DevRemove
        | Command::DevRename(_)
        | Command::DevSuspend
        | Command::TableLoad(_)
        | Command::TableClear
        | Command::TargetMsg { .. }
        | Command::DevSetGeometry(_) => true,
        Command::Version
        | Command::ListDevices
        | Command::DevStatus
        | Command::DevWait
        | Command::TableDeps
        | Command::TableStatus
        | Command::ListVersions
        | Command::DevArmPoll
        | Command::GetTargetVersion(_)
        | Command::MpathProbePaths => false,
    }
}

/// Shows a request instead of sending it, and answers what an empty device would; `None` for one that changes nothing,
/// or where nothing is rehearsed.
pub(super) fn rehearse(ctx: &mut Context, request: &Request) -> Option<Result<Reply, Failure>> {
    let rehearsal = ctx.rehearsal.as_ref().filter(|_| changes(&request.command))?;
    let name = if request.device == DeviceId::default() { &rehearsal.last } else { &request.device.name };
    let called = called(&request.device, &ctx.shown_name(name));
    let is_new = rehearsal.created.contains_key(name);
    Some(judge(ctx, request, &called, is_new).map(|()| answer(request)))
}

fn judge(ctx: &mut Context, request: &Request, called: &str, is_new: bool) -> Result<(), Failure> {
    tell(ctx, request, called)?;
    ctx.out.print(format!("would {}\n", words(request, called)));
    if let Command::TableLoad(table) = &request.command {
        for line in &table.lines {
            ctx.out.print("  ");
            ctx.out.print(shown(line));
        }
    }
    if ctx.verbose > 0 {
        let dictionary = ctx.client()?.dictionary(request);
        ctx.out.print(dictionary + "\n");
    }
    // One that would have been made before this can be asked nothing, and nobody has it open.
    let is_there = !is_new && !matches!(request.command, Command::DevCreate | Command::RemoveAll);
    let reply = if is_there { Some(state(ctx, request)?) } else { None };
    match refused(ctx, request, reply.as_ref())? {
        Some(fault) => Err(refusal(request, fault)),
        None => {
            remember(ctx, request);
            Ok(())
        }
    }
}

/// Adds the request to the document.
fn tell(ctx: &mut Context, request: &Request, called: &str) -> Result<(), Failure> {
    if ctx.json.is_none() {
        return Ok(());
    }
    let table = if let Command::TableLoad(table) = &request.command { table.lines.as_slice() } else { &[] };
    let lines = table.iter().map(|line| json::device::line(&status_line(line), Keys::Hidden, Texts::Table));
    let lines: Vec<Value> = lines.collect();
    let dictionary = if ctx.verbose > 0 { Some(ctx.client()?.dictionary(request)) } else { None };
    let does = words(request, called).trim_end_matches(':').to_owned();
    if let Some(document) = &mut ctx.json {
        document.push("would", json!({ "does": does, "lines": lines, "dictionary": dictionary }));
    }
    Ok(())
}

/// Why the driver would refuse the request, about a device in that state.
fn refused(ctx: &mut Context, request: &Request, state: Option<&Reply>) -> Result<Option<Fault>, Failure> {
    if let Command::TableLoad(table) = &request.command {
        return refused_table(ctx, request, table);
    }
    if let Command::DevRename(new) = &request.command {
        let is_uuid = request.flags.contains(Flags::UUID);
        let id = if is_uuid { DeviceId::by_uuid(new.clone()) } else { DeviceId::by_name(new.clone()) };
        return Ok(taken(ctx, &id));
    }
    if request.command == Command::DevCreate {
        return Ok(taken(ctx, &request.device));
    }
    let state = state.filter(|_| request.command == Command::DevRemove);
    Ok(state.and_then(|reply| in_use(reply, request.flags)))
}

fn refusal(request: &Request, fault: Fault) -> Failure {
    CallError::new(request, fault.errno, Some(fault)).into()
}

/// What there would be from now on.
fn remember(ctx: &mut Context, request: &Request) {
    let Some(rehearsal) = &mut ctx.rehearsal else { return };
    let name = &request.device.name;
    if request.command == Command::DevCreate {
        rehearsal.created.insert(name.clone(), Sectors::ZERO);
        rehearsal.last.clone_from(name);
    } else if request.command == Command::DevRemove {
        rehearsal.created.remove(name);
    } else if let Command::TableLoad(table) = &request.command {
        let end = table.lines.last().and_then(|last| last.start.checked_add(last.length));
        if let (true, Some(end)) = (request.device == DeviceId::default(), end) {
            rehearsal.created.insert(rehearsal.last.clone(), end);
        }
    }
}

/// The first thing that is wrong with a table.
fn refused_table(ctx: &mut Context, request: &Request, table: &Table) -> Result<Option<Fault>, Failure> {
    let rehearsal = ctx.rehearsal.take().unwrap_or_default();
    let lines: Vec<_> = table.lines.iter().cloned().map(Some).collect();
    let device = if request.device.name.is_empty() { &rehearsal.last } else { &request.device.name };
    let read_only = request.flags.contains(Flags::READONLY);
    let planned = &rehearsal.created;
    let checked =
        ctx.client().map(|client| client.check(&Draft { device, lines: &lines, read_only, planned }));
    ctx.rehearsal = Some(rehearsal);
    Ok(checked??.into_iter().next())
}

/// The device's state, or the failure that the request would meet.
fn state(ctx: &mut Context, request: &Request) -> Result<Reply, Failure> {
    let asked = Request::new(request.device.clone(), Command::DevStatus).with_flags(Flags::EXISTS);
    ctx.client()?.perform(&asked).map_err(|mut error| {
        error.verb = request.verb();
        error.into()
    })
}

fn in_use(reply: &Reply, flags: Flags) -> Option<Fault> {
    let is_refused = reply.open_count > 0 && !flags.contains(Flags::DEFERRED_REMOVE);
    let times = if reply.open_count == 1 { "once".into() } else { format!("{} times", reply.open_count) };
    is_refused.then(|| Fault::new(Errno::EBUSY, format!("\"{}\" is open {times}", reply.device.name)))
}

/// A reply that tells no more than that it was done.
fn answer(request: &Request) -> Reply {
    Reply {
        version: request.version,
        device: request.device.clone(),
        flags: request.flags,
        open_count: 0,
        event_nr: 0,
        target_count: 0,
        body: ReplyBody::None,
    }
}

/// A device as people call it.
fn called(device: &DeviceId, name: &Text) -> String {
    match device.dev {
        _ if !name.is_empty() => format!("\"{name}\""),
        Some(dev) => format!("the device with number {dev}"),
        None => format!("the device with uuid \"{}\"", device.uuid),
    }
}

/// What a request does.
fn words(request: &Request, called: &str) -> String {
    let has = |flag| request.flags.contains(flag);
    match &request.command {
        Command::DevCreate => {
            let uuid = &request.device.uuid;
            let uuid = if uuid.is_empty() { String::new() } else { format!(", its uuid \"{uuid}\"") };
            let minor = request.device.dev.map_or(String::new(), |dev| format!(", its number {dev}"));
            format!("create device {called}{uuid}{minor}")
        }
        Command::DevRemove if has(Flags::DEFERRED_REMOVE) => {
            format!("remove {called}, when it is closed if it is open")
        }
        Command::DevRemove => format!("remove {called}"),
        Command::RemoveAll => "remove every device that is not open".into(),
        Command::DevRename(new) if has(Flags::UUID) => format!("give {called} the uuid \"{new}\""),
        Command::DevRename(new) => format!("rename {called} to \"{new}\""),
        Command::DevSuspend if has(Flags::SUSPEND) => format!("suspend {called}: its I/O waits"),
        Command::DevSuspend => {
            format!("resume {called}: a table that is loaded takes effect, and I/O goes on")
        }
        Command::TableLoad(table) => {
            let count = table.lines.len();
            let plural = if count == 1 { "" } else { "s" };
            let how = if has(Flags::READONLY) { ", read-only" } else { "" };
            format!("load a table of {count} line{plural} into the inactive slot of {called}{how}:")
        }
        Command::TableClear => format!("drop the table that is loaded for {called} and not in use"),
        Command::TargetMsg { sector, .. } => {
            format!("send a message to the target at sector {sector} of {called}")
        }
        Command::DevSetGeometry(text) => format!("set the geometry of {called} to {text}"),
        Command::Version
        | Command::ListDevices
        | Command::DevStatus
        | Command::DevWait
        | Command::TableDeps
        | Command::TableStatus
        | Command::ListVersions
        | Command::DevArmPoll
        | Command::GetTargetVersion(_)
        | Command::MpathProbePaths => format!("ask about {called}"),
    }
}

/// A line of a table as `table` shows it.
fn shown(line: &Line) -> Vec<u8> {
    render::line(&status_line(line), Keys::Hidden)
}

fn status_line(line: &Line) -> StatusLine {
    let Line { start, length, target, params } = line;
    let (target, params) = (target.clone(), params.clone());
    StatusLine { start: *start, length: *length, target, status: 0, params }
}
