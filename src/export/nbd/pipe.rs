//! A pipe through which bytes move between files and sockets without passing through our memory.

use crate::dm::Errno;
use nix::errno::Errno as Failure;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice, vmsplice};
use nix::libc::loff_t;
use nix::unistd::{pipe2, read, write};
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, OwnedFd};

/// The size asked for: what an unprivileged user may have (/proc/sys/fs/pipe-max-size).
const WANTED: i32 = 1 << 20;

/// What zeros are lent from. Nobody ever writes to it, so that the kernel may keep references to its pages.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A pipe of this process's own. After a failure it may hold bytes that nobody wants: it is to be dropped then.
#[derive(Debug)]
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    capacity: usize,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        // A user who has many pipes is given small ones.
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(WANTED));
        let capacity = usize::try_from(fcntl(&writer, FcntlArg::F_GETPIPE_SZ)?).unwrap_or(0);
        Ok(Self { reader, writer, capacity })
    }

    /// How much to move at once: half of what whole pages could be, since parts of pages take as much room.
    pub(super) fn portion(&self) -> usize {
        self.capacity / 2
    }

    /// Adds bytes, for which there must be room.
    pub(super) fn add(&self, bytes: &[u8]) -> io::Result<()> {
        if write(&self.writer, bytes)? == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Adds bytes of a file; `false` when the pipe is full before. An end of the file before is EIO.
    pub(super) fn add_file(&self, file: &File, at: u64, mut count: usize) -> Result<bool, Errno> {
        let mut at = loff_t::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
        while count > 0 {
            let flags = SpliceFFlags::SPLICE_F_NONBLOCK | SpliceFFlags::SPLICE_F_MOVE;
            match splice(file, Some(&mut at), &self.writer, None, count, flags) {
                Ok(0) => return Err(Errno::EIO),
                Ok(moved) => count -= moved,
                Err(Failure::EINTR) => {}
                Err(Failure::EAGAIN) => return Ok(false),
                Err(errno) => return Err(Errno(errno as i32)),
            }
        }
        Ok(true)
    }

    /// Adds zeros; `false` when the pipe is full before.
    pub(super) fn add_zeros(&self, mut count: usize) -> Result<bool, Errno> {
        while count > 0 {
            let zeros = [IoSlice::new(&ZEROS[..count.min(ZEROS.len())])];
            match vmsplice(&self.writer, &zeros, SpliceFFlags::SPLICE_F_NONBLOCK) {
                Ok(0) => return Err(Errno::EIO),
                Ok(moved) => count -= moved,
                Err(Failure::EINTR) => {}
                Err(Failure::EAGAIN) => return Ok(false),
                Err(errno) => return Err(Errno(errno as i32)),
            }
        }
        Ok(true)
    }

    /// Moves bytes that are in the pipe to a socket; waits for the other side.
    pub(super) fn send(&self, socket: impl AsFd, mut count: usize) -> io::Result<()> {
        while count > 0 {
            match splice(&self.reader, None, socket.as_fd(), None, count, SpliceFFlags::SPLICE_F_MOVE) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(moved) => count -= moved,
                Err(Failure::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Waits for bytes of a socket and moves what has come, at most `count`, to the empty pipe; 0 at the end.
    pub(super) fn receive(&self, socket: impl AsFd, count: usize) -> io::Result<usize> {
        let count = count.min(self.capacity);
        loop {
            match splice(socket.as_fd(), None, &self.writer, None, count, SpliceFFlags::SPLICE_F_MOVE) {
                Err(Failure::EINTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Moves bytes that are in the pipe to a file; `written` counts them, also of those before a failure.
    pub(super) fn write_file(
        &self,
        file: &File,
        at: u64,
        mut count: usize,
        written: &mut usize,
    ) -> Result<(), Errno> {
        let mut at = loff_t::try_from(at).map_err(|_| Errno::EOVERFLOW)?;
        while count > 0 {
            match splice(&self.reader, None, file, Some(&mut at), count, SpliceFFlags::SPLICE_F_MOVE) {
                Ok(0) => return Err(Errno::EIO),
                Ok(moved) => {
                    count -= moved;
                    *written += moved;
                }
                Err(Failure::EINTR) => {}
                Err(errno) => return Err(Errno(errno as i32)),
            }
        }
        Ok(())
    }

    /// Fills the buffer with bytes that are in the pipe.
    pub(super) fn take(&self, mut buffer: &mut [u8]) -> Result<(), Errno> {
        while !buffer.is_empty() {
            match read(&self.reader, buffer) {
                Ok(0) => return Err(Errno::EIO),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(Failure::EINTR) => {}
                Err(errno) => return Err(Errno(errno as i32)),
            }
        }
        Ok(())
    }
}
