//! A call as one line for a person: strace's fields in strace's order, with the whole table behind them.
//!
//! ```text
//! ioctl(DM_TABLE_LOAD, {version=4.0.0, data_size=16384, data_start=312, name="vol0", target_count=1, flags=EXISTS, {…}})
//!  = 0 {version=4.48.0, data_size=305, data_start=312, dev=253:0, name="vol0", target_count=0, open_count=0, …}
//! ```
//!
//! Pure: bytes in, text out, whatever the bytes. Source of the order: src/dm.c of strace, which also prints `event_nr`
//! of a request only where the driver looks at it, and nothing of a failed call but its error. Versions are `4.0.0` and
//! devices `253:0` here, flags lack `DM_` and `_FLAG`.

use super::field::to_size;
use super::header::{HEADER_LEN, HEADER_USED, Header};
use super::ioctl::{command_of, takes_no_data};
use super::reply::decode_body;
use super::request::decode_command;
use crate::dm::{
    Carried, CommandKind, Errno, Flags, Line, ListedDevice, ReplyBody, StatusLine, TargetVersion, Text,
};
use std::fmt::{self, Display, Formatter, Write};

/// The call, from its number and the buffer as it is about to be sent. A request that says it holds a secret is shown
/// with `<hidden>` for its texts.
pub fn request_line(number: u32, buffer: &[u8]) -> String {
    match command_of(number) {
        Some(kind) => {
            let fields = Fields { kind, buffer, is_reply: false, hidden: super::is_secret(buffer) };
            format!("ioctl({}, {fields})", kind.c_name())
        }
        None => format!("ioctl({number:#x}, {} bytes)", buffer.len()),
    }
}

/// The call's result, from the same number and the buffer as it came back.
///
/// `hidden` is whether the request held a secret, which a reply does not say.
pub fn reply_line(number: u32, result: Result<(), Errno>, buffer: &[u8], hidden: bool) -> String {
    match (result, command_of(number)) {
        (Err(errno), _) => format!(" = -1 {errno:?} ({errno})"),
        (Ok(()), Some(kind)) => format!(" = 0 {}", Fields { kind, buffer, is_reply: true, hidden }),
        (Ok(()), None) => " = 0".into(),
    }
}

/// The bytes that the buffer says are in use, zeros at the end left out, sixteen a line; with `hidden` the header's
/// only.
pub fn hex_dump(buffer: &[u8], hidden: bool) -> String {
    let size = Header::read(buffer).map_or(0, |header| to_size(header.data_size)).min(buffer.len());
    let last = buffer[..size].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let least = if hidden { HEADER_USED } else { HEADER_LEN };
    let end = if hidden { least } else { last.max(least) }.min(buffer.len());
    let mut dump = hex_rows(&buffer[..end]);
    if hidden && size > end {
        dump.push_str(" | <hidden>\n");
    }
    dump
}

/// The bytes, sixteen a line, with the text that they may be beside them.
pub fn hex_rows(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (index, row) in bytes.chunks(16).enumerate() {
        let mut hex = String::new();
        for (column, byte) in row.iter().enumerate() {
            let gap = if column == 8 { "  " } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(hex, "{gap}{byte:02x}");
        }
        let shown = |&byte: &u8| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' };
        let text: String = row.iter().map(shown).collect();
        let _ = writeln!(dump, " | {:05x} {hex:<49}  {text:<16} |", index * 16);
    }
    dump
}

/// The header and data of one side of a call.
struct Fields<'a> {
    kind: CommandKind,
    buffer: &'a [u8],
    is_reply: bool,
    hidden: bool,
}

impl Display for Fields<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let header = match Header::read(self.buffer) {
            Ok(header) => header,
            Err(error) => return write!(f, "??? /* {error} */"),
        };
        write!(f, "{{version={}", header.version)?;
        if header.version.major != 4 {
            return f.write_str(" /* unsupported device mapper ABI version */}");
        }
        write!(f, ", data_size={}", header.data_size)?;
        if to_size(header.data_size) < HEADER_USED {
            return f.write_str(" /* data_size too small */}");
        }
        if !takes_no_data(self.kind) && self.kind != CommandKind::Version {
            write!(f, ", data_start={}", header.data_start)?;
        }
        self.device(f, &header)?;
        self.values(f, &header)?;
        write!(f, ", flags={}", header.flags)?;
        if self.is_reply {
            self.reply_data(f, &header)?;
        } else {
            self.request_data(f, &header)?;
        }
        f.write_str("}")
    }
}

