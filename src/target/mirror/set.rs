//! The mirror at work: where writes go, and what becomes of those that fail on a leg.
//!
//! ```text
//! in sync      mark the region in the log ─▶ write all legs ─▶ (later) flush the legs, clear the mark
//! not in sync  write the primary leg alone: the region is to be copied yet
//! in copying   wait for its end
//! ```
//!
//! What is done about failures is the kernel's (`do_writes`, `do_failures` in its drivers/md/dm-raid1.c), down to its words:
//! a write that is not on all legs succeeds, is held until the table is changed, or fails.

use super::super::Events;
use super::args::Features;
use super::legs::{Failure, Grief, Leg, Legs};
use super::log::Log;
use super::regions::{Entry, Regions};
use crate::block::{AGAIN, BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Sectors};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, Weak};

/// See the module.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) legs: Legs,
    pub(super) log: Log,
    pub(super) features: Features,
    pub(super) length: Sectors,
    /// Whether this process goes on serving the mirror: else nobody could let go of a request that is held.
    pub(super) serves: bool,
    flow: Mutex<Flow>,
    changed: Condvar,
    /// All regions were in sync, and no write has failed on a leg since.
    in_sync: AtomicBool,
    /// They were in another process, which told so, and nothing was copied in this one.
    was_told: AtomicBool,
    log_failed: AtomicBool,
    flush_lost: AtomicBool,
    events: Weak<dyn Events>,
}

/// What changes from request to request.
#[derive(Debug, Default)]
pub(super) struct Flow {
    pub(super) regions: Regions,
    /// The device is being suspended, without a flush or with one.
    pub(super) suspended: Option<NoFlush>,
    /// Work in the background is to end.
    pub(super) stop: bool,
}

/// Whether a suspend is one without a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoFlush(pub(super) bool);

impl Set {
    pub(super) fn new(
        legs: Legs,
        log: Log,
        features: Features,
        length: Sectors,
        serves: bool,
        events: Weak<dyn Events>,
        was_told: bool,
    ) -> Self {
        let in_sync = log.synced_count() == u64::from(log.regions());
        Self {
            legs,
            log,
            features,
            length,
            serves,
            flow: Mutex::default(),
            changed: Condvar::new(),
            in_sync: AtomicBool::new(in_sync),
            was_told: AtomicBool::new(was_told),
            log_failed: AtomicBool::new(false),
            flush_lost: AtomicBool::new(false),
            events,
        }
    }

    pub(super) fn flow(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed, or for that long.
    pub(super) fn wait<'a>(
        &self,
        flow: MutexGuard<'a, Flow>,
        limit: Option<std::time::Duration>,
    ) -> MutexGuard<'a, Flow> {
        match limit {
            None => self.changed.wait(flow).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(flow, limit).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// Tells those who wait.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// The region of a sector.
    pub(super) fn region_of(&self, sector: Sectors) -> u32 {
        u32::try_from(sector.0 / self.log.region()).unwrap_or(u32::MAX)
    }

    /// How much of a range lies in the region of its first sector.
    pub(super) fn within_region(&self, sector: Sectors, length: Sectors) -> Sectors {
        Sectors(length.0.min(self.log.region() - sector.0 % self.log.region()))
    }

    /// The leg from which a sector is read; EIO when there is none.
    pub(super) fn source(&self, sector: Sectors) -> Result<&Leg, Errno> {
        let is_synced = self.log.is_synced(self.region_of(sector));
        let chosen = if is_synced { self.legs.choose() } else { self.legs.choose_primary() };
        chosen.and_then(|index| self.legs.get(index)).ok_or(Errno::EIO)
    }

    /// Notes that a leg failed, which is an event if errors are handled and it had not failed so before.
    pub(super) fn fail(&self, index: usize, failure: Failure) {
        let handled = self.features.handle_errors;
        // Of a mirror that is out of sync only the primary has what is right: better no data than old data.
        let replace = handled && (self.in_sync.load(Ordering::SeqCst) || self.features.keep_log);
        if self.legs.fail(index, failure, replace) == Grief::New && handled {
            self.signal();
        }
    }

    fn signal(&self) {
        if let Some(events) = self.events.upgrade() {
            events.signal();
        }
    }

    /// Whether all regions were in sync, and that was told, and no write has failed on a leg since.
    pub(super) fn is_told(&self) -> bool {
        self.in_sync.load(Ordering::SeqCst) || self.was_told.load(Ordering::SeqCst)
    }

    /// A region was not in sync when this process began, or is no more.
    pub(super) fn forget_told(&self) {
        self.was_told.store(false, Ordering::SeqCst);
    }

    /// Once all regions are in sync that is an event, and failures are forgotten.
    pub(super) fn note_sync(&self) {
        if self.log.synced_count() == u64::from(self.log.regions())
            && !self.in_sync.swap(true, Ordering::SeqCst)
        {
            self.legs.forgive();
            if !self.was_told.swap(false, Ordering::SeqCst) {
                self.signal();
            }
        }
    }

    /// Fills a buffer from whatever leg can be read.
    pub(super) fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        loop {
            let leg = self.source(sector)?;
            match leg.pdev.read_at(buffer, leg.position(sector)?) {
                Err(errno) if errno != Errno::EOPNOTSUPP => self.read_failed(&leg.pdev),
                result => return result,
            }
        }
    }

    /// A leg on that device could not be read; of several on it, the one that would be read next.
    pub(super) fn read_failed(&self, pdev: &Pdev) {
        let is_on = |index: &usize| self.legs.get(*index).is_some_and(|leg| same(&leg.pdev, pdev));
        let chosen = self.legs.choose().filter(is_on);
        if let Some(index) = chosen.or_else(|| (0..self.legs.len()).find(is_on)) {
            self.fail(index, Failure::Read);
        }
    }

