//! The list of exceptions on the COW device: written at its end as chunks are copied, and taken off it as they are merged.
//!
//! One area is in memory, the last one. What it tells of is on stable storage before it is, and it is there itself before
//! anybody is told that a chunk was copied.

use super::layout::{self, ENTRY, Unusable};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, SECTOR_SIZE};

/// What an area is written in: less is more work for most storage.
const PAGE: usize = 4096;

/// The last area of the list.
#[derive(Debug)]
pub(super) struct Log {
    /// Sectors of a chunk.
    chunk: u64,
    area: Vec<u8>,
    /// Which area that is.
    number: u64,
    /// How many exceptions are in it.
    count: usize,
    /// Something is left over on the device behind the area's end, and must not be taken for exceptions later.
    stale: bool,
}

/// Exceptions at the end of the list whose chunks are consecutive in both places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The first chunk of the origin.
    pub(super) old: u64,
    /// The first chunk of the COW device.
    pub(super) new: u64,
    /// How many there are, at least 1.
    pub(super) chunks: u64,
}

impl Log {
    /// A list without exceptions, in memory alone.
    pub(super) fn empty(chunk: u64) -> Self {
        let bytes = usize::try_from(chunk * SECTOR_SIZE).unwrap_or(usize::MAX);
        Self { chunk, area: vec![0; bytes], number: 0, count: 0, stale: false }
    }

    /// Makes the device an empty store.
    pub(super) fn create(cow: &Pdev, chunk: u64) -> Result<Self, Unusable> {
        // The header last: until it is there nothing else counts.
        let made = zero_area(cow, chunk, 0)
            .and_then(|()| cow.flush())
            .and_then(|()| layout::write_header(cow, chunk, true))
            .and_then(|()| cow.flush());
        made.map_err(|errno| Unusable::new(errno, "cannot write a new exception store"))?;
        Ok(Self::empty(chunk))
    }

    /// Reads the list, and has each exception added; gives the list and the chunk that is free next.
    pub(super) fn read(
        cow: &Pdev,
        chunk: u64,
        mut add: impl FnMut(u64, u64),
    ) -> Result<(Self, u64), Unusable> {
        let mut log = Self::empty(chunk);
        let mut free = 2;
        loop {
            log.read_area(cow).map_err(|errno| {
                let reason = format!("cannot read area {} of the exception store", log.number);
                Unusable::new(errno, reason)
            })?;
            for entry in log.area.chunks_exact(ENTRY) {
                let (old, new) = layout::decode(entry);
                if new == 0 {
                    break;
                }
                free = free.max(new.saturating_add(1));
                add(old, new);
                log.count += 1;
            }
            if log.count < log.capacity() {
                break;
            }
            log.number += 1;
            log.count = 0;
        }
        let rest = log.area.get_mut(log.count * ENTRY..).unwrap_or_default();
        log.stale = rest.iter().any(|byte| *byte != 0);
        rest.fill(0);
        Ok((log, layout::skip_area(chunk, free)))
    }

    /// Which area is the last.
    pub(super) fn area(&self) -> u64 {
        self.number
    }

    fn capacity(&self) -> usize {
        self.area.len() / ENTRY
    }

    fn read_area(&mut self, cow: &Pdev) -> Result<(), Errno> {
        let at = layout::area_chunk(self.chunk, self.number);
        let at = layout::place(cow, self.chunk, at, 0, self.area.len() as u64)?;
        cow.read_at(&mut self.area, at)
    }

    /// Writes the part of the area that holds those entries.
    fn write_entries(&mut self, cow: &Pdev, first: usize, end: usize) -> Result<(), Errno> {
        let (from, to) = if self.stale {
            (0, self.area.len())
        } else {
            let (from, to) = (first * ENTRY, end * ENTRY);
            (from - from % PAGE, to.next_multiple_of(PAGE).min(self.area.len()))
        };
        let at = layout::area_chunk(self.chunk, self.number);
        let at = layout::place(cow, self.chunk, at, 0, self.area.len() as u64)?;
        let bytes = self.area.get(from..to).ok_or(Errno::EIO)?;
        cow.write_at(bytes, Bytes(at.0 + from as u64))?;
        self.stale = false;
        Ok(())
    }

    fn put(&mut self, index: usize, exception: (u64, u64)) {
        if let Some(entry) = self.area.get_mut(index * ENTRY..(index + 1) * ENTRY) {
            entry.copy_from_slice(&layout::encode(exception));
        }
    }

    /// Adds exceptions, whose chunks are written: when this returns both are on stable storage.
    ///
    /// # Errors
    /// What the device gave; the list on it is then not what is in memory, and the store is to be given up.
    pub(super) fn append(&mut self, cow: &Pdev, exceptions: &[(u64, u64)]) -> Result<(), Errno> {
        let mut first = self.count;
        let mut chunks_are_safe = false;
        for exception in exceptions {
            self.put(self.count, *exception);
            self.count += 1;
            if self.count == self.capacity() {
                // What follows a full area is read, so it has to be there before.
                zero_area(cow, self.chunk, self.number + 1)?;
                cow.flush()?;
                chunks_are_safe = true;
                self.write_entries(cow, first, self.count)?;
                self.number += 1;
                self.area.fill(0);
                (self.count, first) = (0, 0);
            }
        }
        if self.count > first {
            if !chunks_are_safe {
                cow.flush()?;
            }
            self.write_entries(cow, first, self.count)?;
        }
        cow.flush()
    }

    /// The consecutive chunks at the end of the list, at most `limit` of them; `None` when it is empty.
    pub(super) fn tail(&mut self, cow: &Pdev, limit: u64) -> Result<Option<Tail>, Errno> {
        if self.count == 0 {
            let Some(before) = self.number.checked_sub(1) else { return Ok(None) };
            self.number = before;
            self.read_area(cow)?;
            self.count = self.capacity();
        }
        let mut entries =
            self.area.chunks_exact(ENTRY).take(self.count).rev().map(layout::decode).zip(0u64..);
        let Some(((old, new), _)) = entries.next() else { return Ok(None) };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(1);
        let consecutive = |((before, copy), back): &((u64, u64), u64)| {
            before.checked_add(*back) == Some(old) && copy.checked_add(*back) == Some(new)
        };
        let back = entries.take(limit).take_while(consecutive).count() as u64;
        Ok(Some(Tail { old: old - back, new: new - back, chunks: back + 1 }))
    }

    /// Takes the last exceptions off, all from the last area; when this returns that is on stable storage. Gives the
    /// chunk that is free next, as the kernel counts from then on.
    pub(super) fn shorten(&mut self, cow: &Pdev, chunks: u64) -> Result<u64, Errno> {
        let chunks = usize::try_from(chunks).map_err(|_| Errno::EIO)?;
        let count = self.count.checked_sub(chunks).ok_or(Errno::EIO)?;
        for index in count..self.count {
            self.put(index, (0, 0));
        }
        self.write_entries(cow, count, self.count)?;
        cow.flush()?;
        self.count = count;
        Ok(layout::area_chunk(self.chunk, self.number).saturating_add(count as u64).saturating_add(1))
    }
}

fn zero_area(cow: &Pdev, chunk: u64, area: u64) -> Result<(), Errno> {
    let bytes = chunk * SECTOR_SIZE;
    let at = layout::place(cow, chunk, layout::area_chunk(chunk, area), 0, bytes)?;
    cow.write_zeroes(at, Bytes(bytes), false)
}
