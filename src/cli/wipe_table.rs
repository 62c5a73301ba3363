//! `wipe_table`: a table that fails all I/O in the place of a device's own.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use super::suspend::SuspendOptions;
use super::udev_options::UdevArgs;
use crate::dm::{Command, DeviceId, Flags, Line, Request, Sectors, Table, Text};
use clap::Args;
use std::ffi::OsString;

/// How a device is resumed by force: a flush or a freeze might never end.
pub(super) const FORCED: Flags = Flags::NOFLUSH.with(Flags::SKIP_LOCKFS);

/// Replace the table of devices with one that fails all I/O
#[derive(Args, Debug)]
pub(super) struct WipeTable {
    /// The devices
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    /// Neither flush nor freeze first
    #[arg(short, long)]
    force: bool,

    /// Load the table read-only
    #[arg(short, long)]
    readonly: bool,

    #[command(flatten)]
    how: SuspendOptions,

    #[command(flatten)]
    udev: UdevArgs,

    #[command(flatten)]
    selector: Selector,
}

impl Run for WipeTable {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.udev.apply(ctx)?;
        let load = Flags::READONLY.when(self.readonly) | self.how.query_flags();
        let resume = FORCED.when(self.force) | self.how.flags();
        // By name or by condition: dmsetup looks at no uuid and no number here.
        let selector = Selector { select: self.selector.select, ..Selector::default() };
        selector.each(ctx, &self.names, |ctx, device| wipe(ctx, &device.id, load, resume))
    }
}

/// Loads one line of `error` as long as the device and resumes it; `load` and `resume` are flags of those steps.
pub(super) fn wipe(ctx: &mut Context, device: &DeviceId, load: Flags, resume: Flags) -> Result<(), Failure> {
    // dmsetup goes on with a length of 0 and so gives two lines of error, of which the second says nothing more; both
    // are in scripts' logs.
    let length = match size(ctx, device, load) {
        Ok(length) => length,
        Err(failure) => {
            ctx.report(&failure);
            Sectors::ZERO
        }
    };
    let line = Line { start: Sectors::ZERO, length, target: "error".into(), params: Text::new() };
    let table = Table { lines: vec![line] };
    ctx.perform(Request::new(device.clone(), Command::TableLoad(table)).with_flags(load))?;
    let resumed = ctx.perform(Request::resume(device.clone()).with_flags(resume));
    if resumed.is_err()
        && let Err(failure) =
            ctx.perform(Request::new(device.clone(), Command::TableClear).with_flags(resume))
    {
        ctx.report(&failure);
    }
    resumed.map(drop)
}

/// The sum of the lengths of its table's lines.
fn size(ctx: &mut Context, device: &DeviceId, flags: Flags) -> Result<Sectors, Failure> {
    let flags = flags.without(Flags::READONLY) | Flags::STATUS_TABLE;
    let reply = ctx.perform(Request::new(device.clone(), Command::TableStatus).with_flags(flags))?;
    Ok(Sectors(reply.lines().iter().map(|line| line.length.0).fold(0, u64::wrapping_add)))
}
