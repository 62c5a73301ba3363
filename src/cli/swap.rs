//! One device made what a file has: created, or given another table under I/O, or put back as it was.

use super::context::Context;
use super::create::{self, create_and_start};
use super::failure::Failure;
use super::plan::{self, Found, Step, is_same_text};
use crate::dm::{Command, DeviceId, DeviceNumber, Flags, Request, Text};

/// What was done to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Created,
    /// It has another table.
    Reloaded,
    /// It lets I/O through again.
    Resumed,
    UuidSet(Text),
    /// From that name.
    Renamed(Text),
    Removed,
}

/// Does what a step says; what was done of it stands in `done`, with a failure too.
pub(super) fn carry_out(ctx: &mut Context, step: &Step, done: &mut Vec<Change>) -> Result<(), Failure> {
    let wanted = &step.wanted;
    let Some(found) = &step.found else {
        create(ctx, step)?;
        done.push(Change::Created);
        return Ok(());
    };
    if step.table {
        match reload(ctx, step, found) {
            Ok(change) => done.extend(change),
            Err(Undone { failure, undo }) => {
                if let Err(second) = undo {
                    // Why it was to be undone comes first, as it did first.
                    ctx.report(&failure);
                    return Err(second);
                }
                return Err(failure);
            }
        }
    } else if step.resumes() {
        ctx.perform(Request::resume(DeviceId::by_name(found.id.name.clone())))?;
        done.push(Change::Resumed);
    }
    if step.uuid {
        let set =
            Request::new(DeviceId::by_name(found.id.name.clone()), Command::DevRename(wanted.uuid.clone()));
        ctx.perform(set.with_flags(Flags::UUID))?;
        done.push(Change::UuidSet(wanted.uuid.clone()));
    }
    if let Some(old) = step.old_name() {
        ctx.perform(Request::new(DeviceId::by_name(old.clone()), Command::DevRename(wanted.name.clone())))?;
        done.push(Change::Renamed(old.clone()));
    }
    Ok(())
}

fn create(ctx: &mut Context, step: &Step) -> Result<(), Failure> {
    let wanted = &step.wanted;
    let dev = match wanted.minor {
        Some(minor) => Some(DeviceNumber::new(create::mapped_major(ctx)?, minor)),
        None => None,
    };
    let device = DeviceId { name: wanted.name.clone(), uuid: wanted.uuid.clone(), dev };
    let flags = Flags::READONLY.when(wanted.readonly);
    match wanted.source.clone().filter(|source| !source.table.lines.is_empty()) {
        Some(source) => create_and_start(ctx, device, source, flags).map(drop),
        None => ctx.perform(Request::new(device, Command::DevCreate)).map(drop),
    }
}

/// A swap that failed, and what became of undoing it.
struct Undone {
    failure: Failure,
    undo: Result<(), Failure>,
}

/// Gives a device its other table; nothing was done where the driver's own words for both are the same.
fn reload(ctx: &mut Context, step: &Step, found: &Found) -> Result<Option<Change>, Undone> {
    let wanted = &step.wanted;
    let source = wanted.source.clone().unwrap_or_default();
    let device = DeviceId::by_name(found.id.name.clone());
    let load = Request::new(device.clone(), Command::TableLoad(source.table.clone()));
    if let Err(failure) = ctx.perform(load.with_flags(Flags::READONLY.when(wanted.readonly))) {
        // The driver keeps what was loaded before.
        let failure = failure.map_call(|error| Failure::Load(error, wanted.name.clone(), source));
        return Err(Undone { failure, undo: Ok(()) });
    }
    swap(ctx, &device, found).map_err(|failure| Undone { failure, undo: put_back(ctx, &device, found) })
}

/// Puts the loaded table in the place of the one in use.
fn swap(ctx: &mut Context, device: &DeviceId, found: &Found) -> Result<Option<Change>, Failure> {
    let loaded = plan::ask(ctx, device.clone(), Flags::QUERY_INACTIVE_TABLE)?;
    let is_same = loaded.is_some_and(|loaded| {
        is_same_text(&loaded.lines, &found.lines) && loaded.is(Flags::READONLY) == found.is(Flags::READONLY)
    });
    let was_suspended = found.is(Flags::SUSPEND);
    if is_same && !was_suspended {
        ctx.perform(Request::new(device.clone(), Command::TableClear))?;
        return Ok(None);
    }
    if !was_suspended && !found.lines.is_empty() {
        ctx.perform(Request::suspend(device.clone()))?;
    }
    ctx.perform(Request::resume(device.clone()))?;
    Ok(Some(if is_same { Change::Resumed } else { Change::Reloaded }))
}

/// Drops what was loaded, and lets I/O through the old table if it went through it before.
fn put_back(ctx: &mut Context, device: &DeviceId, found: &Found) -> Result<(), Failure> {
    ctx.perform(Request::new(device.clone(), Command::TableClear))?;
    let now = ctx.perform(Request::new(device.clone(), Command::DevStatus))?;
    if now.flags.contains(Flags::SUSPEND) && !found.is(Flags::SUSPEND) {
        ctx.perform(Request::resume(device.clone()))?;
    }
    Ok(())
}
