//! Large reads and writes: bytes go between file and socket through a pipe, and never through our memory.
//!
//! The device counts I/O as in flight only while bytes go between file and pipe, which waits for no client; between
//! pipe and socket it may wait for as long as the client likes.

use super::cached::Cached;
use super::pipe::Pipe;
use super::protocol::{DataHead, FLAG_DF, Request};
use super::session::Session;
use super::socket::Socket;
use crate::block::{AGAIN, Access, BlockDevice, Extent};
use crate::dm::{Bytes, Errno};
use std::io;

/// Reads shorter than this are cheaper by way of memory.
pub(super) const LEAST_READ: u32 = 64 << 10;
/// Writes shorter than this are cheaper by way of memory.
pub(super) const LEAST_WRITE: u32 = 64 << 10;

/// What has become of a read.
#[derive(Debug)]
pub(super) enum Moved {
    /// It is answered.
    All,
    /// It is a hole, all of it; the client may be told so.
    Hole,
    /// What the request now says is still to be read, by somebody who may wait.
    Rest(Request),
    /// It failed, and the client is to be told.
    Failed(Errno),
}

/// How a pipe was filled.
#[derive(PartialEq, Eq)]
enum Filled {
    All,
    /// A part is not to be had without waiting, or does not fit.
    Partly,
}

/// Moves the data of a read to the client, behind what was sent before.
pub(super) fn read(
    session: &Session,
    pipe: &mut Option<Pipe>,
    cached: &mut Cached,
    request: Request,
) -> io::Result<Moved> {
    let in_parts = session.structured && !request.has(FLAG_DF);
    if in_parts && is_hole(session.device.as_ref(), request.offset, request.length) == Ok(true) {
        return Ok(Moved::Hole);
    }
    let mut left = request;
    while left.length > 0 {
        let through = match pipe.take() {
            Some(pipe) => pipe,
            None => match Pipe::new() {
                Ok(pipe) => pipe,
                // No descriptors to be had, perhaps: memory will do.
                Err(_) => return Ok(Moved::Rest(left)),
            },
        };
        let portion = u32::try_from(through.portion()).unwrap_or(u32::MAX).min(left.length);
        if portion < left.length && !in_parts {
            return Ok(Moved::Rest(left));
        }
        let head = if session.structured {
            DataHead::chunk(left.cookie, left.offset, portion, portion == left.length)
        } else {
            DataHead::simple(left.cookie)
        };
        let head = head.as_bytes();
        through.add(head)?;
        match fill(session.device.as_ref(), &through, cached, left.offset, portion) {
            Ok(Filled::All) => {}
            // The pipe is dropped with what is in it.
            Ok(Filled::Partly) | Err(AGAIN) => return Ok(Moved::Rest(left)),
            Err(errno) => return Ok(Moved::Failed(errno)),
        }
        let alone = session.send_alone();
        through.send(session.socket.as_ref(), head.len() + portion as usize)?;
        drop(alone);
        *pipe = Some(through);
        left.offset += u64::from(portion);
        left.length -= portion;
    }
    Ok(Moved::All)
}

fn fill(
    device: &dyn BlockDevice,
    pipe: &Pipe,
    cached: &mut Cached,
    at: u64,
    length: u32,
) -> Result<Filled, Errno> {
    let mut whole = true;
    device.extents(Access::Read, Bytes(at), Bytes(length.into()), &mut |extent| {
        if !whole {
            return Ok(());
        }
        let count = usize::try_from(extent.length().0).map_err(|_| Errno::EIO)?;
        whole = match extent {
            Extent::File { file, at, length } => {
                cached.has(file, at.0, length.0)? && pipe.add_file(file, at.0, count)?
            }
            Extent::Zero { .. } => pipe.add_zeros(count)?,
            Extent::Handled { .. } => false,
        };
        Ok(())
    })?;
    Ok(if whole { Filled::All } else { Filled::Partly })
}

/// Whether nothing of a range is stored anywhere.
fn is_hole(device: &dyn BlockDevice, at: u64, length: u32) -> Result<bool, Errno> {
    let mut hole = true;
    device.extents(Access::Read, Bytes(at), Bytes(length.into()), &mut |extent| {
        hole &= matches!(extent, Extent::Zero { .. });
        Ok(())
    })?;
    Ok(hole)
}

/// Whether the data of a write goes to files, or nowhere.
pub(super) fn is_movable(device: &dyn BlockDevice, at: u64, length: u32) -> Result<bool, Errno> {
    let mut movable = true;
    device.extents(Access::Write, Bytes(at), Bytes(length.into()), &mut |extent| {
        movable &= !matches!(extent, Extent::Handled { .. });
        Ok(())
    })?;
    Ok(movable)
}

/// Moves `length` bytes from the client to position `at`. All of them are received, also after a failure, which is the
/// inner result.
///
/// # Errors
/// What ends the connection; `UnexpectedEof` when the client is gone before all came.
pub(super) fn write(
    device: &dyn BlockDevice,
    socket: &Socket,
    pipe: &mut Option<Pipe>,
    mut at: u64,
    mut length: u32,
) -> io::Result<Result<(), Errno>> {
    let mut result = Ok(());
    while length > 0 {
        let through = match pipe.take() {
            Some(pipe) => pipe,
            None => Pipe::new()?,
        };
        let count = match through.receive(socket, length as usize) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => u32::try_from(count).unwrap_or(length),
            // The socket's patience ended; the client's data may still come.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *pipe = Some(through);
                continue;
            }
            Err(error) => return Err(error),
        };
        if result.is_ok() {
            result = empty(device, &through, at, count);
        }
        // One that may hold bytes that nobody wants is not used again.
        *pipe = result.is_ok().then_some(through);
        at += u64::from(count);
        length -= count;
    }
    Ok(result)
}

/// Writes what is in the pipe.
fn empty(device: &dyn BlockDevice, pipe: &Pipe, at: u64, length: u32) -> Result<(), Errno> {
    let mut written = 0;
    // Out of the pipe, and not written.
    let mut taken = Vec::new();
    let result = device.extents(Access::Write, Bytes(at), Bytes(length.into()), &mut |extent| {
        let count = usize::try_from(extent.length().0).map_err(|_| Errno::EIO)?;
        match extent {
            Extent::File { file, at, .. } => return pipe.write_file(file, at.0, count, &mut written),
            Extent::Zero { .. } => pipe.take(&mut vec![0; count])?,
            // The table was swapped since it was looked at.
            Extent::Handled { medium, .. } => {
                let mut data = vec![0; count];
                pipe.take(&mut data)?;
                medium.write(&data).inspect_err(|_| taken = data)?;
            }
        }
        written += count;
        Ok(())
    });
    if result != Err(AGAIN) {
        return result;
    }
    // By another path, or by the next table.
    let mut rest = vec![0; (length as usize).saturating_sub(written)];
    let (first, behind) = rest.split_at_mut_checked(taken.len()).ok_or(Errno::EIO)?;
    first.copy_from_slice(&taken);
    pipe.take(behind)?;
    device.write_at(&rest, Bytes(at + written as u64))
}
