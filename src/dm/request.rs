//! What is asked of a driver.

use super::{DeviceId, DeviceNumber, Flags, Sectors, Table, Text, Version};

/// One request: which device, how, and what.
///
/// The fields are those that every ioctl of device-mapper has; which of them a command looks at is the driver's
/// rule, so a request can also say what a driver must refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The interface version that the caller needs at least.
    pub version: Version,
    /// The device that it is about.
    pub device: DeviceId,
    /// Options of the command.
    pub flags: Flags,
    /// `DevWait`: the event number to wait past. `DevSuspend`, `DevRemove`, `DevRename`: the udev cookie in the low
    /// 16 bits, its flags in the high 16.
    pub event_nr: u32,
    /// The command and its data.
    pub command: Command,
}

/// A command with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Which version of the interface the driver has.
    Version,
    /// Remove every device that is not open.
    RemoveAll,
    /// List the devices.
    ListDevices,
    /// Create a device without a table.
    DevCreate,
    /// Remove a device and its tables.
    DevRemove,
    /// Give a device a new name, or with `Flags::UUID` its uuid.
    DevRename(Text),
    /// With `Flags::SUSPEND` suspend; without it resume, swapping the slots when a table was loaded.
    DevSuspend,
    /// The device's state.
    DevStatus,
    /// Wait until the event number is not the one given; the reply is that of `TableStatus`.
    DevWait,
    /// Load a table into the inactive slot.
    TableLoad(Table),
    /// Empty the inactive slot.
    TableClear,
    /// The block devices under the table.
    TableDeps,
    /// Each line's status, or with `Flags::STATUS_TABLE` its text.
    TableStatus,
    /// The target types and their versions.
    ListVersions,
    /// Tell something to the target at a sector of the device.
    TargetMsg {
        /// Where in the device; its target gets the message.
        sector: Sectors,
        /// Words, split as a target's arguments are.
        message: Text,
    },
    /// Set the geometry that programs of old ask a disk for; the text is `CYLINDERS HEADS SECTORS START`.
    DevSetGeometry(Text),
    /// Let poll(2) on the control node wake at the next event of any device.
    DevArmPoll,
    /// One target type's version, loading its module if need be.
    GetTargetVersion(Text),
    /// Probe a multipath device's paths: an ioctl of that device's own node, which the control node does not know.
    MpathProbePaths,
}

/// What a command carries beside its device: what a dialect has to write, and a trace to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried<'a> {
    /// Nothing.
    Nothing,
    /// A table to load.
    Table(&'a Table),
    /// The new name, or the uuid.
    NewName(&'a Text),
    /// A message to the target at that sector.
    Message(Sectors, &'a Text),
    /// `CYLINDERS HEADS SECTORS START`.
    Geometry(&'a Text),
    /// The target type that is asked about.
    TargetType(&'a Text),
}

impl Command {
    /// What it carries.
    pub fn carried(&self) -> Carried<'_> {
        match self {
            Self::TableLoad(table) => Carried::Table(table),
            Self::DevRename(name) => Carried::NewName(name),
            Self::TargetMsg { sector, message } => Carried::Message(*sector, message),
            Self::DevSetGeometry(text) => Carried::Geometry(text),
            Self::GetTargetVersion(target) => Carried::TargetType(target),
            Self::Version
            | Self::RemoveAll
            | Self::ListDevices
            | Self::DevCreate
            | Self::DevRemove
            | Self::DevSuspend
            | Self::DevStatus
            | Self::DevWait
            | Self::TableClear
            | Self::TableDeps
            | Self::TableStatus
            | Self::ListVersions
            | Self::DevArmPoll
            | Self::MpathProbePaths => Carried::Nothing,
        }
    }
}

/// A disk geometry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Geometry {
    /// At most 65535.
    pub cylinders: u64,
    /// At most 255.
    pub heads: u64,
    /// Sectors a track, at most 255.
    pub sectors: u64,
    /// The first sector.
    pub start: u64,
}

/// Declares each command once: its number, its name in the kernel's header, the word that dmsetup's errors use for
/// it, and the interface version that it came with.
macro_rules! commands {
    ($($kind:ident = $number:literal, $c_name:literal, $verb:literal, $version:expr;)*) => {
        /// A command without its data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CommandKind {
            $(#[doc = concat!("`", $c_name, "`")] $kind,)*
        }

        impl CommandKind {
            /// Every command, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The command's number within the driver's ioctls (`DM_…_CMD`).
            pub const fn number(self) -> u8 {
                match self { $(Self::$kind => $number,)* }
            }

            /// The ioctl's name in `linux/dm-ioctl.h`.
            pub const fn c_name(self) -> &'static str {
                match self { $(Self::$kind => $c_name,)* }
            }

            /// The word that dmsetup's errors use: `device-mapper: VERB ioctl on …`.
            pub const fn verb(self) -> &'static str {
                match self { $(Self::$kind => $verb,)* }
            }

            /// The interface version that a client sends: the one that first had the command.
            pub const fn needs(self) -> Version {
                match self { $(Self::$kind => $version,)* }
            }
        }
    };
}

