//! Which part of a device `read` and `write` are about, and where in it something went wrong.

use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::block::BlockDevice;
use crate::dm::{Bytes, Errno, SECTOR_SIZE, Sectors};
use clap::Args;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How much is moved at a time.
pub(super) const PIECE: usize = 1 << 20;

/// A part of a device.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Extent {
    /// The first sector
    #[arg(long, value_name = "SECTOR", value_parser = sectors)]
    start: Option<Sectors>,

    /// How many sectors; without it, to the end of the device
    #[arg(long, value_name = "SECTORS", value_parser = sectors)]
    length: Option<Sectors>,
}

/// A word that is no number of sectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoSectors(String);

fn sectors(word: &str) -> Result<Sectors, NoSectors> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| digits).map(Sectors).ok_or_else(|| NoSectors(word.into()))
}

/// Opens the device of that name and finds the bytes of it that are meant.
pub(super) fn open(
    ctx: &mut Context,
    name: &OsStr,
    extent: Extent,
    writable: bool,
) -> Result<(Arc<dyn BlockDevice>, Range<u64>), Failure> {
    let id = Selector::default().device(ctx, Some(name))?;
    let shown = name.display();
    let volume = ctx.client()?.volume(&id, writable);
    let volume = volume.map_err(|fault| Failure::Ours(format!("{shown}: {}", fault_text(&fault))))?;
    if writable && volume.is_read_only() {
        return Err(Failure::Ours(format!("{shown}: the device is read-only")));
    }
    let size = volume.size();
    match extent.bytes(size) {
        Some(range) => Ok((volume, range)),
        None => {
            let (end, asked) = (size.whole_sectors(), extent);
            Err(Failure::Ours(format!(
                "{shown}: {asked} lie past the end of the device, which is at sector {end}"
            )))
        }
    }
}

fn fault_text(fault: &crate::dm::Fault) -> String {
    if fault.reason.is_empty() { fault.errno.to_string() } else { fault.reason.clone() }
}

impl Extent {
    /// The bytes of a device of that size; `None` if it does not have them all.
    fn bytes(self, size: Bytes) -> Option<Range<u64>> {
        let start = self.start.unwrap_or_default().to_bytes()?.0;
        let end = match self.length {
            Some(length) => start.checked_add(length.to_bytes()?.0)?,
            None => size.0,
        };
        (start <= end && end <= size.0).then_some(start..end)
    }
}

/// Does something with each sector in turn after it failed with all at once: the first that fails is the one to name.
pub(super) fn first_bad_sector(
    range: Range<u64>,
    mut act: impl FnMut(Range<u64>) -> Result<(), Errno>,
) -> Result<(), (Sectors, Errno)> {
    let mut at = range.start;
    while at < range.end {
        let next = (at / SECTOR_SIZE + 1).saturating_mul(SECTOR_SIZE).min(range.end);
        act(at..next).map_err(|errno| (Sectors(at / SECTOR_SIZE), errno))?;
        at = next;
    }
    Ok(())
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start.unwrap_or_default();
        match self.length {
            Some(length) => write!(f, "{length} sectors from sector {start} on"),
            None => write!(f, "the sectors from {start} on"),
        }
    }
}

impl fmt::Display for NoSectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rdmsetup: \"{}\" is not a number of sectors", self.0)
    }
}

impl std::error::Error for NoSectors {}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(start: Option<u64>, length: Option<u64>) -> Option<Range<u64>> {
        Extent { start: start.map(Sectors), length: length.map(Sectors) }.bytes(Bytes(5130))
    }

    #[test]
    fn a_part_lies_within_the_device() {
        assert_eq!(part(None, None), Some(0..5130));
        assert_eq!(part(Some(1), Some(9)), Some(512..5120));
        assert_eq!(part(Some(10), None), Some(5120..5130));
        assert_eq!(part(Some(11), None), None);
        assert_eq!(part(Some(10), Some(1)), None);
        assert_eq!(part(Some(u64::MAX), Some(1)), None);
        assert_eq!(part(Some(1), Some(u64::MAX / 512)), None);
    }

    #[test]
    fn the_sector_at_fault_is_found() {
        let bad =
            first_bad_sector(100..5000, |range| if range.contains(&2049) { Err(Errno::EIO) } else { Ok(()) });
        assert_eq!(bad, Err((Sectors(4), Errno::EIO)));
        assert_eq!(first_bad_sector(0..10, |_| Ok(())), Ok(()));
    }
}
