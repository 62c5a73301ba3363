//! `rename`: a device's name, or its uuid where it has none.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::rehearsal::DryRun;
use super::selector::{Selector, slashed};
use super::udev_options::UdevArgs;
use crate::dm::{Command, Flags, Request, Text, limits};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Rename a device, or give it a uuid
#[derive(Args, Debug)]
pub(super) struct Rename {
    /// The device, unless -u or -j says which, and then its new name or uuid
    #[arg(value_names = ["DEVICE", "NEW"], num_args = 1..=2, required = true)]
    words: Vec<OsString>,

    /// Set the uuid, which can be done once
    #[arg(long)]
    setuuid: bool,

    #[command(flatten)]
    rehearse: DryRun,

    #[command(flatten)]
    selector: Selector,

    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for Rename {
    const CHANGES: bool = true;

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.rehearse.apply(ctx);
        self.udev.apply(ctx)?;
        let (name, new) = match self.words.as_slice() {
            [name, new, ..] => (Some(name.as_os_str()), new.as_os_str()),
            [new] => (None, new.as_os_str()),
            [] => (None, OsStr::new("")),
        };
        let device = self.selector.device(ctx, name)?;
        let new = if self.setuuid { new_uuid(ctx, new)? } else { new_name(ctx, new)? };
        let request = Request::new(device, Command::DevRename(new));
        ctx.perform(request.with_flags(Flags::UUID.when(self.setuuid))).map(drop)
    }
}

// libdevmapper words these faults in another way than those of a name that is there already.

fn new_name(ctx: &Context, new: &OsStr) -> Result<Text, Failure> {
    let raw = Text::from(new.as_bytes());
    if raw.contains(&b'/') {
        return Err(slashed(&raw));
    }
    if raw.len() >= limits::NAME_LEN {
        let why = format!("it has {} bytes, and {} are the most", raw.len(), limits::NAME_LEN - 1);
        return Err(Failure::Explained(format!("Name \"{raw}\" too long"), why));
    }
    if raw.is_empty() {
        let why = "the new name is empty";
        return Err(Failure::because("Non empty new name is required.", why, "rdmsetup rename DEVICE NEW"));
    }
    ctx.mangling
        .mangle(&raw, "new name", limits::NAME_LEN)
        .map_err(|error| Failure::classic(format!("{error}\nFailed to mangle new device name \"{raw}\"")))
}

fn new_uuid(ctx: &Context, new: &OsStr) -> Result<Text, Failure> {
    let raw = Text::from(new.as_bytes());
    if raw.len() >= limits::UUID_LEN {
        let why = format!("it has {} bytes, and {} are the most", raw.len(), limits::UUID_LEN - 1);
        return Err(Failure::Explained(format!("Uuid \"{raw}\" too long"), why));
    }
    ctx.mangling
        .mangle(&raw, "new UUID", limits::UUID_LEN)
        .map_err(|error| Failure::classic(format!("{error}\nFailed to mangle new device uuid \"{raw}\"")))
}
