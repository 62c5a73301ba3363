//! The data path: ranges of a device, through its table, to the pdevs.
//!
//! The one referee between whoever reads and writes and the targets: it holds requests while the device is suspended,
//! checks access, splits at the lines' borders, and holds targets to what they promised. Targets check none of it
//! again. No request takes a lock: it passes the [`Gate`], and reads which table is the current one.

use super::beacon::Beacon;
use super::expected;
use super::gate::Gate;
#[cfg(target_os = "linux")]
use super::in_place;
use super::lending::{self, Lending};
use super::live_table::LiveTable;
use super::pieces::Piece;
#[cfg(target_os = "linux")]
use crate::block::InPlace;
use crate::block::{
    AGAIN, Access, Allocation, BlockDevice, Extent, FlushFailure, FlushFailures, Loan, Pdev, Visit,
};
use crate::dm::{Bytes, Errno, SECTOR_SIZE, Sectors};
use crate::target::{Ended, Events, Mapping, Operation};
use arc_swap::ArcSwap;
use std::cell::Cell;
use std::io::{self, PipeReader};
use std::ops::Range;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a target's change may wait for another device's I/O to end: the driver waits with it.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// A device's data path, the same for as long as the device exists, whatever its table.
#[derive(Debug, Default)]
pub(super) struct Live {
    gate: Gate,
    lending: Lending,
    current: ArcSwap<Current>,
    users: AtomicI32,
    events: AtomicU32,
    /// Failed flushes of tables that were swapped out since.
    failures: FlushFailures,
    /// Who is told of the events of all devices.
    beacon: OnceLock<Arc<Beacon>>,
}

/// What I/O goes through now.
#[derive(Debug)]
struct Current {
    table: Option<Arc<LiveTable>>,
    size: Sectors,
    read_only: bool,
    block_size: Bytes,
}

impl Default for Current {
    fn default() -> Self {
        Self { table: None, size: Sectors::ZERO, read_only: false, block_size: Bytes(SECTOR_SIZE) }
    }
}

impl Live {
    /// Says what the device is from now on, before its targets are made: reading it then fails (EIO) until they are.
    pub(super) fn resize(&self, size: Sectors, read_only: bool) {
        self.set(Current { size, read_only, ..Current::default() });
    }

    /// Puts a table in place, its targets made.
    pub(super) fn attach(&self, table: Arc<LiveTable>, read_only: bool) {
        let (size, block_size) = (table.size(), table.block_size());
        self.set(Current { table: Some(table), size, read_only, block_size });
    }

    fn set(&self, current: Current) {
        let old = self.current.swap(Arc::new(current));
        if let Some(failure) = old.table.as_ref().and_then(|table| table.flush_failure()) {
            self.failures.keep(failure);
        }
    }

    /// The device is gone: what still holds it gets EIO.
    pub(super) fn detach(&self) {
        self.gate.shut();
        self.resize(Sectors::ZERO, false);
    }

    /// The table that I/O goes through, if its targets are made.
    pub(super) fn table(&self) -> Option<Arc<LiveTable>> {
        self.current.load().table.clone()
    }

    /// How many read and write it.
    pub(super) fn users(&self) -> i32 {
        self.users.load(Ordering::SeqCst)
    }

    /// One more user, or with -1 one less.
    pub(super) fn add_user(&self, change: i32) {
        self.users.fetch_add(change, Ordering::SeqCst);
    }

    /// The device's event counter.
    pub(super) fn event_nr(&self) -> u32 {
        self.events.load(Ordering::SeqCst)
    }

    pub(super) fn set_event_nr(&self, event_nr: u32) {
        self.events.store(event_nr, Ordering::SeqCst);
    }

    /// One more event.
    pub(super) fn signal_event(&self) {
        self.events.fetch_add(1, Ordering::SeqCst);
        self.gate.changed();
        if let Some(beacon) = self.beacon.get() {
            beacon.changed();
        }
    }

    /// Has that one told of its events too.
    pub(super) fn tell(&self, beacon: Arc<Beacon>) {
        // A device is put into one mapper, once.
        let _ = self.beacon.set(beacon);
    }

    /// Holds I/O that comes from now on; what is in flight ends meanwhile.
    ///
    /// # Errors
    /// EBUSY while somebody has its file on loan, whom nothing holds.
    pub(super) fn hold(&self) -> Result<(), Errno> {
        if !self.lending.stop() {
            return Err(Errno::EBUSY);
        }
        self.gate.hold();
        Ok(())
    }

