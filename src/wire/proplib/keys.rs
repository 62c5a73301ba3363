//! The two vocabularies: each key and each command's word, with its type and meaning, once.
//!
//! `netbsd` is the one that shipped (NetBSD's sys/dev/dm/netbsd-dm.h, DragonFly's header of the same name), `proposed` the
//! one of the design that came before it (NetBSD's sys/dev/dm/doc/design.txt). The codec, `decode` and the manual all
//! read these tables. Keys marked as additions are the userspace mapper's, for what a reply has and the drivers do not say.

use crate::dm::CommandKind;

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// The type of its value.
    pub holds: &'static str,
    /// What it says.
    pub means: &'static str,
}

const fn key(name: &'static str, holds: &'static str, means: &'static str) -> Key {
    Key { name, holds, means }
}

/// The shape that the keys are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One ioctl and a `command`; versions are arrays of numbers, lists are arrays, devices are minor numbers.
    Shipped,
    /// An ioctl a command; versions are texts, lists are dictionaries of numbered dictionaries, devices are whole numbers.
    Proposed,
}

/// The keys of one form of the protocol.
#[derive(Debug)]
pub struct Vocabulary {
    /// Its name, as `--dialect` has it.
    pub name: &'static str,
    /// How it puts its keys together.
    pub shape: Shape,
    pub(super) command: Key,
    pub(super) version: Key,
    pub(super) flags: Key,
    pub(super) event_nr: Key,
    pub(super) data: Key,
    pub(super) name_key: Key,
    pub(super) uuid: Key,
    pub(super) number: Key,
    pub(super) major: Key,
    pub(super) open_count: Key,
    pub(super) target_count: Key,
    pub(super) sector: Key,
    pub(super) message: Key,
    pub(super) geometry: Key,
    pub(super) listed_name: Key,
    pub(super) listed_number: Key,
    pub(super) listed_event_nr: Key,
    pub(super) listed_uuid: Key,
    pub(super) target_version: Key,
    pub(super) start: Key,
    pub(super) length: Key,
    pub(super) target: Key,
    pub(super) params: Key,
    pub(super) status: Key,
}

const COMMAND: Key = key("command", "string", "what is asked for: a word of the table of commands");
const FLAGS: Key = key("flags", "integer", "options of the request, state in the reply: bits as in Linux");
const EVENT_NR: Key = key("event_nr", "integer", "the event to wait past, or the device's event counter");
const NAME: Key = key("name", "string", "the device's name, at most 127 bytes");
const UUID: Key = key("uuid", "string", "the device's uuid, at most 128 bytes; empty if it has none");
const MAJOR: Key = key("major", "integer", "an addition: the major number that belongs to a minor");
const OPEN_COUNT: Key =
    key("open_count", "integer", "how many hold the device open; NetBSD counts the I/O in flight");
const TARGET_COUNT: Key = key("target_count", "integer", "how many lines the table has");
const SECTOR: Key = key("sector", "integer", "the sector whose target a message is for");
const LISTED_EVENT_NR: Key = key("event_nr", "integer", "an addition: the event counter of a listed device");
const LISTED_UUID: Key =
    key("uuid", "string", "an addition: the uuid of a listed device, when it was asked for");
const LENGTH: Key = key("length", "integer", "how many sectors the line maps");

/// As it shipped in NetBSD and DragonFly.
pub static SHIPPED: Vocabulary = Vocabulary {
    name: "netbsd",
    shape: Shape::Shipped,
    command: COMMAND,
    version: key(
        "version",
        "array of 3 integers",
        "the version asked for; in a reply the driver's, else it refused",
    ),
    flags: FLAGS,
    event_nr: EVENT_NR,
    data: key("cmd_data", "array", "the data of the command, or of its reply"),
    name_key: NAME,
    uuid: UUID,
    number: key("minor", "integer", "the device's minor number; 0 in a request is none"),
    major: MAJOR,
    open_count: OPEN_COUNT,
    target_count: TARGET_COUNT,
    sector: SECTOR,
    message: key("message", "string", "the message for a target (DragonFly)"),
    geometry: key("cmd_data", "array of one string", "an addition: CYLINDERS HEADS SECTORS START"),
    listed_name: key("name", "string", "the name of a listed device or target type, or a device's new name"),
    listed_number: key("dev", "integer", "the minor number of a listed device"),
    listed_event_nr: LISTED_EVENT_NR,
    listed_uuid: LISTED_UUID,
    target_version: key("ver", "array of 3 integers", "the version of a listed target type, in decimal"),
    start: key("start", "integer", "the first sector that the line maps, of 512 bytes"),
    length: LENGTH,
    target: key("type", "string", "the target type, at most 15 bytes"),
    params: key("params", "string", "the target's parameters; NetBSD leaves it out of a status"),
    status: key("status", "integer", "NetBSD puts the number of the live slot here, 0 or 1, not a status"),
};

