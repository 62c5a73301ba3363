//! Ranges in place: those that a table's targets map to files that are memory.

use super::live_table::LiveTable;
use super::pieces::Piece;
use crate::block::{Access, InPlace};
use crate::dm::Bytes;
use crate::sys::mapped::Part;
use crate::target::{Mapping, Operation};
use std::ops::Range;

/// Shows where the first ranges of the table's device are: see [`BlockDevice::in_place`](crate::block::BlockDevice).
pub(super) fn visit(
    table: &LiveTable,
    access: Access,
    ranges: &[Range<Bytes>],
    then: &mut InPlace<'_>,
) -> usize {
    // Else a target would be asked for nothing, and one that takes its paths in turn goes on to the next then.
    if !table.is_memory() {
        return 0;
    }
    let (mut pieces, mut parts) = (Vec::with_capacity(ranges.len()), Vec::with_capacity(ranges.len()));
    for range in ranges {
        let length = range.end.0 - range.start.0;
        let Ok(piece) = table.piece(Operation::from(access), range.start.0, length) else { break };
        let Some(part) = part(&piece, access).filter(|_| piece.length == length) else { break };
        pieces.push(piece);
        parts.push(part);
    }
    if parts.is_empty() {
        return 0;
    }
    pieces.iter().for_each(Piece::start);
    let is_done = then(&parts);
    pieces.iter().for_each(Piece::finish);
    if is_done { parts.len() } else { 0 }
}

/// Where all of a piece is, if it is in place.
fn part<'a>(piece: &Piece<'a>, access: Access) -> Option<Part<'a>> {
    match piece.mapping {
        Mapping::Remap { pdev, sector, .. } => {
            pdev.part(access, piece.position(sector).ok()?, piece.bytes().ok()?)
        }
        Mapping::Zero { .. } | Mapping::Fail { .. } | Mapping::Handle { .. } => None,
    }
}
