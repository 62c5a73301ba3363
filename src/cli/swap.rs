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

/// Why a step was not carried out.
pub(super) enum Trouble {
    /// This; nothing is half done.
    Failed(Box<Failure>),
    /// This, when a device was to be put back as it was; why it was to be is told already.
    Stuck(Box<Failure>),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// Does what a step says; what was done of it stands in `done`, with a failure too.
pub(super) fn carry_out(ctx: &mut Context, step: &Step, done: &mut Vec<Change>) -> Result<(), Trouble> {
    let wanted = &step.wanted;
    let Some(found) = &step.found else {
        if let Err(failure) = create(ctx, step) {
            // What is left of it could not be removed, which is told with the failure.
            let left = plan::ask(ctx, DeviceId::by_name(wanted.name.clone()), Flags::NONE);
            let is_left = left.is_ok_and(|left| left.is_some());
            return Err(if is_left { Trouble::Stuck(Box::new(failure)) } else { failure.into() });
        }
        done.push(Change::Created);
        return Ok(());
    };
    if step.table {
        done.extend(reload(ctx, step, found)?);
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

/// Gives a device its other table; nothing was done where the driver's own words for both are the same.
fn reload(ctx: &mut Context, step: &Step, found: &Found) -> Result<Option<Change>, Trouble> {
    let wanted = &step.wanted;
    let source = wanted.source.clone().unwrap_or_default();
    let device = DeviceId::by_name(found.id.name.clone());
    let load = Request::new(device.clone(), Command::TableLoad(source.table.clone()));
    // One that is refused leaves what was loaded before.
    ctx.perform(load.with_flags(Flags::READONLY.when(wanted.readonly)))
        .map_err(|failure| failure.map_call(|error| Failure::Load(error, wanted.name.clone(), source)))?;
    swap(ctx, &device, found).map_err(|failure| match put_back(ctx, &device, found) {
        Ok(()) => failure.into(),
        Err(second) => {
            ctx.report(&failure);
            Trouble::Stuck(Box::new(second))
        }
    })
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
