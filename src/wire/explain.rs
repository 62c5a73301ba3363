//! A captured buffer or dictionary in words, field by field.

use super::linux;
use super::proplib;
use crate::dm::{CommandKind, Fault};
use std::ops::Range;

/// Which way the bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// To the driver.
    Request,
    /// From it.
    Reply,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Which: `flags`, `cmd_data[0].start`.
    pub path: String,
    /// The bytes that it takes up, where it has a place of its own.
    pub at: Option<Range<usize>>,
    /// What it holds.
    pub value: String,
    /// What that says.
    pub means: String,
}

/// What some bytes are, and their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What they are.
    pub what: String,
    /// The fields, in their order.
    pub fields: Vec<Field>,
}

/// Explains bytes: a text is a property list, all else a buffer of Linux's.
///
/// A buffer of Linux's does not say which ioctl it was for: without `kind` its data is left unexplained.
///
/// # Errors
/// What is wrong with the bytes, and where.
pub fn explain(bytes: &[u8], kind: Option<CommandKind>, side: Side) -> Result<Explanation, Fault> {
    let is_text = bytes.trim_ascii_start().starts_with(b"<");
    if !is_text {
        return linux::explain(bytes, kind, side)
            .map_err(|error| Fault::new(error.errno(), error.to_string()));
    }
    let dict =
        proplib::parse(bytes, proplib::MAX_REPLY).map_err(|error| Fault::invalid(error.to_string()))?;
    let (vocabulary, fields) = proplib::explain(&dict);
    let length = bytes.len();
    let system = match vocabulary.shape {
        proplib::Shape::Shipped => "as NetBSD and DragonFly have it",
        proplib::Shape::Proposed => "as the design of NetBSD's protocol has it",
    };
    Ok(Explanation {
        what: format!("property list, {length} bytes, {system} (--dialect {})", vocabulary.name),
        fields,
    })
}
