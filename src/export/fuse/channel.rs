//! A worker's descriptor of the session: requests come from it, and replies go to it.

use super::buffer::Buffer;
use super::protocol::out_header;
use crate::dm::Errno;
use crate::sys::fuse;
use crate::sys::mapped::{self, Part};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, IoSlice, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// One descriptor, reading which does not wait. A reply must go to the descriptor that its request came from.
#[derive(Debug)]
pub(super) struct Channel {
    file: File,
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
        let file = fuse::clone(session)?;
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { file })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Takes the next request if there is one.
    pub(super) fn look(&self, buffer: &mut Buffer) -> Received {
        receive(&self.file, buffer)
    }

    /// Waits until there is a request, or the end of the pipe, or so long, in whole milliseconds.
    pub(super) fn wait(&self, end: &PipeReader, most: Option<Duration>) {
        let most =
            most.map_or(PollTimeout::NONE, |most| PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX));
        let mut either =
            [self.file.as_fd(), end.as_fd()].map(|waited| PollFd::new(waited, PollFlags::POLLIN));
        // A signal, or no memory: it is asked again.
        let _ = poll(&mut either, most);
    }

    /// Replies with those bytes. A failure is the client's end or the session's: there is nobody to tell.
    pub(super) fn answer(&self, unique: u64, body: &[u8]) {
        answer(&self.file, unique, body);
    }

    /// Replies with the `length` bytes of data that are in the buffer.
    pub(super) fn answer_data(&self, unique: u64, buffer: &mut Buffer, length: usize) {
        let _ = (&self.file).write(buffer.reply(unique, length));
    }

    /// Replies with data that is in a mapped file. Should the file have been cut short meanwhile the kernel gives the client
    /// EIO by itself (`fuse_dev_do_write` in its fs/fuse/dev.c).
    pub(super) fn answer_mapped(&self, unique: u64, part: Part<'_>) {
        let _ = mapped::write(&self.file, &out_header(unique, part.length(), 0), part);
    }

    /// Refuses.
    pub(super) fn refuse(&self, unique: u64, errno: Errno) {
        refuse(&self.file, unique, errno);
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
