//! The one interface of storage.

use crate::dm::{Bytes, Errno, SECTOR_SIZE};
use std::fmt::Debug;

/// Storage of a fixed size that is read and written at byte positions, by many threads at once.
///
/// Whoever implements it is given ranges that lie within `size()` and lengths above 0: the caller has checked.
/// Every failure has a number, and a failed write may have written a part.
pub trait BlockDevice: Debug + Send + Sync {
    /// How many bytes there are.
    fn size(&self) -> Bytes;

    /// The least that the storage itself reads or writes, a power of two; positions need not be multiples of it.
    fn block_size(&self) -> Bytes {
        Bytes(SECTOR_SIZE)
    }

    /// Whether writing, discarding and zeroing are refused (EROFS).
    fn is_read_only(&self) -> bool;

    /// Fills the buffer from position `at`.
    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno>;

    /// Writes the data at position `at`.
    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno>;

    /// Says that the content of the range is no longer wanted; what is read there afterwards is not defined.
    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno>;

    /// Makes the range read as zeros; `may_unmap` permits a hole.
    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno>;

    /// Brings what was written before to stable storage.
    fn flush(&self) -> Result<(), Errno>;

    /// Whether the range's first bytes are stored or a hole, and for how many bytes that holds (at least 1, at most
    /// `length`).
    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno>;
}

/// A run of bytes that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Stored: that many bytes may hold anything.
    Data(Bytes),
    /// Not stored: that many bytes read as zeros.
    Hole(Bytes),
}

impl Allocation {
    /// How far it goes.
    pub fn length(self) -> Bytes {
        match self {
            Self::Data(length) | Self::Hole(length) => length,
        }
    }
}
