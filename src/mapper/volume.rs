//! A device held open.

use super::live::Live;
use crate::block::{Allocation, BlockDevice};
use crate::dm::{Bytes, Errno};
use std::sync::Arc;

/// A device that is in use until this is dropped.
#[derive(Debug)]
pub(super) struct OpenVolume(Arc<Live>);

impl OpenVolume {
    pub(super) fn new(live: Arc<Live>) -> Self {
        live.add_user(1);
        Self(live)
    }
}

impl Drop for OpenVolume {
    fn drop(&mut self) {
        self.0.add_user(-1);
    }
}

impl BlockDevice for OpenVolume {
    fn size(&self) -> Bytes {
        self.0.size()
    }

    fn block_size(&self) -> Bytes {
        self.0.block_size()
    }

    fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        self.0.read_at(buffer, at)
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        self.0.write_at(data, at)
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.0.discard(at, length)
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno> {
        self.0.write_zeroes(at, length, may_unmap)
    }

    fn flush(&self) -> Result<(), Errno> {
        self.0.flush()
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        self.0.allocation(at, length)
    }
}