// Sources: linux/dm-ioctl.h for numbers and names; the versions are those that libdm sends.
commands! {
    Version = 0, "DM_VERSION", "version", Version::new(4, 0, 0);
    RemoveAll = 1, "DM_REMOVE_ALL", "remove_all", Version::new(4, 0, 0);
    ListDevices = 2, "DM_LIST_DEVICES", "names", Version::new(4, 0, 0);
    DevCreate = 3, "DM_DEV_CREATE", "create", Version::new(4, 0, 0);
    DevRemove = 4, "DM_DEV_REMOVE", "remove", Version::new(4, 0, 0);
    DevRename = 5, "DM_DEV_RENAME", "rename", Version::new(4, 0, 0);
    DevSuspend = 6, "DM_DEV_SUSPEND", "suspend", Version::new(4, 0, 0);
    DevStatus = 7, "DM_DEV_STATUS", "info", Version::new(4, 0, 0);
    DevWait = 8, "DM_DEV_WAIT", "waitevent", Version::new(4, 0, 0);
    TableLoad = 9, "DM_TABLE_LOAD", "reload", Version::new(4, 0, 0);
    TableClear = 10, "DM_TABLE_CLEAR", "clear", Version::new(4, 0, 0);
    TableDeps = 11, "DM_TABLE_DEPS", "deps", Version::new(4, 0, 0);
    TableStatus = 12, "DM_TABLE_STATUS", "table", Version::new(4, 0, 0);
    ListVersions = 13, "DM_LIST_VERSIONS", "versions", Version::new(4, 1, 0);
    TargetMsg = 14, "DM_TARGET_MSG", "message", Version::new(4, 2, 0);
    DevSetGeometry = 15, "DM_DEV_SET_GEOMETRY", "setgeometry", Version::new(4, 6, 0);
    DevArmPoll = 16, "DM_DEV_ARM_POLL", "armpoll", Version::new(4, 36, 0);
    GetTargetVersion = 17, "DM_GET_TARGET_VERSION", "target-version", Version::new(4, 41, 0);
    MpathProbePaths = 18, "DM_MPATH_PROBE_PATHS", "mpath_probe_paths", Version::new(4, 50, 0);
}

