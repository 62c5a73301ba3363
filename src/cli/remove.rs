//! `remove`: a device and its tables gone.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::rehearsal::DryRun;
use super::selector::Selector;
use super::udev_options::UdevArgs;
use super::wipe_table;
use crate::dm::{Command, DeviceId, Errno, Flags, Request};
use clap::Args;
use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

/// How often a busy device is tried again, and how long between: libdevmapper's five seconds.
const RETRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);

/// Remove devices
#[derive(Args, Debug)]
pub(super) struct Remove {
    /// The devices
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    /// First replace the table with one that fails all I/O, so that nobody can hold on to the disks under it
    #[arg(short, long)]
    force: bool,

    /// Try again for five seconds while the device is in use
    #[arg(long)]
    retry: bool,

    /// If the device is in use, remove it when it is closed
    #[arg(long)]
    deferred: bool,

    #[command(flatten)]
    rehearse: DryRun,

    #[command(flatten)]
    selector: Selector,

    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for Remove {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.rehearse.apply(ctx);
        self.udev.apply(ctx)?;
        let deferred = Flags::DEFERRED_REMOVE.when(self.deferred);
        self.selector.each(ctx, &self.names, |ctx, device| {
            let mut flags = deferred;
            if self.force && !self.names.is_empty() {
                if ctx.udev_options.cookie.is_some() {
                    // Two uevents of one device, of which udev may follow the later one first.
                    let warning = "WARNING: Use of cookie and --force is not compatible.";
                    ctx.report(&Failure::classic(warning));
                }
                flags |= wipe_table::FORCED;
                // A device that cannot be wiped may well be removed.
                if let Err(failure) = wipe_table::wipe(ctx, &device.id, Flags::NONE, wipe_table::FORCED) {
                    ctx.report(&failure);
                }
            }
            self.remove(ctx, &device.id, flags)
        })
    }
}

impl Remove {
    fn remove(&self, ctx: &mut Context, device: &DeviceId, flags: Flags) -> Result<(), Failure> {
        let mut left = if self.retry && ctx.rehearsal.is_none() { RETRIES } else { 0 };
        loop {
            match ctx.perform(Request::new(device.clone(), Command::DevRemove).with_flags(flags)) {
                Err(failure) if failure.is(Errno::EBUSY) && left > 0 => {
                    left -= 1;
                    // Whoever is to let go of it must have the driver meanwhile.
                    ctx.yield_driver()?;
                    sleep(PAUSE);
                }
                outcome => return outcome.map(drop),
            }
        }
    }
}
