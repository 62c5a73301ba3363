//! `snapshot-origin`: a device that has snapshots.

use super::origin::Origin;
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, Role, SECTOR_SIZE, Sectors, Text, Use, Version, roles};
use crate::target::texts::{EMPTY, Kind, Texts, one};
use crate::target::{Events, Init, Mapping, Operation, Target, TargetType, Used};
use std::ops::Range;
use std::sync::{Arc, Weak};

#[derive(Debug)]
struct Passing {
    pdev: Arc<Pdev>,
    origin: Arc<Origin>,
    events: Weak<dyn Events>,
    start: u64,
    length: Sectors,
}

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    init.exactly(1)?;
    let pdev = init.pdev(0)?;
    let origin = init.shared.of(pdev.number());
    let (start, length, events) = (init.start.0, init.length, init.events.clone());
    Ok(Box::new(Passing { pdev, origin, events, start, length }))
}

impl Passing {
    fn place(&self, sector: Sectors) -> u64 {
        self.start.saturating_add(sector.0)
    }
}

impl Target for Passing {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let at = self.place(sector);
        let remap = |length| Mapping::Remap { pdev: &self.pdev, sector: Sectors(at), length };
        match operation {
            Operation::Read => remap(length),
            Operation::Write | Operation::WriteZeroes => match self.origin.is_free(at, length.0) {
                (true, run) => remap(Sectors(run)),
                (false, run) => Mapping::Handle { length: Sectors(run) },
            },
            Operation::Discard => Mapping::Fail { errno: Errno::EOPNOTSUPP, length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        name(&self.pdev)
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        vec![Used { pdev: &self.pdev, start: Sectors::ZERO, length: self.length }]
    }

    fn upcall(&self) -> Option<&Pdev> {
        Some(&self.pdev)
    }

    fn resume(&self) -> Result<(), Fault> {
        self.origin.passes(self.events.clone());
        Ok(())
    }

    fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        self.pdev.read_at(buffer, Bytes(self.place(sector).saturating_mul(SECTOR_SIZE)))
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        self.origin.write(&self.pdev, self.place(sector), data)
    }

    fn expects_writes(&self) -> bool {
        true
    }

    fn expect_writes(&self, ranges: &[Range<Sectors>]) {
        let ranges: Vec<Range<u64>> =
            ranges.iter().map(|range| self.place(range.start)..self.place(range.end)).collect();
        self.origin.preserve_together(&ranges);
    }

    fn write_zeroes(&self, sector: Sectors, length: Sectors, may_unmap: bool) -> Result<(), Errno> {
        self.origin.write_zeroes(&self.pdev, self.place(sector), length.0, may_unmap)
    }
}

/// The type.
pub(in crate::target) static TARGET: TargetType = TargetType {
    name: "snapshot-origin",
    version: Version::new(1, 9, 0),
    usage: "ORIGIN",
    help: "ORIGIN with snapshots: before a part of it is written for the first time, each snapshot gets a copy. Once \
           there are snapshots, write to ORIGIN through this target alone. Discarding is refused, as in the kernel.",
    roles: |words| roles(words, &[Role::Device(Use::Whole)], &[]),
    example: "0 2097152 snapshot-origin /dev/sdb",
    rewords: false,
    texts: Texts { table: &[one("origin", Kind::Device, "the device that has snapshots")], status: EMPTY },
    init,
};
