//! The one interface of storage.

use super::{Access, Extent, FlushFailure, Loan};
use crate::dm::{Bytes, Errno, SECTOR_SIZE};
#[cfg(target_os = "linux")]
use crate::sys::mapped::Part;
use std::fmt::Debug;
use std::ops::Range;

/// Not a failure: the same is to be asked for again. Linux's ERESTARTSYS, which never leaves the driver there either. What
/// [`BlockDevice::extents`] returns where the device has another way to bytes of which the visitor was shown some already.
pub const AGAIN: Errno = Errno(512);

/// What is done with each extent of a range. A failure must be the device's: it may become an event, and the device may have
/// the bytes elsewhere: see [`BlockDevice::extents`].
pub type Visit<'a> = dyn FnMut(Extent<'_>) -> Result<(), Errno> + 'a;

/// What is done with memory in place; whether it was done, all of it.
#[cfg(target_os = "linux")]
pub type InPlace<'a> = dyn FnMut(&[Part<'_>]) -> bool + 'a;

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

    /// Writes the data at position `at`, to be on stable storage when this returns; what was written before may not be.
    fn write_through(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        self.write_at(data, at)?;
        self.flush()
    }

    /// Says that the content of the range is no longer wanted; what is read there afterwards is not defined.
    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno>;

    /// Makes the range read as zeros; `may_unmap` permits a hole.
    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno>;

    /// Hands over the extents of a range in order, for I/O that moves their bytes without copying them. The device
    /// counts the I/O as in flight until this returns, so the visitor waits for nobody: not for a client, nor for
    /// another call to this device.
    ///
    /// # Errors
    /// EROFS for writing what is read-only; the errno of a part that fails, or what the visitor returned. The extents
    /// before it have been visited. [`AGAIN`] if what the visitor was shown has failed, by the visitor or behind it, and
    /// `read_at` and `write_at` have another way to the bytes.
    fn extents(&self, access: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno>;

    /// Shows where ranges are in files that are memory, and mapped: the first of them, up to one that is not, or not in one
    /// piece. `then` is called at most once, with a part for each, and while it runs the I/O counts as in flight, so it
    /// waits for nobody. How many ranges it did; 0, the default, also where it says that it did not: then that is to be
    /// done in another way, which finds out about failures.
    #[cfg(target_os = "linux")]
    fn in_place(&self, _access: Access, _ranges: &[Range<Bytes>], _then: &mut InPlace<'_>) -> usize {
        0
    }

    /// Lends the file that is the device, byte for byte, for somebody to read it without asking the device: `None`, the
    /// default, if there is none, or the device is held now. Until the loan ends it keeps its table and is not held.
    fn lend(&self) -> Option<Loan> {
        None
    }

    /// Says which ranges are about to be written, so that what has to be done before can be done for all of them at
    /// once. A hint: it may do nothing, it says nothing of failures, and each write does what was left undone. By default
    /// nothing.
    fn expect_writes(&self, _ranges: &[Range<Bytes>]) {}

    /// Whether I/O that comes now waits: the device is suspended, or one below it is. A hint, as that changes at any time.
    fn is_held(&self) -> bool {
        false
    }

    /// Brings what was written before to stable storage.
    fn flush(&self) -> Result<(), Errno>;

    /// The last flush that failed, whoever had asked for it.
    fn flush_failure(&self) -> Option<FlushFailure>;

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
