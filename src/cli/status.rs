//! `status`: what the targets of a device tell of themselves; and the lines of a table, which look the same.

use super::context::Context;
use super::failure::Failure;
use super::json::device::Texts;
use super::seen::shortened;
use super::selector::{Selected, Selector};
use super::{Run, json};
use crate::dm::{Command, Flags, Reply, Request, StatusLine};
use crate::render::screen::{self, Screen, SeenLine, Shows};
use crate::render::{self, Keys};
use clap::Args;
use serde_json::Value;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use zeroize::Zeroize;

/// Show the status of each line of devices' tables
#[derive(Args, Debug)]
pub(super) struct Status {
    #[command(flatten)]
    which: Which,
}

/// Which lines of which devices.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// The devices; without any, all
    #[arg(value_name = "DEVICE")]
    pub(super) names: Vec<OsString>,

    /// Only lines of this target type
    #[arg(long, value_name = "TYPE")]
    target: Option<OsString>,

    /// Do not flush the device to ask it
    #[arg(long)]
    noflush: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,

    /// Do not ask how many hold the device open
    #[arg(long)]
    noopencount: bool,

    #[command(flatten)]
    pub(super) selector: Selector,
}

impl Run for Status {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        ctx.tell_list("devices");
        if let Some(screen) = ctx.screen() {
            return self.which.show(ctx, screen, self.which.flags(), Shows::Status);
        }
        let Which { names, selector, .. } = &self.which;
        selector.each_or_all(ctx, names, |ctx, device| {
            let request =
                Request::new(device.id.clone(), Command::TableStatus).with_flags(self.which.flags());
            let reply = ctx.perform_if_exists(request)?;
            if ctx.json.is_some() {
                self.which.tell(ctx, &reply, Keys::Shown, Texts::Status);
                return Ok(());
            }
            self.which.print(ctx, device, &reply, Keys::Shown);
            Ok(())
        })
    }
}

impl Which {
    /// The options as a request has them.
    pub(super) fn flags(&self) -> Flags {
        Flags::NOFLUSH.when(self.noflush)
            | Flags::QUERY_INACTIVE_TABLE.when(self.inactive)
            | Flags::SKIP_BDGET.when(self.noopencount)
    }

    /// Whether the line is of the type that is asked for, if one is.
    pub(super) fn wants(&self, line: &StatusLine) -> bool {
        self.target.as_ref().is_none_or(|target| target.as_bytes() == line.target.as_bytes())
    }

    /// Whether only lines of some type are asked for.
    pub(super) fn is_choosy(&self) -> bool {
        self.target.is_some()
    }

    /// Draws the lines of all the devices.
    pub(super) fn show(
        &self,
        ctx: &mut Context,
        screen: Screen,
        flags: Flags,
        shows: Shows,
    ) -> Result<(), Failure> {
        let mut seen = Vec::new();
        let outcome = self.selector.each_or_all(ctx, &self.names, |ctx, device| {
            let request = Request::new(device.id.clone(), Command::TableStatus).with_flags(flags);
            let reply = ctx.perform_if_exists(request)?;
            let device = ctx.shown_name(&reply.device.name);
            let wanted = reply.lines().iter().filter(|line| self.wants(line));
            let wanted = wanted.cloned().map(|mut line| {
                line.params = shortened(&line.params);
                Some(line)
            });
            let without = (reply.lines().is_empty() && self.target.is_none()).then_some(None);
            seen.extend(wanted.chain(without).map(|line| SeenLine { device: device.clone(), line }));
            Ok(())
        });
        if !seen.is_empty() {
            ctx.out.print(screen::lines(screen, &seen, shows));
        }
        outcome
    }

    /// Adds the device to the document, with its lines, unless only some are asked for and it has none.
    pub(super) fn tell(&self, ctx: &mut Context, reply: &Reply, keys: Keys, texts: Texts) {
        let wanted = reply.lines().iter().filter(|line| self.wants(line));
        let lines: Vec<Value> = wanted.map(|line| json::device::line(line, keys, texts)).collect();
        if lines.is_empty() && self.is_choosy() {
            return;
        }
        let mut device = json::device::state(ctx, reply);
        device.insert("lines".into(), lines.into());
        let slot = if self.inactive { "inactive" } else { "active" };
        device.insert("slot".into(), slot.into());
        if let Some(document) = &mut ctx.json {
            document.push("devices", device);
        }
    }

    /// Prints the lines; a device without a table has an empty one, unless only some are asked for.
    pub(super) fn print(&self, ctx: &mut Context, device: &Selected, reply: &Reply, keys: Keys) {
        let wanted = reply.lines().iter().filter(|line| self.wants(line));
        let mut lines: Vec<Vec<u8>> = wanted.map(|line| render::line(line, keys)).collect();
        if reply.lines().is_empty() && self.target.is_none() {
            lines.push(b"\n".to_vec());
        }
        if lines.is_empty() {
            return;
        }
        ctx.print_info_if_verbose(reply);
        for mut line in lines {
            if device.several && ctx.verbose == 0 {
                ctx.out.print(&*device.label);
                ctx.out.print(": ");
            }
            ctx.out.print(&line);
            if ctx.out.secret {
                line.zeroize();
            }
        }
        if device.several && ctx.verbose > 0 {
            ctx.out.print("\n");
        }
    }
}
