//! `suspend`: a device that lets no I/O through.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::dm::{Command, DeviceId, DeviceNumber, Errno, Flags, Request};
use clap::Args;
use std::collections::HashSet;
use std::ffi::OsString;

/// Suspend devices: new I/O waits, I/O in flight ends
#[derive(Args, Debug)]
pub(super) struct Suspend {
    /// The devices
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    #[command(flatten)]
    how: SuspendOptions,

    /// First look whether a device under it is suspended already, in which I/O would be caught, and refuse then
    #[arg(long)]
    checks: bool,

    #[command(flatten)]
    selector: Selector,
}

/// How I/O is stopped and let go.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct SuspendOptions {
    /// Do not flush I/O that waits in the device
    #[arg(long)]
    pub(super) noflush: bool,

    /// Do not freeze a file system on the device first
    #[arg(long)]
    pub(super) nolockfs: bool,

    /// Do not ask how many hold the device open
    #[arg(long)]
    noopencount: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,
}

impl SuspendOptions {
    /// The options as a request has them.
    pub(super) fn flags(self) -> Flags {
        Flags::NOFLUSH.when(self.noflush) | Flags::SKIP_LOCKFS.when(self.nolockfs) | self.query_flags()
    }

    /// Those of them that any request may have.
    pub(super) fn query_flags(self) -> Flags {
        Flags::SKIP_BDGET.when(self.noopencount) | Flags::QUERY_INACTIVE_TABLE.when(self.inactive)
    }
}

impl Run for Suspend {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.selector.each(ctx, &self.names, |ctx, device| {
            if self.checks {
                check(ctx, &device.id)?;
            }
            let reply = ctx.perform(Request::suspend(device.id.clone()).with_flags(self.how.flags()))?;
            ctx.print_info_if_verbose(&reply);
            Ok(())
        })
    }
}

/// Looks at the devices under it, and those under them, for one that is suspended.
///
/// dmsetup only says so, and suspends.
fn check(ctx: &mut Context, device: &DeviceId) -> Result<(), Failure> {
    for line in suspended_below(ctx, device)? {
        if !ctx.classic {
            return Err(Failure::Explained(line, "resume that one first, or leave --checks out".into()));
        }
        ctx.report(&Failure::classic(line));
    }
    Ok(())
}

/// A line for each suspended device below this one. Under one that is suspended nothing is looked for: not under this
/// one either.
fn suspended_below(ctx: &mut Context, device: &DeviceId) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let mut seen = HashSet::new();
    // Each with the device above it.
    let mut waiting: Vec<(Option<DeviceId>, DeviceId)> = vec![(None, device.clone())];
    while let Some((above, device)) = waiting.pop() {
        let reply = match ctx.perform(Request::new(device.clone(), Command::TableDeps)) {
            // It is gone since.
            Err(failure) if failure.is(Errno::ENXIO) && above.is_some() => continue,
            outcome => outcome?,
        };
        let Some(own) = reply.device.dev else { continue };
        if reply.flags.contains(Flags::SUSPEND) {
            lines.extend(above.map(|above| told(ctx, &above, own)));
            continue;
        }
        let below = reply.deps().iter().filter(|dev| dev.major == own.major && seen.insert(**dev));
        let below: Vec<_> = below.map(|&dev| (Some(device.clone()), DeviceId::by_number(dev))).collect();
        // The first of them comes next.
        waiting.extend(below.into_iter().rev());
    }
    Ok(lines)
}

/// dmsetup's line, in which a name has no blank behind it.
fn told(ctx: &Context, above: &DeviceId, suspended: DeviceNumber) -> String {
    let number = above.dev.map(|dev| format!("({dev}) ")).unwrap_or_default();
    let (name, uuid) = (ctx.shown_name(&above.name), ctx.shown_name(&above.uuid));
    format!(
        "Internal error: Attempt to suspend device {name}{uuid}{number}that uses already-suspended device ({suspended})"
    )
}