    /// Whether a leg is on that device.
    pub(super) fn uses(&self, pdev: &Pdev) -> bool {
        self.legs.iter().any(|leg| same(&leg.pdev, pdev))
    }

    /// Writes to a range within one region by `put`, which is given a leg's device and a place there.
    pub(super) fn write(
        &self,
        sector: Sectors,
        put: &dyn Fn(&Pdev, Bytes) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let region = self.region_of(sector);
        let mut flow = self.flow();
        let entry = loop {
            match flow.regions.begin(region, self.log.is_synced(region)) {
                Entry::Wait => flow = self.wait(flow, None),
                entry @ (Entry::Dirty | Entry::Clean | Entry::Unsynced) => break entry,
            }
        };
        if entry == Entry::Clean {
            self.log.mark(region);
        }
        drop(flow);
        let written = self.write_region(region, entry != Entry::Unsynced, sector, put);
        let lost = self.flush_lost.load(Ordering::SeqCst);
        self.flow().regions.end(region, self.log.is_kept(), lost);
        self.notify();
        written
    }

    fn write_region(
        &self,
        region: u32,
        is_synced: bool,
        sector: Sectors,
        put: &dyn Fn(&Pdev, Bytes) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if self.log.write().is_err() {
            self.log_failed.store(true, Ordering::SeqCst);
        }
        let Features { handle_errors, keep_log } = self.features;
        if !is_synced {
            if self.legs.any_failed() && handle_errors && !keep_log {
                return self.not_on_all(Some(region));
            }
            let leg = self.legs.get(self.legs.primary()).ok_or(Errno::EIO)?;
            return put(&leg.pdev, leg.position(sector)?);
        }
        if self.log_failed.load(Ordering::SeqCst) && handle_errors {
            return self.not_on_all(Some(region));
        }
        if self.on_all(|leg| put(&leg.pdev, leg.position(sector)?)) {
            Ok(())
        } else {
            self.not_on_all(Some(region))
        }
    }

    /// Does something with each leg; those for which it fails have failed to be written.
    fn on_all(&self, each: impl Fn(&Leg) -> Result<(), Errno>) -> bool {
        let failed: Vec<usize> = self
            .legs
            .iter()
            .enumerate()
            .filter(|(_, leg)| each(leg).is_err())
            .map(|(index, _)| index)
            .collect();
        failed.iter().for_each(|&index| self.fail(index, Failure::Write));
        failed.is_empty()
    }

    /// What becomes of a write to a region, or of a flush, that is not on all legs.
    fn not_on_all(&self, region: Option<u32>) -> Result<(), Errno> {
        let Features { handle_errors, keep_log } = self.features;
        let log_failed = self.log_failed.load(Ordering::SeqCst);
        let mut flow = self.flow();
        if !log_failed {
            self.in_sync.store(false, Ordering::SeqCst);
            self.forget_told();
            match region {
                Some(region) => {
                    self.log.set_synced(region, false);
                    flow.regions.unsync(region);
                }
                None => self.flush_lost.store(true, Ordering::SeqCst),
            }
        }
        if self.legs.first_alive().is_none() || keep_log && log_failed {
            return Err(Errno::EIO);
        }
        if !handle_errors || keep_log {
            return Ok(());
        }
        loop {
            match flow.suspended {
                Some(NoFlush(true)) => return Err(AGAIN),
                Some(NoFlush(false)) => return Err(Errno::EIO),
                None if !self.serves => return Err(Errno::EIO),
                None => flow = self.wait(flow, None),
            }
        }
    }

    /// Discards a range within one region on all legs. A leg that cannot is not a broken one.
    pub(super) fn discard(&self, sector: Sectors, length: Bytes) -> Result<(), Errno> {
        let region = self.region_of(sector);
        let mut flow = self.flow();
        while !flow.regions.begin_discard(region) {
            flow = self.wait(flow, None);
        }
        drop(flow);
        let discard = |leg: &Leg| leg.pdev.discard(leg.position(sector)?, length);
        let failed = self.legs.iter().map(discard).filter(Result::is_err).count();
        self.flow().regions.end(region, self.log.is_kept(), false);
        self.notify();
        if failed == 0 { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
    }

    /// Flushes all legs.
    pub(super) fn flush(&self) -> Result<(), Errno> {
        if self.log.write().is_err() {
            self.log_failed.store(true, Ordering::SeqCst);
        }
        let is_lost = self.log_failed.load(Ordering::SeqCst) && self.features.handle_errors;
        if !is_lost && self.on_all(|leg| leg.pdev.flush()) {
            return Ok(());
        }
        // The flush of a suspend is the mapper's own: the leg that fails is noted, and it goes on.
        if self.flow().suspended.is_some() && self.legs.first_alive().is_some() {
            return Ok(());
        }
        self.not_on_all(None)
    }

    /// Calls clean what nobody writes, with `all` at once, else what was not written for a while: when the legs are
    /// flushed.
    pub(super) fn clean(&self, all: bool) {
        if !self.flow().regions.start_cleaning(all) {
            return;
        }
        let flush = |(index, leg): (usize, &Leg)| leg.pdev.flush().err().map(|_| index);
        let failed: Vec<usize> = self.legs.iter().enumerate().filter_map(flush).collect();
        failed.iter().for_each(|&index| self.fail(index, Failure::Flush));
        if !failed.is_empty() {
            self.log.distrust();
        }
        self.flow().regions.finish_cleaning(|region| self.log.clear(region));
        if self.log.write().is_err() {
            self.log_failed.store(true, Ordering::SeqCst);
        }
    }
}

fn same(one: &Pdev, other: &Pdev) -> bool {
    one.number() == other.number()
}
