//! A request as bytes, and bytes as a request.
//!
//! Which structure a command carries is here; how each is laid out is in its own file. Whether the request makes sense
//! (a name in use, an empty table, two ways to name a device) is the driver's to say.

use super::error::{Flaw, WireError};
use super::field::{get_version, to_size, to_wire, version_bytes};
use super::header::{self, HEADER_LEN, HEADER_USED, Header, place};
use super::ioctl::takes_no_data;
use super::payload::Payload;
use super::{message, target_spec};
use crate::dm::limits::NAME_LEN;
use crate::dm::{Carried, Command, CommandKind, DeviceId, Flags, Request, Table, Version};
use zeroize::Zeroize;

/// Bits that a driver takes away before it looks: they are its own to set (the kernel's `validate_params`).
const DRIVERS_OWN: Flags = Flags::BUFFER_FULL.with(Flags::UEVENT_GENERATED).with(Flags::DATA_OUT);

/// The request as a driver reads it, in a buffer of at least `size` bytes, more if header and data need more.
///
/// `data_size` is the buffer's length, all of which the driver may fill; `data_start` is [`HEADER_LEN`]; what nothing
/// is said in is 0. libdm's requests look the same.
///
/// # Errors
/// What does not fit its field: a name, uuid or target type that is too long, a NUL in a text, a device number with
/// too many bits, a size or a count over 32 bits.
pub fn encode_request(request: &Request, size: usize) -> Result<Vec<u8>, WireError> {
    let mut device = request.device.clone();
    let mut target_count = 0;
    let mut data = match request.command.carried() {
        Carried::Table(table) => {
            target_count = sized("table lines", table.lines.len())?;
            target_spec::encode_load(&table.lines)?
        }
        Carried::Message(sector, message) => message::encode(sector, message)?,
        Carried::NewName(text) => message::encode_text("new name", text)?,
        Carried::Geometry(text) => message::encode_text("geometry", text)?,
        Carried::TargetType(target) => {
            super::field::checked_text("target type", target, NAME_LEN)?;
            device.name = target.clone();
            Vec::new()
        }
        Carried::Nothing => Vec::new(),
    };
    header::check_device(&device)?;
    let end = HEADER_LEN + data.len();
    let size = size.max(end);
    let header = Header {
        version: request.version,
        data_size: sized("request size", size)?,
        data_start: to_wire(HEADER_LEN),
        target_count,
        open_count: 0,
        flags: request.flags,
        event_nr: request.event_nr,
        device,
    };
    let mut buffer = vec![0; size];
    header.write(&mut buffer);
    buffer[HEADER_LEN..end].copy_from_slice(&data);
    if request.flags.contains(Flags::SECURE_DATA) {
        data.zeroize();
    }
    Ok(buffer)
}

fn sized(what: &'static str, size: usize) -> Result<u32, WireError> {
    u32::try_from(size).map_err(|_| WireError::new(what, 0, Flaw::TooLarge { size }))
}

/// Checks that a driver of version `own` serves the caller of the buffer, as every command but none of its data needs.
///
/// The kernel does this first, and then says its own version even to the caller that it refuses: call
/// [`write_version`] whatever comes of it, after [`decode_request`] if the caller's version matters.
///
/// # Errors
/// Another major version or a later minor one (EINVAL); a buffer without a version (EFAULT).
pub fn check_version(buffer: &[u8], own: Version) -> Result<(), WireError> {
    let asked = asked_version(buffer)?;
    if asked.major == own.major && asked.minor <= own.minor {
        return Ok(());
    }
    Err(WireError::new("interface version", place::VERSION.start, Flaw::Version { asked, own }))
}

/// Writes a driver's version into the buffer, if it has room for one.
pub fn write_version(buffer: &mut [u8], own: Version) {
    if let Some(field) = buffer.get_mut(place::VERSION) {
        field.copy_from_slice(&version_bytes(own));
    }
}

fn asked_version(buffer: &[u8]) -> Result<Version, WireError> {
    let flaw = Flaw::BeyondBuffer { needed: place::VERSION.end, has: buffer.len() };
    let field = buffer.get(place::VERSION).ok_or(WireError::new("interface version", 0, flaw))?;
    Ok(get_version(field, place::VERSION))
}

/// The request in a buffer that a caller handed over, read as the kernel reads it.
///
/// The flags lack those that only a driver sets; `SECURE_DATA` stays, for the driver to heed. `GetTargetVersion` has its
/// target type in the name field and so no device name. [`CommandKind::Version`] needs no more than the version.
///
/// # Errors
/// EFAULT where the buffer ends before what it says, EINVAL where what it says makes no sense.
pub fn decode_request(kind: CommandKind, buffer: &[u8]) -> Result<Request, WireError> {
    let version = asked_version(buffer)?;
    if kind == CommandKind::Version {
        let header = Header::read(buffer).unwrap_or(Header { version, ..Header::default() });
        return Ok(request(header, Command::Version));
    }
    let header = Header::read(buffer)?;
    if to_size(header.data_size) < HEADER_USED {
        let flaw = Flaw::DataSize { says: header.data_size };
        return Err(WireError::new("data size", place::DATA_SIZE.start, flaw));
    }
    if !takes_no_data(kind) || header.flags.contains(Flags::SECURE_DATA) {
        Payload::new(&header, buffer)?;
    }
    let command = decode_command(kind, &header, buffer)?;
    Ok(request(header, command))
}

fn request(header: Header, command: Command) -> Request {
    let mut device = header.device;
    if matches!(command, Command::GetTargetVersion(_)) {
        device = DeviceId { name: Default::default(), ..device };
    }
    let flags = header.flags.without(DRIVERS_OWN);
    Request { version: header.version, device, flags, event_nr: header.event_nr, command }
}

/// The command with its data; the header has been read, nothing else has been checked.
pub(super) fn decode_command(
    kind: CommandKind,
    header: &Header,
    buffer: &[u8],
) -> Result<Command, WireError> {
    let payload = || Payload::new(header, buffer);
    Ok(match kind {
        CommandKind::Version => Command::Version,
        CommandKind::RemoveAll => Command::RemoveAll,
        CommandKind::ListDevices => Command::ListDevices,
        CommandKind::DevCreate => Command::DevCreate,
        CommandKind::DevRemove => Command::DevRemove,
        CommandKind::DevRename => Command::DevRename(message::decode_text("new name", &payload()?)?),
        CommandKind::DevSuspend => Command::DevSuspend,
        CommandKind::DevStatus => Command::DevStatus,
        CommandKind::DevWait => Command::DevWait,
        CommandKind::TableLoad => {
            let lines = target_spec::decode_load(&payload()?, header.data_start, header.target_count)?;
            Command::TableLoad(Table { lines })
        }
        CommandKind::TableClear => Command::TableClear,
        CommandKind::TableDeps => Command::TableDeps,
        CommandKind::TableStatus => Command::TableStatus,
        CommandKind::ListVersions => Command::ListVersions,
        CommandKind::TargetMsg => {
            let (sector, message) = message::decode(&payload()?)?;
            Command::TargetMsg { sector, message }
        }
        CommandKind::DevSetGeometry => {
            Command::DevSetGeometry(message::decode_text("geometry", &payload()?)?)
        }
        CommandKind::DevArmPoll => Command::DevArmPoll,
        CommandKind::GetTargetVersion => Command::GetTargetVersion(header.device.name.clone()),
        CommandKind::MpathProbePaths => Command::MpathProbePaths,
    })
}
