//! A reply as bytes, and bytes as a reply.
//!
//! Which structure a command's reply carries, and what a driver does when it does not fit, are here; how each is laid
//! out is in its own file. Source: drivers/md/dm-ioctl.c of Linux, which fills the caller's buffer and says in
//! `data_size` how far.

use super::error::{Flaw, WireError};
use super::field::{align, to_size, to_wire};
use super::header::{HEADER_LEN, HEADER_USED, Header, place};
use super::ioctl::{has_reply_data, reply_is_version_only, takes_no_data};
use super::payload::Payload;
use super::request::write_version;
use super::{deps, message, name_list, target_spec, versions};
use crate::dm::{CommandKind, DeviceId, Flags, Reply, ReplyBody, Text};

/// The reply in a buffer that a driver has filled.
///
/// [`CommandKind::GetTargetVersion`] has its target type in the name field, which is no device's.
///
/// # Errors
/// Bytes that are no reply to that command; a reply that did not fit ([`super::buffer_is_full`]).
pub fn decode_reply(kind: CommandKind, buffer: &[u8]) -> Result<Reply, WireError> {
    let header = Header::read(buffer)?;
    if has_reply_data(kind) && header.flags.contains(Flags::BUFFER_FULL) {
        return Err(WireError::new("reply", place::FLAGS.start, Flaw::Full));
    }
    let body = decode_body(kind, &header, buffer)?;
    let mut device = header.device;
    if kind == CommandKind::GetTargetVersion {
        device.name = Text::new();
    }
    Ok(Reply {
        version: header.version,
        device,
        flags: header.flags,
        open_count: header.open_count,
        event_nr: header.event_nr,
        target_count: header.target_count,
        body,
    })
}

