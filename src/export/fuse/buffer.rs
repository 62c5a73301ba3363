//! A worker's memory: a request is read into it, and its reply put together in it.

use super::protocol::{IN_HEADER, OUT_HEADER, WRITE_IN, out_header};

/// The most that one request reads or writes: what the kernel allows (`/proc/sys/fs/fuse/max_pages_limit`).
pub(super) const MAX_DATA: usize = 1 << 20;

const PAGE: usize = 4096;

/// Room for one request or one reply. The data of both begins at the same page, so that it is copied page by page.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    /// Where the data begins in it.
    data: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        // Zeroed memory of this size is not there before it is touched.
        let memory = vec![0; PAGE + PAGE + MAX_DATA];
        let data = PAGE + memory.as_ptr().align_offset(PAGE).min(PAGE);
        Self { memory, data }
    }

    /// Where a request is read to.
    pub(super) fn request(&mut self) -> &mut [u8] {
        &mut self.memory[self.data - IN_HEADER - WRITE_IN..][..IN_HEADER + WRITE_IN + MAX_DATA]
    }

    /// The request that was read, which is `length` bytes.
    pub(super) fn request_read(&self, length: usize) -> &[u8] {
        &self.memory[self.data - IN_HEADER - WRITE_IN..][..length]
    }

    /// The first `length` bytes of data, at most `MAX_DATA`.
    pub(super) fn data(&mut self, length: usize) -> &mut [u8] {
        &mut self.memory[self.data..][..length.min(MAX_DATA)]
    }

    /// The reply whose `length` bytes of data are in place.
    pub(super) fn reply(&mut self, unique: u64, length: usize) -> &[u8] {
        let reply = &mut self.memory[self.data - OUT_HEADER..][..OUT_HEADER + length.min(MAX_DATA)];
        reply[..OUT_HEADER].copy_from_slice(&out_header(unique, length, 0));
        reply
    }
}
