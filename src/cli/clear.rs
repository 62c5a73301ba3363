//! `clear`: the inactive slot emptied.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::dm::{Command, Request};
use clap::Args;
use std::ffi::OsString;

/// Drop the table that was loaded and is not yet in use
#[derive(Args, Debug)]
pub(super) struct Clear {
    /// The devices
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Clear {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.selector.each(ctx, &self.names, |ctx, device| {
            let reply = ctx.perform(Request::new(device.id.clone(), Command::TableClear))?;
            ctx.print_info_if_verbose(&reply);
            Ok(())
        })
    }
}
