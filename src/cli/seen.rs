//! Devices as a screen shows them: more of each than a list for scripts has, so a request more for each.

use super::block_name::{self, NameKind};
use super::context::Context;
use super::device_tree;
use super::failure::Failure;
use super::tree::speaks_utf8;
use crate::dm::{Command, DeviceId, DeviceNumber, Errno, Flags, Reply, Request, Text};
use crate::render::TreeSigns;
use crate::render::screen::{self, Screen, SeenDevice};
use std::collections::HashMap;
use std::env;
use std::os::unix::ffi::OsStrExt;

/// What a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// What devices are called by beside their names.
    pub(super) kind: NameKind,
    /// Which table is meant.
    pub(super) flags: Flags,
}

/// Every device that `wants` has; one that fails is told of, and the rest is shown.
pub(super) fn look(
    ctx: &mut Context,
    asked: Asked,
    wants: impl Fn(&Reply) -> bool,
) -> Result<(Vec<SeenDevice>, Result<(), Failure>), Failure> {
    let listed = ctx.perform(Request::global(Command::ListDevices))?;
    let (mut seen, mut outcome) = (Vec::new(), Ok(()));
    for device in listed.devices() {
        match status(ctx, DeviceId::by_name(device.name.clone()), asked.flags) {
            Ok(reply) if wants(&reply) => {
                let called = block_name::called(ctx, asked.kind, device.dev, listed.devices());
                seen.push(SeenDevice { name: ctx.shown_name(&device.name), called, reply });
            }
            Ok(_) => {}
            // It is gone since.
            Err(failure) if failure.is(Errno::ENXIO) => {}
            Err(failure) => {
                ctx.report(&failure);
                outcome = Err(Failure::Reported);
            }
        }
    }
    Ok((seen, outcome))
}

/// The lines of the device's table with its state: their status, in which no key stands, and nothing is flushed for it.
pub(super) fn status(ctx: &mut Context, id: DeviceId, flags: Flags) -> Result<Reply, Failure> {
    ctx.perform(Request::new(id, Command::TableStatus).with_flags(Flags::NOFLUSH | flags))
}

/// The paths of the files and disks under a device of the mapper, by number, as short as they can be.
pub(super) fn disks(ctx: &mut Context, device: &DeviceId) -> Result<Vec<(DeviceNumber, Text)>, Failure> {
    let id = DeviceId::by_name(device.name.clone());
    let told = match ctx.client()?.paths(&id) {
        Err(error) if error.errno == Errno::ENXIO => Vec::new(),
        told => told?,
    };
    Ok(told.into_iter().map(|(dev, path)| (dev, shortened(&path))).collect())
}

/// The text with each path below the directory that people stand in as one from there.
pub(super) fn shortened(text: &Text) -> Text {
    let Ok(here) = env::current_dir() else { return text.clone() };
    let here = [here.as_os_str().as_bytes(), b"/"].concat();
    let words = text.split(|&byte| byte == b' ');
    let words =
        words.map(|word| word.strip_prefix(here.as_slice()).filter(|rest| !rest.is_empty()).unwrap_or(word));
    words.collect::<Vec<_>>().join(&b' ').into()
}

/// Shows the devices in a list, or as a tree.
pub(super) fn show(
    ctx: &mut Context,
    screen: Screen,
    asked: Asked,
    is_tree: bool,
    wants: impl Fn(&Reply) -> bool,
) -> Result<(), Failure> {
    let (seen, outcome) = look(ctx, asked, wants)?;
    if seen.is_empty() {
        ctx.out.print("No devices found\n");
    } else if is_tree {
        let devices = device_tree::gather(ctx)?;
        let foreign = seen.iter().find_map(|device| device.reply.device.dev).map(|dev| dev.major);
        let foreign = if ctx.client()?.is_mapper() { foreign } else { None };
        let mut paths = HashMap::new();
        for device in seen.iter() {
            paths.extend(disks(ctx, &device.reply.device)?);
        }
        let signs = if speaks_utf8() { TreeSigns::Utf8 } else { TreeSigns::Ascii };
        let name_of = |dev| paths.get(&dev).cloned().or_else(|| block_name::kernel_name(dev, foreign));
        ctx.out.print(screen::tree_screen(screen, &devices, &seen, signs, &name_of));
    } else {
        ctx.out.print(screen::devices(screen, &seen));
    }
    outcome
}
