//! The state of one snapshot, whichever target holds it: its exceptions, those on their way, and the store's end.
//!
//! A chunk is copied in three steps: a thread *claims* it, which gives it a place; it copies it there; and it *finishes*
//! it, which writes the exception into the store, in the order of the claims, and then makes it known. What several
//! threads finish meanwhile is written at once, with one flush before and one after.

use super::exceptions::Exceptions;
use super::layout;
use super::log::Log;
use crate::block::{BlockDevice, Pdev};
use crate::dm::Errno;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A snapshot's state.
#[derive(Debug)]
pub(super) struct Core {
    /// Sectors of a chunk, a power of 2.
    pub(super) chunk: u64,
    /// Which power of 2 that is: each request asks for its chunks, and to divide takes longer than to shift.
    shift: u32,
    pub(super) exceptions: Exceptions,
    valid: AtomicBool,
    overflowed: AtomicBool,
    claims: Mutex<Claims>,
    /// Chunks are no longer claimed.
    settled: Condvar,
    queue: Mutex<Queue>,
    /// Exceptions were written.
    written: Condvar,
    /// The list in the store, if it is persistent.
    log: Option<Mutex<Log>>,
}

/// Places, and the chunks that get them now.
#[derive(Debug)]
struct Claims {
    /// The chunk of the COW device that is free next.
    free: u64,
    /// How many chunks were ever claimed.
    count: u64,
    in_flight: HashSet<u64>,
    /// How many threads wait for chunks to be settled.
    waiting: usize,
}

/// Copied chunks on their way into the list, which is in the order of their claims.
#[derive(Debug, Default)]
struct Queue {
    /// By the number of their first claim: exceptions, and whether they were copied.
    ready: BTreeMap<u64, (Vec<(u64, u64)>, bool)>,
    /// The claims before this one have been through.
    through: u64,
    /// Somebody writes.
    busy: bool,
    failed: bool,
}

/// Consecutive chunks that the caller is to copy, and to finish whatever happens.
#[derive(Debug)]
pub(super) struct Claim {
    /// Chunks of the origin, with their places.
    pub(super) exceptions: Vec<(u64, u64)>,
    first: u64,
    /// What is the matter with the chunk after them.
    pub(super) end: End,
}

/// Where a claim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At the end of what was asked for, or at a chunk that is copied already.
    Done,
    /// At a chunk that somebody else has claimed.
    Busy,
    /// There is no room left.
    Full,
}

