//! A snapshot as one target has it: the state, the two devices, and what the target may do with them.
//!
//! Positions are sectors of the origin; all ranges lie within the snapshot.

use super::core::{Core, End};
use super::exceptions::Run;
use super::layout;
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, SECTOR_SIZE, Sectors, Text};
use crate::target::{Events, Lent};
use std::ops::Range;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// How many sectors are copied and told of at once, at most, if a chunk has not more.
const BATCH: u64 = 2048;

const LOST: &str = "lost";
const OVERFLOWED: &str = "overflowed";

/// One target's hold on a snapshot.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) core: Arc<Core>,
    pub(super) origin: Arc<Pdev>,
    pub(super) cow: Arc<Pdev>,
    /// The sector of the origin behind the last of the snapshot.
    pub(super) end: u64,
    /// It is being merged into its origin: what is written there is no longer kept for it.
    pub(super) merges: bool,
    /// Whether a write to a full snapshot makes it `Overflow`, not `Invalid`.
    pub(super) overflows: bool,
    pub(super) events: Weak<dyn Events>,
    /// The state was another's when this was made.
    pub(super) takes_over: bool,
    /// It has been resumed, and the origin's writes reach it.
    pub(super) active: AtomicBool,
    pub(super) suspended: AtomicBool,
    /// Another target has taken the state over.
    pub(super) lost: AtomicBool,
    pub(super) merge_failed: AtomicBool,
}

