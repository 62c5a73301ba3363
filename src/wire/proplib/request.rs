//! A request as a dictionary, and a dictionary as a request, in either vocabulary.
//!
//! A driver is lenient: a key that is missing or of another type says nothing. What must be there is said in the errors.

use super::keys::{PROPOSED, SHIPPED, Shape, Vocabulary, WORDS, Word, word_of};
use super::value::{Dict, Value};
use crate::dm::limits::{NAME_LEN, TYPE_NAME_LEN, UUID_LEN};
use crate::dm::{
    Carried, Command, CommandKind, DeviceId, Errno, Fault, Flags, Line, Request, Sectors, Table, Text,
};

/// The word by which a request goes where commands have words.
pub(super) fn word_for(request: &Request) -> Option<&'static Word> {
    let kind = request.command.kind();
    let wanted = if kind == CommandKind::DevSuspend {
        Some(if request.flags.contains(Flags::SUSPEND) { "suspend" } else { "resume" })
    } else if kind == CommandKind::TableStatus && request.flags.contains(Flags::STATUS_TABLE) {
        Some("table")
    } else {
        None
    };
    wanted.map_or_else(|| WORDS.iter().find(|word| word.kind == kind), |wanted| word_of(wanted.as_bytes()))
}

/// The request as a dictionary.
///
/// # Errors
/// EOPNOTSUPP for a command without a word; EINVAL for what a driver could not take in: a name, uuid or target type that
/// is too long, a NUL in a text.
pub fn encode_request(vocabulary: &Vocabulary, request: &Request) -> Result<Dict, Fault> {
    let mut dict = Dict::default();
    if vocabulary.shape == Shape::Shipped {
        let word = word_for(request).ok_or_else(|| {
            let (name, verb) = (vocabulary.name, request.verb());
            Fault::new(Errno::EOPNOTSUPP, format!("the {name} dialect has no command for {verb}"))
        })?;
        dict.set(vocabulary.command.name, Value::String(word.word.into()));
    }
    dict.set(vocabulary.version.name, vocabulary.version_value(request.version, false));
    dict.set(vocabulary.flags.name, Value::unsigned(request.flags.0));
    dict.set(vocabulary.event_nr.name, Value::unsigned(request.event_nr));
    put_device(vocabulary, &mut dict, request)?;
    let data = encode_data(vocabulary, &request.command, &mut dict)?;
    match (vocabulary.shape, data) {
        (_, Some(data)) => dict.set(vocabulary.data.name, data),
        (Shape::Shipped, None) => dict.set(vocabulary.data.name, Value::Array(Vec::new())),
        (Shape::Proposed, None) => {}
    }
    Ok(dict)
}

fn put_device(vocabulary: &Vocabulary, dict: &mut Dict, request: &Request) -> Result<(), Fault> {
    let DeviceId { name, uuid, dev } = &request.device;
    checked("device name", name, NAME_LEN)?;
    checked("device uuid", uuid, UUID_LEN)?;
    if !name.is_empty() {
        dict.set(vocabulary.name_key.name, name.into());
    }
    if !uuid.is_empty() {
        dict.set(vocabulary.uuid.name, uuid.into());
    }
    match dev {
        Some(dev) if !dev.is_valid() => {
            return Err(Fault::invalid(format!(
                "device number: {dev} has more than 12 bits of major or 20 of minor"
            )));
        }
        Some(dev) => vocabulary.put_number(dict, vocabulary.number, *dev),
        // Whoever asks for a minor of 0 says so.
        None if request.flags.contains(Flags::PERSISTENT_DEV) => {
            dict.set(vocabulary.number.name, Value::unsigned(0_u32));
        }
        None => {}
    }
    Ok(())
}

