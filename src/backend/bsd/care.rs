//! What is never sent to the drivers of the BSDs, and in which shape the rest goes.
//!
//! Source: NetBSD's sys/dev/dm (dm_ioctl.c, dm_table.c, dm_target_linear.c, dm_target_stripe.c, dm_pdev.c) and DragonFly's
//! sys/dev/disk/dm. A request that one version of a driver does not survive is not sent to any.

use super::{Surroundings, System};
use crate::dm::{Command, CommandKind, DeviceId, Errno, Fault, Flags, Line, Request, Text};
use crate::wire::proplib::{self, Dict, SHIPPED, Value, WORDS};

/// The flags that libdm sends there. State bits are not among them: a bit that was sent comes back as if it were so.
const SENT: Flags = Flags::READONLY
    .with(Flags::SUSPEND)
    .with(Flags::EXISTS)
    .with(Flags::PERSISTENT_DEV)
    .with(Flags::STATUS_TABLE)
    .with(Flags::SKIP_BDGET)
    .with(Flags::SKIP_LOCKFS)
    .with(Flags::NOFLUSH)
    .with(Flags::QUERY_INACTIVE_TABLE);

/// A device's path is kept to 31 bytes in NetBSD's list of disks: two longer ones may be taken for one another.
const PATH_LEN: usize = 31;
/// Legs of a striped target: NetBSD's words for more overflow an array.
const MAX_LEGS: usize = 4;
/// Bytes of a device's name.
const NAME_LEN: usize = 127;

fn unsupported(reason: impl Into<String>) -> Fault {
    Fault::new(Errno::EOPNOTSUPP, reason)
}

/// That a request is one which the driver has, in full, and survives.
///
/// # Errors
/// EOPNOTSUPP for what the driver lacks, EINVAL for what it would not survive or would get wrong.
pub(super) fn check(request: &Request, around: &Surroundings) -> Result<(), Fault> {
    let kind = request.command.kind();
    let has = |word: &proplib::Word| match around.system {
        System::NetBsd => word.netbsd,
        System::DragonFly => word.dragonfly,
    };
    if !WORDS.iter().any(|word| word.kind == kind && has(word)) {
        let system = if around.system == System::NetBsd { "NetBSD" } else { "DragonFly" };
        return Err(unsupported(format!("{system}'s driver has no command for {}", request.verb())));
    }
    for (command, flag, what) in [
        (CommandKind::DevRename, Flags::UUID, "to set a uuid"),
        (CommandKind::DevRemove, Flags::DEFERRED_REMOVE, "to remove a device when it is closed"),
        (CommandKind::DevCreate, Flags::PERSISTENT_DEV, "to choose a minor number"),
        (CommandKind::TableStatus, Flags::IMA_MEASUREMENT, "to measure a table"),
    ] {
        if kind == command && request.flags.contains(flag) {
            return Err(unsupported(format!("the driver has no way {what}")));
        }
    }
    match &request.command {
        Command::DevCreate => check_name(&request.device.name),
        Command::DevRename(new) => {
            let DeviceId { name, dev, .. } = &request.device;
            if name.is_empty() && dev.is_none() {
                return Err(unsupported("the driver does not find a device to rename by its uuid"));
            }
            check_name(new)
        }
        Command::TableLoad(table) => {
            let mut lines = table.lines.iter().enumerate();
            lines.try_for_each(|(number, line)| {
                check_line(line, around).map_err(|fault| fault.at_line(number))
            })
        }
        Command::Version
        | Command::RemoveAll
        | Command::ListDevices
        | Command::DevRemove
        | Command::DevSuspend
        | Command::DevStatus
        | Command::DevWait
        | Command::TableClear
        | Command::TableDeps
        | Command::TableStatus
        | Command::ListVersions
        | Command::TargetMsg { .. }
        | Command::DevSetGeometry(_)
        | Command::DevArmPoll
        | Command::GetTargetVersion(_)
        | Command::MpathProbePaths => Ok(()),
    }
}

