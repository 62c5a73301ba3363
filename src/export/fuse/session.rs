//! The first words between the kernel and a session: which of its abilities are wanted.

use super::MountError;
use super::buffer::{Buffer, MAX_DATA};
use super::channel::{self, Received};
use super::protocol::{Body, Fields, Header, IN_HEADER, MAJOR, MINOR, OLDEST_MINOR, offered, opcode};
use crate::dm::Errno;
use std::fs::File;

/// What is wanted where the kernel has it: large requests, many of them at once, and mmap(2) of what does not go through
/// the kernel's cache.
const WANTED: u64 = offered::ASYNC_READ
    | offered::BIG_WRITES
    | offered::ASYNC_DIO
    | offered::PARALLEL_DIROPS
    | offered::MAX_PAGES
    | offered::INIT_EXT
    | offered::DIRECT_IO_ALLOW_MMAP;

/// How many requests that no process waits for (asynchronous ones) the kernel hands over at once.
const MAX_BACKGROUND: u16 = 128;
/// From so many on it holds its own read-ahead back.
const CONGESTION: u16 = 96;

/// How many file systems may stand on one another for one of them to back ours: an overlay is one more. Linux's
/// `FILESYSTEM_MAX_STACK_DEPTH`.
const STACKED: u32 = 2;

/// Answers the kernel's first request. With `passes_through` it is told that files will be backed by others.
pub(super) fn begin(session: &File, passes_through: bool) -> Result<(), MountError> {
    let mut buffer = Buffer::new();
    let ended = || MountError::Refused { errno: Errno::EIO, said: "the kernel ended the session".to_owned() };
    let Received::Request(length) = channel::receive(session, &mut buffer) else { return Err(ended()) };
    let request = buffer.request_read(length);
    let (header, _) = Header::parse(request).map_err(|_| ended())?;
    let fields = Fields::new(request.get(IN_HEADER..).ok_or_else(ended)?);
    let wanted = if passes_through { WANTED | offered::PASSTHROUGH } else { WANTED };
    let (version, reply) = answer(header.opcode, fields, wanted).map_err(|_| ended())?;
    let refusal = match reply {
        Some((flags, body)) if !passes_through || flags & offered::PASSTHROUGH != 0 => {
            channel::answer(session, header.unique, body.bytes());
            return Ok(());
        }
        Some(_) => MountError::Passthrough(Errno::EOPNOTSUPP),
        None => MountError::Version { major: version.0, minor: version.1 },
    };
    channel::refuse(session, header.unique, Errno(nix::libc::EPROTO));
    Err(refusal)
}

/// The flags that both sides have, and the reply (`struct fuse_init_out`).
type Agreed = (u64, Body);

/// The kernel's version, and the reply to `struct fuse_init_in`; no reply to one that is too old.
fn answer(code: u32, mut fields: Fields<'_>, wanted: u64) -> Result<((u32, u32), Option<Agreed>), Errno> {
    let version = (fields.u32()?, fields.u32()?);
    if code != opcode::INIT || version.0 != MAJOR || version.1 < OLDEST_MINOR {
        return Ok((version, None));
    }
    let (read_ahead, low) = (fields.u32()?, fields.u32()?);
    // Older kernels send no second word.
    let high = fields.u32().unwrap_or(0);
    let flags = (u64::from(low) | u64::from(high) << 32) & wanted;
    let [low, high] = [flags & u64::from(u32::MAX), flags >> 32].map(|half| u32::try_from(half).unwrap_or(0));
    let largest = u32::try_from(MAX_DATA).unwrap_or(u32::MAX);
    let body = Body::new()
        .u32(MAJOR)
        .u32(MINOR.min(version.1))
        .u32(read_ahead)
        .u32(low)
        .u16(MAX_BACKGROUND)
        .u16(CONGESTION)
        .u32(largest)
        // Times are told to the nanosecond.
        .u32(1)
        .u16(u16::try_from(MAX_DATA / 4096).unwrap_or(u16::MAX))
        .u16(0)
        .u32(high)
        .u32(if flags & offered::PASSTHROUGH == 0 { 0 } else { STACKED })
        .zeros(2 + 11 * 2);
    Ok((version, Some((flags, body))))
}
