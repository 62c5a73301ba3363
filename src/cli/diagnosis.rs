//! Why a driver refused a request, and what to do about it: what a number alone does not say.
//!
//! The userspace mapper gives its reason with its refusal. For a kernel's the reason is looked for: what its log says of this
//! very request, and what our own checks find at fault. Hints are for both.

use super::context::Context;
use super::failure::Reason;
use super::{holders, sysfs};
use crate::backend::{CallError, Holder, Process, kernel_type_like};
use crate::block::{Peer, User, Via};
use crate::dm::{
    Command, CommandKind, DeviceId, DeviceNumber, Errno, Fault, Flags, Request, Text, Version, similar,
};
use crate::mapper::Draft;
use crate::target::TARGETS;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How many of those who hold a device are named.
const MAX_NAMED: usize = 4;

/// What can be found out about a refusal; nothing where the request is not known.
pub(super) fn explain(ctx: &mut Context, error: &CallError) -> Option<Reason> {
    let request = error.request.as_ref()?;
    let mut found = Reason { said: error.said.clone(), fault: error.fault.clone() };
    if ctx.is_kernels() {
        found.said.retain(|line| is_about(line, request.device.dev));
        found.fault = found.fault.or_else(|| reason(ctx, request, error.errno));
    } else if (request.command.kind(), error.errno) == (CommandKind::DevRemove, Errno::EBUSY) {
        found.fault = in_use(ctx, &request.device).or(found.fault);
    }
    if found.fault.as_ref().is_none_or(|fault| fault.hint.is_none())
        && let Some(hint) = hint(ctx, request, error.errno, found.fault.as_ref())
    {
        let fault = found.fault.take().unwrap_or_else(|| Fault::new(error.errno, String::new()));
        found.fault = Some(fault.with_hint(Some(hint)));
    }
    Some(found)
}

/// Whether a line of the kernel's log may be about that device: those of another name its number.
fn is_about(line: &str, dev: Option<DeviceNumber>) -> bool {
    let number = line.split(": ").nth(1).and_then(|word| DeviceNumber::parse(word.as_bytes()));
    number.is_none() || dev.is_none() || number == dev
}

/// The reason for a kernel's refusal, as far as our own checks find one.
fn reason(ctx: &mut Context, request: &Request, errno: Errno) -> Option<Fault> {
    let device = &request.device;
    if let Some(fault) = too_old(ctx, request, errno) {
        return Some(fault);
    }
    match (&request.command, errno) {
        (Command::TableLoad(_), Errno::ENXIO) if is_missing(ctx, device) => Some(missing(device)),
        (Command::TableLoad(table), _) => {
            let lines: Vec<_> = table.lines.iter().cloned().map(Some).collect();
            let read_only = request.flags.contains(Flags::READONLY);
            let planned = BTreeMap::new();
            let draft = Draft { device: &device.name, lines: &lines, read_only, planned: &planned };
            ctx.client().ok()?.check(&draft).ok()?.into_iter().next()
        }
        (Command::GetTargetVersion(name), Errno::EINVAL) => {
            Some(Fault::new(errno, format!("the kernel has no target type \"{name}\", and no module for it")))
        }
        (Command::DevCreate, Errno::EBUSY) => taken(ctx, device),
        (Command::DevRename(new), Errno::EBUSY) if request.flags.contains(Flags::UUID) => {
            taken(ctx, &DeviceId::by_uuid(new.clone()))
        }
        (Command::DevRename(new), Errno::EBUSY) => taken(ctx, &DeviceId::by_name(new.clone())),
        (Command::DevRemove, Errno::EBUSY) => in_use(ctx, device),
        (_, Errno::ENXIO) if is_missing(ctx, device) => Some(missing(device)),
        (_, Errno::EPERM | Errno::EACCES) => {
            Some(Fault::new(errno, "the driver obeys root alone (CAP_SYS_ADMIN)"))
        }
        _ => None,
    }
}

/// That the driver has not learned of the command yet.
fn too_old(ctx: &mut Context, request: &Request, errno: Errno) -> Option<Fault> {
    if !matches!(errno, Errno::EINVAL | Errno::ENOTTY) {
        return None;
    }
    let has = match ctx.client().ok()?.perform(&Request::global(Command::Version)) {
        Ok(reply) => reply.version,
        Err(error) if error.errno == Errno::ENOTTY => {
            let fault = Fault::new(errno, "what answers at the control node is no device-mapper");
            return Some(
                fault.with_hint(Some("remove the node: it is made again when the driver is there".into())),
            );
        }
        Err(_) => return None,
    };
    let needs = request.version;
    let is_served = has.major == needs.major && has.minor >= needs.minor;
    (!is_served)
        .then(|| Fault::new(errno, old_driver(has, needs)).with_hint(Some("a newer kernel has it".into())))
}

