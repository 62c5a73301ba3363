//! A reply as a dictionary, and a dictionary as a reply, in either vocabulary.
//!
//! A driver's reply is the request's own dictionary with keys set or replaced, so what it does not know comes back.

use super::element::{dev_from_wire, dev_to_wire};
use super::keys::{Shape, Vocabulary};
use super::value::{Dict, Value};
use crate::dm::{
    CommandKind, DeviceId, DeviceNumber, Errno, Fault, Flags, ListedDevice, Reply, ReplyBody, Sectors,
    StatusLine, TargetVersion, Text,
};

/// The reply as a driver sends it: `asked`, the request's dictionary, changed.
///
/// Counts are there where NetBSD's driver has them, and elsewhere when they are not 0.
pub fn encode_reply(vocabulary: &Vocabulary, kind: CommandKind, reply: &Reply, asked: Dict) -> Dict {
    let mut dict = asked;
    dict.set(vocabulary.version.name, vocabulary.version_value(reply.version, false));
    let has_answer = matches!(reply.body, ReplyBody::Message(Some(_)));
    let flags = reply.flags.without(Flags::SECURE_DATA);
    let flags = if kind == CommandKind::TargetMsg { flags.set(Flags::DATA_OUT, has_answer) } else { flags };
    dict.set(vocabulary.flags.name, Value::unsigned(flags.0));
    dict.set(vocabulary.event_nr.name, Value::unsigned(reply.event_nr));
    put_device(vocabulary, kind, reply, &mut dict);
    put_counts(vocabulary, kind, reply, &mut dict);
    match encode_body(vocabulary, &reply.body) {
        Some(data) => dict.set(vocabulary.data.name, data),
        // A table that was sent need not come back; NetBSD sends it, and the proposal says nothing of it.
        None if vocabulary.shape == Shape::Proposed => drop(dict.remove(vocabulary.data.name)),
        None => {}
    }
    dict
}

fn put_device(vocabulary: &Vocabulary, kind: CommandKind, reply: &Reply, dict: &mut Dict) {
    let tells_uuid = matches!(kind, CommandKind::DevStatus | CommandKind::TableDeps | CommandKind::DevRename);
    let device = &reply.device;
    dict.remove(vocabulary.name_key.name);
    if !device.name.is_empty() {
        dict.set(vocabulary.name_key.name, (&device.name).into());
    }
    dict.remove(vocabulary.uuid.name);
    if !device.uuid.is_empty() || tells_uuid {
        dict.set(vocabulary.uuid.name, (&device.uuid).into());
    }
    if let Some(dev) = device.dev {
        vocabulary.put_number(dict, vocabulary.number, dev);
    }
}

fn put_counts(vocabulary: &Vocabulary, kind: CommandKind, reply: &Reply, dict: &mut Dict) {
    let is_proposed = vocabulary.shape == Shape::Proposed;
    let opens = matches!(kind, CommandKind::DevStatus | CommandKind::DevSuspend | CommandKind::DevRename);
    dict.remove(vocabulary.open_count.name);
    if is_proposed || opens || reply.open_count != 0 {
        let count = reply.open_count;
        let count = u32::try_from(count).map_or(Value::signed(count.into()), Value::unsigned);
        dict.set(vocabulary.open_count.name, count);
    }
    dict.remove(vocabulary.target_count.name);
    if is_proposed || kind == CommandKind::DevStatus || reply.target_count != 0 {
        dict.set(vocabulary.target_count.name, Value::unsigned(reply.target_count));
    }
}

fn encode_body(vocabulary: &Vocabulary, body: &ReplyBody) -> Option<Value> {
    Some(match body {
        ReplyBody::None | ReplyBody::Message(None) => return None,
        ReplyBody::Devices(devices) => {
            vocabulary.list(devices.iter().map(|device| encode_listed(vocabulary, device)).collect())
        }
        ReplyBody::Deps(deps) => match vocabulary.shape {
            // In decimal, as NetBSD's driver has it.
            Shape::Shipped => Value::Array(
                deps.iter().map(|&dev| Value::signed(i64::try_from(dev_to_wire(dev)).unwrap_or(0))).collect(),
            ),
            Shape::Proposed => {
                let element = |dev: &DeviceNumber| {
                    let mut dict = Dict::default();
                    vocabulary.put_number(&mut dict, vocabulary.listed_number, *dev);
                    dict
                };
                vocabulary.list(deps.iter().map(element).collect())
            }
        },
        ReplyBody::Lines(lines) => {
            let element = |line: &StatusLine| {
                let mut dict = vocabulary.line(line.start, line.length, &line.target);
                dict.set(vocabulary.params.name, (&line.params).into());
                dict.set(vocabulary.status.name, Value::signed(line.status.into()));
                dict
            };
            vocabulary.list(lines.iter().map(element).collect())
        }
        ReplyBody::Versions(versions) => {
            let element = |target: &TargetVersion| {
                let mut dict = Dict::default();
                dict.set(vocabulary.listed_name.name, (&target.name).into());
                dict.set(vocabulary.target_version.name, vocabulary.version_value(target.version, true));
                dict
            };
            vocabulary.list(versions.iter().map(element).collect())
        }
        // A text ends where it holds a NUL, as it would in C.
        ReplyBody::Message(Some(answer)) => {
            let end = answer.iter().position(|&byte| byte == 0).unwrap_or(answer.len());
            let answer = Value::String(answer[..end].into());
            match vocabulary.shape {
                Shape::Shipped => Value::Array(vec![answer]),
                Shape::Proposed => {
                    let mut data = Dict::default();
                    data.set(vocabulary.message.name, answer);
                    Value::Dict(data)
                }
            }
        }
    })
}

