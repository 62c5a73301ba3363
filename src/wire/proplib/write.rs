//! A property list as text, to the byte as proplib writes it.
//!
//! Source: NetBSD's common/lib/libprop (`_prop_object_externalize_*`): a tab a level, keys in the order of their bytes,
//! hex for unsigned numbers and decimal for signed ones, what is empty in one tag, and of the characters only `<`, `>` and
//! `&` escaped. The closing NUL, which proplib counts as part of the text, is not written here.

use super::value::{Dict, Integer, Value};
use std::io::Write;

/// What stands before the dictionary.
const HEADER: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <!DOCTYPE plist PUBLIC \"-//Apple Computer//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
    <plist version=\"1.0\">\n";

/// The letters of base 64.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The document that holds a dictionary.
pub fn document(dict: &Dict) -> Vec<u8> {
    let mut out = HEADER.as_bytes().to_vec();
    write_dict(&mut out, dict, 0);
    out.extend_from_slice(b"</plist>\n");
    out
}

/// The dictionary alone, without what proplib puts round it: for people.
pub fn bare(dict: &Dict) -> Vec<u8> {
    let mut out = Vec::new();
    write_dict(&mut out, dict, 0);
    out
}

fn write_dict(out: &mut Vec<u8>, dict: &Dict, depth: usize) {
    if dict.is_empty() {
        return line(out, depth, b"<dict/>");
    }
    line(out, depth, b"<dict>");
    for (key, value) in dict.iter() {
        indent(out, depth + 1);
        element(out, "key", key);
        write_value(out, value, depth + 1);
    }
    line(out, depth, b"</dict>");
}

fn write_value(out: &mut Vec<u8>, value: &Value, depth: usize) {
    match value {
        Value::Dict(dict) => write_dict(out, dict, depth),
        Value::Array(values) if values.is_empty() => line(out, depth, b"<array/>"),
        Value::Array(values) => {
            line(out, depth, b"<array>");
            values.iter().for_each(|value| write_value(out, value, depth + 1));
            line(out, depth, b"</array>");
        }
        Value::String(text) if text.is_empty() => line(out, depth, b"<string/>"),
        Value::String(text) => {
            indent(out, depth);
            element(out, "string", text);
        }
        Value::Data(data) if data.is_empty() => line(out, depth, b"<data/>"),
        Value::Data(data) => line(out, depth, &[b"<data>", base64(data).as_slice(), b"</data>"].concat()),
        Value::Bool(true) => line(out, depth, b"<true/>"),
        Value::Bool(false) => line(out, depth, b"<false/>"),
        Value::Integer(integer) => {
            indent(out, depth);
            // Writing to memory cannot fail.
            let _ = match integer {
                Integer::Unsigned(value) => writeln!(out, "<integer>{value:#x}</integer>"),
                Integer::Signed(value) => writeln!(out, "<integer>{value}</integer>"),
            };
        }
    }
}

fn indent(out: &mut Vec<u8>, depth: usize) {
    out.resize(out.len() + depth, b'\t');
}

fn line(out: &mut Vec<u8>, depth: usize, text: &[u8]) {
    indent(out, depth);
    out.extend_from_slice(text);
    out.push(b'\n');
}

fn element(out: &mut Vec<u8>, tag: &str, text: &[u8]) {
    out.extend_from_slice(format!("<{tag}>").as_bytes());
    for byte in text {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            byte => out.push(*byte),
        }
    }
    out.extend_from_slice(format!("</{tag}>\n").as_bytes());
}

fn base64(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len().div_ceil(3) * 4);
    for chunk in data.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * place) & 0x3f).unwrap_or(0);
            out.push(if place <= chunk.len() { BASE64[index] } else { b'=' });
        }
    }
    out
}

/// The six bits that a letter of base 64 stands for.
pub(super) fn base64_value(letter: u8) -> Option<u8> {
    BASE64.iter().position(|&known| known == letter).and_then(|place| u8::try_from(place).ok())
}
