//! Small requests done at once where their data is: in mapped files, which no copy of ours comes between.
//!
//! A run of small reads is one call, which sends the heads of the replies with the mapped bytes behind them; the data of a
//! run of small writes is copied to its places by one call. What cannot be done so (another kind of file, a hole, a
//! socket without room, a failure) is left to the ordinary way, request by request.

use super::protocol::{Command, DataHead, REQUEST_LEN, Request};
use super::session::Session;
use crate::block::Access;
use crate::dm::Bytes;
use crate::sys::mapped::{self, Part};
use std::io;
use std::ops::Range;

/// How many requests are done at once at most: more, and the client has nothing to do meanwhile.
const MOST: usize = 8;

/// How many bytes the data of a run has at most. Replies to reads are not more than the socket takes as a whole either: a
/// file that is cut short meanwhile is to be found out before a client has got half of a reply.
const MOST_BYTES: usize = 40 << 10;

/// For so many requests it is not tried again at most, where it was in vain.
const LONGEST_REST: u32 = 512;

/// A run of requests.
#[derive(Debug, Default)]
pub(super) struct Run {
    requests: Vec<Request>,
    ranges: Vec<Range<Bytes>>,
    /// For how many requests it is not to be tried, and how many that will be after the next time in vain.
    resting: u32,
    rest: u32,
}

impl Run {
    /// Takes up the run of requests of one kind that `received` begins with; `None` when there is nothing to try.
    pub(super) fn gather(&mut self, session: &Session, received: &[u8]) -> Option<Access> {
        if self.resting > 0 {
            self.resting -= 1;
            return None;
        }
        self.requests.clear();
        self.ranges.clear();
        let (mut rest, mut bytes) = (received, 0);
        while self.requests.len() < MOST
            && let Some((request, behind)) = take_small(rest)
            && self.requests.first().is_none_or(|first| first.command == request.command)
            && session.check(&request) == Ok(())
        {
            bytes += DataHead::length(session.structured) + request.bytes();
            if bytes > if request.command == Command::Read { session.whole } else { MOST_BYTES } {
                break;
            }
            self.ranges.push(Bytes(request.offset)..Bytes(request.offset + u64::from(request.length)));
            self.requests.push(request);
            rest = behind;
        }
        if self.requests.first()?.command == Command::Read {
            return Some(Access::Read);
        }
        // One write alone is as quick in the ordinary way.
        (self.requests.len() > 1).then_some(Access::Write)
    }

    /// Answers the first reads of the run; how many.
    ///
    /// # Errors
    /// What ends the connection.
    pub(super) fn read(&mut self, session: &Session) -> io::Result<usize> {
        let heads: Vec<_> = self.requests.iter().map(|request| session.head(request)).collect();
        let mut failed = None;
        let done = session.device.in_place(Access::Read, &self.ranges, &mut |parts| {
            prefetch(parts);
            // Whoever sends may wait for the client, and this must not.
            let Ok(_alone) = session.sending.try_lock() else { return false };
            let pieces: Vec<_> = heads.iter().map(DataHead::as_bytes).zip(parts.iter().copied()).collect();
            session.socket.send_mapped(&pieces).unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        });
        self.learn(done);
        failed.map_or(Ok(done), Err)
    }

    /// Does the first writes of the run, whose requests and data `received` begins with; how many.
    pub(super) fn write(&mut self, session: &Session, received: &[u8]) -> usize {
        let requests = &self.requests;
        let done = session.device.in_place(Access::Write, &self.ranges, &mut |parts| {
            prefetch(parts);
            let mut rest = received;
            let data = requests.iter().map_while(|request| {
                let (data, behind) = rest.get(REQUEST_LEN..)?.split_at_checked(request.bytes())?;
                rest = behind;
                Some(data)
            });
            let pieces: Vec<_> = data.zip(parts.iter().copied()).collect();
            mapped::fill(&pieces)
        });
        self.learn(done);
        done
    }

    /// A request of the run.
    pub(super) fn request(&self, index: usize) -> Option<&Request> {
        self.requests.get(index)
    }

    fn learn(&mut self, done: usize) {
        if done > 0 {
            self.rest = 0;
        } else {
            self.rest = (2 * self.rest).clamp(1, LONGEST_REST);
            self.resting = self.rest;
        }
    }
}

/// Takes a plain read or write off, with its data, if all of it is here and it may be small enough.
fn take_small(received: &[u8]) -> Option<(Request, &[u8])> {
    let request = Request::parse(received.first_chunk()?)?;
    let length = if request.command == Command::Write {
        REQUEST_LEN.checked_add(request.bytes())?
    } else if request.command == Command::Read {
        REQUEST_LEN
    } else {
        return None;
    };
    let fits = request.length > 0 && request.bytes() < MOST_BYTES && request.flags == 0;
    fits.then(|| received.get(length..)).flatten().map(|behind| (request, behind))
}

/// Has the processor fetch all of them, which takes little longer than one of them.
fn prefetch(parts: &[Part<'_>]) {
    parts.iter().for_each(|part| part.prefetch());
}
