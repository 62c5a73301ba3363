//! `snapshot`: the origin as it was, and what was written to the snapshot since.

use super::arguments::{Snapshot, TEXTS, USAGE, roles_of};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, SECTOR_SIZE, Sectors, Text, Version};
use crate::target::{Init, Lent, Mapping, Operation, Target, TargetType, Used};
use std::sync::atomic::Ordering;

/// Zeros to write, a piece at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

#[derive(Debug)]
struct Reading(Snapshot);

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    Ok(Box::new(Reading(Snapshot::make(init, false)?)))
}

impl Reading {
    fn place(&self, sector: Sectors) -> u64 {
        self.0.start.saturating_add(sector.0)
    }

    /// Where copies are read and written, which stay where they are for as long as the snapshot is resumed; what has none
    /// may get one at any time.
    fn copies(&self, sector: u64, length: Sectors) -> Mapping<'_> {
        let member = &self.0.member;
        let (copy, run) = member.copied(sector, length.0);
        let length = Sectors(run);
        match copy.map(|copy| member.on_cow(copy, sector)) {
            Some(Some(sector)) => match sector.checked_add(length) {
                Some(end) if end <= member.cow.sectors() => {
                    Mapping::Remap { pdev: &member.cow, sector, length }
                }
                Some(_) | None => Mapping::Fail { errno: Errno::EIO, length },
            },
            Some(None) => Mapping::Fail { errno: Errno::EIO, length },
            None => Mapping::Handle { length },
        }
    }
}

impl Target for Reading {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let member = &self.0.member;
        let writes = operation != Operation::Read;
        if operation == Operation::Discard && !self.0.zeroes_cow {
            return Mapping::Fail { errno: Errno::EOPNOTSUPP, length };
        }
        if !member.is_valid() || (writes && member.core.is_overflowed()) {
            return Mapping::Fail { errno: Errno::EIO, length };
        }
        match operation {
            Operation::Discard => Mapping::Handle { length },
            Operation::Read | Operation::Write | Operation::WriteZeroes => {
                self.copies(self.place(sector), length)
            }
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        self.0.params(name)
    }

    fn status(&self, _name: &dyn Fn(&Pdev) -> Text) -> Text {
        self.0.member.status()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        self.0.pdevs()
    }

    fn memory(&self) -> Text {
        self.0.member.memory()
    }

    fn upcall(&self) -> Option<&Pdev> {
        Some(&self.0.member.origin)
    }

    fn postsuspend(&self) -> Result<(), Errno> {
        self.0.member.suspended.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn resume(&self) -> Result<(), Fault> {
        self.0.origin.activate(&self.0.member)?;
        self.0.member.suspended.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn restore(&self) -> Result<(), Fault> {
        self.0.origin.restore(&self.0.member)?;
        self.0.member.suspended.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        self.0.member.read(self.place(sector), buffer)
    }

    fn lend(&self, sector: Sectors, length: Sectors, visit: &mut Lent<'_>) -> Option<Result<(), Errno>> {
        self.0.member.lend(self.place(sector), length.0, visit)
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        self.0.member.write(self.place(sector), data)
    }

    fn write_zeroes(&self, sector: Sectors, length: Sectors, _may_unmap: bool) -> Result<(), Errno> {
        let (mut at, end) = (self.place(sector), self.place(sector).saturating_add(length.0));
        while at < end {
            let sectors = (end - at).min(ZEROS.len() as u64 / SECTOR_SIZE);
            self.0.member.write(at, super::member::head(&ZEROS, sectors)?)?;
            at += sectors;
        }
        Ok(())
    }

    fn discard(&self, sector: Sectors, length: Sectors) -> Result<(), Errno> {
        let (member, at) = (&self.0.member, self.place(sector));
        member.discard(at, length.0)?;
        if self.0.passes_down {
            // Not through the origin's target: nobody gets a copy of what is being freed.
            let at = Bytes(at.saturating_mul(SECTOR_SIZE));
            member.origin.discard(at, Bytes(length.0.saturating_mul(SECTOR_SIZE)))?;
        }
        Ok(())
    }
}

/// The type.
pub(in crate::target) static TARGET: TargetType = TargetType {
    name: "snapshot",
    version: Version::new(1, 16, 0),
    usage: USAGE,
    help: "ORIGIN as it is now, to be kept while a snapshot-origin over it is written, and to be written itself: what \
           differs is on the device COW, in chunks of CHUNK sectors. P keeps the list of chunks on COW too, where it \
           outlives this process and can be taken over by a kernel; N keeps it in memory, for as long as the process \
           runs that has the device: without a server that is one command. A snapshot that finds no room on COW is \
           Invalid from then on; with PO, if its own writes found none, it is Overflow and can be read. Features: \
           discard_zeroes_cow, discard_passdown_origin.",
    roles: roles_of,
    example: "0 2097152 snapshot /dev/sdb /dev/sdc P 16",
    rewords: false,
    texts: TEXTS,
    init,
};
