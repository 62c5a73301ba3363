//! `snapshot-merge`: an origin that takes back what its snapshot has, while it is in use.
//!
//! To whoever reads it, it is the snapshot from the first instant. Chunks go from the end of the store's list: the copies to
//! the origin, a flush of it, and then the list is shortened. Whatever is interrupted is done again from the list.

use super::arguments::{Snapshot, TEXTS, USAGE, roles_of};
use super::layout;
use super::member::{Member, bytes_of, head};
use super::origin::Origin;
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, SECTOR_SIZE, Sectors, Text, Version};
use crate::target::{Events, Init, Mapping, Operation, Target, TargetType, Used};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::thread::{self, JoinHandle};

/// How many sectors are merged at once, at most, if a chunk has not more.
const STEP: u64 = 8192;

/// How many locks share the chunks among them.
const STRIPES: usize = 64;

#[derive(Debug)]
struct Merging {
    snapshot: Snapshot,
    work: Arc<Work>,
    events: Weak<dyn Events>,
    serves: bool,
    worker: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread that merges has.
#[derive(Debug)]
struct Work {
    member: Arc<Member>,
    origin: Arc<Origin>,
    stop: AtomicBool,
    /// Held by who writes a copy, locked by who merges it: chunk by chunk in turn.
    stripes: [RwLock<()>; STRIPES],
}

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    let snapshot = Snapshot::make(init, true)?;
    let (member, origin) = (snapshot.member.clone(), snapshot.origin.clone());
    let stripes = std::array::from_fn(|_| RwLock::default());
    let work = Arc::new(Work { member, origin, stop: AtomicBool::new(false), stripes });
    let (events, serves, worker) = (init.events.clone(), init.serves, Mutex::default());
    Ok(Box::new(Merging { snapshot, work, events, serves, worker }))
}

impl Work {
    fn stripe(&self, chunk: u64) -> &RwLock<()> {
        let index = usize::try_from(chunk % STRIPES as u64).unwrap_or_default();
        &self.stripes[index]
    }

    /// Merges until nothing is left, or it is to stop.
    fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) && self.member.is_valid() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    self.member.merge_failed.store(true, Ordering::SeqCst);
                    break;
                }
            }
        }
    }

    /// Merges the last chunks of the list; `false` when there are none.
    fn step(&self) -> Result<bool, Errno> {
        let Member { core, origin, cow, .. } = &*self.member;
        let Some(mut log) = core.log() else { return Ok(false) };
        let Some(tail) = log.tail(cow, (STEP / core.chunk).max(1))? else { return Ok(false) };
        drop(log);
        let _steady = self.origin.steady.read().unwrap_or_else(PoisonError::into_inner);
        let from = tail.old.checked_mul(core.chunk).ok_or(Errno::EIO)?;
        let left = origin.sectors().0.checked_sub(from).ok_or(Errno::EIO)?;
        let sectors = (tail.chunks * core.chunk).min(left);
        self.origin.preserve(from, sectors);
        let _alone = self.lock_run(tail.old, tail.chunks);
        let mut bytes = vec![0; bytes_of(sectors)?];
        cow.read_at(&mut bytes, layout::place(cow, core.chunk, tail.new, 0, sectors * SECTOR_SIZE)?)?;
        origin.write_at(&bytes, Bytes(from * SECTOR_SIZE))?;
        origin.flush()?;
        let free = core.log().ok_or(Errno::EIO)?.shorten(cow, tail.chunks)?;
        core.set_free(free);
        (tail.old..tail.old + tail.chunks).for_each(|chunk| core.exceptions.remove(chunk));
        Ok(true)
    }

    /// Keeps the copies of a run of chunks from being written.
    fn lock_run(&self, chunk: u64, chunks: u64) -> Vec<RwLockWriteGuard<'_, ()>> {
        let count = usize::try_from(chunks).unwrap_or(STRIPES).min(STRIPES) as u64;
        let mut indices: Vec<u64> = (0..count).map(|ahead| (chunk + ahead) % STRIPES as u64).collect();
        // Always in the same order; writers hold one at a time.
        indices.sort_unstable();
        let lock = |index| self.stripe(index).write().unwrap_or_else(PoisonError::into_inner);
        indices.into_iter().map(lock).collect()
    }

    /// Writes to the copy, or where there is none to the origin.
    fn write(&self, sector: u64, data: &[u8]) -> Result<(), Errno> {
        let Member { core, origin, cow, .. } = &*self.member;
        let (mut at, mut rest) = (sector, data);
        while !rest.is_empty() {
            let (chunk, skip) = (at / core.chunk, at % core.chunk);
            let sectors = (core.chunk - skip).min(rest.len() as u64 / SECTOR_SIZE);
            let part = head(rest, sectors)?;
            let not_now = self.stripe(chunk).read().unwrap_or_else(PoisonError::into_inner);
            match core.exceptions.copy_of(chunk).filter(|_| self.member.is_valid()) {
                Some(copy) => {
                    let place = layout::place(cow, core.chunk, copy, skip, sectors * SECTOR_SIZE)?;
                    cow.write_at(part, place)?;
                }
                None => {
                    // No copy comes back.
                    drop(not_now);
                    self.origin.write(origin, at, part)?;
                }
            }
            rest = rest.split_off(bytes_of(sectors)?..).ok_or(Errno::EIO)?;
            at += sectors;
        }
        Ok(())
    }
}

