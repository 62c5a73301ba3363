//! Devices as `create --concise` reads them: `NAME,UUID,MINOR,FLAGS,LINE[,LINE…]`, a semicolon between two.

use super::{Keys, line};
use crate::dm::{Flags, Reply, StatusLine, Text};

/// How strictly the form is that of dmsetup, which does not read all that it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConciseForm {
    /// dmsetup's to the byte: a device without a table has four fields.
    Classic,
    /// Every device has five fields, and a blank that a field begins with is kept.
    Readable,
}

/// A device with those lines of its table.
pub fn concise(
    reply: &Reply,
    name: &Text,
    uuid: &Text,
    lines: &[&StatusLine],
    keys: Keys,
    form: ConciseForm,
) -> Vec<u8> {
    let mut text = Vec::new();
    push_quoted(&mut text, name, form);
    text.push(b',');
    push_quoted(&mut text, uuid, form);
    let minor = reply.device.dev.map_or(0, |dev| dev.minor);
    let flags = if reply.flags.contains(Flags::READONLY) { "ro" } else { "rw" };
    text.extend_from_slice(format!(",{minor},{flags}").as_bytes());
    if lines.is_empty() && form == ConciseForm::Readable {
        text.push(b',');
    }
    for status in lines {
        text.push(b',');
        let written = line(status, keys);
        // No number and no target type needs a quote, and the line ends in a new line that is not wanted here.
        push_quoted(&mut text, written.strip_suffix(b"\n").unwrap_or(&written), form);
    }
    text
}

fn push_quoted(text: &mut Vec<u8>, field: &[u8], form: ConciseForm) {
    for (at, byte) in field.iter().enumerate() {
        let is_blank = at == 0 && (byte.is_ascii_whitespace() || *byte == 0x0b);
        if b",;\\".contains(byte) || is_blank && form == ConciseForm::Readable {
            text.push(b'\\');
        }
        text.push(*byte);
    }
}