fn check_name(name: &Text) -> Result<(), Fault> {
    if name.is_empty() || name.len() > NAME_LEN {
        return Err(Fault::invalid(format!("a device's name has 1 to {NAME_LEN} bytes, not {}", name.len())));
    }
    if name.contains(&b'/') {
        return Err(Fault::invalid(format!("the name \"{name}\" has a \"/\" in it")));
    }
    Ok(())
}

/// That the driver reads a line's parameters without harm: the words that it goes by are there.
fn check_line(line: &Line, around: &Surroundings) -> Result<(), Fault> {
    let words: Vec<&[u8]> =
        line.params.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
    let number =
        |at: usize| words.get(at).and_then(|word| std::str::from_utf8(word).ok()?.parse::<u64>().ok());
    let invalid = |argument: usize, reason: String| Err(Fault::invalid(reason).at_argument(argument));
    match line.target.as_bytes() {
        b"linear" => {
            if words.len() != 2 || number(1).is_none() {
                return invalid(0, "linear takes a disk and a sector".into());
            }
            check_disk(words[0], 0, around)
        }
        b"striped" => {
            let legs = number(0).and_then(|legs| usize::try_from(legs).ok()).unwrap_or(0);
            if legs == 0 || Some(words.len()) != legs.checked_mul(2).and_then(|words| words.checked_add(2)) {
                return invalid(
                    0,
                    "striped takes the number of disks, a chunk size, and for each a disk and a sector"
                        .into(),
                );
            }
            if around.system == System::NetBsd && legs > MAX_LEGS {
                return invalid(
                    0,
                    format!("{legs} disks are more than the {MAX_LEGS} that the driver has room for"),
                );
            }
            if number(1).is_none_or(|chunk| chunk == 0) || (0..legs).any(|leg| number(3 + 2 * leg).is_none())
            {
                return invalid(
                    1,
                    "striped takes a chunk size and a sector for each disk, in decimal".into(),
                );
            }
            (0..legs).try_for_each(|leg| check_disk(words[2 + 2 * leg], 2 + 2 * leg, around))
        }
        b"mirror" | b"snapshot" | b"snapshot-origin" => Err(unsupported(format!(
            "\"{}\" is a name without a target behind it in the driver",
            line.target
        ))),
        _ => Ok(()),
    }
}

fn check_disk(path: &[u8], argument: usize, around: &Surroundings) -> Result<(), Fault> {
    let shown = Text::from(path);
    if around.system == System::NetBsd && path.len() > PATH_LEN {
        let reason =
            format!("\"{shown}\" is longer than the {PATH_LEN} bytes by which the driver knows a disk");
        return Err(Fault::invalid(reason).at_argument(argument));
    }
    if !(around.is_disk)(path) {
        return Err(Fault::new(Errno::ENODEV, format!("there is no disk \"{shown}\"")).at_argument(argument));
    }
    Ok(())
}

/// The dictionary of a request as the driver is to have it: with the flags that libdm sends and no other, without an udev
/// cookie, and always with a minor, since NetBSD takes what its stack holds for one that is missing.
///
/// # Errors
/// ENXIO for a device number of another driver; what does not fit.
pub(super) fn dictionary(request: &Request, around: &Surroundings) -> Result<Dict, Fault> {
    let kind = request.command.kind();
    if let Some(dev) = request.device.dev.filter(|dev| dev.major != 0 && dev.major != around.major) {
        return Err(Fault::new(
            Errno::ENXIO,
            format!("{dev} is not a device of the driver, whose major is {}", around.major),
        ));
    }
    let kept = SENT.set(Flags::SECURE_DATA, around.system == System::DragonFly);
    let flags = Flags(request.flags.0 & kept.0).with(Flags::EXISTS);
    let mut dict = proplib::encode_request(&SHIPPED, &Request { flags, event_nr: 0, ..request.clone() })?;
    dict.remove("major");
    let finds_device = !matches!(
        kind,
        CommandKind::Version
            | CommandKind::ListDevices
            | CommandKind::ListVersions
            | CommandKind::DevCreate
            | CommandKind::RemoveAll
    );
    if finds_device && dict.get("minor").is_none() {
        dict.set("minor", Value::unsigned(0_u32));
    }
    Ok(dict)
}