impl Merging {
    fn place(&self, sector: Sectors) -> u64 {
        self.snapshot.start.saturating_add(sector.0)
    }

    fn start(&self) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_none() {
            self.work.stop.store(false, Ordering::SeqCst);
            let work = self.work.clone();
            *worker = Some(thread::spawn(move || work.run()));
        }
    }

    fn end(&self) {
        self.work.stop.store(true, Ordering::SeqCst);
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that panicked has stopped too.
        worker.map(JoinHandle::join);
    }
}

impl Target for Merging {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let (member, at) = (&self.work.member, self.place(sector));
        let (copy, run) = if member.is_valid() { member.copied(at, length.0) } else { (None, length.0) };
        let length = Sectors(run);
        let origin = |length| Mapping::Remap { pdev: &member.origin, sector: Sectors(at), length };
        match (operation, copy) {
            (Operation::Discard, _) if !self.snapshot.zeroes_cow => {
                Mapping::Fail { errno: Errno::EOPNOTSUPP, length }
            }
            // What is being merged is not what would be discarded.
            (Operation::Discard, _) => Mapping::Zero { length },
            (Operation::Read, None) => origin(length),
            (Operation::Read, Some(copy)) => match member.on_cow(copy, at) {
                Some(sector)
                    if sector.0.checked_add(run).is_some_and(|end| end <= member.cow.sectors().0) =>
                {
                    Mapping::Remap { pdev: &member.cow, sector, length }
                }
                Some(_) | None => Mapping::Fail { errno: Errno::EIO, length },
            },
            (Operation::Write | Operation::WriteZeroes, Some(_)) => Mapping::Handle { length },
            (Operation::Write | Operation::WriteZeroes, None) => {
                match self.snapshot.origin.is_free(at, run) {
                    (true, run) => origin(Sectors(run)),
                    (false, run) => Mapping::Handle { length: Sectors(run) },
                }
            }
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        self.snapshot.params(name)
    }

    fn status(&self, _name: &dyn Fn(&Pdev) -> Text) -> Text {
        self.work.member.status()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        self.snapshot.pdevs()
    }

    fn memory(&self) -> Text {
        self.work.member.memory()
    }

    fn upcall(&self) -> Option<&Pdev> {
        Some(&self.work.member.origin)
    }

    fn presuspend(&self, _noflush: bool) {
        self.end();
    }

    fn postsuspend(&self) -> Result<(), Errno> {
        self.work.member.suspended.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn resume(&self) -> Result<(), Fault> {
        self.snapshot.origin.activate(&self.work.member)?;
        self.begin();
        Ok(())
    }

    fn restore(&self) -> Result<(), Fault> {
        self.snapshot.origin.restore(&self.work.member)?;
        self.begin();
        Ok(())
    }

    fn work(&self) {
        if self.serves {
            self.start();
        } else {
            self.work.stop.store(false, Ordering::SeqCst);
            self.work.run();
        }
    }

    fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        let member = &self.work.member;
        if member.is_valid() {
            return member.read(self.place(sector), buffer);
        }
        member.origin.read_at(buffer, Bytes(self.place(sector).saturating_mul(SECTOR_SIZE)))
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        self.work.write(self.place(sector), data)
    }

    fn write_zeroes(&self, sector: Sectors, length: Sectors, _may_unmap: bool) -> Result<(), Errno> {
        let zeros = vec![0; bytes_of(length.0.min(STEP))?];
        let (mut at, end) = (self.place(sector), self.place(sector).saturating_add(length.0));
        while at < end {
            let sectors = (end - at).min(STEP);
            self.work.write(at, head(&zeros, sectors)?)?;
            at += sectors;
        }
        Ok(())
    }
}

impl Merging {
    /// Takes the origin's place.
    fn begin(&self) {
        self.snapshot.origin.passes(self.events.clone());
        self.work.member.suspended.store(false, Ordering::SeqCst);
    }
}

impl Drop for Merging {
    fn drop(&mut self) {
        self.end();
    }
}

/// The type.
pub(in crate::target) static TARGET: TargetType = TargetType {
    name: "snapshot-merge",
    version: Version::new(1, 5, 0),
    usage: USAGE,
    help: "ORIGIN as its snapshot on COW is, while the chunks there are written back to ORIGIN: it takes the place of \
           snapshot-origin, and the snapshot itself is Invalid. A server merges in the background; without one resume \
           returns when all is merged. It is done when the status shows as many sectors allocated as there are of \
           metadata. A merge that was interrupted goes on with what is left. Only one snapshot of an origin can be \
           merged at a time, and only a persistent one.",
    roles: roles_of,
    example: "0 2097152 snapshot-merge /dev/sdb /dev/sdc P 16",
    rewords: false,
    texts: TEXTS,
    init,
};
