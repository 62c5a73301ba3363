//! The content of chunks that are claimed: from the origin, or from who writes the snapshot, to their places.

use super::core::Claim;
use super::layout;
use super::member::{Member, bytes_of};
use crate::block::BlockDevice;
use crate::dm::{Bytes, Errno, SECTOR_SIZE};

/// How many bytes of copies are gathered for one write, if those of a run are not more.
const GATHERED: usize = 64 << 10;

impl Member {
    /// Copies what the origin has in the claimed chunks.
    pub(super) fn copy_claimed(&self, claims: &[Claim]) -> Result<(), Errno> {
        let chunk = bytes_of(self.core.chunk)?;
        // Copies that follow one another on the COW device, whose originals may be anywhere.
        let (mut bytes, mut first) = (Vec::new(), 0);
        for ((old, new), chunks) in claims.iter().flat_map(|claim| consecutive(&claim.exceptions)) {
            let follows = bytes.len().is_multiple_of(chunk) && first + (bytes.len() / chunk) as u64 == new;
            if !follows || bytes.len() + bytes_of(chunks * self.core.chunk)? > GATHERED {
                self.put_copies(first, &bytes)?;
                bytes.clear();
                first = new;
            }
            self.originals(old, chunks, &mut bytes)?;
        }
        self.put_copies(first, &bytes)
    }

    /// Adds the content of chunks on the origin to the buffer, as far as it goes.
    fn originals(&self, chunk: u64, chunks: u64, bytes: &mut Vec<u8>) -> Result<(), Errno> {
        let at = chunk.checked_mul(self.core.chunk).ok_or(Errno::EIO)?;
        let left = self.origin.sectors().0.checked_sub(at).ok_or(Errno::EIO)?;
        let before = bytes.len();
        bytes.resize(before + bytes_of((chunks * self.core.chunk).min(left))?, 0);
        let added = bytes.get_mut(before..).unwrap_or_default();
        if added.is_empty() { Ok(()) } else { self.origin.read_at(added, Bytes(at * SECTOR_SIZE)) }
    }

    fn put_copies(&self, new: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        let at = layout::place(&self.cow, self.core.chunk, new, 0, bytes.len() as u64)?;
        self.cow.write_at(bytes, at)
    }

    /// Fills the claimed chunks: with data where there is some, with the origin's content around it.
    pub(super) fn write_claimed(&self, claim: &Claim, at: u64, data: &[u8]) -> Result<(), Errno> {
        let chunk = self.core.chunk;
        let end = at + data.len() as u64 / SECTOR_SIZE;
        for ((old, new), chunks) in consecutive(&claim.exceptions) {
            let (from, to) = (old * chunk, (old + chunks) * chunk);
            // Where the run and the data overlap.
            let (low, high) = (from.max(at), to.min(end));
            let part = data.get(bytes_of(low - at)?..bytes_of(high - at)?).ok_or(Errno::EIO)?;
            if (low, high) == (from, to) {
                let place = layout::place(&self.cow, chunk, new, 0, part.len() as u64)?;
                self.cow.write_at(part, place)?;
                continue;
            }
            let mut bytes = Vec::new();
            self.originals(old, chunks, &mut bytes)?;
            let within = bytes_of(low - from)?..bytes_of(high - from)?;
            bytes.get_mut(within).ok_or(Errno::EIO)?.copy_from_slice(part);
            self.put_copies(new, &bytes)?;
        }
        Ok(())
    }
}

/// Exceptions in order as runs that are consecutive in both places: the first, and how many.
fn consecutive(exceptions: &[(u64, u64)]) -> impl Iterator<Item = ((u64, u64), u64)> {
    let follows = |one: &(u64, u64), next: &(u64, u64)| one.0 + 1 == next.0 && one.1 + 1 == next.1;
    exceptions.chunk_by(follows).filter_map(|run| run.first().map(|first| (*first, run.len() as u64)))
}