fn old_driver(has: Version, needs: Version) -> String {
    format!("the kernel's driver has version {has} of the interface, and this takes {needs}")
}

fn is_missing(ctx: &mut Context, device: &DeviceId) -> bool {
    let asked = Request::new(device.clone(), Command::DevStatus);
    ctx.client().is_ok_and(|client| client.perform(&asked).is_err_and(|error| error.errno == Errno::ENXIO))
}

fn missing(device: &DeviceId) -> Fault {
    let reason = match device {
        DeviceId { name, .. } if !name.is_empty() => format!("there is no device \"{name}\""),
        DeviceId { uuid, .. } if !uuid.is_empty() => format!("there is no device with uuid \"{uuid}\""),
        DeviceId { dev: Some(dev), .. } => format!("there is no device with number {dev}"),
        DeviceId { dev: None, .. } => "no device is named".into(),
    };
    Fault::new(Errno::ENXIO, reason)
}

/// Why a device of that name and uuid cannot be made.
pub(super) fn taken(ctx: &mut Context, id: &DeviceId) -> Option<Fault> {
    let client = ctx.client().ok()?;
    let by_name = (!id.name.is_empty()).then(|| DeviceId::by_name(id.name.clone()));
    let by_uuid = (!id.uuid.is_empty()).then(|| DeviceId::by_uuid(id.uuid.clone()));
    for id in [by_name, by_uuid].into_iter().flatten() {
        let Ok(reply) = client.perform(&Request::new(id.clone(), Command::DevStatus)) else { continue };
        let DeviceId { name, uuid, .. } = reply.device;
        let reason = if id.uuid.is_empty() {
            format!("there is a device \"{name}\" already")
        } else {
            format!("uuid \"{uuid}\" is that of device \"{name}\"")
        };
        return Some(Fault::new(Errno::EBUSY, reason));
    }
    None
}

/// Who has the device open.
fn in_use(ctx: &mut Context, device: &DeviceId) -> Option<Fault> {
    let reply = ctx.client().ok()?.perform(&Request::new(device.clone(), Command::DevStatus)).ok()?;
    let dev = reply.device.dev?;
    let holders = if ctx.is_kernels() { sysfs::holders(dev) } else { holders::in_mapper(ctx, dev).ok()?.0 };
    if holders.is_empty() && !ctx.is_kernels() {
        // The mapper's own reason stays.
        return None;
    }
    let mut named: Vec<String> = holders.iter().take(MAX_NAMED).map(holder).collect();
    if holders.len() > MAX_NAMED {
        named.push(format!("{} more", holders.len() - MAX_NAMED));
    }
    let by = match named.is_empty() {
        true if reply.open_count == 1 => "someone that cannot be seen from here".to_owned(),
        true => format!("{} that cannot be seen from here", reply.open_count),
        false => named.join(", "),
    };
    Some(Fault::new(Errno::EBUSY, format!("\"{}\" is in use by {by}", reply.device.name)))
}

/// One that holds a device, in words.
pub(super) fn holder(holder: &Holder) -> String {
    let process = |Process { pid, name }: &Process| format!("process {pid} ({name})");
    match holder {
        Holder::Device(name) => format!("device \"{name}\""),
        Holder::Disk(name) => format!("/dev/{name}"),
        Holder::Mount(place, None) => format!("the file system mounted at {place}"),
        Holder::Mount(place, Some(viewer)) => {
            format!("the file system mounted at {place} as {} sees it", process(viewer))
        }
        Holder::Swap => "the kernel, which swaps to it".into(),
        Holder::Process(who, _) => process(who),
        Holder::User(User { via, peer }, name, _) => {
            let who = match (peer, name) {
                (Peer::Process { pid: Some(pid), uid }, Some(name)) => {
                    format!("process {pid} ({name}) of user {uid}")
                }
                (Peer::Process { .. } | Peer::Address(_), _) => peer.to_string(),
            };
            match via {
                Via::Nbd => format!("NBD client {who}"),
                Via::Fuse => format!("{who} by its file"),
                Via::Control => who,
            }
        }
    }
}

