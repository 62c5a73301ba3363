//! `resume`: a device that lets I/O through again, by the table loaded last.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::read_ahead::ResumeOptions;
use super::selector::Selector;
use super::suspend::SuspendOptions;
use super::udev_options::UdevArgs;
use crate::dm::Request;
use clap::Args;
use std::ffi::OsString;

/// Resume devices, with the table that was loaded last
#[derive(Args, Debug)]
pub(super) struct Resume {
    /// The devices
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    #[command(flatten)]
    how: SuspendOptions,

    #[command(flatten)]
    after: ResumeOptions,

    #[command(flatten)]
    selector: Selector,

    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for Resume {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.udev.apply(ctx)?;
        self.after.apply(ctx)?;
        self.selector.each(ctx, &self.names, |ctx, device| {
            let reply = ctx.perform(Request::resume(device.id.clone()).with_flags(self.how.flags()))?;
            self.after.finish(ctx, &reply);
            ctx.print_info_if_verbose(&reply);
            Ok(())
        })
    }
}