impl Fields<'_> {
    fn device(&self, f: &mut Formatter<'_>, header: &Header) -> fmt::Result {
        if matches!(self.kind, CommandKind::RemoveAll | CommandKind::ListDevices | CommandKind::ListVersions)
        {
            return Ok(());
        }
        if let Some(dev) = header.device.dev {
            write!(f, ", dev={dev}")?;
        }
        if !header.device.name.is_empty() {
            write!(f, ", name={:?}", header.device.name)?;
        }
        if !header.device.uuid.is_empty() {
            write!(f, ", uuid={:?}", header.device.uuid)?;
        }
        Ok(())
    }

    /// The numbers that the command gives a meaning to, on this side.
    fn values(&self, f: &mut Formatter<'_>, header: &Header) -> fmt::Result {
        let Header { target_count, open_count, event_nr, flags, .. } = header;
        match self.kind {
            CommandKind::TableLoad if !self.is_reply => write!(f, ", target_count={target_count}"),
            CommandKind::DevSuspend if !self.is_reply && flags.contains(Flags::SUSPEND) => Ok(()),
            CommandKind::DevSuspend
            | CommandKind::DevRename
            | CommandKind::DevWait
            | CommandKind::DevRemove
                if !self.is_reply =>
            {
                write!(f, ", event_nr={event_nr}")
            }
            CommandKind::DevCreate
            | CommandKind::DevRename
            | CommandKind::DevSuspend
            | CommandKind::DevStatus
            | CommandKind::DevWait
            | CommandKind::TableLoad
            | CommandKind::TableClear
            | CommandKind::TableDeps
            | CommandKind::TableStatus
            | CommandKind::TargetMsg
                if self.is_reply =>
            {
                write!(f, ", target_count={target_count}, open_count={open_count}, event_nr={event_nr}")
            }
            CommandKind::Version
            | CommandKind::RemoveAll
            | CommandKind::ListDevices
            | CommandKind::DevCreate
            | CommandKind::DevRemove
            | CommandKind::DevRename
            | CommandKind::DevSuspend
            | CommandKind::DevStatus
            | CommandKind::DevWait
            | CommandKind::TableLoad
            | CommandKind::TableClear
            | CommandKind::TableDeps
            | CommandKind::TableStatus
            | CommandKind::ListVersions
            | CommandKind::TargetMsg
            | CommandKind::DevSetGeometry
            | CommandKind::DevArmPoll
            | CommandKind::GetTargetVersion
            | CommandKind::MpathProbePaths => Ok(()),
        }
    }

    fn request_data(&self, f: &mut Formatter<'_>, header: &Header) -> fmt::Result {
        let command = match decode_command(self.kind, header, self.buffer) {
            Err(error) => return write!(f, ", ??? /* {error} */"),
            Ok(command) => command,
        };
        match command.carried() {
            Carried::Table(table) => {
                table.lines.iter().try_for_each(|Line { start, length, target, params }| {
                    let params = self.shown(params);
                    write!(
                        f,
                        ", {{sector_start={start}, length={length}, target_type={target:?}, string={params}}}"
                    )
                })
            }
            Carried::Message(sector, message) => {
                write!(f, ", {{sector={sector}, message={}}}", self.shown(message))
            }
            Carried::NewName(text) | Carried::Geometry(text) => {
                write!(f, ", string={}", self.shown(text))
            }
            Carried::TargetType(_) | Carried::Nothing => Ok(()),
        }
    }

    fn reply_data(&self, f: &mut Formatter<'_>, header: &Header) -> fmt::Result {
        if header.flags.contains(Flags::BUFFER_FULL) {
            return Ok(());
        }
        let body = match decode_body(self.kind, header, self.buffer) {
            Ok(body) => body,
            Err(error) => return write!(f, ", ??? /* {error} */"),
        };
        match body {
            ReplyBody::None | ReplyBody::Message(None) => Ok(()),
            ReplyBody::Devices(devices) => devices.iter().try_for_each(|device| show_device(f, device)),
            ReplyBody::Deps(deps) => {
                let deps: Vec<String> = deps.iter().map(ToString::to_string).collect();
                write!(f, ", {{count={}, deps=[{}]}}", deps.len(), deps.join(", "))
            }
            ReplyBody::Lines(lines) => lines.iter().try_for_each(|line| {
                let StatusLine { start, length, target, status, params } = line;
                write!(
                    f,
                    ", {{sector_start={start}, length={length}, status={status}, target_type={target:?}"
                )?;
                write!(f, ", string={}}}", self.shown(params))
            }),
            ReplyBody::Versions(versions) => {
                versions.iter().try_for_each(|TargetVersion { name, version }| {
                    write!(f, ", {{name={name:?}, version={version}}}")
                })
            }
            ReplyBody::Message(Some(answer)) => write!(f, ", string={}", self.shown(&answer)),
        }
    }

    /// A text in quotes, unless it may be a secret.
    fn shown(&self, text: &Text) -> String {
        if self.hidden { "<hidden>".into() } else { format!("{text:?}") }
    }
}

