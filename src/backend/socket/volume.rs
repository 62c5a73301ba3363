//! A device of a server's mapper as something to read and write: one connection, open for as long as the value lives.

use super::lost;
use super::message::{Answer, Kind, MAX_DATA, Question, device_to_bytes};
use crate::block::{Access, Allocation, BlockDevice, Extent, FlushFailure, Medium, Visit};
use crate::dm::{Bytes, DeviceId, Errno, Fault};
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct RemoteVolume {
    stream: Mutex<UnixStream>,
    block_size: Bytes,
    read_only: bool,
}

/// A part of it, for who visits extents.
#[derive(Debug)]
struct Range<'a> {
    volume: &'a RemoteVolume,
    at: Bytes,
}

impl RemoteVolume {
    /// Opens the device over a connection of its own.
    pub(super) fn open(
        path: &Path,
        mut stream: UnixStream,
        device: &DeviceId,
        writable: bool,
    ) -> Result<Self, Fault> {
        let mut payload = device_to_bytes(device);
        let mut ask = |question: Question, payload: &mut Vec<u8>| {
            let asked = question.send(&mut stream, payload);
            let answer = asked.and_then(|()| Answer::receive(&mut stream, payload, MAX_DATA));
            let answer = answer.map_err(|error| lost(path, &error))?;
            answer.outcome()
        };
        ask(Question { argument: u32::from(writable), ..Question::new(Kind::Open) }, &mut payload)?;
        payload.clear();
        ask(Question::new(Kind::Geometry), &mut payload)?;
        let odd = || lost(path, &io::ErrorKind::InvalidData.into());
        let (block_size, read_only) = payload.split_first_chunk().ok_or_else(odd)?;
        let block_size = Bytes(u64::from_ne_bytes(*block_size));
        Ok(Self { stream: Mutex::new(stream), block_size, read_only: read_only == [1] })
    }

    /// Asks; a server that has gone is EIO. The answer's value.
    fn ask(&self, question: Question, data: &[u8], answer: &mut Vec<u8>) -> Result<u64, Errno> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = question.send(&mut *stream, data);
        let received = asked.and_then(|()| Answer::receive(&mut *stream, answer, MAX_DATA));
        let received = received.map_err(|_| {
            // What is left of an answer must not be taken for the next one.
            let _ = stream.shutdown(Shutdown::Both);
            Errno::EIO
        });
        received?.outcome().map_err(|fault| fault.errno)
    }

    fn ask_about(
        &self,
        kind: Kind,
        at: Bytes,
        length: Bytes,
        argument: u32,
    ) -> Result<(u64, Vec<u8>), Errno> {
        let mut answer = Vec::new();
        let value = self.ask(Question { kind, argument, at, length }, &[], &mut answer)?;
        Ok((value, answer))
    }
}

impl Drop for RemoteVolume {
    /// Waits until it is closed: whoever removes the device next must not find it in use.
    fn drop(&mut self) {
        let _ = self.ask(Question::new(Kind::Close), &[], &mut Vec::new());
    }
}

impl BlockDevice for RemoteVolume {
    fn size(&self) -> Bytes {
        let asked = self.ask_about(Kind::Geometry, Bytes(0), Bytes(0), 0);
        asked.map_or(Bytes(0), |(size, _)| Bytes(size))
    }

    fn block_size(&self) -> Bytes {
        self.block_size
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        let mut at = at;
        for piece in buffer.chunks_mut(MAX_DATA) {
            let length = Bytes(piece.len() as u64);
            let (_, data) = self.ask_about(Kind::Read, at, length, 0)?;
            if data.len() != piece.len() {
                return Err(Errno::EIO);
            }
            piece.copy_from_slice(&data);
            at.0 += length.0;
        }
        Ok(())
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        let mut at = at;
        for piece in data.chunks(MAX_DATA) {
            let question = Question { at, ..Question::new(Kind::Write) };
            self.ask(question, piece, &mut Vec::new())?;
            at.0 += piece.len() as u64;
        }
        Ok(())
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.ask_about(Kind::Discard, at, length, 0).map(drop)
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno> {
        self.ask_about(Kind::WriteZeroes, at, length, u32::from(may_unmap)).map(drop)
    }

    fn extents(&self, _: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno> {
        visit(Extent::Handled { medium: &Range { volume: self, at }, length })
    }

    fn flush(&self) -> Result<(), Errno> {
        self.ask_about(Kind::Flush, Bytes(0), Bytes(0), 0).map(drop)
    }

    /// The server tells of each failure once, in answer to a flush.
    fn flush_failure(&self) -> Option<FlushFailure> {
        None
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        let (run, kind) = self.ask_about(Kind::Allocation, at, length, 0)?;
        let run = Bytes(run.clamp(1, length.0.max(1)));
        Ok(if kind == [1] { Allocation::Hole(run) } else { Allocation::Data(run) })
    }
}

impl Medium for Range<'_> {
    fn read(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        self.volume.read_at(buffer, self.at)
    }

    fn write(&self, data: &[u8]) -> Result<(), Errno> {
        self.volume.write_at(data, self.at)
    }
}
