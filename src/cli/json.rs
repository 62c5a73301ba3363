//! What `--json` writes: one document a command, in place of text; schema/rdmsetup.schema.json describes them all.
//!
//! ```text
//! {"rdmsetup": 1, "command": "ls", "ok": true, …the command's own fields…, "error": {…}, "other_errors": [{…}]}
//! ```
//!
//! A command puts its fields into the context's [`Document`]; what it prints as text is not written then. The document is
//! written when the command ends, whatever became of it. Sizes and positions are in bytes, and their names end in `_bytes`.

pub(super) mod device;
pub(super) mod failure;
pub(super) mod fields;
pub(super) mod told;

use crate::dm::{Errno, Text};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ffi::OsString;
use zeroize::{Zeroize, Zeroizing};

/// The version of the documents' form: it changes when a field goes away or means another thing, not when one is added.
pub(super) const SCHEMA: u32 = 1;

/// What a command has to tell.
#[derive(Debug)]
pub(super) struct Document {
    command: &'static str,
    fields: Map<String, Value>,
    /// The fields that are lists, while they grow.
    lists: BTreeMap<&'static str, Vec<Value>>,
    /// The failure that ended the command.
    pub(super) error: Option<Value>,
    /// What else failed, or was said on the way.
    pub(super) told: Vec<Value>,
    /// Each document is one line, since there may be several.
    pub(super) in_lines: bool,
    /// Some were written before the command ended.
    written: bool,
}

impl Document {
    /// The empty document of a command.
    pub(super) fn new(command: &'static str) -> Self {
        let (fields, lists, told) = (Map::new(), BTreeMap::new(), Vec::new());
        Self { command, fields, lists, error: None, told, in_lines: false, written: false }
    }

    /// Sets a field.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.into(), value.into());
    }

    /// Adds to a field that is a list.
    pub(super) fn push(&mut self, name: &'static str, value: impl Into<Value>) {
        self.list(name).push(value.into());
    }

    /// A field that is a list, empty if nothing was added yet.
    pub(super) fn list(&mut self, name: &'static str) -> &mut Vec<Value> {
        self.lists.entry(name).or_default()
    }

    /// Takes out of a list what is not to stay in it.
    pub(super) fn retain(&mut self, name: &str, stays: impl FnMut(&Value) -> bool) {
        if let Some(list) = self.lists.get_mut(name) {
            list.retain(stays);
        }
    }

    /// The text of what was told since the last one, which it forgets; `None` where all was written before.
    pub(super) fn take(&mut self, ok: bool) -> Option<Zeroizing<Vec<u8>>> {
        let first = if ok { None } else { self.error.take() };
        let mut told = std::mem::take(&mut self.told);
        told.extend(self.error.take());
        let mut fields = std::mem::take(&mut self.fields);
        let lists = std::mem::take(&mut self.lists).into_iter();
        fields.extend(lists.map(|(name, list)| (name.to_owned(), list.into())));
        if self.written && ok && fields.is_empty() && told.is_empty() {
            return None;
        }
        self.written = true;
        // What was told already is why the command failed.
        let first = first.or_else(|| (!ok && !told.is_empty()).then(|| told.remove(0)));
        fields.insert("ok".into(), ok.into());
        fields.extend(first.map(|error| ("error".into(), error)));
        if !told.is_empty() {
            fields.insert("other_errors".into(), told.into());
        }
        head(&mut fields, self.command.into());
        let mut document = Value::Object(fields);
        let text = text(&document, self.in_lines);
        wipe(&mut document);
        Some(text)
    }
}

/// What every document has.
fn head(fields: &mut Map<String, Value>, command: Value) {
    fields.insert("rdmsetup".into(), SCHEMA.into());
    fields.insert("command".into(), command);
}

/// A document of its own, with its line end.
pub(super) fn document(command: impl Into<Value>, fields: &[(&str, Value)]) -> String {
    let mut document: Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    head(&mut document, command.into());
    format!("{:#}\n", Value::Object(document))
}

/// The document of a command line that cannot be carried out; those lines say why.
pub(super) fn refused(command: Option<&str>, lines: &[String]) -> String {
    document(command, &[("ok", false.into()), ("error", failure::of_lines(lines))])
}

/// Whether a command line asks for documents, for as long as nobody could read it.
pub(super) fn is_asked(argv: &[OsString]) -> bool {
    argv.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// The text in a buffer that did not grow: one that grows leaves behind what it held, and that may be a key.
fn text(document: &Value, in_lines: bool) -> Zeroizing<Vec<u8>> {
    let mut length = Counter(0);
    let write = |to: &mut dyn std::io::Write| {
        if in_lines {
            serde_json::to_writer(to, document)
        } else {
            serde_json::to_writer_pretty(to, document)
        }
    };
    // Neither counting nor memory fails.
    let _ = write(&mut length);
    let mut text = Zeroizing::new(Vec::with_capacity(length.0 + 1));
    let _ = write(&mut *text);
    text.push(b'\n');
    text
}

/// Counts what is written to it.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Overwrites every text in it.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An error number: its name, or `errno N` for one that has none here.
pub(super) fn errno(errno: Errno) -> Value {
    format!("{errno:?}").into()
}

/// A text; what is not UTF-8 is U+FFFD.
pub(super) fn text_of(text: &Text) -> Value {
    text.to_string().into()
}

/// A text, or null for an empty one.
pub(super) fn text_or_null(text: &Text) -> Value {
    if text.is_empty() { Value::Null } else { text_of(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: Option<Zeroizing<Vec<u8>>>) -> Value {
        serde_json::from_slice(&text.unwrap()).unwrap()
    }

    #[test]
    fn the_failure_that_ended_it_stands_before_what_else_was_told() {
        let mut document = Document::new("remove");
        document.push("devices", 1);
        document.told = vec![json!("one"), json!("two")];
        let told = json!({ "rdmsetup": 1, "command": "remove", "ok": false, "devices": [1], "error": "one", "other_errors": ["two"] });
        assert_eq!(read(document.take(false)), told);
        document.told = vec![json!("one")];
        document.error = Some(json!("last"));
        assert_eq!(read(document.take(false))["error"], "last");
        document.told = vec![json!("a warning")];
        let told = json!({ "rdmsetup": 1, "command": "remove", "ok": true, "other_errors": ["a warning"] });
        assert_eq!(read(document.take(true)), told);
    }

    #[test]
    fn nothing_is_written_twice_and_an_end_in_silence_is_none_of_a_stream() {
        let mut document = Document::new("info");
        document.in_lines = true;
        document.set("report", json!([]));
        assert_eq!(
            document.take(true).unwrap().as_slice(),
            b"{\"command\":\"info\",\"ok\":true,\"rdmsetup\":1,\"report\":[]}\n"
        );
        assert!(document.take(true).is_none());
        assert!(Document::new("clear").take(true).is_some());
    }
}
