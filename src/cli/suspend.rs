//! `suspend`: a device that lets no I/O through.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::dm::{Flags, Request};
use clap::Args;
use std::ffi::OsString;

/// Suspend devices: new I/O waits, I/O in flight ends
#[derive(Args, Debug)]
pub(super) struct Suspend {
    /// The devices
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    #[command(flatten)]
    how: SuspendOptions,

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
            let reply = ctx.perform(Request::suspend(device.id.clone()).with_flags(self.how.flags()))?;
            ctx.print_info_if_verbose(&reply);
            Ok(())
        })
    }
}
