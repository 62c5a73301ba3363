//! `create`: a device, its table, and its start, or nothing at all.

use super::context::Context;
use super::failure::Failure;
use super::selector::{Selector, mangled_uuid, new_name};
use super::{Run, table_source};
use crate::dm::{Command, DeviceId, DeviceNumber, Flags, Reply, Request, SourceTable, Text};
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Create a device, load a table and start it
///
/// The table is read from --table, from FILE, or from standard input. If it is empty the device is created without one.
/// If the table is refused the device is removed again.
#[derive(Args, Debug)]
pub(super) struct Create {
    /// The name of the new device
    name: Option<OsString>,

    /// The file that holds the table
    file: Option<OsString>,

    /// The table itself: lines of START LENGTH TARGET PARAMETERS, in sectors of 512 bytes
    #[arg(long)]
    table: Option<OsString>,

    /// Create the device without a table
    #[arg(short, long)]
    notable: bool,

    /// Load the table read-only
    #[arg(short, long)]
    readonly: bool,

    /// Do not ask how many hold the device open
    #[arg(long)]
    noopencount: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Create {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let Some(given) = &self.name else {
            return Err(Failure::classic("Please provide a name for the new device."));
        };
        ctx.open()?;
        let name = new_name(ctx, given)?;
        let uuid = self.selector.uuid.as_deref().map(|uuid| mangled_uuid(ctx, uuid)).transpose()?;
        let device = DeviceId { name, uuid: uuid.unwrap_or_default(), dev: self.selector.dev() };
        let source = if self.notable {
            SourceTable::default()
        } else {
            table_source::read(self.table.as_deref(), self.file.as_deref(), &given.as_bytes().into())?
        };
        let flags = Flags::READONLY.when(self.readonly)
            | Flags::SKIP_BDGET.when(self.noopencount)
            | Flags::QUERY_INACTIVE_TABLE.when(self.inactive);
        let reply = if source.table.lines.is_empty() {
            ctx.perform(Request::new(device, Command::DevCreate).with_flags(flags))?
        } else {
            create_and_start(ctx, device, source, flags)?
        };
        ctx.print_info_if_verbose(&reply);
        Ok(())
    }
}

/// Creates the device, loads the table by the number that the device got, resumes it; all or nothing.
fn create_and_start(
    ctx: &mut Context,
    device: DeviceId,
    source: SourceTable,
    flags: Flags,
) -> Result<Reply, Failure> {
    let created = ctx.perform(Request::new(device.clone(), Command::DevCreate))?;
    let started = load_and_resume(ctx, &device, created.device.dev, source, flags);
    if started.is_err() {
        let removal = Request::new(DeviceId::by_name(device.name), Command::DevRemove);
        if let Err(failure) = ctx.perform(removal) {
            // The reason for the removal comes first, as it did first.
            if let Err(first) = &started {
                ctx.report(first);
            }
            ctx.report(&failure);
            return Err(Failure::classic("Failed to revert device creation."));
        }
    }
    started
}

fn load_and_resume(
    ctx: &mut Context,
    device: &DeviceId,
    dev: Option<DeviceNumber>,
    source: SourceTable,
    flags: Flags,
) -> Result<Reply, Failure> {
    let by_number = DeviceId { dev, ..DeviceId::default() };
    let load = Request::new(by_number, Command::TableLoad(source.table.clone()));
    ctx.perform(load.with_flags(Flags::READONLY.when(flags.contains(Flags::READONLY)))).map_err(|failure| {
        let Failure::Call(mut error) = failure else { return failure };
        // Loaded by number, shown with the name too.
        error.device.name.clone_from(&device.name);
        Failure::Load(error, device.name.clone(), source)
    })?;
    let resumed = match device.dev {
        Some(_) => DeviceId { dev: device.dev, ..DeviceId::default() },
        None => DeviceId { name: device.name.clone(), uuid: Text::new(), dev: None },
    };
    ctx.perform(Request::resume(resumed).with_flags(flags))
}
