//! `deps`: the block devices under a device.

use super::block_name::{self, NameKind};
use super::context::Context;
use super::failure::Failure;
use super::seen;
use super::selector::{Selected, Selector};
use super::{Run, json};
use crate::dm::{Command, Flags, ListedDevice, Request};
use crate::render::screen::{self, Screen};
use crate::render::{self, DeviceName};
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
        if let Some(screen) = ctx.screen() {
            return self.draw(ctx, screen, kind);
        }
        self.selector.each_or_all(ctx, &self.names, |ctx, device| self.show(ctx, device, kind, &mapped))
    }
}

impl Deps {
    /// The list for a screen: numbers, and names where there are any.
    fn draw(&self, ctx: &mut Context, screen: Screen, kind: NameKind) -> Result<(), Failure> {
        let mapped = ctx.perform(Request::global(Command::ListDevices))?.devices().to_vec();
        // Unless a kind of names is asked for, the one that says most.
        let is_any = self.options.is_none();
        let mut rows = Vec::new();
        let outcome = self.selector.each_or_all(ctx, &self.names, |ctx, device| {
            let reply =
                ctx.perform(Request::new(device.id.clone(), Command::TableDeps).with_flags(self.flags()))?;
            let paths = if is_any { seen::disks(ctx, &reply.device)? } else { Vec::new() };
            let mut below = Vec::new();
            for dev in reply.deps() {
                let path = paths.iter().find(|(disk, _)| disk == dev).map(|(_, path)| path.clone());
                let called =
                    || block_name::called(ctx, if is_any { NameKind::Mapped } else { kind }, *dev, &mapped);
                below.push(match path.map_or_else(called, DeviceName::Name) {
                    DeviceName::Number(dev) => dev.to_string(),
                    DeviceName::Name(name) => format!("{dev} {name}"),
                });
            }
            rows.push((ctx.shown_name(&reply.device.name), below));
            Ok(())
        });
        if !rows.is_empty() {
            ctx.out.print(screen::depending(screen, &rows));
        }
        outcome
    }

    fn flags(&self) -> Flags {
        Flags::SKIP_BDGET.when(self.noopencount) | Flags::QUERY_INACTIVE_TABLE.when(self.inactive)
    }

    fn show(
        &self,
        ctx: &mut Context,
        device: &Selected,
        kind: NameKind,
        mapped: &[ListedDevice],
    ) -> Result<(), Failure> {
        let reply =
            ctx.perform(Request::new(device.id.clone(), Command::TableDeps).with_flags(self.flags()))?;
        if ctx.json.is_some() {
            json::told::deps(ctx, &reply);
            return Ok(());
        }
        ctx.print_info_if_verbose(&reply);
        if device.several && ctx.verbose == 0 {
            ctx.out.print(&*device.label);
            ctx.out.print(": ");
        }
        let names: Vec<_> =
            reply.deps().iter().map(|dev| block_name::called(ctx, kind, *dev, mapped)).collect();
        ctx.out.print(render::dependencies(&names));
        if device.several && ctx.verbose > 0 {
            ctx.out.print("\n");
        }
        Ok(())
    }
}
