//! `ls`: the devices.

use super::block_name::{self, NameKind};
use super::context::Context;
use super::failure::Failure;
use super::seen::{self, Asked};
use super::selector::{self, Selected};
use super::tree;
use super::{Run, json};
use crate::dm::{Command, DeviceId, Flags, ListedDevice, Reply, ReplyBody, Request, Text};
use crate::render;
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// How many words a command for --exec may have.
const MAX_WORDS: usize = 255;

/// List the devices
#[derive(Args, Debug)]
pub(super) struct Ls {
    /// Only devices with a line of this target type
    #[arg(long, value_name = "TYPE")]
    target: Option<OsString>,

    /// Instead of listing them run this command for each, the device's node as its last argument
    #[arg(long, value_name = "COMMAND")]
    exec: Option<OsString>,

    /// Show which devices are under which
    #[arg(long)]
    tree: bool,

    /// How devices are called: devno, blkdevname or devname. With --tree: what is shown and how; ascii, utf, vt100,
    /// compact, inverted, notrunc, [no]device, blkdevname, active, open, rw, uuid
    #[arg(short, long, value_name = "WORDS")]
    options: Option<OsString>,

    /// Do not flush a device to ask it for its status
    #[arg(long)]
    noflush: bool,

    /// Ask about the table that is loaded and not yet in use
    #[arg(long)]
    inactive: bool,
}

impl Run for Ls {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let words = self.options.as_deref().unwrap_or_default().to_string_lossy();
        let kind = if self.tree { Ok(NameKind::Number) } else { block_name::kind(&words) };
        let kind = kind.map_err(|unknown| {
            let hint = "  hint: devno, blkdevname or devname; with --tree there are more".to_owned();
            let hint = Some(hint).filter(|_| !ctx.classic);
            let lines = [Some(unknown.to_string()), hint, Some("Couldn't process command line.".into())];
            Failure::refused(&lines.into_iter().flatten().collect::<Vec<_>>())
        })?;
        ctx.tell_list("devices");
        if ctx.json.is_some() && self.exec.is_some() {
            let why = "what the command writes would stand in the document";
            return Err(Failure::Ours(format!("--json and --exec cannot be together: {why}")));
        }
        let is_plain = self.exec.is_some() || self.tree && self.options.is_some();
        if let Some(screen) = ctx.screen().filter(|_| !is_plain) {
            let asked = Asked { kind, flags: Flags::QUERY_INACTIVE_TABLE.when(self.inactive) };
            return seen::show(ctx, screen, asked, self.tree, |reply| self.wants(reply));
        }
        if self.target.is_some() || self.exec.is_some() {
            let command = self.exec.as_deref().map(split).transpose()?;
            return selector::all(ctx, |ctx, device| self.visit(ctx, device, command.as_deref()));
        }
        if self.tree {
            return tree::show(ctx, &words);
        }
        let reply = ctx.perform(Request::global(Command::ListDevices))?;
        let ReplyBody::Devices(devices) = reply.body else { return Ok(()) };
        if ctx.json.is_some() {
            json::told::listed(ctx, &devices);
            return Ok(());
        }
        if devices.is_empty() {
            ctx.out.print("No devices found\n");
        }
        for device in &devices {
            let called = block_name::called(ctx, kind, device.dev, &devices);
            let line = render::listed(&ctx.shown_name(&device.name), &called);
            ctx.out.print(line);
        }
        Ok(())
    }
}

impl Ls {
    /// Whether a device with those lines is to be listed.
    fn wants(&self, reply: &Reply) -> bool {
        let is_of =
            |target: &OsString| reply.lines().iter().any(|line| line.target.as_bytes() == target.as_bytes());
        self.target.as_ref().is_none_or(is_of)
    }

    /// Lists the device, or runs the command for it, if it has such a line.
    fn visit(
        &self,
        ctx: &mut Context,
        device: &Selected,
        command: Option<&[OsString]>,
    ) -> Result<(), Failure> {
        let flags = Flags::NOFLUSH.when(self.noflush) | Flags::QUERY_INACTIVE_TABLE.when(self.inactive);
        let request = Request::new(device.id.clone(), Command::TableStatus).with_flags(flags);
        let reply = ctx.perform_if_exists(request)?;
        if !self.wants(&reply) {
            return Ok(());
        }
        if ctx.json.is_some() {
            let DeviceId { name, dev, .. } = reply.device;
            json::told::listed(
                ctx,
                &[ListedDevice {
                    name,
                    dev: dev.unwrap_or_default(),
                    event_nr: Some(reply.event_nr),
                    uuid: None,
                }],
            );
            return Ok(());
        }
        if command.is_none() || ctx.verbose > 0 {
            let dev = reply.device.dev.unwrap_or_default();
            ctx.out.print(render::listed_with_target(&device.label, dev));
        }
        command.map_or(Ok(()), |command| exec(ctx, command, &device.id.name, &device.label))
    }
}

/// A command's words; no shell has a part in it.
fn split(command: &OsStr) -> Result<Vec<OsString>, Failure> {
    let words = command.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let words: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).to_owned()).collect();
    match words.len() {
        0 => Err(Failure::Ours("--exec: no command is given".into())),
        1..=MAX_WORDS => Ok(words),
        _ => Err(Failure::classic("Too many args to --exec.")),
    }
}

/// Runs the command for the device and waits; how it ends is its own affair.
fn exec(ctx: &mut Context, command: &[OsString], name: &Text, label: &Text) -> Result<(), Failure> {
    ctx.settle_node(name)?;
    ctx.out.flush();
    // The command may well be this program again.
    ctx.yield_driver()?;
    let node = ctx.node_directory()?.join(OsStr::from_bytes(label));
    let [program, arguments @ ..] = command else { return Ok(()) };
    // Not to be found is how a command may end, too.
    let _ = std::process::Command::new(program).args(arguments).arg(node).status();
    Ok(())
}
