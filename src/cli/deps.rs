//! `deps`: the block devices under a device.

use super::{Run, json};
use super::block_name::{self, NameKind};
use super::context::Context;
use super::failure::Failure;
use super::selector::{Selected, Selector};
use crate::dm::{Command, Flags, ListedDevice, Request};
use crate::render;
use clap::Args;
use std::ffi::OsString;

/// List the block devices under devices
#[derive(Args, Debug)]
pub(super) struct Deps {
    /// The devices; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    /// How devices are called: devno, blkdevname or devname
    #[arg(short, long, value_name = "KIND", value_parser = block_name::kind)]
    options: Option<NameKind>,

    /// Do not ask how many hold the device open
    #[arg(long)]
    noopencount: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,

    #[command(flatten)]
    selector: Selector,
}

impl Run for Deps {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        ctx.tell_list("devices");
        let kind = self.options.unwrap_or(NameKind::Number);
        // The mapper's own devices have no names but those that it tells.
        let mapped = if kind != NameKind::Number && ctx.client()?.is_mapper() {
            ctx.perform(Request::global(Command::ListDevices))?.devices().to_vec()
        } else {
            Vec::new()
        };
        self.selector
            .each_or_all(ctx, &self.names, |ctx, device| self.show(ctx, device, kind, &mapped))
    }
}

impl Deps {
    fn show(&self, ctx: &mut Context, device: &Selected, kind: NameKind, mapped: &[ListedDevice]) -> Result<(), Failure> {
        let flags = Flags::SKIP_BDGET.when(self.noopencount) | Flags::QUERY_INACTIVE_TABLE.when(self.inactive);
        let reply = ctx.perform(Request::new(device.id.clone(), Command::TableDeps).with_flags(flags))?;
        if ctx.json.is_some() {
            json::told::deps(ctx, &reply);
            return Ok(());
        }
        ctx.print_info_if_verbose(&reply);
        if device.several && ctx.verbose == 0 {
            ctx.out.print(&*device.label);
            ctx.out.print(": ");
        }
        let names: Vec<_> = reply.deps().iter().map(|dev| block_name::called(ctx, kind, *dev, mapped)).collect();
        ctx.out.print(render::dependencies(&names));
        if device.several && ctx.verbose > 0 {
            ctx.out.print("\n");
        }
        Ok(())
    }
}
