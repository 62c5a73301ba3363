//! The words of targets' texts by name, for the documents of `--json`: as the targets themselves describe them.

use crate::dm::Text;
use crate::target::{self, Decoded, Form, Record};
use serde_json::{Map, Value};

/// What a table line's parameters say; null where they cannot be read so.
pub(in crate::cli) fn of_table(target: &[u8], params: &Text) -> Value {
    target::texts(target).map_or(Value::Null, |texts| read(texts.table, params))
}

/// The same of a status.
pub(in crate::cli) fn of_status(target: &[u8], status: &Text) -> Value {
    target::texts(target).map_or(Value::Null, |texts| read(texts.status, status))
}

fn read(form: Form, text: &Text) -> Value {
    let mut words = text.words();
    let value = target::decode(form, &words).map_or(Value::Null, record);
    // One of them may be a key.
    words.iter_mut().for_each(Text::wipe);
    value
}

fn record(record: Record) -> Value {
    record
        .into_iter()
        .map(|(name, value)| (name.to_owned(), self::value(value)))
        .collect::<Map<_, _>>()
        .into()
}

fn value(value: Decoded) -> Value {
    match value {
        Decoded::None => Value::Null,
        Decoded::Flag(is_set) => is_set.into(),
        Decoded::Number(number) => number.into(),
        Decoded::Text(mut text) => {
            let shown = text.to_string().into();
            text.wipe();
            shown
        }
        Decoded::List(items) => items.into_iter().map(self::value).collect(),
        Decoded::Record(fields) => record(fields),
    }
}
