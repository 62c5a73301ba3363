//! Writes that are about to come, told to the targets whose work they are, and to the devices under the others.

use super::live_table::LiveTable;
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, SECTOR_SIZE, Sectors};
use crate::target::{Mapping, Operation, Target};
use std::ops::Range;
use std::ptr;

/// Tells of ranges of the table's device: each target and each device below once.
pub(super) fn tell(table: &LiveTable, ranges: &[Range<Bytes>]) {
    let mut targets: Vec<(&dyn Target, Vec<Range<Sectors>>)> = Vec::new();
    let mut below: Vec<(&Pdev, Vec<Range<Bytes>>)> = Vec::new();
    for range in ranges {
        let mut at = range.start.0;
        while at < range.end.0 {
            // A write of it finds out what is the matter.
            let Ok(piece) = table.piece(Operation::Write, at, range.end.0 - at) else { break };
            match piece.mapping {
                Mapping::Handle { .. } if piece.target.expects_writes() => {
                    let sectors = Sectors((piece.skip + piece.length).div_ceil(SECTOR_SIZE));
                    let part = piece.sector..Sectors(piece.sector.0 + sectors.0);
                    add(&mut targets, piece.target, part, ptr::addr_eq);
                }
                Mapping::Remap { pdev, sector, .. } if pdev.as_file().is_none() => {
                    if let Ok(from) = piece.position(sector) {
                        let part = from..Bytes(from.0 + piece.length);
                        add(&mut below, pdev, part, ptr::eq);
                    }
                }
                Mapping::Handle { .. }
                | Mapping::Remap { .. }
                | Mapping::Zero { .. }
                | Mapping::Fail { .. } => {}
            }
            at += piece.length;
        }
    }
    targets.iter().for_each(|(target, parts)| target.expect_writes(parts));
    below.iter().for_each(|(pdev, parts)| pdev.expect_writes(parts));
}

/// Adds a part to what its owner is told.
fn add<'a, O: ?Sized, P>(
    lists: &mut Vec<(&'a O, Vec<P>)>,
    owner: &'a O,
    part: P,
    same: impl Fn(*const O, *const O) -> bool,
) {
    match lists.iter_mut().find(|(known, _)| same(*known, owner)) {
        Some((_, parts)) => parts.push(part),
        None => lists.push((owner, vec![part])),
    }
}