    /// Lends the file that is the device: see [`BlockDevice::lend`].
    pub(super) fn lend(self: &Arc<Self>) -> Option<Loan> {
        if !self.lending.lend() {
            return None;
        }
        let lender = self.clone();
        let give_back = move || lender.lending.give_back();
        match self.table().as_deref().and_then(lending::only_file) {
            Some(pdev) => Some(Loan::new(pdev.clone(), give_back)),
            None => {
                give_back();
                None
            }
        }
    }

    /// Whether I/O is in flight; on a held device it does not begin again.
    pub(super) fn is_busy(&self) -> bool {
        self.gate.is_busy()
    }

    /// Lets I/O through again.
    pub(super) fn release(&self) {
        self.lending.go_on();
        self.gate.open();
    }

    /// Tells those who watch that the device has changed.
    pub(super) fn announce(&self) {
        self.gate.changed();
    }

    /// Fails I/O from now on, also what is held.
    pub(super) fn shut(&self) {
        self.gate.shut();
    }

    /// Something whose end is reached at the device's next event, when it is removed, suspended or resumed, or when its
    /// I/O in flight has ended while it is held.
    pub(super) fn watch(&self) -> io::Result<PipeReader> {
        self.gate.watch()
    }

    /// Does `each` for every part of a range, in order, with where in the range the part begins; what a target calls an
    /// event becomes one, and what it wants to be asked again for is asked for again.
    ///
    /// As in the kernel, which sends all parts off before it hears of any, a failed part keeps no other from being done.
    /// The first failure is the request's. One event is told, however many parts have failed: in the kernel too they are
    /// one piece of work that waits to be done.
    fn walk(
        &self,
        operation: Operation,
        at: Bytes,
        length: u64,
        each: impl FnMut(&Piece<'_>, u64) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.walk_for(None, operation, at, length, each)
    }

    /// The same for a visitor, which is not to be shown what follows a failure, nor the same twice: [`AGAIN`] where a part
    /// is to be asked for again of which it was `shown` something.
    fn walk_for(
        &self,
        shown: Option<&Cell<bool>>,
        operation: Operation,
        at: Bytes,
        length: u64,
        mut each: impl FnMut(&Piece<'_>, u64) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut walked = Walked { done: 0, is_event: false, result: Ok(()), stops: shown.is_some() };
        let ended = loop {
            match self.walk_on(operation, at, length, &mut walked, &mut each) {
                // Through the gate again, where a table may be swapped meanwhile.
                Err(AGAIN) if !shown.is_some_and(Cell::get) => {}
                ended => break ended,
            }
        };
        if walked.is_event {
            self.signal_event();
        }
        walked.result.and(ended)
    }

    /// The same from where it has come to, until something is to be asked for again: [`AGAIN`].
    fn walk_on(
        &self,
        operation: Operation,
        at: Bytes,
        length: u64,
        walked: &mut Walked,
        each: &mut impl FnMut(&Piece<'_>, u64) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let _in_flight = self.gate.enter()?;
        let current = self.current.load();
        if current.read_only && operation != Operation::Read {
            return Err(Errno::EROFS);
        }
        let table = current.table.as_ref().ok_or(Errno::EIO)?;
        at.0.checked_add(length).ok_or(Errno::EIO)?;
        while walked.done < length {
            let piece = table.piece(operation, at.0 + walked.done, length - walked.done)?;
            piece.start();
            let part = each(&piece, walked.done);
            piece.finish();
            if let Err(errno) = part {
                match piece.ended(errno) {
                    Ended::Failed => {}
                    Ended::Event => walked.is_event = true,
                    Ended::Again => return Err(AGAIN),
                }
                walked.result = walked.result.and(part);
                if walked.stops {
                    break;
                }
            }
            walked.done += piece.length;
        }
        Ok(())
    }
}

/// How far a request has come.
struct Walked {
    /// Bytes whose parts have ended.
    done: u64,
    /// A failure was an event.
    is_event: bool,
    /// The first failure.
    result: Result<(), Errno>,
    /// The first failure ends it.
    stops: bool,
}

impl Events for Live {
    fn signal(&self) {
        self.signal_event();
    }

    fn quiesce(&self, then: &mut dyn FnMut()) -> bool {
        self.gate.quiesce(then, LONGEST_REST)
    }
}

impl BlockDevice for Live {
    fn size(&self) -> Bytes {
        self.current.load().size.to_bytes().unwrap_or(Bytes(u64::MAX))
    }

    fn block_size(&self) -> Bytes {
        self.current.load().block_size
    }

    fn is_read_only(&self) -> bool {
        self.current.load().read_only
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        let length = buffer.len() as u64;
        self.walk(Operation::Read, at, length, |piece, done| {
            piece.read(buffer.get_mut(piece.place(done)?).ok_or(Errno::EIO)?)
        })
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        self.walk(Operation::Write, at, data.len() as u64, |piece, done| {
            piece.write(data.get(piece.place(done)?).ok_or(Errno::EIO)?)
        })
    }

    fn write_through(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        let mut files: Vec<Arc<Pdev>> = Vec::new();
        self.walk(Operation::Write, at, data.len() as u64, |piece, done| {
            let file = piece.write_through(data.get(piece.place(done)?).ok_or(Errno::EIO)?)?;
            let is_known = |file: &&Arc<Pdev>| files.iter().any(|known| Arc::ptr_eq(known, file));
            files.extend(file.filter(|file| !is_known(file)).cloned());
            Ok(())
        })?;
        // Each once, however many parts are on it.
        files.iter().map(|file| file.flush()).fold(Ok(()), Result::and)
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.walk(Operation::Discard, at, length.0, |piece, _| piece.discard())
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno> {
        self.walk(Operation::WriteZeroes, at, length.0, |piece, _| piece.write_zeroes(may_unmap))
    }

    fn extents(&self, access: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno> {
        let operation = Operation::from(access);
        // Something of the part that is being done.
        let shown = Cell::new(false);
        let mut visit = |extent: Extent<'_>| {
            shown.set(true);
            visit(extent)
        };
        self.walk_for(Some(&shown), operation, at, length.0, |piece, _| {
            shown.set(false);
            let length = Bytes(piece.length);
            match piece.mapping {
                Mapping::Remap { pdev, sector, .. } => {
                    pdev.extents(access, piece.position(sector)?, length, &mut visit)
                }
                Mapping::Zero { .. } => visit(Extent::Zero { length }),
                Mapping::Fail { errno, .. } => Err(errno),
                Mapping::Handle { .. } => visit(Extent::Handled { medium: piece, length }),
            }
        })
    }

    #[cfg(target_os = "linux")]
    fn in_place(&self, access: Access, ranges: &[Range<Bytes>], then: &mut InPlace<'_>) -> usize {
        let Ok(_in_flight) = self.gate.enter() else { return 0 };
        let current = self.current.load();
        match &current.table {
            Some(table) if access == Access::Read || !current.read_only => {
                in_place::visit(table, access, ranges, then)
            }
            Some(_) | None => 0,
        }
    }

    fn expect_writes(&self, ranges: &[Range<Bytes>]) {
        let Ok(_in_flight) = self.gate.enter() else { return };
        let current = self.current.load();
        if let Some(table) = &current.table
            && !current.read_only
        {
            expected::tell(table, ranges);
        }
    }

    fn is_held(&self) -> bool {
        self.gate.is_held() || self.current.load().table.as_ref().is_some_and(|table| table.is_held())
    }

    fn flush(&self) -> Result<(), Errno> {
        loop {
            let in_flight = self.gate.enter()?;
            let asked = self.current.load().table.as_ref().map_or(Ok(()), |table| table.flush_asked());
            match asked.and(self.flush_held()) {
                Err(AGAIN) => drop(in_flight),
                result => return result,
            }
        }
    }

    fn flush_failure(&self) -> Option<FlushFailure> {
        let current = self.current.load();
        current.table.as_ref().and_then(|table| table.flush_failure()).max(self.failures.last())
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        let _in_flight = self.gate.enter()?;
        self.current.load().table.as_ref().ok_or(Errno::EIO)?.allocation(at, length)
    }
}

impl Live {
    /// Flushes what is under the device, held or not.
    pub(super) fn flush_held(&self) -> Result<(), Errno> {
        let current = self.current.load();
        let Some(table) = &current.table else { return Ok(()) };
        let flushed = table.flush();
        if let Err(errno) = flushed
            && errno != AGAIN
            && table.flush_failure().is_none()
        {
            // Not a disk's, which remembers its own: a target's.
            self.failures.record(errno);
        }
        flushed
    }
}
