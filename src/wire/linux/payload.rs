//! The bytes behind the header, as far as the header says that they go.
//!
//! Knows no record's fields; every read of a record or a text is checked here.

use super::error::{Flaw, WireError};
use super::field::to_size;
use super::header::{HEADER_USED, Header};
use crate::dm::Text;

/// The data of a request or reply. Positions are in bytes from the start of the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload<'a> {
    /// The buffer, header and all, up to `data_size`.
    bytes: &'a [u8],
    /// Where the data begins; past the end when there is none.
    pub(super) start: usize,
}

impl<'a> Payload<'a> {
    /// The data that the header tells of.
    ///
    /// # Errors
    /// The header says that there is more than the buffer holds.
    pub(super) fn new(header: &Header, buffer: &'a [u8]) -> Result<Self, WireError> {
        let size = to_size(header.data_size);
        let beyond = Flaw::BeyondBuffer { needed: size, has: buffer.len() };
        let bytes = buffer.get(..size).ok_or_else(|| WireError::new("data", 0, beyond))?;
        Ok(Self { bytes, start: to_size(header.data_start) })
    }

    /// Whether there is no data at all.
    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.bytes.len()
    }

    /// How many records of at least that many bytes there can be.
    pub(super) fn at_most(&self, record: usize) -> usize {
        self.bytes.len().saturating_sub(self.start) / record
    }

    /// The first `N` bytes at `at`: a record, or its fixed part.
    pub(super) fn record<const N: usize>(
        &self,
        what: &'static str,
        at: usize,
    ) -> Result<&'a [u8; N], WireError> {
        let rest = self.rest(at);
        let needed = u64::try_from(N).unwrap_or(u64::MAX);
        rest.first_chunk().ok_or(WireError::new(what, at, Flaw::Short { needed, has: rest.len() }))
    }

    /// The text at `at`, up to its NUL.
    pub(super) fn text(&self, what: &'static str, at: usize) -> Result<Text, WireError> {
        let rest = self.rest(at);
        let end = rest.iter().position(|&byte| byte == 0);
        end.map(|end| rest[..end].into()).ok_or(WireError::new(what, at, Flaw::Unterminated))
    }

    /// All that is there from `at` on.
    pub(super) fn rest(&self, at: usize) -> &'a [u8] {
        self.bytes.get(at..).unwrap_or(&[])
    }

    /// Refuses data that begins inside the header, as a driver does.
    pub(super) fn behind_header(self, what: &'static str) -> Result<Self, WireError> {
        if self.start < HEADER_USED {
            Err(WireError::new(what, self.start, Flaw::InsideHeader))
        } else {
            Ok(self)
        }
    }
}

/// Where a record's successor begins: `base + next`, which must not lie before the record's own end.
pub(super) fn next_record(
    what: &'static str,
    at: usize,
    end: usize,
    base: usize,
    next: u32,
) -> Result<usize, WireError> {
    let successor = base.saturating_add(to_size(next));
    if successor < end { Err(WireError::new(what, at, Flaw::NextInside { next })) } else { Ok(successor) }
}
