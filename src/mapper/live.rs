//! The data path: ranges of a device, through its table, to the pdevs.
//!
//! The one referee between whoever reads and writes and the targets: it checks access, splits at the lines' borders,
//! and holds targets to what they promised. Targets check none of it again.

use super::pieces::Piece;
use crate::block::{Allocation, BlockDevice};
use crate::dm::{Bytes, Errno, SECTOR_SIZE, Sectors};
use crate::target::{Operation, Target};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How many pieces one question about allocation looks at: what follows can be asked for.
const MAX_PIECES_TOLD: usize = 1024;

/// A device's data path, the same for as long as the device exists, whatever its table.
#[derive(Debug, Default)]
pub struct Live {
    current: RwLock<Current>,
    users: AtomicI32,
    events: AtomicU32,
}

/// What I/O goes through now.
#[derive(Clone, Debug, Default)]
struct Current {
    table: Option<Arc<LiveTable>>,
    size: Sectors,
    read_only: bool,
}

/// A table with its targets made and its pdevs open.
#[derive(Debug)]
pub(super) struct LiveTable {
    pub(super) lines: Vec<LiveLine>,
}

/// A line of it.
#[derive(Debug)]
pub(super) struct LiveLine {
    pub(super) start: Sectors,
    pub(super) length: Sectors,
    pub(super) target: Box<dyn Target>,
}

impl Live {
    /// Says what the device is from now on, before its targets are made: reading it then fails (EIO) until they are.
    pub(super) fn resize(&self, size: Sectors, read_only: bool) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Current { table: None, size, read_only };
    }

    /// Puts the targets in place.
    pub(super) fn attach(&self, table: Arc<LiveTable>) {
        self.current.write().unwrap_or_else(PoisonError::into_inner).table = Some(table);
    }

    /// The device is gone: what still holds it gets EIO.
    pub(super) fn detach(&self) {
        self.resize(Sectors::ZERO, false);
    }

    /// The table that I/O goes through, if its targets are made.
    pub(super) fn table(&self) -> Option<Arc<LiveTable>> {
        self.current().table
    }

    /// How many read and write it.
    pub(super) fn users(&self) -> i32 {
        self.users.load(Ordering::Relaxed)
    }

    /// One more user, or with -1 one less.
    pub(super) fn add_user(&self, change: i32) {
        self.users.fetch_add(change, Ordering::Relaxed);
    }

    /// The device's event counter.
    pub(super) fn event_nr(&self) -> u32 {
        self.events.load(Ordering::Relaxed)
    }

    pub(super) fn set_event_nr(&self, event_nr: u32) {
        self.events.store(event_nr, Ordering::Relaxed);
    }

    /// One more event.
    pub(super) fn signal_event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does `each` for every part of a range, in order; what a target calls an event becomes one.
    fn walk(
        &self,
        operation: Operation,
        at: Bytes,
        length: u64,
        mut each: impl FnMut(&Piece<'_>) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let Current { table, read_only, .. } = self.current();
        if read_only && operation != Operation::Read {
            return Err(Errno::EROFS);
        }
        let table = table.ok_or(Errno::EIO)?;
        let end = at.0.checked_add(length).ok_or(Errno::EIO)?;
        let mut at = at.0;
        while at < end {
            let piece = table.piece(operation, at, end - at)?;
            if let Err(errno) = each(&piece) {
                if piece.is_event(errno) {
                    self.signal_event();
                }
                return Err(errno);
            }
            at += piece.length;
        }
        Ok(())
    }
}

impl LiveTable {
    /// How many sectors it maps.
    pub(super) fn size(&self) -> Sectors {
        self.lines.last().map_or(Sectors::ZERO, |last| Sectors(last.start.0 + last.length.0))
    }

    /// The line that maps a sector.
    pub(super) fn at(&self, sector: Sectors) -> Option<&LiveLine> {
        let index = self.lines.partition_point(|line| line.start <= sector).checked_sub(1)?;
        self.lines.get(index).filter(|line| sector.0 - line.start.0 < line.length.0)
    }

    /// The part of a request for `length` bytes at byte `at` that one mapping serves.
    fn piece(&self, operation: Operation, at: u64, length: u64) -> Result<Piece<'_>, Errno> {
        let sector = at / SECTOR_SIZE;
        let line = self.at(Sectors(sector)).ok_or(Errno::EIO)?;
        let from = sector - line.start.0;
        let skip = at % SECTOR_SIZE;
        let wanted = skip.saturating_add(length).div_ceil(SECTOR_SIZE).min(line.length.0 - from);
        let mapping = line.target.strategy(operation, Sectors(from), Sectors(wanted));
        let served = mapping.length().0;
        if served == 0 || served > wanted {
            return Err(Errno::EIO);
        }
        let length = (served * SECTOR_SIZE - skip).min(length);
        Ok(Piece { target: line.target.as_ref(), sector: Sectors(from), mapping, skip, length })
    }
}

impl BlockDevice for Live {
    fn size(&self) -> Bytes {
        self.current().size.to_bytes().unwrap_or(Bytes(u64::MAX))
    }

    fn block_size(&self) -> Bytes {
        let table = self.table();
        let lines = table.iter().flat_map(|table| &table.lines);
        let blocks = lines.flat_map(|line| line.target.pdevs()).map(|used| used.pdev.block_size());
        blocks.max().unwrap_or(Bytes(SECTOR_SIZE))
    }

    fn is_read_only(&self) -> bool {
        self.current().read_only
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        let length = buffer.len() as u64;
        let mut rest = buffer;
        self.walk(Operation::Read, at, length, |piece| {
            let now = rest.split_off_mut(..piece.bytes()?).ok_or(Errno::EIO)?;
            piece.read(now)
        })
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        let mut rest = data;
        self.walk(Operation::Write, at, data.len() as u64, |piece| {
            let now = rest.split_off(..piece.bytes()?).ok_or(Errno::EIO)?;
            piece.write(now)
        })
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.walk(Operation::Discard, at, length.0, |piece| piece.discard())
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno> {
        self.walk(Operation::WriteZeroes, at, length.0, |piece| piece.write_zeroes(may_unmap))
    }

    fn flush(&self) -> Result<(), Errno> {
        let Some(table) = self.table() else { return Ok(()) };
        let mut flushed = Vec::new();
        let mut result = Ok(());
        for line in &table.lines {
            for used in line.target.pdevs() {
                if !flushed.contains(&used.pdev.number()) {
                    flushed.push(used.pdev.number());
                    // The others are flushed all the same: their data is no less awaited.
                    result = result.and(used.pdev.flush());
                }
            }
        }
        result
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        let table = self.table().ok_or(Errno::EIO)?;
        let mut run = table.piece(Operation::Read, at.0, length.0)?.allocation()?;
        // Small pieces that are alike, as of stripes, are one run to whoever asks.
        for _ in 1..MAX_PIECES_TOLD {
            let so_far = run.length().0;
            if so_far >= length.0 {
                break;
            }
            let next = table.piece(Operation::Read, at.0 + so_far, length.0 - so_far)?.allocation()?;
            run = match (run, next) {
                (Allocation::Data(_), Allocation::Data(more)) => Allocation::Data(Bytes(so_far + more.0)),
                (Allocation::Hole(_), Allocation::Hole(more)) => Allocation::Hole(Bytes(so_far + more.0)),
                (Allocation::Data(_), Allocation::Hole(_)) | (Allocation::Hole(_), Allocation::Data(_)) => {
                    break;
                }
            };
        }
        Ok(run)
    }
}
