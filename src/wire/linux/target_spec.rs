//! `struct dm_target_spec` and the parameters behind it: a line of a table, as loaded and as reported.
//!
//! ```text
//! sector_start u64 | length u64 | status i32 | next u32 | target_type 16 bytes | parameters, NUL, padding to 8
//! ```
//!
//! `next` counts from the line itself when a table is loaded, from the first line when a driver reports. The last line
//! has one too, which points behind it.

use super::error::{Flaw, WireError};
use super::field::{align, checked_text, get_i32, get_u32, get_u64, put_text, to_wire};
use super::header::HEADER_LEN;
use super::payload::{Payload, next_record};
use crate::dm::limits::TYPE_NAME_LEN;
use crate::dm::{Line, Sectors, StatusLine, Text};

const WHAT: &str = "table line";

/// `sizeof(struct dm_target_spec)`, in bytes.
const SPEC_LEN: usize = 40;

/// Where each field is, in bytes from the start of the record.
mod place {
    use std::ops::Range;
    pub(super) const SECTOR_START: Range<usize> = 0..8;
    pub(super) const LENGTH: Range<usize> = 8..16;
    pub(super) const STATUS: Range<usize> = 16..20;
    pub(super) const NEXT: Range<usize> = 20..24;
    pub(super) const TARGET_TYPE: Range<usize> = 24..40;
}

/// The fixed part of a line.
struct Spec {
    start: Sectors,
    length: Sectors,
    status: i32,
    next: u32,
    target: Text,
}

impl Spec {
    /// Reads the record at `at`.
    fn read(payload: &Payload<'_>, at: usize) -> Result<Self, WireError> {
        let bytes = payload.record::<SPEC_LEN>(WHAT, at)?;
        let target = &bytes[place::TARGET_TYPE];
        let Some(end) = target.iter().position(|&byte| byte == 0) else {
            return Err(WireError::new("target type", at + place::TARGET_TYPE.start, Flaw::Unterminated));
        };
        Ok(Self {
            start: Sectors(get_u64(bytes, place::SECTOR_START)),
            length: Sectors(get_u64(bytes, place::LENGTH)),
            status: get_i32(bytes, place::STATUS),
            next: get_u32(bytes, place::NEXT),
            target: target[..end].into(),
        })
    }

    /// The record's bytes.
    fn bytes(&self) -> [u8; SPEC_LEN] {
        let mut bytes = [0; SPEC_LEN];
        bytes[place::SECTOR_START].copy_from_slice(&self.start.0.to_ne_bytes());
        bytes[place::LENGTH].copy_from_slice(&self.length.0.to_ne_bytes());
        bytes[place::STATUS].copy_from_slice(&self.status.to_ne_bytes());
        bytes[place::NEXT].copy_from_slice(&self.next.to_ne_bytes());
        put_text(&mut bytes[place::TARGET_TYPE], &self.target);
        bytes
    }
}

/// The lines of a table to load, as bytes: each with its parameters, padded to 8.
///
/// # Errors
/// A target type over 15 bytes, or a NUL in a text.
pub(super) fn encode_load(lines: &[Line]) -> Result<Vec<u8>, WireError> {
    // In full at once: a buffer that grows leaves what it held behind, and that may be a key.
    let mut data = Vec::with_capacity(lines.iter().map(|line| align(SPEC_LEN + line.params.len() + 1)).sum());
    for line in lines {
        checked_text("target type", &line.target, TYPE_NAME_LEN)?;
        checked_text("target parameters", &line.params, usize::MAX)?;
        let size = align(SPEC_LEN + line.params.len() + 1);
        let Line { start, length, target, params } = line;
        let spec =
            Spec { start: *start, length: *length, status: 0, next: to_wire(size), target: target.clone() };
        let end = data.len() + size;
        data.extend_from_slice(&spec.bytes());
        data.extend_from_slice(params);
        data.resize(end, 0);
    }
    Ok(data)
}

