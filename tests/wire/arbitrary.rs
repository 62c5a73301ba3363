//! Requests, replies and buffers by chance: what a client may send, what a driver may answer, and what neither would.

use arbitrary::{Result, Unstructured};
use rdmsetup::dm::{
    Command, CommandKind, DeviceId, DeviceNumber, Flags, Line, ListedDevice, Reply, ReplyBody, Request,
    Sectors, StatusLine, Table, TargetVersion, Text, Version,
};
use rdmsetup::wire::linux;

pub(crate) fn any_kind(u: &mut Unstructured<'_>) -> Result<CommandKind> {
    Ok(*u.choose(CommandKind::ALL)?)
}

fn any_text(u: &mut Unstructured<'_>, longest: usize) -> Result<Text> {
    let most = if u.ratio(1, 8)? { longest } else { longest.min(12) };
    let length = u.int_in_range(0..=most)?;
    let bytes: Vec<u8> = u.bytes(length.min(u.len()))?.iter().map(|&byte| byte.max(1)).collect();
    Ok(bytes.into())
}

fn any_dev(u: &mut Unstructured<'_>) -> Result<DeviceNumber> {
    let dev = DeviceNumber::new(u.int_in_range(0..=4095)?, u.int_in_range(0..=0xf_ffff)?);
    Ok(if dev == DeviceNumber::default() { DeviceNumber::new(253, 0) } else { dev })
}

fn any_device(u: &mut Unstructured<'_>) -> Result<DeviceId> {
    let dev = if u.arbitrary()? { Some(any_dev(u)?) } else { None };
    Ok(DeviceId { name: any_text(u, 127)?, uuid: any_text(u, 128)?, dev })
}

fn any_version(u: &mut Unstructured<'_>) -> Result<Version> {
    Ok(Version::new(4, u.int_in_range(30..=50)?, u.arbitrary()?))
}

fn some<T>(
    u: &mut Unstructured<'_>,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=5)?;
    (0..count).map(|_| one(u)).collect()
}

/// A request of that kind that says what a request can say.
pub(crate) fn any_request(u: &mut Unstructured<'_>, kind: CommandKind) -> Result<Request> {
    let command = match kind {
        CommandKind::Version => Command::Version,
        CommandKind::RemoveAll => Command::RemoveAll,
        CommandKind::ListDevices => Command::ListDevices,
        CommandKind::DevCreate => Command::DevCreate,
        CommandKind::DevRemove => Command::DevRemove,
        CommandKind::DevRename => Command::DevRename(any_text(u, 200)?),
        CommandKind::DevSuspend => Command::DevSuspend,
        CommandKind::DevStatus => Command::DevStatus,
        CommandKind::DevWait => Command::DevWait,
        CommandKind::TableLoad => {
            let lines = some(u, |u| {
                let [start, length] = [Sectors(u.arbitrary()?), Sectors(u.arbitrary()?)];
                Ok(Line { start, length, target: any_text(u, 15)?, params: any_text(u, 300)? })
            })?;
            Command::TableLoad(Table { lines })
        }
        CommandKind::TableClear => Command::TableClear,
        CommandKind::TableDeps => Command::TableDeps,
        CommandKind::TableStatus => Command::TableStatus,
        CommandKind::ListVersions => Command::ListVersions,
        CommandKind::TargetMsg => {
            Command::TargetMsg { sector: Sectors(u.arbitrary()?), message: any_text(u, 300)? }
        }
        CommandKind::DevSetGeometry => Command::DevSetGeometry(any_text(u, 40)?),
        CommandKind::DevArmPoll => Command::DevArmPoll,
        CommandKind::GetTargetVersion => Command::GetTargetVersion(any_text(u, 127)?),
        CommandKind::MpathProbePaths => Command::MpathProbePaths,
    };
    let mut device = any_device(u)?;
    if matches!(command, Command::GetTargetVersion(_)) {
        device.name = Text::new();
    }
    let out = Flags::BUFFER_FULL | Flags::UEVENT_GENERATED | Flags::DATA_OUT;
    let flags = Flags(u.arbitrary()?).without(out);
    Ok(Request { version: any_version(u)?, device, flags, event_nr: u.arbitrary()?, command })
}

