//! `table`: the tables of devices.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::status::Which;
use crate::dm::{Command, Flags, Request};
use crate::render::Keys;
use clap::Args;

/// Show the tables of devices
#[derive(Args, Debug)]
pub(super) struct Table {
    #[command(flatten)]
    which: Which,

    /// Show encryption keys, which are else written as zeros
    #[arg(long)]
    showkeys: bool,
}

impl Run for Table {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let keys = if self.showkeys { Keys::Shown } else { Keys::Hidden };
        let flags = Flags::STATUS_TABLE | self.which.flags();
        let Which { names, selector, .. } = &self.which;
        selector.each_or_all(ctx, names, |ctx, device| {
            let reply = ctx.perform(Request::new(device.id.clone(), Command::TableStatus).with_flags(flags))?;
            self.which.print(ctx, device, &reply, keys);
            Ok(())
        })
    }
}