/// The data of a reply; the header has been read, nothing else has been checked.
pub(super) fn decode_body(kind: CommandKind, header: &Header, buffer: &[u8]) -> Result<ReplyBody, WireError> {
    let payload = || Payload::new(header, buffer);
    Ok(match kind {
        CommandKind::ListDevices => ReplyBody::Devices(name_list::decode(&payload()?, header.version)?),
        CommandKind::DevWait | CommandKind::TableStatus => {
            ReplyBody::Lines(target_spec::decode_status(&payload()?, header.target_count)?)
        }
        CommandKind::TableDeps => ReplyBody::Deps(deps::decode(&payload()?)?),
        CommandKind::ListVersions | CommandKind::GetTargetVersion => {
            ReplyBody::Versions(versions::decode(&payload()?)?)
        }
        CommandKind::TargetMsg if header.flags.contains(Flags::DATA_OUT) => {
            ReplyBody::Message(Some(message::decode_answer(&payload()?)?))
        }
        CommandKind::TargetMsg => ReplyBody::Message(None),
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

/// The data of a reply, ready to go behind the header.
struct Data {
    /// What to write at [`HEADER_LEN`].
    bytes: Vec<u8>,
    /// How much room the driver wants for it, in bytes.
    room: usize,
    /// What `data_size` says when it fits.
    size: usize,
}

impl Data {
    /// Bytes that need as much room as they are long.
    fn new(bytes: Vec<u8>) -> Self {
        Self { room: bytes.len(), size: HEADER_LEN + bytes.len(), bytes }
    }

    /// Bytes that a target has written as text: the kernel takes text that fills its room for text that was cut.
    fn text(bytes: Vec<u8>) -> Self {
        Self { room: bytes.len() + 1, ..Self::new(bytes) }
    }

    /// Lines of a table, each text that a target has written, with room for the padding behind the last too.
    fn lines(bytes: Vec<u8>) -> Self {
        Self { room: align(bytes.len()).max(bytes.len() + 1), ..Self::new(bytes) }
    }

    /// What a driver puts behind the header; `None` where it does not come to think of data.
    fn of(reply: &Reply) -> Option<Self> {
        match &reply.body {
            ReplyBody::None => None,
            // A driver writes that there is no device, and does not count it.
            ReplyBody::Devices(devices) if devices.is_empty() => {
                Some(Self { bytes: vec![0; 8], room: 8, size: HEADER_LEN })
            }
            ReplyBody::Devices(devices) => Some(Self::new(name_list::encode(devices, reply.version))),
            // Where there is no table, nothing is written; a table has at least one line.
            ReplyBody::Deps(deps) if deps.is_empty() && reply.target_count == 0 => None,
            ReplyBody::Deps(deps) => Some(Self::new(deps::encode(deps))),
            ReplyBody::Lines(lines) if lines.is_empty() => None,
            ReplyBody::Lines(lines) => Some(Self::lines(target_spec::encode_status(lines))),
            ReplyBody::Versions(versions) => Some(Self::new(versions::encode(versions))),
            ReplyBody::Message(Some(answer)) => Some(Self::text(message::encode_answer(answer))),
            ReplyBody::Message(None) => Some(Self { bytes: Vec::new(), room: 0, size: HEADER_USED }),
        }
    }
}

/// Fills the buffer, which still holds the request, as the kernel does.
///
/// The header is the reply's, `data_start` [`HEADER_LEN`] where there may be data, `data_size` the end of the data or
/// 305 without. Data that does not fit the room that the request offered is left out and `BUFFER_FULL` set. `DATA_OUT`
/// is set when a message has an answer; `SECURE_DATA` is never sent back, and with it in the request the buffer is
/// wiped first. A caller that set `PATHS`, which only our own does, is told in `data_size` how much room it takes, and
/// need not find out by trying. For `Version`, `RemoveAll` and `DevSetGeometry` the kernel writes its version and nothing else.
///
/// A buffer shorter than the header gets the version at most.
pub fn encode_reply(kind: CommandKind, reply: &Reply, buffer: &mut [u8]) {
    let asked = match Header::read(buffer) {
        Ok(asked) if !reply_is_version_only(kind) => asked,
        Ok(_) | Err(_) => {
            write_version(buffer, reply.version);
            if kind != CommandKind::Version {
                wipe_secret(buffer);
            }
            return;
        }
    };
    let offered = if takes_no_data(kind) { HEADER_USED } else { to_size(asked.data_size).min(buffer.len()) };
    wipe_secret(buffer);

    let data = Data::of(reply);
    let fits = data.as_ref().is_none_or(|data| data.room <= offered.saturating_sub(HEADER_LEN));
    let size = match &data {
        Some(data) if fits => data.size.min(buffer.len()),
        Some(data) if reply.flags.contains(Flags::PATHS) => HEADER_LEN + data.room,
        Some(_) | None => HEADER_USED,
    };
    let has_answer = matches!(reply.body, ReplyBody::Message(Some(_)));
    let flags = reply.flags.without(Flags::SECURE_DATA).set(Flags::BUFFER_FULL, !fits);
    let header = Header {
        version: reply.version,
        data_size: to_wire(size),
        data_start: if data.is_some() { to_wire(HEADER_LEN) } else { asked.data_start },
        target_count: if let ReplyBody::Lines(lines) = &reply.body {
            to_wire(lines.len())
        } else {
            reply.target_count
        },
        open_count: reply.open_count,
        flags: if kind == CommandKind::TargetMsg { flags.set(Flags::DATA_OUT, has_answer) } else { flags },
        event_nr: reply.event_nr,
        device: if kind == CommandKind::GetTargetVersion {
            DeviceId { name: asked.device.name, ..reply.device.clone() }
        } else {
            reply.device.clone()
        },
    };
    header.write(buffer);
    if let Some(Data { bytes, .. }) = data.filter(|_| fits)
        && let Some(place) = buffer.get_mut(HEADER_LEN..HEADER_LEN + bytes.len())
    {
        place.copy_from_slice(&bytes);
    }
}

/// Overwrites a request that holds a secret, as far as it says that it goes; leaves any other as it is.
///
/// For a driver, when such a request has failed; when it succeeds, [`encode_reply`] does it.
pub fn wipe_secret(buffer: &mut [u8]) {
    if let Ok(header) = Header::read(buffer)
        && header.flags.contains(Flags::SECURE_DATA)
    {
        let end = to_size(header.data_size).min(buffer.len());
        buffer[..end].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{Command, Request, StatusLine, Version};
    use crate::wire::linux::encode_request;

    fn reply(body: ReplyBody) -> Reply {
        let version = Version::new(4, 48, 0);
        let (device, flags) = (DeviceId::by_name("vol0"), Flags::NONE);
        Reply { version, device, flags, open_count: 0, event_nr: 0, target_count: 0, body }
    }

    /// A reply to a message in a buffer with `room` bytes for data.
    fn answered(room: usize) -> Vec<u8> {
        let message = Command::TargetMsg { sector: Default::default(), message: "x".into() };
        let request = Request::new(DeviceId::by_name("vol0"), message);
        let mut buffer = encode_request(&request, HEADER_LEN + room).unwrap();
        encode_reply(
            CommandKind::TargetMsg,
            &reply(ReplyBody::Message(Some("0123456789".into()))),
            &mut buffer,
        );
        buffer
    }

    #[test]
    fn text_that_fills_its_room_counts_as_cut() {
        let buffer = answered(11);
        assert!(super::super::buffer_is_full(&buffer));
        assert!(decode_reply(CommandKind::TargetMsg, &buffer).is_err());
        let buffer = answered(12);
        assert!(!super::super::buffer_is_full(&buffer));
        let decoded = decode_reply(CommandKind::TargetMsg, &buffer).unwrap();
        assert_eq!(decoded.body, ReplyBody::Message(Some("0123456789".into())));
        assert_eq!(decoded.flags, Flags::DATA_OUT);
        assert_eq!(Header::read(&buffer).unwrap().data_size, 312 + 11);
    }

    #[test]
    fn a_secret_is_wiped_from_the_buffer_and_its_flag_not_sent_back() {
        let request = Request::new(DeviceId::by_name("vol0"), Command::TableStatus);
        let mut buffer = encode_request(&request.with_flags(Flags::SECURE_DATA), 1024).unwrap();
        buffer[600..620].fill(b'k');
        let line = StatusLine {
            start: Default::default(),
            length: Default::default(),
            target: "crypt".into(),
            status: 0,
            params: "".into(),
        };
        encode_reply(CommandKind::TableStatus, &reply(ReplyBody::Lines(vec![line])), &mut buffer);
        assert!(buffer[HEADER_LEN + 41..].iter().all(|&byte| byte == 0));
        assert_eq!(decode_reply(CommandKind::TableStatus, &buffer).unwrap().flags, Flags::NONE);
    }

    #[test]
    fn the_kernel_answers_three_commands_with_its_version_alone() {
        let request = Request::new(DeviceId::by_name("asked"), Command::DevSetGeometry("1 1 1 0".into()));
        let mut buffer = encode_request(&request, 0).unwrap();
        let sent = buffer.clone();
        encode_reply(CommandKind::DevSetGeometry, &reply(ReplyBody::None), &mut buffer);
        assert_eq!(buffer[12..], sent[12..]);
        let decoded = decode_reply(CommandKind::DevSetGeometry, &buffer).unwrap();
        assert_eq!((decoded.version, decoded.device), (Version::new(4, 48, 0), request.device));
    }
}
