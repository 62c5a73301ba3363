//! A dictionary on one line, for a trace: `{command="info", flags=EXISTS, minor=0x1, version=[4, 0, 0]}`.

use super::keys::SHIPPED;
use super::value::{Dict, Integer, Value};
use crate::dm::Flags;
use std::fmt::Write;

/// The dictionary on a line; with `hidden` its texts within the data are not shown.
pub fn brief(dict: &Dict, hidden: bool) -> String {
    let mut out = String::new();
    write_dict(&mut out, dict, hidden, true);
    out
}

fn write_dict(out: &mut String, dict: &Dict, hidden: bool, is_top: bool) {
    out.push('{');
    for (index, (key, value)) in dict.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        let _ = write!(out, "{}=", key.escape_ascii());
        let flags = value.as_integer().and_then(Integer::to_u32).filter(|_| *key == SHIPPED.flags.name);
        if let Some(flags) = flags.filter(|_| is_top) {
            let _ = write!(out, "{}", Flags(flags));
        } else {
            let within = is_top && *key != SHIPPED.data.name && *key != SHIPPED.message.name;
            write_value(out, value, hidden && !within);
        }
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &Value, hidden: bool) {
    match value {
        Value::Dict(dict) => write_dict(out, dict, hidden, false),
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_value(out, value, hidden);
            }
            out.push(']');
        }
        Value::String(_) | Value::Data(_) if hidden => out.push_str("<hidden>"),
        // Writing to a string cannot fail.
        Value::String(text) => drop(write!(out, "{text:?}")),
        Value::Data(data) => drop(write!(out, "<{} bytes>", data.len())),
        Value::Bool(value) => drop(write!(out, "{value}")),
        Value::Integer(Integer::Signed(value)) => drop(write!(out, "{value}")),
        Value::Integer(Integer::Unsigned(value)) => drop(write!(out, "{value:#x}")),
    }
}
