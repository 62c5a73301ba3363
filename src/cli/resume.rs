//! `resume`: a device that lets I/O through again, by the table loaded last.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use super::suspend::SuspendOptions;
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
    selector: Selector,
}

impl Run for Resume {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.selector.each(ctx, &self.names, |ctx, device| {
            let reply = ctx.perform(Request::resume(device.id.clone()).with_flags(self.how.flags()))?;
            ctx.print_info_if_verbose(&reply);
            Ok(())
        })
    }
}