fn encode_listed(vocabulary: &Vocabulary, device: &ListedDevice) -> Dict {
    let mut dict = Dict::default();
    dict.set(vocabulary.listed_name.name, (&device.name).into());
    vocabulary.put_number(&mut dict, vocabulary.listed_number, device.dev);
    if let Some(event_nr) = device.event_nr {
        dict.set(vocabulary.listed_event_nr.name, Value::unsigned(event_nr));
    }
    if let Some(uuid) = &device.uuid {
        dict.set(vocabulary.listed_uuid.name, uuid.into());
    }
    dict
}

/// The reply in a dictionary. Keys that a driver leaves out are 0 or empty, so this takes NetBSD's short replies as well.
///
/// # Errors
/// EIO for data that is none for that command.
pub fn decode_reply(vocabulary: &Vocabulary, kind: CommandKind, dict: &Dict) -> Result<Reply, Fault> {
    let missing = |key: &str| Fault::new(Errno::EIO, format!("the reply has no \"{key}\""));
    let version = vocabulary.version_at(dict, vocabulary.version);
    let version = version.ok_or_else(|| missing(vocabulary.version.name))?;
    let text = |key: &str| dict.text(key).cloned().unwrap_or_default();
    let flags = Flags(dict.u32(vocabulary.flags.name).unwrap_or(0));
    let body = decode_body(vocabulary, kind, dict, flags)?;
    let lines =
        if let ReplyBody::Lines(lines) = &body { u32::try_from(lines.len()).unwrap_or(u32::MAX) } else { 0 };
    Ok(Reply {
        version,
        device: DeviceId {
            name: text(vocabulary.name_key.name),
            uuid: text(vocabulary.uuid.name),
            dev: vocabulary.number_at(dict, vocabulary.number),
        },
        flags,
        open_count: dict.integer(vocabulary.open_count.name).and_then(|count| count.to_i32()).unwrap_or(0),
        event_nr: dict.u32(vocabulary.event_nr.name).unwrap_or(0),
        target_count: dict.u32(vocabulary.target_count.name).unwrap_or(lines),
        body,
    })
}

fn decode_body(
    vocabulary: &Vocabulary,
    kind: CommandKind,
    dict: &Dict,
    flags: Flags,
) -> Result<ReplyBody, Fault> {
    let data = dict.get(vocabulary.data.name);
    let elements = || vocabulary.elements_of(data).into_iter();
    let key = vocabulary.data.name;
    let senseless =
        || Fault::new(Errno::EIO, format!("\"{key}\" of the reply holds what {} does not", kind.verb()));
    let element = |value: &Value| value.as_dict().cloned().ok_or_else(senseless);
    Ok(match kind {
        CommandKind::ListDevices => ReplyBody::Devices(
            elements()
                .map(|value| decode_listed(vocabulary, &element(value)?).ok_or_else(senseless))
                .collect::<Result<_, _>>()?,
        ),
        CommandKind::TableDeps => {
            let number = |value: &Value| match vocabulary.shape {
                Shape::Shipped => value.as_integer()?.to_u64().map(dev_from_wire),
                Shape::Proposed => value.as_dict()?.u64(vocabulary.listed_number.name).map(dev_from_wire),
            };
            ReplyBody::Deps(
                elements().map(|value| number(value).ok_or_else(senseless)).collect::<Result<_, _>>()?,
            )
        }
        CommandKind::TableStatus | CommandKind::DevWait => ReplyBody::Lines(
            elements()
                .map(|value| decode_line(vocabulary, &element(value)?).ok_or_else(senseless))
                .collect::<Result<_, _>>()?,
        ),
        CommandKind::ListVersions | CommandKind::GetTargetVersion => {
            let target = |dict: &Dict| {
                let name = dict.text(vocabulary.listed_name.name)?.clone();
                Some(TargetVersion { name, version: vocabulary.version_at(dict, vocabulary.target_version)? })
            };
            ReplyBody::Versions(
                elements()
                    .map(|value| target(&element(value)?).ok_or_else(senseless))
                    .collect::<Result<_, _>>()?,
            )
        }
        CommandKind::TargetMsg if flags.contains(Flags::DATA_OUT) => {
            let answer: Option<&Text> = match vocabulary.shape {
                Shape::Shipped => data.and_then(Value::as_array).and_then(|values| values.first()?.as_text()),
                Shape::Proposed => {
                    data.and_then(Value::as_dict).and_then(|data| data.text(vocabulary.message.name))
                }
            };
            ReplyBody::Message(Some(answer.ok_or_else(senseless)?.clone()))
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

fn decode_listed(vocabulary: &Vocabulary, dict: &Dict) -> Option<ListedDevice> {
    Some(ListedDevice {
        name: dict.text(vocabulary.listed_name.name)?.clone(),
        dev: vocabulary.number_at(dict, vocabulary.listed_number).unwrap_or_default(),
        event_nr: dict.u32(vocabulary.listed_event_nr.name),
        uuid: dict.text(vocabulary.listed_uuid.name).cloned(),
    })
}

fn decode_line(vocabulary: &Vocabulary, dict: &Dict) -> Option<StatusLine> {
    Some(StatusLine {
        start: Sectors(dict.u64(vocabulary.start.name)?),
        length: Sectors(dict.u64(vocabulary.length.name)?),
        target: dict.text(vocabulary.target.name)?.clone(),
        // What shipped tells which slot is live there, and never a status.
        status: match vocabulary.shape {
            Shape::Shipped => 0,
            Shape::Proposed => {
                dict.integer(vocabulary.status.name).and_then(|status| status.to_i32()).unwrap_or(0)
            }
        },
        params: vocabulary.params_of(dict).cloned().unwrap_or_default(),
    })
}