fn encode_data(vocabulary: &Vocabulary, command: &Command, top: &mut Dict) -> Result<Option<Value>, Fault> {
    let one = |key: &'static str, text: &Text| match vocabulary.shape {
        Shape::Shipped => Value::Array(vec![text.into()]),
        Shape::Proposed => {
            let mut data = Dict::default();
            data.set(key, text.into());
            Value::Dict(data)
        }
    };
    Ok(match command.carried() {
        Carried::Table(table) => {
            let count = u64::try_from(table.lines.len()).unwrap_or(u64::MAX);
            if vocabulary.shape == Shape::Proposed {
                top.set(vocabulary.target_count.name, Value::unsigned(count));
            }
            let lines: Result<Vec<Dict>, Fault> =
                table.lines.iter().map(|line| encode_line(vocabulary, line)).collect();
            Some(vocabulary.list(lines?))
        }
        Carried::NewName(text) => {
            Some(one(vocabulary.listed_name.name, checked("new name", text, usize::MAX)?))
        }
        Carried::TargetType(target) => {
            Some(one(vocabulary.listed_name.name, checked("target type", target, NAME_LEN)?))
        }
        Carried::Geometry(text) => {
            Some(one(vocabulary.geometry.name, checked("geometry", text, usize::MAX)?))
        }
        Carried::Message(sector, message) => {
            let mut data = Dict::default();
            data.set(vocabulary.sector.name, Value::unsigned(sector.0));
            data.set(vocabulary.message.name, checked("message", message, usize::MAX)?.into());
            match vocabulary.shape {
                Shape::Shipped => {
                    top.0.extend(data.0);
                    None
                }
                Shape::Proposed => Some(Value::Dict(data)),
            }
        }
        Carried::Nothing => None,
    })
}

fn encode_line(vocabulary: &Vocabulary, line: &Line) -> Result<Dict, Fault> {
    let Line { start, length, target, params } = line;
    let mut dict = vocabulary.line(*start, *length, checked("target type", target, TYPE_NAME_LEN)?);
    // There even when it is empty: NetBSD's kernel dies of a line without parameters.
    dict.set(vocabulary.params.name, checked("target parameters", params, usize::MAX)?.into());
    Ok(dict)
}

/// The text, if it fits in front of a NUL in `size` bytes.
fn checked<'a>(what: &str, text: &'a Text, size: usize) -> Result<&'a Text, Fault> {
    if text.contains(&0) {
        return Err(Fault::invalid(format!("{what}: holds a NUL byte")));
    }
    if text.len() >= size {
        return Err(Fault::invalid(format!("{what}: {} bytes, {} are the most", text.len(), size - 1)));
    }
    Ok(text)
}

/// The word that a dictionary says; `None` for one that says none, or none that is known.
pub fn command_word(vocabulary: &Vocabulary, dict: &Dict) -> Option<&'static Word> {
    word_of(dict.text(vocabulary.command.name)?)
}

/// Whether a dictionary can only be of the vocabulary that was proposed: without a command, and a text for its version.
pub fn is_proposed(dict: &Dict) -> bool {
    let has_text = dict.text(PROPOSED.version.name).is_some();
    dict.get(SHIPPED.command.name).is_none() && has_text
}

/// The request in a dictionary. `kind` is the command by the ioctl's number, which counts where commands have no words.
///
/// # Errors
/// EIO without a version, as NetBSD has it; EINVAL for a word that is unknown, for a table whose lines lack what they must
/// have, and for texts that are too long.
pub fn decode_request(vocabulary: &Vocabulary, kind: CommandKind, dict: &Dict) -> Result<Request, Fault> {
    let version = vocabulary.version_at(dict, vocabulary.version).ok_or_else(|| {
        let (key, holds) = (vocabulary.version.name, vocabulary.version.holds);
        Fault::new(Errno::EIO, format!("the request has no \"{key}\", which is a {holds}"))
    })?;
    let mut flags = Flags(dict.u32(vocabulary.flags.name).unwrap_or(0));
    let kind = match vocabulary.shape {
        Shape::Proposed => kind,
        Shape::Shipped => {
            let spelt = dict.text(vocabulary.command.name);
            let spelt =
                spelt.ok_or_else(|| Fault::invalid("the request has no \"command\", which is a string"))?;
            let word =
                word_of(spelt).ok_or_else(|| Fault::invalid(format!("there is no command \"{spelt}\"")))?;
            if word.kind == CommandKind::DevSuspend {
                // The word says which; libdm sets the flag for a suspend, too.
                flags = flags.set(Flags::SUSPEND, word.word == "suspend");
            }
            word.kind
        }
    };
    let text = |key: &str| dict.text(key).cloned().unwrap_or_default();
    let device = DeviceId {
        name: text(vocabulary.name_key.name),
        uuid: text(vocabulary.uuid.name),
        dev: vocabulary.number_at(dict, vocabulary.number),
    };
    checked("device name", &device.name, NAME_LEN)?;
    checked("device uuid", &device.uuid, UUID_LEN)?;
    let event_nr = dict.u32(vocabulary.event_nr.name).unwrap_or(0);
    let command = decode_command(vocabulary, kind, dict)?;
    Ok(Request { version, device, flags, event_nr, command })
}

