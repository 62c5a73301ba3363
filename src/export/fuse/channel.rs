//! A worker's descriptors of the session: requests come from them, and replies go to them.

use super::buffer::Buffer;
use super::protocol::out_header;
use crate::dm::Errno;
use crate::sys::fuse;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::BorrowedFd;

/// Two descriptors, one to wait for requests with and one to look for them.
#[derive(Debug)]
pub(super) struct Channel {
    waiting: File,
    /// Reading it does not wait.
    looking: File,
    /// Whether the request in work came from the latter. Its reply must go there.
    looked: bool,
}

/// What there was to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A request of so many bytes.
    Request(usize),
    /// None now.
    Nothing,
    /// None any more: the directory is unmounted.
    End,
}

impl Channel {
    /// A channel of the session of `session`.
    pub(super) fn new(session: BorrowedFd<'_>) -> io::Result<Self> {
        let (waiting, looking) = (fuse::clone(session)?, fuse::clone(session)?);
        fcntl(&looking, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { waiting, looking, looked: false })
    }

    /// Where the reply to the request in work goes.
    pub(super) fn file(&self) -> &File {
        if self.looked { &self.looking } else { &self.waiting }
    }

    /// Takes the next request if there is one.
    pub(super) fn look(&mut self, buffer: &mut Buffer) -> Received {
        self.looked = true;
        receive(&self.looking, buffer)
    }

    /// Waits for the next request.
    pub(super) fn wait(&mut self, buffer: &mut Buffer) -> Received {
        self.looked = false;
        receive(&self.waiting, buffer)
    }

    /// Replies with those bytes. A failure is the client's end or the session's: there is nobody to tell.
    pub(super) fn answer(&self, unique: u64, body: &[u8]) {
        answer(self.file(), unique, body);
    }

    /// Replies with the `length` bytes of data that are in the buffer.
    pub(super) fn answer_data(&self, unique: u64, buffer: &mut Buffer, length: usize) {
        let _ = self.file().write(buffer.reply(unique, length));
    }

    /// Refuses.
    pub(super) fn refuse(&self, unique: u64, errno: Errno) {
        refuse(self.file(), unique, errno);
    }
}

/// Takes a request from a descriptor of the session.
pub(super) fn receive(mut session: &File, buffer: &mut Buffer) -> Received {
    loop {
        match session.read(buffer.request()) {
            Ok(length) => return Received::Request(length),
            Err(error) => match Errno::from_io(&error) {
                // A request that was taken back as it was read; a signal.
                Errno::ENOENT | Errno::EINTR => {}
                Errno::EAGAIN => return Received::Nothing,
                _ => return Received::End,
            },
        }
    }
}

/// Replies through a descriptor of the session.
pub(super) fn answer(mut session: &File, unique: u64, body: &[u8]) {
    let header = out_header(unique, body.len(), 0);
    let _ = session.write_vectored(&[IoSlice::new(&header), IoSlice::new(body)]);
}

/// Refuses through a descriptor of the session.
pub(super) fn refuse(mut session: &File, unique: u64, errno: Errno) {
    let _ = session.write(&out_header(unique, 0, -errno.0));
}
