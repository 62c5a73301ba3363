//! What a buffer says, field by field, in words.

use super::error::WireError;
use super::header::{HEADER_LEN, HEADER_USED, Header, place};
use super::reply::decode_body;
use super::request::decode_command;
use crate::dm::{
    Carried, Command, CommandKind, DeviceNumber, Line, ListedDevice, ReplyBody, Sectors, StatusLine,
    TargetVersion, Text,
};
use crate::wire::{Explanation, Field, Side};
use std::ops::Range;

/// Explains a buffer: the header always, the data when it is known of which command it is.
///
/// # Errors
/// The buffer is shorter than the header.
pub fn explain(buffer: &[u8], kind: Option<CommandKind>, side: Side) -> Result<Explanation, WireError> {
    let header = Header::read(buffer)?;
    let mut fields = header_fields(&header);
    let data = match kind {
        None => {
            let value = format!("{} bytes", buffer.len().saturating_sub(HEADER_LEN));
            vec![plain("data", value, "what they are depends on the ioctl, which the buffer does not say")]
        }
        Some(kind) => match side {
            Side::Request => decode_command(kind, &header, buffer).map(|command| request_fields(&command)),
            Side::Reply => decode_body(kind, &header, buffer).map(|body| reply_fields(&body)),
        }
        // What is wrong with the data is worth as much as the rest of the buffer.
        .unwrap_or_else(|error| vec![plain("data", "cannot be read".into(), &error.to_string())]),
    };
    fields.extend(data);
    let side = if side == Side::Request { "request" } else { "reply" };
    let name = kind.map_or("a command that is not said", CommandKind::c_name);
    Ok(Explanation {
        what: format!("Linux ioctl buffer, {} bytes, a {side} of {name}", buffer.len()),
        fields,
    })
}

fn header_fields(header: &Header) -> Vec<Field> {
    let field = |path: &str, at: Range<usize>, value: String, means: &str| Field {
        path: path.into(),
        at: Some(at),
        value,
        means: means.into(),
    };
    let dev = header.device.dev.map_or_else(|| "0".into(), |dev| dev.to_string());
    let text = |text: &Text| format!("{text:?}");
    vec![
        field(
            "version",
            place::VERSION,
            header.version.to_string(),
            "the version asked for, or the driver's",
        ),
        field(
            "data_size",
            place::DATA_SIZE,
            header.data_size.to_string(),
            "bytes in the buffer, or of the reply",
        ),
        field("data_start", place::DATA_START, header.data_start.to_string(), "where the data begins"),
        field("target_count", place::TARGET_COUNT, header.target_count.to_string(), "lines of the table"),
        field(
            "open_count",
            place::OPEN_COUNT,
            header.open_count.to_string(),
            "how many hold the device open",
        ),
        field("flags", place::FLAGS, format!("{:#x} {}", header.flags.0, header.flags), "options, and state"),
        field("event_nr", place::EVENT_NR, header.event_nr.to_string(), "event counter, or a udev cookie"),
        field("padding", place::EVENT_NR.end..place::DEV.start, String::new(), "not used"),
        field("dev", place::DEV, dev, "the device's number, MAJOR:MINOR"),
        field("name", place::NAME, text(&header.device.name), "the device's name, at most 127 bytes"),
        field("uuid", place::UUID, text(&header.device.uuid), "the device's uuid, at most 128 bytes"),
        field("data", HEADER_USED..HEADER_LEN, String::new(), "padding, unless the data begins here"),
    ]
}

fn plain(path: impl Into<String>, value: String, means: &str) -> Field {
    Field { path: path.into(), at: None, value, means: means.into() }
}

fn line_fields(number: usize, start: Sectors, length: Sectors, target: &Text, params: &Text) -> Vec<Field> {
    let path = |name: &str| format!("line[{number}].{name}");
    vec![
        plain(path("sector_start"), start.to_string(), "the first sector that the line maps, of 512 bytes"),
        plain(path("length"), length.to_string(), "how many sectors it maps"),
        plain(path("target_type"), format!("{target:?}"), "the target type, at most 15 bytes"),
        plain(path("string"), format!("{params:?}"), "the target's parameters, or its status"),
    ]
}

fn request_fields(command: &Command) -> Vec<Field> {
    match command.carried() {
        Carried::Table(table) => {
            let lines = table.lines.iter().enumerate();
            let fields = |(number, line): (usize, &Line)| {
                line_fields(number, line.start, line.length, &line.target, &line.params)
            };
            lines.flat_map(fields).collect()
        }
        Carried::NewName(name) => vec![plain("string", format!("{name:?}"), "the new name, or the uuid")],
        Carried::Message(sector, message) => vec![
            plain("sector", sector.to_string(), "the sector whose target the message is for"),
            plain("message", format!("{message:?}"), "words for the target"),
        ],
        Carried::Geometry(text) => {
            vec![plain("string", format!("{text:?}"), "CYLINDERS HEADS SECTORS START")]
        }
        Carried::TargetType(target) => {
            vec![plain("target", format!("{target:?}"), "the target type, which stands in the name's place")]
        }
        Carried::Nothing => Vec::new(),
    }
}

fn reply_fields(body: &ReplyBody) -> Vec<Field> {
    match body {
        ReplyBody::None | ReplyBody::Message(None) => Vec::new(),
        ReplyBody::Devices(devices) => {
            let fields = |(number, device): (usize, &ListedDevice)| {
                let path = |name: &str| format!("device[{number}].{name}");
                let mut fields = vec![
                    plain(path("dev"), device.dev.to_string(), "its number, MAJOR:MINOR"),
                    plain(path("name"), format!("{:?}", device.name), "its name"),
                ];
                fields.extend(
                    device
                        .event_nr
                        .map(|event_nr| plain(path("event_nr"), event_nr.to_string(), "its event counter")),
                );
                fields.extend(
                    device.uuid.as_ref().map(|uuid| plain(path("uuid"), format!("{uuid:?}"), "its uuid")),
                );
                fields
            };
            devices.iter().enumerate().flat_map(fields).collect()
        }
        ReplyBody::Deps(deps) => {
            let field = |(number, dev): (usize, &DeviceNumber)| {
                plain(format!("dep[{number}]"), dev.to_string(), "a device under the table, MAJOR:MINOR")
            };
            deps.iter().enumerate().map(field).collect()
        }
        ReplyBody::Lines(lines) => {
            let fields = |(number, line): (usize, &StatusLine)| {
                let mut fields = line_fields(number, line.start, line.length, &line.target, &line.params);
                fields.push(plain(
                    format!("line[{number}].status"),
                    line.status.to_string(),
                    "the target's error, 0 if none",
                ));
                fields
            };
            lines.iter().enumerate().flat_map(fields).collect()
        }
        ReplyBody::Versions(versions) => {
            let field = |target: &TargetVersion| {
                plain(
                    format!("target {}", target.name),
                    target.version.to_string(),
                    "a target type and its version",
                )
            };
            versions.iter().map(field).collect()
        }
        ReplyBody::Message(Some(answer)) => {
            vec![plain("string", format!("{answer:?}"), "the target's answer")]
        }
    }
}