impl CommandKind {
    /// The command of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl Command {
    /// Which command it is.
    pub fn kind(&self) -> CommandKind {
        match self {
            Self::Version => CommandKind::Version,
            Self::RemoveAll => CommandKind::RemoveAll,
            Self::ListDevices => CommandKind::ListDevices,
            Self::DevCreate => CommandKind::DevCreate,
            Self::DevRemove => CommandKind::DevRemove,
            Self::DevRename(_) => CommandKind::DevRename,
            Self::DevSuspend => CommandKind::DevSuspend,
            Self::DevStatus => CommandKind::DevStatus,
            Self::DevWait => CommandKind::DevWait,
            Self::TableLoad(_) => CommandKind::TableLoad,
            Self::TableClear => CommandKind::TableClear,
            Self::TableDeps => CommandKind::TableDeps,
            Self::TableStatus => CommandKind::TableStatus,
            Self::ListVersions => CommandKind::ListVersions,
            Self::TargetMsg { .. } => CommandKind::TargetMsg,
            Self::DevSetGeometry(_) => CommandKind::DevSetGeometry,
            Self::DevArmPoll => CommandKind::DevArmPoll,
            Self::GetTargetVersion(_) => CommandKind::GetTargetVersion,
            Self::MpathProbePaths => CommandKind::MpathProbePaths,
        }
    }
}

impl Request {
    /// The command about that device, with no flag, at the version that the command needs.
    pub fn new(device: DeviceId, command: Command) -> Self {
        Self { version: command.kind().needs(), device, flags: Flags::NONE, event_nr: 0, command }
    }

    /// A command about no device.
    pub fn global(command: Command) -> Self {
        Self::new(DeviceId::default(), command)
    }

    /// A suspend of that device.
    pub fn suspend(device: DeviceId) -> Self {
        Self::new(device, Command::DevSuspend).with_flags(Flags::SUSPEND)
    }

    /// A resume of that device.
    pub fn resume(device: DeviceId) -> Self {
        Self::new(device, Command::DevSuspend)
    }

    /// The same with these flags too.
    #[must_use]
    pub fn with_flags(mut self, flags: Flags) -> Self {
        self.flags |= flags;
        self
    }

    /// The same with that event number, or cookie.
    #[must_use]
    pub fn with_event_nr(mut self, event_nr: u32) -> Self {
        self.event_nr = event_nr;
        self
    }

    /// Which word dmsetup's errors use for this request: resume and table are commands of their own there.
    pub fn verb(&self) -> &'static str {
        let kind = self.command.kind();
        if kind == CommandKind::DevSuspend && !self.flags.contains(Flags::SUSPEND) {
            "resume"
        } else if kind == CommandKind::TableStatus && !self.flags.contains(Flags::STATUS_TABLE) {
            "status"
        } else {
            kind.verb()
        }
    }
}

impl Geometry {
    /// Four decimal numbers with blanks between, each within its limit; `None` for anything else.
    ///
    /// Source: `dev_set_geometry` in the kernel's drivers/md/dm-ioctl.c (`"%lu %lu %lu %lu%c"`, then the limits).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if text.ends_with(|last: char| last.is_ascii_whitespace()) {
            return None;
        }
        let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok());
        let numbers: Option<Vec<u64>> = text.split_ascii_whitespace().map(|word| number(word)?).collect();
        let &[cylinders, heads, sectors, start] = numbers?.as_slice() else { return None };
        let geometry = Self { cylinders, heads, sectors, start };
        (cylinders <= 65535 && heads <= 255 && sectors <= 255).then_some(geometry)
    }
}

/// So that a number can stand where a device is wanted.
impl From<DeviceNumber> for DeviceId {
    fn from(dev: DeviceNumber) -> Self {
        Self::by_number(dev)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_commands_both_ways() {
        for (index, kind) in CommandKind::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.number()), index);
            assert_eq!(CommandKind::from_number(kind.number()), Some(*kind));
        }
        assert_eq!(CommandKind::from_number(19), None);
    }

    #[test]
    fn a_geometry_is_four_numbers_within_limits() {
        let whole = Geometry { cylinders: 65535, heads: 255, sectors: 63, start: 7 };
        assert_eq!(Geometry::parse(b"65535 255 63 7"), Some(whole));
        for bad in ["65536 1 1 0", "1 256 1 0", "1 1 256 0", "1 1 1", "1 1 1 1 ", "1 1 1 1 1", "1 1 1 +1", ""]
        {
            assert_eq!(Geometry::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
