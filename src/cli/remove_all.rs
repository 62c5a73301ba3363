//! `remove_all`: every device that nobody holds open gone.

use super::context::Context;
use super::failure::Failure;
use super::udev_options::UdevArgs;
use super::wipe_table;
use super::{Run, json};
use crate::dm::{Command, DeviceId, Flags, Request};
use clap::Args;

/// Remove all devices that are not in use
#[derive(Args, Debug)]
pub(super) struct RemoveAll {
    /// Make those in use fail all I/O, then try them again
    #[arg(short, long)]
    force: bool,

    /// Remove those in use when they are closed
    #[arg(long)]
    deferred: bool,

    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for RemoveAll {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.udev.apply(ctx)?;
        let left = self.remove_unused(ctx)?;
        if !self.force || left.is_empty() {
            return Ok(());
        }
        for device in left {
            if let Err(failure) = wipe_table::wipe(ctx, &device, Flags::NONE, wipe_table::FORCED) {
                ctx.report(&failure);
            }
        }
        let left = self.remove_unused(ctx)?.len();
        if left > 0 {
            // Said, and no failure: that is how dmsetup has it.
            ctx.report(&Failure::classic(format!("Unable to remove {left} device(s).")));
        }
        Ok(())
    }
}

impl RemoveAll {
    /// Removes what nobody uses; the devices that are left.
    fn remove_unused(&self, ctx: &mut Context) -> Result<Vec<DeviceId>, Failure> {
        let flags = Flags::DEFERRED_REMOVE.when(self.deferred);
        ctx.perform(Request::global(Command::RemoveAll).with_flags(flags))?;
        let left = ctx.settle_all_nodes()?;
        json::told::left(ctx, left.devices());
        Ok(left.devices().iter().map(|device| DeviceId::by_name(device.name.clone())).collect())
    }
}