/// As it was proposed. The data's own key, and numbers for the dictionaries of a list, are what proplib needs: it has no
/// value without a key, and refuses the `ID` attribute of the proposal.
pub static PROPOSED: Vocabulary = Vocabulary {
    name: "proposed",
    shape: Shape::Proposed,
    command: COMMAND,
    version: key("version", "string", "the version asked for, or the driver's: MAJOR.MINOR.PATCH"),
    flags: FLAGS,
    event_nr: EVENT_NR,
    data: key(
        "cmd_data",
        "dict",
        "the data of the command, or of its reply; in a list a dictionary a number",
    ),
    name_key: NAME,
    uuid: UUID,
    number: key("dev", "integer", "the device's number, as dev_t has it in 64 bits"),
    major: MAJOR,
    open_count: OPEN_COUNT,
    target_count: TARGET_COUNT,
    sector: SECTOR,
    message: key("message", "string", "the message for a target, or its answer"),
    geometry: key("geometry", "string", "CYLINDERS HEADS SECTORS START"),
    listed_name: key("name", "string", "the name of a listed device or target type, or a device's new name"),
    listed_number: key("dev", "integer", "the number of a listed device"),
    listed_event_nr: LISTED_EVENT_NR,
    listed_uuid: LISTED_UUID,
    target_version: key("version", "string", "the version of a listed target type"),
    start: key("sector_start", "integer", "the first sector that the line maps, of 512 bytes"),
    length: LENGTH,
    target: key("target_type", "string", "the target type, at most 15 bytes"),
    params: key("additional info", "string", "the target's parameters"),
    status: key("status", "integer", "the target's error, 0 if it has none"),
};

/// The older text of the proposal spells one key so.
pub(super) const PARAMS_MISSPELT: &str = "aditional info";

impl Vocabulary {
    /// The keys beside one another at the top.
    pub fn header(&self) -> Vec<Key> {
        let mut keys =
            vec![self.version, self.flags, self.event_nr, self.data, self.name_key, self.uuid, self.number];
        keys.extend([self.open_count, self.target_count]);
        if self.shape == Shape::Shipped {
            keys.extend([self.command, self.major, self.sector, self.message]);
        }
        keys
    }

    /// The keys within the data.
    pub fn elements(&self) -> Vec<Key> {
        let mut keys = vec![self.listed_name, self.listed_number, self.listed_event_nr, self.listed_uuid];
        keys.extend([self.target_version, self.start, self.length, self.target, self.params, self.status]);
        match self.shape {
            Shape::Shipped => keys.push(self.major),
            Shape::Proposed => keys.extend([self.sector, self.message, self.geometry]),
        }
        keys
    }
}

/// A command's word in the vocabulary that shipped.
#[derive(Debug)]
pub struct Word {
    /// As it is written: case counts.
    pub word: &'static str,
    /// The command.
    pub kind: CommandKind,
    /// NetBSD's driver has it.
    pub netbsd: bool,
    /// DragonFly's driver has it.
    pub dragonfly: bool,
    /// NetBSD lets the superuser alone ask for it.
    pub privileged: bool,
}

const fn word(word: &'static str, kind: CommandKind, has: [bool; 3]) -> Word {
    Word { word, kind, netbsd: has[0], dragonfly: has[1], privileged: has[2] }
}

/// The words. The first of a command is the one that is sent; `suspend` is that for a suspend, `resume` for a resume,
/// `table` when the table's text is wanted.
///
/// Source: `cmd_fn` in NetBSD's and DragonFly's device-mapper.c; the words that neither has are libdm's.
pub static WORDS: &[Word] = &[
    word("version", CommandKind::Version, [true, true, false]),
    word("targets", CommandKind::ListVersions, [true, true, false]),
    word("names", CommandKind::ListDevices, [true, true, false]),
    word("create", CommandKind::DevCreate, [true, true, true]),
    word("remove", CommandKind::DevRemove, [true, true, true]),
    word("rename", CommandKind::DevRename, [true, false, true]),
    word("info", CommandKind::DevStatus, [true, true, false]),
    word("mknodes", CommandKind::DevStatus, [true, true, false]),
    word("suspend", CommandKind::DevSuspend, [true, true, true]),
    word("resume", CommandKind::DevSuspend, [true, true, true]),
    word("reload", CommandKind::TableLoad, [true, true, true]),
    word("clear", CommandKind::TableClear, [true, true, true]),
    word("deps", CommandKind::TableDeps, [true, true, false]),
    word("status", CommandKind::TableStatus, [true, true, false]),
    word("table", CommandKind::TableStatus, [true, true, false]),
    word("remove_all", CommandKind::RemoveAll, [false, true, true]),
    word("message", CommandKind::TargetMsg, [false, true, true]),
    word("waitevent", CommandKind::DevWait, [false, false, true]),
    word("setgeometry", CommandKind::DevSetGeometry, [false, false, true]),
];

/// The word of that spelling.
pub fn word_of(spelling: &[u8]) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.word.as_bytes() == spelling)
}