/// What to do about it.
fn hint(ctx: &mut Context, request: &Request, errno: Errno, fault: Option<&Fault>) -> Option<String> {
    let name = ctx.shown_name(&request.device.name);
    if let Some(fault) = fault.filter(|fault| fault.line.is_some()) {
        return table_hint(ctx, request, fault);
    }
    let kind = request.command.kind();
    match (kind, errno) {
        (CommandKind::DevCreate | CommandKind::DevRename, Errno::EBUSY) => {
            let free = if kind == CommandKind::DevCreate {
                "; `rdmsetup load` gives a device that is there another table"
            } else {
                ""
            };
            Some(format!("`rdmsetup info` shows the names and uuids that are taken{free}"))
        }
        (CommandKind::DevRemove, Errno::EBUSY) => Some(format!(
            "`rdmsetup holders {name}` tells who; --deferred removes it when it is closed, --retry tries for five seconds"
        )),
        (_, Errno::ENXIO) if request.device != DeviceId::default() => {
            Some(nearest_device(ctx, &request.device.name).map_or_else(
                || "`rdmsetup info` shows the devices that there are".into(),
                |near| meant(&near),
            ))
        }
        (CommandKind::TargetMsg, Errno::EINVAL) => {
            // What begins so is the driver's own to obey, whatever the targets.
            let Command::TargetMsg { message, .. } = &request.command else { return None };
            (!message.starts_with(b"@")).then(|| {
                format!("`rdmsetup table {name}` shows the targets, and their manual pages the messages that they take")
            })
        }
        (CommandKind::GetTargetVersion, Errno::EINVAL) => {
            let Command::GetTargetVersion(asked) = &request.command else { return None };
            let near = match ctx.is_kernels() {
                true => kernel_type_like(asked),
                false => similar(asked, TARGETS.iter().map(|target| target.name)),
            };
            Some(near.map_or_else(|| "`rdmsetup targets` lists the types that there are".into(), meant))
        }
        (CommandKind::DevSetGeometry, Errno::EINVAL) => Some("as in 1024 255 63 0".into()),
        _ => None,
    }
}

fn meant(word: &str) -> String {
    format!("did you mean \"{word}\"?")
}

/// The name of a device that is there and nearly called so.
fn nearest_device(ctx: &mut Context, name: &Text) -> Option<String> {
    let listed = ctx.client().ok()?.perform(&Request::global(Command::ListDevices)).ok()?;
    let names: Vec<String> = listed.devices().iter().map(|device| device.name.to_string()).collect();
    similar(name, names.iter().map(String::as_str)).map(|near| ctx.shown_name(&near.into()).to_string())
}

/// What to do about a fault in a table: for a disk that is not there, one that is nearly called so.
fn table_hint(ctx: &mut Context, request: &Request, fault: &Fault) -> Option<String> {
    let Command::TableLoad(table) = &request.command else { return None };
    let word = table.lines.get(fault.line?)?.params.words().into_iter().nth(fault.argument?)?;
    disk_hint(ctx, fault, &word)
}

/// The same for the word itself.
pub(super) fn disk_hint(ctx: &mut Context, fault: &Fault, word: &Text) -> Option<String> {
    match fault.errno {
        Errno::ENODEV => {
            let near = nearest_device(ctx, word).or_else(|| nearest_file(word));
            Some(
                near.map_or_else(
                    || "name a file, a disk or a device that is there".into(),
                    |near| meant(&near),
                ),
            )
        }
        Errno::EACCES | Errno::EROFS => Some("--readonly loads a table that only reads its disks".into()),
        _ => None,
    }
}

/// A file beside the one that is named, and nearly called so.
fn nearest_file(word: &Text) -> Option<String> {
    let path = Path::new(OsStr::from_bytes(word));
    let (directory, name) = (path.parent()?, path.file_name()?);
    let shown = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let names: Vec<String> =
        fs::read_dir(shown).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let near = similar(name.as_bytes(), names.iter().map(String::as_str))?;
    directory.join(near).into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_about_another_device_is_not_ours() {
        let dev = Some(DeviceNumber::new(254, 0));
        assert!(is_about("table: 254:0: linear: Invalid argument count", dev));
        assert!(!is_about("table: 254:1: linear: Invalid argument count", dev));
        assert!(is_about("table: 254:1: linear: Invalid argument count", None));
        assert!(is_about("ioctl: target type crypt: unknown", dev));
    }
}