/// Sectors, as the status shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) allocated: u64,
    pub(super) metadata: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// The state of a store in which `free` is the next free chunk; `log` is its list, if it has one.
    pub(super) fn new(chunk: u64, log: Option<Log>, free: u64, exceptions: Exceptions, valid: bool) -> Self {
        Self {
            chunk,
            shift: chunk.trailing_zeros(),
            exceptions,
            valid: AtomicBool::new(valid),
            overflowed: AtomicBool::new(false),
            claims: Mutex::new(Claims { free, count: 0, in_flight: HashSet::new(), waiting: 0 }),
            settled: Condvar::new(),
            queue: Mutex::default(),
            written: Condvar::new(),
            log: log.map(Mutex::new),
        }
    }

    /// The chunk that a sector is in.
    pub(super) fn chunk_of(&self, sector: u64) -> u64 {
        sector >> self.shift
    }

    /// How many sectors of its chunk are before that one.
    pub(super) fn skip(&self, sector: u64) -> u64 {
        sector & (self.chunk - 1)
    }

    /// How many chunks it takes to hold so many sectors.
    pub(super) fn chunks(&self, sectors: u64) -> u64 {
        self.chunk_of(sectors) + u64::from(self.skip(sectors) > 0)
    }

    pub(super) fn is_valid(&self) -> bool {
        self.valid.load(Ordering::SeqCst)
    }

    /// Whether a write to the snapshot found no room, and none is accepted since.
    pub(super) fn is_overflowed(&self) -> bool {
        self.overflowed.load(Ordering::SeqCst)
    }

    pub(super) fn overflow(&self) {
        self.overflowed.store(true, Ordering::SeqCst);
    }

    /// The list in the store.
    pub(super) fn log(&self) -> Option<MutexGuard<'_, Log>> {
        self.log.as_ref().map(lock)
    }

    /// Sets what is free next, after the list was shortened.
    pub(super) fn set_free(&self, free: u64) {
        lock(&self.claims).free = free;
    }

    pub(super) fn usage(&self) -> Usage {
        let metadata = self.log().map_or(0, |log| log.area().saturating_add(2).saturating_mul(self.chunk));
        Usage { allocated: lock(&self.claims).free.saturating_mul(self.chunk), metadata }
    }

    /// Gives the snapshot up: `false` if it was before. When this returns no read of it is under way that has not seen so.
    pub(super) fn invalidate(&self, cow: &Pdev) -> bool {
        if !self.valid.swap(false, Ordering::SeqCst) {
            return false;
        }
        self.exceptions.wait_for_readers();
        if self.log.is_some() {
            // The kernel goes on too when that fails: the snapshot is lost, its origin is not.
            let _ = layout::write_header(cow, self.chunk, false).and_then(|()| cow.flush());
        }
        true
    }

    /// Claims the chunks of a range, up to the first that is copied, claimed by somebody else, or has no room.
    pub(super) fn claim(&self, cow: &Pdev, chunks: Range<u64>) -> Claim {
        self.claim_in(&mut lock(&self.claims), cow, chunks)
    }

    /// Claims what can be claimed of several ranges, at most `limit` chunks or those of the first range.
    pub(super) fn claim_together(
        &self,
        cow: &Pdev,
        ranges: impl Iterator<Item = Range<u64>>,
        limit: u64,
    ) -> Vec<Claim> {
        let mut claims = lock(&self.claims);
        let mut made = Vec::new();
        let from = claims.count;
        for mut chunks in ranges {
            while !chunks.is_empty() && (claims.count == from || claims.count - from < limit) {
                let claim = self.claim_in(&mut claims, cow, chunks.clone());
                // Past the one that ended it; where there is no room there is none for the rest.
                let done = claim.exceptions.len() as u64 + 1;
                chunks.start = if claim.end == End::Full { chunks.end } else { chunks.start + done };
                if !claim.exceptions.is_empty() {
                    made.push(claim);
                }
            }
        }
        made
    }

    fn claim_in(&self, claims: &mut Claims, cow: &Pdev, chunks: Range<u64>) -> Claim {
        let mut claim = Claim { exceptions: Vec::new(), first: claims.count, end: End::Done };
        for chunk in chunks {
            if claims.in_flight.contains(&chunk) {
                claim.end = End::Busy;
                break;
            }
            if self.exceptions.copy_of(chunk).is_some() {
                break;
            }
            let Some(place) = self.allocate(claims, cow) else {
                claim.end = End::Full;
                break;
            };
            claims.in_flight.insert(chunk);
            claims.count += 1;
            claim.exceptions.push((chunk, place));
        }
        claim
    }

    /// The next free chunk of the COW device, whose size may have changed.
    fn allocate(&self, claims: &mut Claims, cow: &Pdev) -> Option<u64> {
        let place = claims.free;
        let needed = place.checked_add(1).and_then(|chunks| chunks.checked_mul(self.chunk))?;
        if cow.sectors().0 < needed {
            return None;
        }
        claims.free = place + 1;
        if self.log.is_some() {
            claims.free = layout::skip_area(self.chunk, claims.free);
        }
        Some(place)
    }

    /// Puts the exceptions of claims into the store and then makes them known, if all was `copied`.
    ///
    /// # Errors
    /// They could not be copied or written: the snapshot is to be given up.
    pub(super) fn finish(&self, cow: &Pdev, made: &[Claim], copied: Result<(), Errno>) -> Result<(), Errno> {
        let exceptions = || made.iter().flat_map(|claim| &claim.exceptions);
        if exceptions().next().is_none() {
            return copied;
        }
        let written = match &self.log {
            Some(log) => self.write(cow, log, made, copied.is_ok()),
            None => copied,
        };
        let written = written.and_then(|()| if self.is_valid() { Ok(()) } else { Err(Errno::EIO) });
        if written.is_ok() {
            exceptions().for_each(|(old, new)| self.exceptions.insert(*old, *new));
        }
        let mut claims = lock(&self.claims);
        exceptions().for_each(|(old, _)| {
            claims.in_flight.remove(old);
        });
        let waited_for = claims.waiting > 0;
        drop(claims);
        if waited_for {
            self.settled.notify_all();
        }
        written
    }

    /// Writes the exceptions of claims when those before them are: this thread for others, or another for it.
    fn write(&self, cow: &Pdev, log: &Mutex<Log>, made: &[Claim], copied: bool) -> Result<(), Errno> {
        let mut queue = lock(&self.queue);
        let filled = made.iter().filter(|claim| !claim.exceptions.is_empty());
        let mut last = 0;
        for claim in filled {
            queue.ready.insert(claim.first, (claim.exceptions.clone(), copied));
            last = last.max(claim.first);
        }
        while queue.through <= last {
            let batch = if queue.busy { Vec::new() } else { queue.take() };
            if batch.is_empty() {
                queue = self.written.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.busy = true;
            let fine = !queue.failed && batch.iter().all(|(_, copied)| *copied);
            drop(queue);
            let count: usize = batch.iter().map(|(exceptions, _)| exceptions.len()).sum();
            let exceptions: Vec<(u64, u64)> = batch.into_iter().flat_map(|(list, _)| list).collect();
            let appended = fine && lock(log).append(cow, &exceptions).is_ok();
            queue = lock(&self.queue);
            queue.busy = false;
            queue.failed |= !appended;
            queue.through += count as u64;
            self.written.notify_all();
        }
        if queue.failed { Err(Errno::EIO) } else { Ok(()) }
    }

    /// Waits until nobody has the chunk claimed.
    pub(super) fn wait_for(&self, chunk: u64) {
        let mut claims = lock(&self.claims);
        claims.waiting += 1;
        while claims.in_flight.contains(&chunk) {
            claims = self.settled.wait(claims).unwrap_or_else(PoisonError::into_inner);
        }
        claims.waiting -= 1;
    }
}

impl Queue {
    /// What can be written now: the claims that follow on those that have been through.
    fn take(&mut self) -> Vec<(Vec<(u64, u64)>, bool)> {
        let mut batch = Vec::new();
        let mut next = self.through;
        while let Some(ready) = self.ready.remove(&next) {
            next += ready.0.len() as u64;
            batch.push(ready);
        }
        batch
    }
}