/// The `count` lines of a table to load.
///
/// # Errors
/// What the kernel refuses: a line that overlaps the header or the line before it, that is not at a multiple of 8, or
/// that goes beyond the data; and a target type of 16 bytes, which is no type's name.
pub(super) fn decode_load(
    payload: &Payload<'_>,
    data_start: u32,
    count: u32,
) -> Result<Vec<Line>, WireError> {
    let mut lines = Vec::new();
    let mut at = payload.start;
    if count > 0 && at < HEADER_LEN {
        return Err(WireError::new(WHAT, at, Flaw::InsideHeader));
    }
    let aligned = |at: usize, next: u32| {
        if next.is_multiple_of(8) { Ok(()) } else { Err(WireError::new(WHAT, at, Flaw::Misaligned { next })) }
    };
    if count > 0 {
        aligned(0, data_start)?;
    }
    for index in 1..=count {
        let Spec { start, length, next, target, .. } = Spec::read(payload, at)?;
        let params = payload.text(WHAT, at + SPEC_LEN)?;
        let end = at + SPEC_LEN + params.len() + 1;
        lines.push(Line { start, length, target, params });
        if index < count {
            aligned(at, next)?;
            at = next_record(WHAT, at, end, at, next)?;
        }
    }
    Ok(lines)
}

/// The lines of a reply, as bytes; the last one's padding is not part of it.
pub(super) fn encode_status(lines: &[StatusLine]) -> Vec<u8> {
    let mut data = Vec::new();
    for line in lines {
        data.resize(align(data.len()), 0);
        let StatusLine { start, length, target, status, params } = line;
        let next = to_wire(align(data.len() + SPEC_LEN + params.len() + 1));
        let spec = Spec { start: *start, length: *length, status: *status, next, target: target.clone() };
        data.extend_from_slice(&spec.bytes());
        data.extend_from_slice(params);
        data.push(0);
    }
    data
}

/// The `count` lines of a reply.
///
/// # Errors
/// A line that overlaps the one before it or goes beyond the data.
pub(super) fn decode_status(payload: &Payload<'_>, count: u32) -> Result<Vec<StatusLine>, WireError> {
    let mut lines = Vec::new();
    let mut at = payload.start;
    for index in 1..=count {
        let Spec { start, length, status, next, target } = Spec::read(payload, at)?;
        let params = payload.text(WHAT, at + SPEC_LEN)?;
        let end = at + SPEC_LEN + params.len() + 1;
        lines.push(StatusLine { start, length, target, status, params });
        if index < count {
            at = next_record(WHAT, at, end, payload.start, next)?;
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_where_the_c_compiler_puts_them() {
        assert_eq!(place::SECTOR_START, 0..8);
        assert_eq!(place::LENGTH, 8..16);
        assert_eq!(place::STATUS, 16..20);
        assert_eq!(place::NEXT, 20..24);
        assert_eq!(place::TARGET_TYPE, 24..SPEC_LEN);
        assert_eq!(place::TARGET_TYPE.len(), TYPE_NAME_LEN);
    }

    #[test]
    fn next_counts_from_the_line_in_a_load_and_from_the_first_in_a_reply() {
        let line = |params: &str| Line {
            start: Sectors(0),
            length: Sectors(8),
            target: "linear".into(),
            params: params.into(),
        };
        let load = encode_load(&[line("/dev/sdb 384"), line("7:0 0"), line("")]).unwrap();
        assert_eq!(load.len(), 56 + 48 + 48);
        for (at, next) in [(0, 56), (56, 48), (104, 48)] {
            assert_eq!(get_u32(&load[at..], place::NEXT), next);
        }
        let line = |params: &str| StatusLine {
            start: Sectors(0),
            length: Sectors(8),
            target: "linear".into(),
            status: 0,
            params: params.into(),
        };
        let status = encode_status(&[line("8:16 384"), line("")]);
        assert_eq!(status.len(), 56 + 41);
        assert_eq!(get_u32(&status, place::NEXT), 56);
        assert_eq!(get_u32(&status[56..], place::NEXT), 104);
    }
}
