//! `mirror`: the same data on several devices (RAID 1), with a log of where they may differ.
//!
//! ```text
//! reads ─▶ one leg, remapped                    legs: which failed, which is read
//! writes ─▶ set: all legs ◀─ regions, log       log: which regions are alike, in memory and on disk
//!                  ▲
//!            recovery: a thread that copies what is not alike
//! ```
//!
//! A process that does not go on serving the mirror copies nothing: where the legs are not known to be alike it writes the
//! first alone, as the kernel does until its own copying comes there.

mod args;
mod form;
mod legs;
mod log;
mod recovery;
mod regions;
mod set;

use super::{Ended, Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, SECTOR_SIZE, Sectors, Text, Version};
use args::Arguments;
use recovery::Worker;
use set::{NoFlush, Set};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
struct Mirror {
    set: Arc<Set>,
    worker: Worker,
    /// The log is this target's: it was read, and has not been given back by a suspend.
    has_log: AtomicBool,
}

/// The memory of a mirror whose regions were in sync, so that the next process does not tell so again.
const TOLD: &str = "in sync";

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    let Arguments { log, legs, features } = Arguments::read(init)?;
    let was_told = init.memory == TOLD;
    let set = Set::new(legs, log, features, init.length, init.serves, init.events.clone(), was_told);
    Ok(Box::new(Mirror { set: Arc::new(set), worker: Worker::default(), has_log: AtomicBool::new(false) }))
}

impl Mirror {
    fn give_log_back(&self) {
        if self.has_log.swap(false, Ordering::SeqCst) {
            self.set.clean(true);
        }
    }
}

impl Target for Mirror {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let length = self.set.within_region(sector, length);
        if operation != Operation::Read {
            return Mapping::Handle { length };
        }
        match self.set.source(sector).and_then(|leg| Ok((leg, leg.place(sector).ok_or(Errno::EIO)?))) {
            Ok((leg, sector)) => Mapping::Remap { pdev: &leg.pdev, sector, length },
            Err(errno) => Mapping::Fail { errno, length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let mut text = self.set.log.params(name);
        text.extend(self.set.legs.len().to_string().bytes());
        for leg in self.set.legs.iter() {
            text.extend([b" ", name(&leg.pdev).as_bytes(), format!(" {}", leg.offset).as_bytes()].concat());
        }
        let features = self.set.features;
        if features.handle_errors {
            let keep = if features.keep_log { " 2 handle_errors keep_log" } else { " 1 handle_errors" };
            text.extend(keep.bytes());
        }
        text.into()
    }

    /// The legs, how many regions are in sync of how many, a letter for each leg, and the log with its letter. Letters:
    /// `A` alive, `F` failed to flush, `D` to write, `S` to be synchronized, `R` to read.
    fn status(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let set = &self.set;
        let mut text = format!("{} ", set.legs.len()).into_bytes();
        for leg in set.legs.iter() {
            text.extend([name(&leg.pdev).as_bytes(), b" "].concat());
        }
        text.extend(format!("{}/{} 1 ", set.log.synced_count(), set.log.regions()).bytes());
        text.extend([set.legs.letters().as_slice(), b" ", &set.log.status(name)].concat());
        text.into()
    }

    /// The legs; the log is flushed by the target, and its room was checked.
    fn pdevs(&self) -> Vec<Used<'_>> {
        let used = |leg: &'_ legs::Leg| (leg.offset, self.set.length);
        self.set
            .legs
            .iter()
            .map(|leg| {
                let (start, length) = used(leg);
                Used { pdev: &leg.pdev, start, length }
            })
            .collect()
    }

    fn end_io(&self, pdev: &Pdev, errno: Errno) -> Ended {
        if errno == Errno::EOPNOTSUPP || !self.set.uses(pdev) {
            return Ended::Failed;
        }
        // Another leg may have it, or the next answer is that none has.
        self.set.read_failed(pdev);
        Ended::Again
    }

    fn presuspend(&self, noflush: bool) {
        self.set.flow().suspended = Some(NoFlush(noflush));
        self.set.notify();
        self.worker.stop(&self.set);
    }

    fn postsuspend(&self) -> Result<(), Errno> {
        self.give_log_back();
        Ok(())
    }

    fn resume(&self) -> Result<(), Fault> {
        self.set.flow().suspended = None;
        if !self.has_log.swap(true, Ordering::SeqCst) {
            self.set.log.load();
        }
        if self.set.serves {
            return self.worker.start(&self.set);
        }
        self.set.note_sync();
        Ok(())
    }

    fn memory(&self) -> Text {
        if self.set.is_told() { TOLD.into() } else { Text::new() }
    }

    fn flush(&self) -> Result<(), Errno> {
        self.set.flush()
    }

    fn flushes(&self) -> bool {
        true
    }

    /// Only where a write is of parts of sectors.
    fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        self.set.read(sector, buffer)
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        self.set.write(sector, &|pdev, at| pdev.write_at(data, at))
    }

    fn write_through(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        self.set.write(sector, &|pdev, at| pdev.write_through(data, at))
    }

    fn discard(&self, sector: Sectors, length: Sectors) -> Result<(), Errno> {
        self.set.discard(sector, Bytes(length.0 * SECTOR_SIZE))
    }

    fn write_zeroes(&self, sector: Sectors, length: Sectors, may_unmap: bool) -> Result<(), Errno> {
        let length = Bytes(length.0 * SECTOR_SIZE);
        self.set.write(sector, &|pdev, at| pdev.write_zeroes(at, length, may_unmap))
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.worker.stop(&self.set);
        self.give_log_back();
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "mirror",
    version: Version::new(1, 14, 0),
    usage: "core|disk ARGUMENTS [DEVICE] REGION [sync|nosync] LEGS DEVICE SECTOR... [FEATURES [handle_errors [keep_log]]]",
    help: "Keeps the same data on LEGS devices, 2 to 9, each used from its SECTOR on: writes go to all of them, reads to one. A log \
           knows in which regions of REGION sectors they may differ: \"core\" in memory, so that a new mirror is copied whole, \
           \"disk\" also on DEVICE, so that only regions that were being written are copied after a crash. ARGUMENTS is the number \
           of the log's arguments that follow. A new mirror's first leg is copied to the others in the background, unless \
           \"nosync\" says that they are alike. With \"handle_errors\" a failing leg is an event, and a write that is not on all \
           legs waits until the table is changed; with \"keep_log\" too it succeeds, and the log knows where the legs differ.",
    roles: args::roles_of,
    example: "0 2097152 mirror core 1 1024 2 /dev/sdb 0 /dev/sdc 0",
    rewords: false,
    texts: form::TEXTS,
    init,
};

#[cfg(test)]
mod tests;
