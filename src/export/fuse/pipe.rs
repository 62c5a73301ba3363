//! Reading without copying: pages of the disks' files go through a pipe to the kernel, which copies them to the client.

use super::buffer::MAX_DATA;
use super::channel::Channel;
use super::protocol::{OUT_HEADER, out_header};
use crate::block::{AGAIN, Access, BlockDevice, Extent};
use crate::dm::{Bytes, Errno};
use crate::sys::mapped::{self, Part};
use nix::fcntl::{FcntlArg, SpliceFFlags, fcntl, splice};
use nix::libc::loff_t;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsFd;

/// Reads of at least so many bytes go through a pipe: below, its system calls cost more than they save.
pub(super) const PIPED_FROM: usize = 64 << 10;

/// A pipe's room is counted in pages, and a piece takes a page however small it is: the data and the reply's header.
const WANTED_ROOM: usize = 2 * MAX_DATA;
const PAGE: usize = 4096;

/// Zeros for what is stored nowhere.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A worker's pipe, which is empty between two requests.
#[derive(Debug, Default)]
pub(super) struct Pipe(Option<Ends>);

#[derive(Debug)]
struct Ends {
    reader: PipeReader,
    writer: PipeWriter,
    /// Bytes that fit if they are whole pages.
    room: usize,
}

/// The longest read that the kernel should ask for: what goes through a pipe of this process at once, header and all, as
/// two reads that go through are quicker than one that is copied.
pub(super) fn longest_read() -> usize {
    match Ends::new() {
        Some(ends) if ends.room > MAX_DATA => MAX_DATA,
        _ => MAX_DATA / 2,
    }
}

impl Ends {
    fn new() -> Option<Self> {
        let (reader, writer) = pipe().ok()?;
        // More than the system's limit is root's to have; others get that much (`/proc/sys/fs/pipe-max-size`).
        let room = [WANTED_ROOM, MAX_DATA].into_iter().find_map(|room| {
            let room = i32::try_from(room).ok()?;
            fcntl(&writer, FcntlArg::F_SETPIPE_SZ(room)).ok()
        })?;
        Some(Self { reader, writer, room: usize::try_from(room).ok()? })
    }
}

/// How far the filling of a pipe has come.
enum Filling {
    /// So many bytes of the data are in it.
    At(usize),
    /// It cannot be: the data has to be copied.
    Never,
    Sent,
}

impl Pipe {
    /// Answers a read of `length` bytes at `at`; `false` when the data cannot go this way, and nothing was answered.
    ///
    /// # Errors
    /// The device's. Nothing was answered.
    pub(super) fn answer(
        &mut self,
        channel: &Channel,
        unique: u64,
        device: &dyn BlockDevice,
        at: u64,
        length: usize,
    ) -> Result<bool, Errno> {
        if self.0.is_none() {
            self.0 = Ends::new();
        }
        let Some(ends) = self.0.as_ref().filter(|ends| length + PAGE <= ends.room) else { return Ok(false) };
        let mut filling = Filling::At(0);
        let done = device.extents(Access::Read, Bytes(at), Bytes(length as u64), &mut |extent| {
            let Filling::At(before) = filling else { return Ok(()) };
            if before == 0 && !ends.begin_with(&extent, unique, length) {
                filling = Filling::Never;
                return Ok(());
            }
            filling = match ends.put(extent)? {
                Some(bytes) if before + bytes < length => Filling::At(before + bytes),
                // While the I/O is in flight, that is: afterwards the pages may come to hold something else.
                Some(_) if ends.send(channel, OUT_HEADER + length) => Filling::Sent,
                Some(_) | None => Filling::Never,
            };
            Ok(())
        });
        let sent = matches!(filling, Filling::Sent);
        if !sent {
            // Whatever is in it is nobody's.
            self.0 = None;
        }
        if done == Err(AGAIN) { Ok(false) } else { done.map(|()| sent) }
    }
}

impl Pipe {
    /// Answers a read with a part of a mapped file: through the pipe if it is large and has room there, else as
    /// [`Channel::answer_mapped`] does, and in either way a file that was cut short meanwhile is EIO.
    pub(super) fn answer_mapped(&mut self, channel: &Channel, unique: u64, part: Part<'_>) {
        if part.length() >= PIPED_FROM {
            let ends = self.0.take().or_else(Ends::new);
            // A part that begins within a page takes one page more.
            if let Some(ends) = ends.filter(|ends| part.length() + 2 * PAGE <= ends.room)
                && ends.begin(unique, part.length())
                && mapped::put_in_pipe(ends.writer.as_fd(), part).is_ok_and(|all| all)
                && ends.send(channel, OUT_HEADER + part.length())
            {
                self.0 = Some(ends);
                return;
            }
        }
        channel.answer_mapped(unique, part);
    }
}

impl Ends {
    /// Puts the reply's header in.
    fn begin(&self, unique: u64, length: usize) -> bool {
        (&self.writer).write(&out_header(unique, length, 0)).is_ok_and(|put| put == OUT_HEADER)
    }

    /// The same, if the first extent is one that can go through a pipe.
    fn begin_with(&self, first: &Extent<'_>, unique: u64, length: usize) -> bool {
        let fits = match first {
            Extent::File { .. } | Extent::Zero { .. } => true,
            Extent::Handled { .. } => false,
        };
        fits && self.begin(unique, length)
    }

    /// Puts an extent in; how many bytes it has. `None` when it does not go.
    fn put(&self, extent: Extent<'_>) -> Result<Option<usize>, Errno> {
        let Ok(length) = usize::try_from(extent.length().0) else { return Ok(None) };
        match extent {
            Extent::File { file, at, .. } => self.put_file(file, at, length),
            Extent::Zero { .. } => Ok(self.put_zeros(length)),
            Extent::Handled { .. } => Ok(None),
        }
    }

    fn put_file(&self, file: &File, at: Bytes, length: usize) -> Result<Option<usize>, Errno> {
        let Ok(mut at) = loff_t::try_from(at.0) else { return Err(Errno::EIO) };
        let mut left = length;
        while left > 0 {
            match splice(file, Some(&mut at), &self.writer, None, left, SpliceFFlags::SPLICE_F_NONBLOCK) {
                // The end of a file that was truncated.
                Ok(0) => return Err(Errno::EIO),
                Ok(moved) => left -= moved.min(left),
                Err(nix::Error::EINTR) => {}
                // The pipe is full, or the file cannot.
                Err(nix::Error::EAGAIN | nix::Error::EINVAL) => return Ok(None),
                Err(errno) => return Err(Errno(errno as i32)),
            }
        }
        Ok(Some(length))
    }

    fn put_zeros(&self, length: usize) -> Option<usize> {
        let mut left = length;
        while left > 0 {
            let zeros = [std::io::IoSlice::new(&ZEROS[..left.min(ZEROS.len())])];
            match nix::fcntl::vmsplice(&self.writer, &zeros, SpliceFFlags::SPLICE_F_NONBLOCK) {
                Ok(moved) => left -= moved.min(left),
                Err(nix::Error::EINTR) => {}
                Err(_) => return None,
            }
        }
        Some(length)
    }

    /// Sends the reply that is in it.
    fn send(&self, channel: &Channel, length: usize) -> bool {
        match splice(&self.reader, None, channel.file(), None, length, SpliceFFlags::empty()) {
            Ok(sent) => sent == length,
            // The client is gone, or the session: answered for all that anybody cares.
            Err(_) => false,
        }
    }
}