fn decode_command(vocabulary: &Vocabulary, kind: CommandKind, dict: &Dict) -> Result<Command, Fault> {
    let data = dict.get(vocabulary.data.name);
    let one = |key: &'static str| match vocabulary.shape {
        Shape::Shipped => data.and_then(Value::as_array).and_then(|values| values.first()?.as_text()),
        Shape::Proposed => data.and_then(Value::as_dict).and_then(|data| data.text(key)),
    };
    Ok(match kind {
        CommandKind::Version => Command::Version,
        CommandKind::RemoveAll => Command::RemoveAll,
        CommandKind::ListDevices => Command::ListDevices,
        CommandKind::DevCreate => Command::DevCreate,
        CommandKind::DevRemove => Command::DevRemove,
        CommandKind::DevRename => {
            let name =
                one(vocabulary.listed_name.name).ok_or_else(|| Fault::invalid("there is no new name"))?;
            Command::DevRename(name.clone())
        }
        CommandKind::DevSuspend => Command::DevSuspend,
        CommandKind::DevStatus => Command::DevStatus,
        CommandKind::DevWait => Command::DevWait,
        CommandKind::TableLoad => {
            if data.is_none() {
                return Err(Fault::invalid(format!("the table has no \"{}\"", vocabulary.data.name)));
            }
            let lines = vocabulary.elements_of(data).into_iter().enumerate();
            let lines: Result<Vec<Line>, Fault> =
                lines.map(|(number, line)| decode_line(vocabulary, number, line)).collect();
            Command::TableLoad(Table { lines: lines? })
        }
        CommandKind::TableClear => Command::TableClear,
        CommandKind::TableDeps => Command::TableDeps,
        CommandKind::TableStatus => Command::TableStatus,
        CommandKind::ListVersions => Command::ListVersions,
        CommandKind::TargetMsg => {
            let place = match vocabulary.shape {
                Shape::Shipped => Some(dict),
                Shape::Proposed => data.and_then(Value::as_dict),
            };
            let sector = Sectors(place.and_then(|place| place.u64(vocabulary.sector.name)).unwrap_or(0));
            let message =
                place.and_then(|place| place.text(vocabulary.message.name)).cloned().unwrap_or_default();
            Command::TargetMsg { sector, message }
        }
        CommandKind::DevSetGeometry => {
            Command::DevSetGeometry(one(vocabulary.geometry.name).cloned().unwrap_or_default())
        }
        CommandKind::DevArmPoll => Command::DevArmPoll,
        CommandKind::GetTargetVersion => {
            let target =
                one(vocabulary.listed_name.name).ok_or_else(|| Fault::invalid("no target type is named"))?;
            Command::GetTargetVersion(checked("target type", target, NAME_LEN)?.clone())
        }
        CommandKind::MpathProbePaths => Command::MpathProbePaths,
    })
}

fn decode_line(vocabulary: &Vocabulary, number: usize, line: &Value) -> Result<Line, Fault> {
    let flaw = |what: String| Fault::invalid(what).at_line(number);
    let dict = line.as_dict().ok_or_else(|| flaw(format!("line {number} of the table is no dictionary")))?;
    let missing = |key: &str| flaw(format!("line {number} of the table has no \"{key}\""));
    let sectors = |key: &'static str| dict.u64(key).map(Sectors).ok_or_else(|| missing(key));
    let target = dict.text(vocabulary.target.name).ok_or_else(|| missing(vocabulary.target.name))?;
    Ok(Line {
        start: sectors(vocabulary.start.name)?,
        length: sectors(vocabulary.length.name)?,
        target: checked("target type", target, TYPE_NAME_LEN).map_err(|fault| fault.at_line(number))?.clone(),
        params: vocabulary.params_of(dict).cloned().unwrap_or_default(),
    })
}
