//! What a dictionary says, key by key, in words from the tables of keys.

use super::brief::brief;
use super::keys::{Key, PROPOSED, SHIPPED, Shape, Vocabulary, word_of};
use super::value::{Dict, Integer, Value};
use crate::dm::{Flags, Text};
use crate::wire::Field;

/// The vocabulary that a dictionary is in, by its keys; and its fields, in order.
pub fn explain(dict: &Dict) -> (&'static Vocabulary, Vec<Field>) {
    let is_shipped = dict.get(SHIPPED.command.name).is_some()
        || matches!(dict.get(SHIPPED.version.name), Some(Value::Array(_)))
        || matches!(dict.get(SHIPPED.data.name), Some(Value::Array(_)));
    let vocabulary = if is_shipped { &SHIPPED } else { &PROPOSED };
    let mut fields = Vec::new();
    let header = vocabulary.header();
    for (key, value) in dict.iter() {
        let known = header.iter().find(|known| *key == known.name);
        if *key == vocabulary.data.name && known.is_some() {
            explain_data(vocabulary, value, &mut fields);
        } else {
            fields.push(field(key.to_string(), value, known));
        }
    }
    (vocabulary, fields)
}

fn field(path: String, value: &Value, known: Option<&Key>) -> Field {
    let means = match known {
        Some(key) if !is_of(value, key) => format!("not a {}, so drivers take it for absent", key.holds),
        Some(key) if key.name == SHIPPED.command.name => {
            let word = value.as_text().and_then(|text| word_of(text));
            word.map_or_else(
                || "no command that any driver has".into(),
                |word| format!("{}, {}", word.kind.c_name(), systems(word.netbsd, word.dragonfly)),
            )
        }
        Some(key) => key.means.into(),
        None => "no key of the protocol: drivers send it back as it came".into(),
    };
    let is_flags = known.is_some_and(|key| key.name == SHIPPED.flags.name);
    let flags = value.as_integer().and_then(Integer::to_u32).filter(|_| is_flags);
    let shown = flags.map_or_else(|| shown(value), |flags| format!("{flags:#x} {}", Flags(flags)));
    Field { path, at: None, value: shown, means }
}

fn is_of(value: &Value, key: &Key) -> bool {
    match value {
        Value::Integer(_) => key.holds == "integer",
        Value::String(_) => key.holds == "string",
        Value::Array(_) => key.holds.starts_with("array"),
        Value::Dict(_) => key.holds == "dict",
        Value::Bool(_) | Value::Data(_) => false,
    }
}

fn systems(netbsd: bool, dragonfly: bool) -> &'static str {
    match (netbsd, dragonfly) {
        (true, true) => "which NetBSD and DragonFly have",
        (true, false) => "which NetBSD has",
        (false, true) => "which DragonFly has",
        (false, false) => "which libdm sends and neither driver has",
    }
}

fn explain_data(vocabulary: &Vocabulary, data: &Value, fields: &mut Vec<Field>) {
    let name = vocabulary.data.name;
    let elements: Vec<(String, &Value)> = match (vocabulary.shape, data) {
        (Shape::Shipped, Value::Array(values)) => {
            values.iter().enumerate().map(|(number, value)| (format!("{name}[{number}]"), value)).collect()
        }
        (Shape::Proposed, Value::Dict(dict)) => {
            dict.iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect()
        }
        _ => return fields.push(field(name.into(), data, Some(&vocabulary.data))),
    };
    if elements.is_empty() {
        return fields.push(Field {
            path: name.into(),
            at: None,
            value: shown(data),
            means: format!("{}: none here", vocabulary.data.means),
        });
    }
    let known = vocabulary.elements();
    let find = |key: &Text| known.iter().find(|known| *key == known.name);
    for (path, value) in elements {
        match value {
            Value::Dict(dict) => {
                for (key, value) in dict.iter() {
                    fields.push(field(format!("{path}.{key}"), value, find(key)));
                }
            }
            Value::Integer(number) => {
                let dev = number.to_u64().map(super::element::dev_from_wire).unwrap_or_default();
                let means = format!("a device under the table: {dev}");
                fields.push(Field { path, at: None, value: shown(value), means });
            }
            Value::Bool(_) | Value::String(_) | Value::Data(_) | Value::Array(_) => {
                let key = path.rsplit('.').next().map(Text::from);
                let known = key.as_ref().and_then(find);
                let plain = "a text: the new name of rename, a geometry, or an answer to a message";
                let mut field = field(path, value, known);
                if known.is_none() {
                    field.means = plain.into();
                }
                fields.push(field);
            }
        }
    }
}

/// A value as a person reads it.
fn shown(value: &Value) -> String {
    let mut holder = Dict::default();
    holder.set("", value.clone());
    let line = brief(&holder, false);
    line[2..line.len() - 1].to_owned()
}
