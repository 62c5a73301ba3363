//! `suspend`: a device that lets no I/O through.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::dm::{Command, DeviceId, DeviceNumber, Errno, Flags, Request};
use clap::Args;
use std::collections::{HashSet, VecDeque};
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
    let Some(suspended) = suspended_below(ctx, device)? else { return Ok(()) };
    let named = [&device.name, &device.uuid].into_iter().find(|text| !text.is_empty()).cloned();
    let named = named.map_or_else(
        || device.dev.map(|dev| format!("({dev}) ")).unwrap_or_default(),
        |text| ctx.shown_name(&text).to_string(),
    );
    let line = format!(
        "Internal error: Attempt to suspend device {named}that uses already-suspended device ({suspended})"
    );
    if ctx.classic {
        ctx.report(&Failure::classic(line));
        return Ok(());
    }
    Err(Failure::Explained(line, "resume that one first, or leave --checks out".into()))
}

/// A suspended device below this one, the nearest first. It being suspended itself is no matter, and ends the search.
fn suspended_below(ctx: &mut Context, device: &DeviceId) -> Result<Option<DeviceNumber>, Failure> {
    let top = ctx.perform(Request::new(device.clone(), Command::TableDeps))?;
    if top.flags.contains(Flags::SUSPEND) {
        return Ok(None);
    }
    let Some(major) = top.device.dev.map(|dev| dev.major) else { return Ok(None) };
    let mut waiting: VecDeque<DeviceNumber> = top.deps().iter().copied().collect();
    let mut seen = HashSet::new();
    while let Some(dev) = waiting.pop_front() {
        if dev.major != major || !seen.insert(dev) {
            continue;
        }
        let below = match ctx.perform(Request::new(dev.into(), Command::TableDeps)) {
            // It is gone since.
            Err(failure) if failure.is(Errno::ENXIO) => continue,
            outcome => outcome?,
        };
        if below.flags.contains(Flags::SUSPEND) {
            return Ok(Some(dev));
        }
        waiting.extend(below.deps());
    }
    Ok(None)
}
