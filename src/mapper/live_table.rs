//! A table at work: its targets, made, and the disks under them, open.

use super::pieces::Piece;
use crate::block::{Allocation, BlockDevice, FlushFailure, Pdev};
use crate::dm::{Bytes, DeviceNumber, Errno, SECTOR_SIZE, Sectors, Text};
use crate::target::{Operation, Target};
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::OnceLock;

/// How many pieces one question about allocation looks at: what follows can be asked for.
const MAX_PIECES_TOLD: usize = 1024;

/// A table with its targets made and its pdevs open.
#[derive(Debug)]
pub(super) struct LiveTable {
    pub(super) lines: Vec<LiveLine>,
    /// Each disk under it once.
    pdevs: Vec<Arc<Pdev>>,
    /// The same but for those that targets flush themselves.
    flushed: Vec<Arc<Pdev>>,
    /// Whether all of them are files that are memory, as far as it was asked.
    #[cfg(target_os = "linux")]
    memory: OnceLock<bool>,
}

/// A line of it.
#[derive(Debug)]
pub(super) struct LiveLine {
    pub(super) start: Sectors,
    pub(super) length: Sectors,
    pub(super) target: Box<dyn Target>,
}

impl LiveTable {
    pub(super) fn new(lines: Vec<LiveLine>) -> Self {
        let (mut pdevs, mut flushed) = (Vec::new(), Vec::new());
        let add = |list: &mut Vec<Arc<Pdev>>, pdev: &Arc<Pdev>| {
            if !list.iter().any(|known| Arc::ptr_eq(known, pdev)) {
                list.push(pdev.clone());
            }
        };
        for line in &lines {
            for used in line.target.pdevs() {
                add(&mut pdevs, used.pdev);
                if !line.target.flushes() {
                    add(&mut flushed, used.pdev);
                }
            }
        }
        Self {
            lines,
            pdevs,
            flushed,
            #[cfg(target_os = "linux")]
            memory: OnceLock::new(),
        }
    }

    /// The disks under it whose writes concern other devices' targets too.
    pub(super) fn upcalls(&self) -> Vec<DeviceNumber> {
        self.lines.iter().filter_map(|line| line.target.upcall()).map(Pdev::number).collect()
    }

    /// How many sectors it maps.
    pub(super) fn size(&self) -> Sectors {
        self.lines.last().map_or(Sectors::ZERO, |last| Sectors(last.start.0 + last.length.0))
    }

    /// The largest block of the disks under it.
    pub(super) fn block_size(&self) -> Bytes {
        self.pdevs.iter().map(|pdev| pdev.block_size()).max().unwrap_or(Bytes(SECTOR_SIZE))
    }

    /// The line that maps a sector.
    pub(super) fn at(&self, sector: Sectors) -> Option<&LiveLine> {
        let index = self.lines.partition_point(|line| line.start <= sector).checked_sub(1)?;
        self.lines.get(index).filter(|line| sector.0 - line.start.0 < line.length.0)
    }

    /// The part of a request for `length` bytes at byte `at` that one mapping serves.
    pub(super) fn piece(&self, operation: Operation, at: u64, length: u64) -> Result<Piece<'_>, Errno> {
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

    /// Whether all disks under it are files that are memory.
    #[cfg(target_os = "linux")]
    pub(super) fn is_memory(&self) -> bool {
        *self.memory.get_or_init(|| self.pdevs.iter().all(|pdev| pdev.is_memory()))
    }

    /// What each target has learned; empty when none has.
    pub(super) fn memory(&self) -> Vec<Text> {
        let memory: Vec<Text> = self.lines.iter().map(|line| line.target.memory()).collect();
        if memory.iter().all(|text| text.is_empty()) { Vec::new() } else { memory }
    }

    /// Tells every target that the table is gone for good.
    pub(super) fn retire(&self) {
        self.lines.iter().for_each(|line| line.target.retire());
    }

    /// Tells every target that a client flushes. The first refusal is the flush's.
    pub(super) fn flush_asked(&self) -> Result<(), Errno> {
        self.lines.iter().map(|line| line.target.flush_asked()).fold(Ok(()), Result::and)
    }

    /// Has every target and every disk bring what was written to stable storage. A failure does not keep the others from
    /// it: their data is no less awaited.
    pub(super) fn flush(&self) -> Result<(), Errno> {
        let targets = self.lines.iter().map(|line| line.target.flush());
        let flushed = targets.fold(Ok(()), Result::and);
        self.flushed.iter().map(|pdev| pdev.flush()).fold(flushed, Result::and)
    }

    /// Whether I/O to a disk under it waits.
    pub(super) fn is_held(&self) -> bool {
        self.pdevs.iter().any(|pdev| pdev.is_held())
    }

    /// The last flush of a disk under it that failed.
    pub(super) fn flush_failure(&self) -> Option<FlushFailure> {
        self.flushed.iter().filter_map(|pdev| pdev.flush_failure()).max()
    }

    /// The run of stored or not stored bytes at the head of a range.
    pub(super) fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        let mut run = self.piece(Operation::Read, at.0, length.0)?.allocation()?;
        // Small pieces that are alike, as of stripes, are one run to whoever asks.
        for _ in 1..MAX_PIECES_TOLD {
            let so_far = run.length().0;
            if so_far >= length.0 {
                break;
            }
            let next = self.piece(Operation::Read, at.0 + so_far, length.0 - so_far)?.allocation()?;
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