fn show_device(f: &mut Formatter<'_>, device: &ListedDevice) -> fmt::Result {
    let ListedDevice { name, dev, event_nr, uuid } = device;
    write!(f, ", {{dev={dev}, name={name:?}")?;
    if let Some(event_nr) = event_nr {
        write!(f, ", event_nr={event_nr}")?;
    }
    if let Some(uuid) = uuid {
        write!(f, ", uuid={uuid:?}")?;
    }
    f.write_str("}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{Command, DeviceId, Request, Sectors, Table};
    use crate::wire::linux::{encode_request, ioctl_number};

    fn load() -> Request {
        let line = Line {
            start: Sectors(0),
            length: Sectors(100),
            target: "linear".into(),
            params: "/dev/sdb \"384\"\n".into(),
        };
        let table = Command::TableLoad(Table { lines: vec![line] });
        Request::new(DeviceId::by_name("vol0"), table).with_flags(Flags::EXISTS)
    }

    #[test]
    fn a_request_reads_as_strace_has_it() {
        let number = ioctl_number(CommandKind::TableLoad);
        let buffer = encode_request(&load(), 16384).unwrap();
        let line = "ioctl(DM_TABLE_LOAD, {version=4.0.0, data_size=16384, data_start=312, name=\"vol0\", \
                    target_count=1, flags=EXISTS, {sector_start=0, length=100, target_type=\"linear\", \
                    string=\"/dev/sdb \\\"384\\\"\\n\"}})";
        assert_eq!(request_line(number, &buffer), line);
        assert_eq!(request_line(0x1234, &buffer), "ioctl(0x1234, 16384 bytes)");
        let short = "ioctl(DM_TABLE_LOAD, ??? /* header: 305 bytes long, the buffer 9 */)";
        assert_eq!(request_line(number, &buffer[..9]), short);
    }

    #[test]
    fn a_secret_is_not_shown() {
        let number = ioctl_number(CommandKind::TableLoad);
        let buffer = encode_request(&load().with_flags(Flags::SECURE_DATA), 0).unwrap();
        let line = request_line(number, &buffer);
        assert!(line.ends_with("target_type=\"linear\", string=<hidden>}})"), "{line}");
        let dump = hex_dump(&buffer, true);
        assert!(dump.ends_with(" | <hidden>\n") && dump.contains("vol0") && !dump.contains("sdb"), "{dump}");
        assert!(hex_dump(&buffer, false).contains("/dev/sdb"));
    }

    #[test]
    fn a_failure_reads_as_strace_has_it() {
        let line = reply_line(ioctl_number(CommandKind::DevStatus), Err(Errno::ENXIO), &[], false);
        assert_eq!(line, " = -1 ENXIO (No such device or address)");
    }

    #[test]
    fn a_dump_shows_the_bytes_in_use() {
        let buffer =
            encode_request(&Request::new(DeviceId::by_name("vol0"), Command::TableStatus), 16384).unwrap();
        let dump = hex_dump(&buffer, false);
        let rows: Vec<&str> = dump.lines().collect();
        assert_eq!(rows.len(), 20);
        let row = " | 00030  76 6f 6c 30 00 00 00 00  00 00 00 00 00 00 00 00  vol0............ |";
        assert_eq!(rows[3], row);
        assert_eq!(rows[19].len(), row.len());
        assert_eq!(hex_dump(&[1, 2], false).lines().count(), 1);
    }
}
