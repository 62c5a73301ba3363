//! One thread of a session: takes a request, answers it, takes the next.

use super::buffer::Buffer;
use super::channel::{Channel, Received};
use super::data;
use super::directory::Directory;
use super::pipe::Pipe;
use super::protocol::{Body, Fields, Header, IN_HEADER, WRITE_IN, opcode};
use crate::dm::Errno;
use nix::libc::ENOSYS;
use std::io::PipeReader;
use std::time::Duration;

/// A worker's own things: nothing in it is shared.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) channel: Channel,
    pub(super) buffer: Buffer,
    pub(super) pipe: Pipe,
}

/// What is left to answer.
enum Answer {
    /// Nothing: it was answered, or wants none.
    None,
    Body(Body),
    /// So many bytes of the buffer's data.
    Data(usize),
}

impl Worker {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, buffer: Buffer::new(), pipe: Pipe::default() }
    }

    /// Takes the next request if there is one.
    pub(super) fn look(&mut self) -> Received {
        self.channel.look(&mut self.buffer)
    }

    /// Waits until there is a request, or the end of the pipe, or so long.
    pub(super) fn wait(&self, end: &PipeReader, most: Option<Duration>) {
        self.channel.wait(end, most);
    }

    /// Who reads or writes by the request of that length: the number of its thread. `None` for any other request, and for
    /// one whose process cannot be seen from here.
    pub(super) fn client(&self, length: usize) -> Option<u32> {
        let (header, _) = Header::parse(self.buffer.request_read(length)).ok()?;
        Some(header.pid).filter(|pid| *pid > 0 && matches!(header.opcode, opcode::READ | opcode::WRITE))
    }

    /// Whether the request of that length is for a device that holds its I/O.
    pub(super) fn is_held(&self, directory: &Directory, length: usize) -> bool {
        let request = self.buffer.request_read(length);
        let Ok((header, fields)) = Header::parse(request) else { return false };
        match header.opcode {
            opcode::READ | opcode::WRITE | opcode::FSYNC | opcode::FALLOCATE | opcode::LSEEK => {
                directory.is_held(fields)
            }
            _ => false,
        }
    }

    /// Serves the request of that length that was received.
    pub(super) fn serve(&mut self, directory: &Directory, length: usize) {
        let Ok((header, _)) = Header::parse(self.buffer.request_read(length)) else { return };
        match self.perform(directory, &header, length) {
            Ok(Answer::None) => {}
            Ok(Answer::Body(body)) => self.channel.answer(header.unique, body.bytes()),
            Ok(Answer::Data(length)) => self.channel.answer_data(header.unique, &mut self.buffer, length),
            Err(errno) => self.channel.refuse(header.unique, errno),
        }
    }

    fn perform(&mut self, directory: &Directory, header: &Header, length: usize) -> Result<Answer, Errno> {
        let request = self.buffer.request_read(length);
        let mut fields = Fields::new(request.get(IN_HEADER..).ok_or(Errno::EINVAL)?);
        let body = match header.opcode {
            opcode::READ | opcode::READDIR => {
                let asked = (fields.u64()?, fields.u64()?, fields.u32()?);
                return self.read(directory, header, asked);
            }
            opcode::WRITE => {
                let open = directory.opens.get(fields.u64()?)?;
                let (at, length) = (fields.u64()?, fields.u32()?);
                let data = request.get(IN_HEADER + WRITE_IN..).ok_or(Errno::EINVAL)?;
                let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
                data::write(data::device(&open)?, at, data.get(..length).ok_or(Errno::EINVAL)?)?
            }
            opcode::LOOKUP => directory.lookup(header, fields)?,
            opcode::GETATTR => directory.getattr(header, fields)?,
            opcode::SETATTR => directory.setattr(header, fields)?,
            opcode::OPEN => directory.open(header, fields)?,
            opcode::OPENDIR => directory.opendir(),
            opcode::STATFS => directory.statfs(),
            opcode::RELEASE | opcode::RELEASEDIR => {
                drop(directory.opens.remove(fields.u64()?));
                Body::new()
            }
            opcode::FSYNC => {
                let open = directory.opens.get(fields.u64()?)?;
                data::device(&open)?.device.flush()?;
                Body::new()
            }
            opcode::FALLOCATE => {
                let open = directory.opens.get(fields.u64()?)?;
                data::fallocate(data::device(&open)?, fields)?;
                Body::new()
            }
            opcode::LSEEK => {
                let open = directory.opens.get(fields.u64()?)?;
                data::seek(data::device(&open)?, fields)?
            }
            opcode::IOCTL => {
                let open = directory.opens.get(fields.u64()?)?;
                data::ioctl(data::device(&open)?, fields)?
            }
            // The kernel counts what it knows of a node; here nothing is kept of it.
            opcode::FORGET | opcode::BATCH_FORGET => return Ok(Answer::None),
            // Devices come and go by the mapper's commands.
            opcode::CREATE
            | opcode::MKNOD
            | opcode::MKDIR
            | opcode::SYMLINK
            | opcode::LINK
            | opcode::UNLINK
            | opcode::RMDIR
            | opcode::RENAME
            | opcode::RENAME2
            | opcode::TMPFILE => {
                return Err(Errno::EPERM);
            }
            // Most of these the kernel does not ask for again.
            _ => return Err(Errno(ENOSYS)),
        };
        Ok(Answer::Body(body))
    }

    /// `struct fuse_read_in`: of a device or of the directory.
    fn read(
        &mut self,
        directory: &Directory,
        header: &Header,
        (handle, at, length): (u64, u64, u32),
    ) -> Result<Answer, Errno> {
        if header.opcode == opcode::READDIR {
            let room = self.buffer.data(usize::try_from(length).map_err(|_| Errno::EINVAL)?);
            return directory.readdir(handle, at, room).map(Answer::Data);
        }
        let open = directory.opens.get(handle)?;
        self.read_device(data::device(&open)?, header.unique, (at, length))?;
        Ok(Answer::None)
    }
}
