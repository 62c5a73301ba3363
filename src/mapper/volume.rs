//! A device held open.

use super::live::Live;
#[cfg(target_os = "linux")]
use crate::block::InPlace;
use crate::block::{Access, Allocation, BlockDevice, FlushFailure, Loan, Told, Visit};
use crate::dm::{Bytes, Errno};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A device that is in use until this is dropped: one client's, who is told of each failed flush once.
pub struct Volume {
    live: Arc<Live>,
    told: Told,
    /// What is to be done when the device is no longer in use.
    on_close: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Volume {
    pub(super) fn new(live: Arc<Live>) -> Self {
        live.add_user(1);
        Self { live, told: Told::from_now(), on_close: None }
    }

    /// Has something done when it is closed, after it has ceased to be in use.
    #[must_use]
    pub fn on_close(mut self, then: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_close = Some(Box::new(then));
        self
    }

    /// The result, or the failed flush that the client was not told of yet.
    fn and_news(&self, result: Result<(), Errno>) -> Result<(), Errno> {
        let before = self.told.news(self.live.flush_failure());
        result.and(before.map_or(Ok(()), Err))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.live.add_user(-1);
        if let Some(then) = &self.on_close {
            then();
        }
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Volume").field(&self.live).finish()
    }
}

impl BlockDevice for Volume {
    fn size(&self) -> Bytes {
        self.live.size()
    }

    fn block_size(&self) -> Bytes {
        self.live.block_size()
    }

    fn is_read_only(&self) -> bool {
        self.live.is_read_only()
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        self.live.read_at(buffer, at)
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        self.live.write_at(data, at)
    }

    /// Fails also for a flush before it that another client was told of.
    fn write_through(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        let written = self.live.write_through(data, at);
        self.and_news(written)
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.live.discard(at, length)
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno> {
        self.live.write_zeroes(at, length, may_unmap)
    }

    fn extents(&self, access: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno> {
        self.live.extents(access, at, length, visit)
    }

    #[cfg(target_os = "linux")]
    fn in_place(&self, access: Access, ranges: &[Range<Bytes>], then: &mut InPlace<'_>) -> usize {
        self.live.in_place(access, ranges, then)
    }

    fn lend(&self) -> Option<Loan> {
        self.live.lend()
    }

    fn expect_writes(&self, ranges: &[Range<Bytes>]) {
        self.live.expect_writes(ranges);
    }

    fn is_held(&self) -> bool {
        self.live.is_held()
    }

    /// Flushes, and fails for this flush or for one before it that another client was told of.
    fn flush(&self) -> Result<(), Errno> {
        let flushed = self.live.flush();
        self.and_news(flushed)
    }

    fn flush_failure(&self) -> Option<FlushFailure> {
        self.live.flush_failure()
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        self.live.allocation(at, length)
    }
}
