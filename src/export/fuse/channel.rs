//! A worker's descriptor of the session: requests come from it, and replies go to it.

use super::buffer::Buffer;
use super::protocol::out_header;
use crate::dm::Errno;
use std::fs::File;
use std::io::{IoSlice, Read, Write};

/// One descriptor. A reply must go to the descriptor that its request came from.
#[derive(Debug)]
pub(super) struct Channel {
    file: File,
}

impl Channel {
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }

    pub(super) fn into_file(self) -> File {
        self.file
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Waits for the next request; its length. `None` when there will be no more: the directory is unmounted.
    pub(super) fn receive(&self, buffer: &mut Buffer) -> Option<usize> {
        loop {
            match (&self.file).read(buffer.request()) {
                Ok(length) => return Some(length),
                // A request that was taken back as it was read; a signal.
                Err(error)
                    if matches!(Errno::from_io(&error), Errno::ENOENT | Errno::EINTR | Errno::EAGAIN) => {}
                Err(_) => return None,
            }
        }
    }

    /// Replies with those bytes. A failure is the client's end or the session's: there is nobody to tell.
    pub(super) fn answer(&self, unique: u64, body: &[u8]) {
        let header = out_header(unique, body.len(), 0);
        let _ = (&self.file).write_vectored(&[IoSlice::new(&header), IoSlice::new(body)]);
    }

    /// Replies with the `length` bytes of data that are in the buffer.
    pub(super) fn answer_data(&self, unique: u64, buffer: &mut Buffer, length: usize) {
        let _ = (&self.file).write(buffer.reply(unique, length));
    }

    /// Refuses.
    pub(super) fn refuse(&self, unique: u64, errno: Errno) {
        let _ = (&self.file).write(&out_header(unique, 0, -errno.0));
    }
}
