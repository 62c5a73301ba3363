//! Doing a request that may sleep, from start to end, on whatever thread.

use super::pool::Job;
use super::protocol::{
    CHUNK_DONE, CHUNK_NONE, Command, DataHead, FLAG_FAST_ZERO, FLAG_FUA, FLAG_NO_HOLE, Refusal, Request,
    chunk_head, done_reply,
};
use super::session::Session;
use super::{status, zeroing};
use crate::block::{AGAIN, Access, Extent};
use crate::dm::{Bytes, Errno};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::libc::off_t;

/// Tells the device of writes that follow.
pub(super) fn expect(session: &Session, writes: &[Job]) {
    let range = |(request, _): &Job| {
        let at = Bytes(request.offset);
        at..Bytes(at.0 + u64::from(request.length))
    };
    session.device.expect_writes(&writes.iter().map(range).collect::<Vec<_>>());
}

/// The reply to a request that was checked; `data` is what a write is to write.
pub(super) fn perform(session: &Session, request: &Request, data: &[u8]) -> Vec<u8> {
    let result = match request.command {
        Command::Read => return read(session, request),
        Command::BlockStatus => return status::reply(session, request),
        Command::Write => write(session, request, data),
        Command::Flush => flush(session),
        Command::Trim => trim(session, request),
        Command::Cache => cache(session, request),
        Command::WriteZeroes => write_zeroes(session, request),
        Command::Disconnect | Command::Unknown => Err(Refusal::EINVAL),
    };
    match result {
        Ok(()) => done_reply(request.cookie).to_vec(),
        Err(refusal) => session.refuse(request, refusal),
    }
}

fn read(session: &Session, request: &Request) -> Vec<u8> {
    let &Request { cookie, offset, length, .. } = request;
    if length == 0 {
        return if session.structured {
            chunk_head(cookie, CHUNK_DONE, CHUNK_NONE, 0).to_vec()
        } else {
            done_reply(cookie).to_vec()
        };
    }
    let head = if session.structured {
        DataHead::chunk(cookie, offset, length, true)
    } else {
        DataHead::simple(cookie)
    };
    let head = head.as_bytes();
    let mut reply = vec![0; head.len() + request.bytes()];
    let (front, data) = reply.split_at_mut(head.len());
    front.copy_from_slice(head);
    match session.device.read_at(data, Bytes(offset)) {
        Ok(()) => reply,
        Err(errno) => session.refuse(request, errno.into()),
    }
}

fn write(session: &Session, request: &Request, data: &[u8]) -> Result<(), Refusal> {
    let at = Bytes(request.offset);
    match (data.is_empty(), request.has(FLAG_FUA)) {
        (true, _) => return if_asked_flush(session, request),
        (false, true) => session.device.write_through(data, at)?,
        (false, false) => session.device.write_at(data, at)?,
    }
    Ok(())
}

fn flush(session: &Session) -> Result<(), Refusal> {
    Ok(session.device.flush()?)
}

/// FUA: what was written is on stable storage before the reply.
fn if_asked_flush(session: &Session, request: &Request) -> Result<(), Refusal> {
    if request.has(FLAG_FUA) { flush(session) } else { Ok(()) }
}

fn trim(session: &Session, request: &Request) -> Result<(), Refusal> {
    if request.length > 0 {
        session.device.discard(Bytes(request.offset), Bytes(request.length.into()))?;
    }
    if_asked_flush(session, request)
}

fn write_zeroes(session: &Session, request: &Request) -> Result<(), Refusal> {
    let (at, length) = (Bytes(request.offset), Bytes(request.length.into()));
    let may_unmap = !request.has(FLAG_NO_HOLE);
    if request.has(FLAG_FAST_ZERO) && !zeroing::is_fast(session.device.as_ref(), at, length, may_unmap)? {
        return Err(Refusal::ENOTSUP);
    }
    if length.0 > 0 {
        session.device.write_zeroes(at, length, may_unmap)?;
    }
    if_asked_flush(session, request)
}

/// Has the kernel read ahead what is in files; elsewhere there is no cache to fill.
fn cache(session: &Session, request: &Request) -> Result<(), Refusal> {
    if request.length == 0 {
        return Ok(());
    }
    let (at, length) = (Bytes(request.offset), Bytes(request.length.into()));
    let advised = session.device.extents(Access::Read, at, length, &mut |extent| {
        if let Extent::File { file, at, length } = extent {
            let offset = |bytes: Bytes| off_t::try_from(bytes.0).map_err(|_| Errno::EINVAL);
            // Advice: that it was not taken is no failure.
            let _ =
                posix_fadvise(file, offset(at)?, offset(length)?, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
        }
        Ok(())
    });
    match advised {
        // A part of it failed on one of several ways to it: the read that follows takes another.
        Err(AGAIN) => Ok(()),
        advised => Ok(advised?),
    }
}
