//! Whether NetBSD's driver did what it was asked for: its ioctl does not say.
//!
//! `dmioctl` in NetBSD's sys/dev/dm/device-mapper.c overwrites what a command returned with what copying the reply out
//! returned, so every failure inside a command comes back as success with a dictionary. What differs is the dictionary:
//! a command that went through leaves keys in it, one that failed does not. DragonFly returns the error and hides only a
//! refused version.

use super::keys::{SHIPPED, word_of};
use super::value::Dict;
use crate::dm::{CommandKind, DeviceId, Errno, Fault, Flags, Version};

/// The version of both drivers' protocol: the highest that they accept, and what they write into a reply.
pub const DRIVER_VERSION: Version = Version::new(4, 16, 0);

/// What a reply of NetBSD's driver shows to have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command was carried out.
    Done,
    /// `remove` and `clear`: nothing says that it failed, and nothing that it did not; ask for the device.
    Unclear,
    /// The version asked for was refused, or none was given.
    Version,
    /// The driver has no such command.
    Command,
    /// There is no such device.
    Missing,
    /// The name or the uuid is another device's.
    Taken,
    /// The table was not loaded: a target type or a disk is not there, or the parameters are wrong.
    Table,
    /// The driver was asked for what it cannot do, such as a name that is too long.
    Invalid,
    /// The caller is not the superuser.
    Privilege,
}

impl Outcome {
    /// What the driver's handler returned, which the ioctl did not; `None` where it went well.
    pub fn errno(self) -> Option<Errno> {
        match self {
            Self::Done | Self::Unclear => None,
            Self::Version => Some(Errno::EIO),
            Self::Command | Self::Invalid => Some(Errno::EINVAL),
            Self::Missing | Self::Table => Some(Errno::ENOENT),
            Self::Taken => Some(Errno::EEXIST),
            Self::Privilege => Some(Errno::EPERM),
        }
    }

    /// The failure in our words, for a request about that device; `None` where it went well.
    ///
    /// A missing device is ENXIO as it is on Linux, so that it is the same to whoever asked.
    pub fn fault(self, device: &DeviceId) -> Option<Fault> {
        let name = if device.name.is_empty() { &device.uuid } else { &device.name };
        let (errno, reason) = match self {
            Self::Done | Self::Unclear => return None,
            Self::Version => (Errno::EIO, "the driver refused the version of the protocol".to_owned()),
            Self::Command => (Errno::EINVAL, "the driver has no such command".to_owned()),
            Self::Missing => (Errno::ENXIO, format!("there is no device \"{name}\"")),
            Self::Taken => (Errno::EEXIST, format!("the name or the uuid of \"{name}\" is another device's")),
            Self::Table => {
                let why = "a target type or a disk is not there, or the parameters are wrong";
                (Errno::ENOENT, format!("the driver did not load the table of \"{name}\": {why}"))
            }
            Self::Invalid => (Errno::EINVAL, format!("the driver did not do it to \"{name}\"")),
            Self::Privilege => (Errno::EPERM, "the driver takes this from the superuser alone".to_owned()),
        };
        Some(Fault::new(errno, reason))
    }
}

/// What became of the request `sent`, by the reply `got`. `superuser` is whether that is who asked: where a refusal looks
/// like another failure, this tells which it is.
pub fn outcome(sent: &Dict, got: &Dict, superuser: bool) -> Outcome {
    let version = |dict| SHIPPED.version_at(dict, SHIPPED.version);
    let accepted =
        |asked: Version| asked.major == DRIVER_VERSION.major && asked.minor <= DRIVER_VERSION.minor;
    if version(got).is_none() || version(got) == version(sent) && !version(sent).is_some_and(accepted) {
        return Outcome::Version;
    }
    let Some(word) =
        sent.text(SHIPPED.command.name).and_then(|word| word_of(word)).filter(|word| word.netbsd)
    else {
        return Outcome::Command;
    };
    let flags = |dict: &Dict| dict.u32(SHIPPED.flags.name).map(Flags);
    // Cleared where it was sent; where no flags were, the driver makes a word of them to clear it in.
    let cleared = |dict| flags(dict).is_none_or(|flags| !flags.contains(Flags::EXISTS));
    let missing = flags(got).is_some() && cleared(got) && !(flags(sent).is_some() && cleared(sent));
    let appeared = |key: &str| got.u64(key).is_some() && sent.get(key).is_none();
    let minor = SHIPPED.number.name;
    let has_minor = got.u64(minor).is_some_and(|minor| minor > 0);
    let ok = |well: bool, failure| match (well, missing) {
        (true, _) => Outcome::Done,
        (false, true) => Outcome::Missing,
        (false, false) => failure,
    };
    let seen = match word.kind {
        CommandKind::DevCreate => {
            ok(has_minor && sent.u64(minor).is_none_or(|minor| minor == 0), Outcome::Taken)
        }
        CommandKind::TableLoad => {
            let loaded = flags(got).is_some_and(|flags| flags.contains(Flags::INACTIVE_PRESENT));
            ok(loaded && has_minor && !missing, Outcome::Table)
        }
        CommandKind::DevStatus => {
            ok(appeared(SHIPPED.target_count.name) && appeared(SHIPPED.open_count.name), Outcome::Missing)
        }
        CommandKind::DevSuspend => ok(appeared(SHIPPED.open_count.name) && has_minor, Outcome::Missing),
        CommandKind::DevRename => ok(appeared(SHIPPED.open_count.name), Outcome::Invalid),
        CommandKind::TableStatus | CommandKind::TableDeps => ok(has_minor && !missing, Outcome::Missing),
        CommandKind::DevRemove | CommandKind::TableClear if missing => Outcome::Missing,
        CommandKind::DevRemove | CommandKind::TableClear => Outcome::Unclear,
        CommandKind::Version
        | CommandKind::ListDevices
        | CommandKind::ListVersions
        | CommandKind::RemoveAll
        | CommandKind::DevWait
        | CommandKind::TargetMsg
        | CommandKind::DevSetGeometry
        | CommandKind::DevArmPoll
        | CommandKind::GetTargetVersion
        | CommandKind::MpathProbePaths => Outcome::Done,
    };
    let failed = !matches!(seen, Outcome::Done | Outcome::Missing);
    if failed && word.privileged && !superuser { Outcome::Privilege } else { seen }
}
