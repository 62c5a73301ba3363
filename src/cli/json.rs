//! What the JSON documents have in common; schema/rdmsetup.schema.json describes them all.

use crate::dm::Errno;
use serde_json::{Map, Value};

/// The version of the documents' form: it changes when a field goes away or means another thing, not when one is added.
pub(super) const SCHEMA: u32 = 1;

/// A command's document, with its line end.
pub(super) fn document(command: &str, fields: &[(&str, Value)]) -> String {
    let mut document = Map::new();
    document.insert("rdmsetup".into(), SCHEMA.into());
    document.insert("command".into(), command.into());
    document.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    format!("{:#}\n", Value::Object(document))
}

/// A document on one line, where one follows the other.
pub(super) fn line(command: &str, fields: &[(&str, Value)]) -> String {
    let mut document = Map::new();
    document.insert("rdmsetup".into(), SCHEMA.into());
    document.insert("command".into(), command.into());
    document.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    format!("{}\n", Value::Object(document))
}

/// An error number: its name, or `errno N` for one that has none here.
pub(super) fn errno(errno: Errno) -> Value {
    format!("{errno:?}").into()
}