impl Member {
    /// Whether it can be read, and its state is its own.
    pub(super) fn is_valid(&self) -> bool {
        (self.core.is_valid() || self.waits()) && !self.lost.load(Ordering::SeqCst)
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::SeqCst)
    }

    /// Whether it is to take over a state that is another's until it is resumed.
    pub(super) fn waits(&self) -> bool {
        self.takes_over && !self.is_active()
    }

    pub(super) fn status(&self) -> Text {
        if !self.is_valid() {
            return "Invalid".into();
        }
        if self.waits() {
            return format!("0/{} 0", self.cow.sectors()).into();
        }
        if self.merge_failed.load(Ordering::SeqCst) {
            return "Merge failed".into();
        }
        if self.core.is_overflowed() {
            return "Overflow".into();
        }
        let usage = self.core.usage();
        format!("{}/{} {}", usage.allocated, self.cow.sectors(), usage.metadata).into()
    }

    /// What the store does not tell: the words `lost` and `overflowed`. A merge that failed is tried anew by the next process.
    pub(super) fn memory(&self) -> Text {
        let words = [(LOST, self.lost.load(Ordering::SeqCst)), (OVERFLOWED, self.core.is_overflowed())];
        let words: Vec<&str> = words.iter().filter(|(_, is_so)| *is_so).map(|(word, _)| *word).collect();
        words.join(" ").into()
    }

    /// Takes that over from another process.
    pub(super) fn remember(&self, memory: &Text) {
        for word in memory.words() {
            if word == LOST {
                self.lost.store(true, Ordering::SeqCst);
            } else if word == OVERFLOWED {
                self.core.overflow();
            }
        }
    }

    /// Gives the snapshot up: an event, the first time.
    pub(super) fn invalidate(&self) {
        if self.core.invalidate(&self.cow)
            && let Some(events) = self.events.upgrade()
        {
            events.signal();
        }
    }

    /// Whether the chunk of a sector has a copy, and for how many sectors on, at most `length`, that holds.
    pub(super) fn copied(&self, sector: u64, length: u64) -> (Option<u64>, u64) {
        let skip = self.core.skip(sector);
        let run = self.core.exceptions.run(self.core.chunk_of(sector), self.core.chunks(skip + length));
        (run.copy, run.chunks.saturating_mul(self.core.chunk).saturating_sub(skip).min(length))
    }

    /// Copies what the snapshot does not have yet of a range of the origin, which is about to be written. What cannot be
    /// copied costs the snapshot its validity: the origin's write goes on.
    pub(super) fn preserve(&self, from: u64, end: u64) {
        let (mut at, end) = (from, end.min(self.end));
        while at < end && self.is_valid() {
            let (copy, run) = self.copied(at, (end - at).min(BATCH));
            if copy.is_some() {
                at += run;
                continue;
            }
            let first = at / self.core.chunk;
            let claim = self.core.claim(&self.cow, first..(at + run).div_ceil(self.core.chunk));
            let done = self.copy_claimed(slice::from_ref(&claim));
            if self.core.finish(&self.cow, slice::from_ref(&claim), done).is_err() || claim.end == End::Full {
                self.invalidate();
                return;
            }
            let next = first + claim.exceptions.len() as u64;
            if claim.end == End::Busy {
                self.core.wait_for(next);
            }
            at = at.max(next * self.core.chunk);
        }
    }

    /// The same for many ranges at once, but for chunks that somebody else copies just now or that have no room: for them
    /// [`Member::preserve`] is called anyway.
    pub(super) fn preserve_together(&self, ranges: &[Range<u64>]) {
        let chunk = self.core.chunk;
        let inside = ranges.iter().map(|range| range.start..range.end.min(self.end));
        let inside = inside.filter(|range| !range.is_empty()).take_while(|_| self.is_valid());
        let chunks = inside.map(|range| range.start / chunk..range.end.div_ceil(chunk));
        let claims = self.core.claim_together(&self.cow, chunks, BATCH / chunk);
        let done = self.copy_claimed(&claims);
        if self.core.finish(&self.cow, &claims, done).is_err() {
            self.invalidate();
        }
    }

    /// Reads the snapshot.
    pub(super) fn read(&self, sector: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let (mut at, mut rest) = (sector, buffer);
        while !rest.is_empty() {
            let left = rest.len() as u64 / SECTOR_SIZE;
            let (copy, run) = self.copied(at, left);
            let Some(copy) = copy else {
                at += self.read_originals(at, &mut rest)?;
                continue;
            };
            if !self.is_valid() {
                return Err(Errno::EIO);
            }
            let now = rest.split_off_mut(..bytes_of(run)?).ok_or(Errno::EIO)?;
            let place =
                layout::place(&self.cow, self.core.chunk, copy, self.core.skip(at), run * SECTOR_SIZE)?;
            self.cow.read_at(now, place)?;
            at += run;
        }
        Ok(())
    }

    /// Reads what had no copy a moment ago into the buffer's head, which it takes off; gives how many sectors that was: 0
    /// if there is a copy now.
    fn read_originals(&self, at: u64, rest: &mut &mut [u8]) -> Result<u64, Errno> {
        let left = rest.len() as u64 / SECTOR_SIZE;
        let (first, skip) = (self.core.chunk_of(at), self.core.skip(at));
        let held = self.core.exceptions.hold(first);
        // Who gives the snapshot up waits for whoever still found it valid.
        if !self.is_valid() {
            return Err(Errno::EIO);
        }
        let run = held.run(first, self.core.chunks(skip + left));
        if run.copy.is_some() {
            return Ok(0);
        }
        let sectors = (run.chunks * self.core.chunk - skip).min(left);
        let now = rest.split_off_mut(..bytes_of(sectors)?).ok_or(Errno::EIO)?;
        self.origin.read_at(now, layout::place(&self.origin, 1, at, 0, sectors * SECTOR_SIZE)?)?;
        Ok(sectors)
    }

    /// Has a range read from the origin, if all of it is the origin's and in one group of chunks.
    pub(super) fn lend(&self, sector: u64, length: u64, visit: &mut Lent<'_>) -> Option<Result<(), Errno>> {
        let first = self.core.chunk_of(sector);
        let chunks = self.core.chunks(self.core.skip(sector) + length);
        let held = self.core.exceptions.hold(first);
        let run = held.run(first, chunks);
        let end = sector.checked_add(length)?;
        let is_lent = run == Run { copy: None, chunks } && end <= self.origin.sectors().0 && self.is_valid();
        is_lent.then(|| visit(&self.origin, Sectors(sector)))
    }

    /// Writes the snapshot: chunks that are still the origin's get copies with the data in them.
    pub(super) fn write(&self, sector: u64, data: &[u8]) -> Result<(), Errno> {
        let (mut at, mut rest) = (sector, data);
        while !rest.is_empty() {
            if !self.is_valid() || self.core.is_overflowed() {
                return Err(Errno::EIO);
            }
            let left = (rest.len() as u64 / SECTOR_SIZE).min(BATCH);
            let (copy, run) = self.copied(at, left);
            let sectors = match copy {
                Some(copy) => {
                    let bytes = run * SECTOR_SIZE;
                    let place = layout::place(&self.cow, self.core.chunk, copy, at % self.core.chunk, bytes)?;
                    self.cow.write_at(head(rest, run)?, place)?;
                    run
                }
                None => self.write_originals(at, head(rest, run)?)?,
            };
            rest = rest.split_off(bytes_of(sectors)?..).ok_or(Errno::EIO)?;
            at += sectors;
        }
        Ok(())
    }

    /// Writes to chunks that had no copy a moment ago; gives how many sectors of the data that went for.
    fn write_originals(&self, at: u64, data: &[u8]) -> Result<u64, Errno> {
        let chunk = self.core.chunk;
        let length = data.len() as u64 / SECTOR_SIZE;
        let first = at / chunk;
        let claim = self.core.claim(&self.cow, first..(at + length).div_ceil(chunk));
        let done = self.write_claimed(&claim, at, data);
        if self.core.finish(&self.cow, slice::from_ref(&claim), done).is_err() {
            self.invalidate();
            return Err(Errno::EIO);
        }
        let next = first + claim.exceptions.len() as u64;
        match claim.end {
            End::Done => {}
            End::Busy => self.core.wait_for(next),
            End::Full => {
                if self.overflows {
                    self.core.overflow();
                } else {
                    self.invalidate();
                }
                return Err(Errno::EIO);
            }
        }
        Ok((next * chunk).saturating_sub(at).min(length))
    }

    /// Makes copies of a range zeros where they are whole chunks, and forgets parts of them; what is the origin's stays.
    pub(super) fn discard(&self, sector: u64, length: u64) -> Result<(), Errno> {
        let (mut at, end) = (sector, sector + length);
        while at < end {
            if !self.is_valid() || self.core.is_overflowed() {
                return Err(Errno::EIO);
            }
            let chunk = self.core.chunk;
            let skip = at % chunk;
            let sectors = (chunk - skip).min(end - at);
            if let Some(copy) = self.core.exceptions.copy_of(at / chunk) {
                let bytes = sectors * SECTOR_SIZE;
                let place = layout::place(&self.cow, chunk, copy, skip, bytes)?;
                if sectors == chunk {
                    self.cow.write_zeroes(place, Bytes(bytes), true)?;
                } else {
                    self.cow.discard(place, Bytes(bytes))?;
                }
            }
            at += sectors;
        }
        Ok(())
    }

    /// Where a copy of the chunk of `sector` is on the COW device, for that sector.
    pub(super) fn on_cow(&self, copy: u64, sector: u64) -> Option<Sectors> {
        let at = copy.checked_mul(self.core.chunk)?.checked_add(self.core.skip(sector))?;
        Some(Sectors(at))
    }
}

/// The first sectors of the data.
pub(super) fn head(data: &[u8], sectors: u64) -> Result<&[u8], Errno> {
    data.get(..bytes_of(sectors)?).ok_or(Errno::EIO)
}

pub(super) fn bytes_of(sectors: u64) -> Result<usize, Errno> {
    usize::try_from(sectors * SECTOR_SIZE).map_err(|_| Errno::EIO)
}
