//! Which part of a device `read` and `write` are about, and where in it something went wrong.

use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use crate::block::BlockDevice;
use crate::dm::{Bytes, Command, DeviceId, Errno, Flags, Request, SECTOR_SIZE, Sectors};
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
    /// The first sector, or where it is with a unit, as in 64MiB
    #[arg(long, value_name = "SECTOR", value_parser = sectors)]
    start: Option<Sectors>,

    /// How many sectors, or how much with a unit; without it, to the end of the device
    #[arg(long, value_name = "SECTORS", value_parser = sectors)]
    length: Option<Sectors>,
}

/// A word that is no number of sectors: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoSectors(String);

fn sectors(word: &str) -> Result<Sectors, NoSectors> {
    Sectors::parse(word).map_err(NoSectors)
}

/// The part of a device that is being moved.
#[derive(Debug)]
pub(super) struct Part {
    /// The device's name as it was given.
    pub(super) name: String,
    /// Its bytes within the device.
    pub(super) range: Range<u64>,
    id: DeviceId,
    writable: bool,
    /// The device held open, where that keeps nobody from anything.
    kept: Option<Arc<dyn BlockDevice>>,
}

impl Part {
    /// Opens the device of that name and finds the bytes of it that are meant.
    pub(super) fn open(
        ctx: &mut Context,
        name: &OsStr,
        extent: Extent,
        writable: bool,
    ) -> Result<Self, Failure> {
        let id = Selector::default().device(ctx, Some(name))?;
        let name = name.display().to_string();
        let mut part = Self { name, range: 0..0, id, writable, kept: None };
        // A kernel lets a read-only device be opened for writing, and refuses the first write.
        let state = ctx.perform_if_exists(Request::new(part.id.clone(), Command::DevStatus))?;
        if writable && state.flags.contains(Flags::READONLY) {
            return Err(part.failure("the device is read-only"));
        }
        let size = part.with(ctx, |volume| Ok(volume.size()))?;
        part.range = extent.bytes(size).ok_or_else(|| {
            let end = size.whole_sectors();
            let asked = format!("{extent} lie past the end of the device, which is at sector {end}");
            part.failure(asked)
        })?;
        Ok(part)
    }

    /// Does one thing with the device.
    ///
    /// Whoever works with a device of the mapper in userspace keeps all others waiting, so it is held for the one thing
    /// only: a `read` that feeds a `write` must let that have its turn, and each thing meets the table of its time.
    pub(super) fn with<T>(
        &mut self,
        ctx: &mut Context,
        act: impl FnOnce(&dyn BlockDevice) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let client = ctx.client()?;
        let volume = match self.kept.take() {
            Some(volume) => volume,
            None => {
                client.volume(&self.id, self.writable).map_err(|fault| self.failure(fault_text(&fault)))?
            }
        };
        let outcome = if volume.size().0 < self.range.end {
            Err(format!("the device has shrunk to {} sectors", volume.size().whole_sectors()))
        } else {
            act(&*volume)
        };
        if client.is_exclusive() {
            drop(volume);
            client.commit().map_err(|fault| self.failure(fault_text(&fault)))?;
        } else {
            self.kept = Some(volume);
        }
        outcome.map_err(|what| self.failure(what))
    }

    /// What is wrong with the device.
    pub(super) fn failure(&self, what: impl fmt::Display) -> Failure {
        Failure::Ours(format!("{}: {what}", self.name))
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
        write!(f, "rdmsetup: {}", self.0)
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
