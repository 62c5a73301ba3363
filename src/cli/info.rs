//! `info`: the state of devices.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::dm::{Command, Flags, Request};
use clap::Args;
use std::ffi::OsString;

/// Show the state of devices
#[derive(Args, Debug)]
pub(super) struct Info {
    /// The devices; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    /// Do not ask how many hold the device open
    #[arg(long)]
    noopencount: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Info {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let flags = Flags::SKIP_BDGET.when(self.noopencount) | Flags::QUERY_INACTIVE_TABLE.when(self.inactive);
        self.selector.each_or_all(ctx, &self.names, |ctx, device| {
            let request = Request::new(device.id.clone(), Command::DevStatus).with_flags(flags);
            let reply = ctx.perform_if_exists(request)?;
            ctx.print_info(&reply);
            Ok(())
        })
    }
}