/// A reply to that command as a driver would give it.
pub(crate) fn any_reply(u: &mut Unstructured<'_>, kind: CommandKind) -> Result<Reply> {
    let version = any_version(u)?;
    let body = any_body(u, kind, version)?;
    let mut device = any_device(u)?;
    if kind == CommandKind::GetTargetVersion {
        device.name = Text::new();
    }
    let flags = Flags(u.arbitrary()?).without(Flags::BUFFER_FULL | Flags::SECURE_DATA);
    let flags = match &body {
        ReplyBody::Message(answer) => flags.set(Flags::DATA_OUT, answer.is_some()),
        ReplyBody::None
        | ReplyBody::Devices(_)
        | ReplyBody::Deps(_)
        | ReplyBody::Lines(_)
        | ReplyBody::Versions(_) => flags,
    };
    let target_count = match &body {
        ReplyBody::Lines(lines) => lines.len().try_into().unwrap(),
        ReplyBody::None
        | ReplyBody::Devices(_)
        | ReplyBody::Deps(_)
        | ReplyBody::Versions(_)
        | ReplyBody::Message(_) => u.arbitrary()?,
    };
    Ok(Reply {
        version,
        device,
        flags,
        open_count: u.arbitrary()?,
        event_nr: u.arbitrary()?,
        target_count,
        body,
    })
}

fn any_body(u: &mut Unstructured<'_>, kind: CommandKind, version: Version) -> Result<ReplyBody> {
    Ok(match kind {
        CommandKind::ListDevices => {
            let tells_more = version.minor >= 37;
            ReplyBody::Devices(some(u, |u| {
                let event_nr = if tells_more { Some(u.arbitrary()?) } else { None };
                let uuid = if tells_more && u.arbitrary()? { Some(any_text(u, 128)?) } else { None };
                Ok(ListedDevice { name: any_text(u, 127)?, dev: any_dev(u)?, event_nr, uuid })
            })?)
        }
        CommandKind::TableDeps => ReplyBody::Deps(some(u, any_dev)?),
        CommandKind::DevWait | CommandKind::TableStatus => ReplyBody::Lines(some(u, |u| {
            Ok(StatusLine {
                start: Sectors(u.arbitrary()?),
                length: Sectors(u.arbitrary()?),
                target: any_text(u, 15)?,
                status: u.arbitrary()?,
                params: any_text(u, 300)?,
            })
        })?),
        CommandKind::ListVersions | CommandKind::GetTargetVersion => ReplyBody::Versions(some(u, |u| {
            let version = Version::new(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?);
            Ok(TargetVersion { name: any_text(u, 15)?, version })
        })?),
        CommandKind::TargetMsg => {
            ReplyBody::Message(if u.arbitrary()? { Some(any_text(u, 300)?) } else { None })
        }
        CommandKind::Version
        | CommandKind::RemoveAll
        | CommandKind::DevCreate
        | CommandKind::DevRemove
        | CommandKind::DevRename
        | CommandKind::DevSuspend
        | CommandKind::DevStatus
        | CommandKind::TableLoad
        | CommandKind::TableClear
        | CommandKind::DevSetGeometry
        | CommandKind::DevArmPoll
        | CommandKind::MpathProbePaths => ReplyBody::None,
    })
}

/// A buffer that one side may get: a request, a reply, either with a few bytes changed or cut, or nothing but chance.
pub(crate) fn any_buffer(u: &mut Unstructured<'_>, kind: CommandKind) -> Result<Vec<u8>> {
    let mut buffer = match u.int_in_range(0..=9)? {
        0 => return u.arbitrary(),
        1..=4 => linux::encode_request(&any_request(u, kind)?, 0).unwrap(),
        _ => {
            let request = any_request(u, kind)?;
            let mut buffer = linux::encode_request(&request, 4096).unwrap();
            let reply = any_reply(u, kind)?;
            linux::encode_reply(kind, &reply, &mut buffer);
            buffer
        }
    };
    for _ in 0..u.int_in_range(0..=4)? {
        // The fields that say how much there is, and the beginning of the data, are where damage tells most.
        let places = [12, 16, 20, 28, 312, 316, 320, 324, 332, 336, 352, 360, 376];
        let at = if u.ratio(3, 4)? { *u.choose(&places)? } else { u.choose_index(buffer.len())? };
        let value: u32 = if u.arbitrary()? { u.arbitrary()? } else { u.int_in_range(0..=500)? };
        for (byte, value) in buffer.iter_mut().skip(at).zip(value.to_ne_bytes()) {
            *byte = value;
        }
    }
    if u.ratio(1, 5)? {
        let length = u.int_in_range(0..=buffer.len())?;
        buffer.truncate(length);
    }
    Ok(buffer)
}
