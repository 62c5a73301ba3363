//! The dirty-region log: which regions the legs have in common, in memory and on a disk.
//!
//! ```text
//! byte 0      magic 0x4d695272, version 2 (32 bits each), number of regions (64 bits)
//! byte 1024   a bit a region, 1 for clean: its legs are alike whatever happens; the first region is bit 0 of byte 0
//! ```
//!
//! All numbers are little-endian; the bits go on to a multiple of 64, with zeros. Source of the format and of what is done
//! with it: the kernel's drivers/md/dm-log.c.

use super::super::Events;
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Text};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

const MAGIC: u32 = 0x4d69_5272;
const VERSION: u32 = 2;
const HEADER: usize = 16;
/// Where the bits begin, in bytes.
const BITS_AT: u64 = 1024;

/// What is known of the legs when the mirror is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// What the log says; without one, nothing.
    Default,
    /// They are alike, whatever the log says.
    Skip,
    /// They are not, whatever the log says.
    Force,
}

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    sync: Sync,
    region: u32,
    regions: u32,
    disk: Option<Disk>,
    /// A bit a region: the legs are alike, or become so when writes that are under way have ended.
    synced: Box<[AtomicU8]>,
    state: Mutex<State>,
    /// The next load takes what the disk has, whatever `sync` says: the table was at work in another process, which had
    /// begun the log as `sync` says.
    goes_on: AtomicBool,
    /// Held while the disk is written: whoever has it next finds what others marked before on the disk.
    writing: Mutex<()>,
    events: Weak<dyn Events>,
}

#[derive(Debug)]
struct Disk {
    pdev: Arc<Pdev>,
    failed: AtomicBool,
    flush_failed: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// How many regions are in sync.
    synced: u64,
    /// Where to look for the next one that is not.
    search: u32,
    /// The bits on the disk, as they are to be.
    clean: Vec<u8>,
    /// Bytes of `clean` that are not on the disk.
    touched: Option<Range<usize>>,
    /// Among them is a region that is no longer clean, so that they must be on stable storage before it is written.
    dirtied: bool,
    /// A leg could not be flushed: no region is called clean any more.
    distrust: bool,
}

/// How long the bits of that many regions are, in bytes.
pub(super) fn bitset_bytes(regions: u32) -> usize {
    usize::try_from(u64::from(regions).div_ceil(64) * 8).unwrap_or(usize::MAX)
}

/// What a log with bits of that length takes on a disk with blocks of that size.
pub(super) fn room(bitset: usize, block: Bytes) -> Bytes {
    Bytes((BITS_AT + bitset as u64).next_multiple_of(block.0.max(1)))
}

impl Log {
    pub(super) fn new(
        sync: Sync,
        region: u32,
        regions: u32,
        pdev: Option<Arc<Pdev>>,
        events: Weak<dyn Events>,
        restores: bool,
    ) -> Self {
        let bytes = bitset_bytes(regions);
        let goes_on = restores && pdev.is_some();
        let skips = sync == Sync::Skip && !goes_on;
        let fill = if skips { u8::MAX } else { 0 };
        let synced = if skips { u64::from(regions) } else { 0 };
        let clean = if pdev.is_some() { vec![u8::MAX; bytes] } else { Vec::new() };
        let disk = pdev.map(|pdev| Disk {
            pdev,
            failed: AtomicBool::new(false),
            flush_failed: AtomicBool::new(false),
        });
        Self {
            sync,
            region,
            regions,
            disk,
            synced: (0..bytes).map(|_| AtomicU8::new(fill)).collect(),
            state: Mutex::new(State { synced, clean, ..State::default() }),
            goes_on: AtomicBool::new(goes_on),
            writing: Mutex::new(()),
            events,
        }
    }

    /// Sectors in a region.
    pub(super) fn region(&self) -> u64 {
        self.region.into()
    }

    pub(super) fn regions(&self) -> u32 {
        self.regions
    }

    /// Whether it is on a disk.
    pub(super) fn is_kept(&self) -> bool {
        self.disk.is_some()
    }

    pub(super) fn is_synced(&self, region: u32) -> bool {
        let (byte, bit) = place(region);
        self.synced.get(byte).is_some_and(|bits| bits.load(Ordering::SeqCst) & bit != 0)
    }

    pub(super) fn synced_count(&self) -> u64 {
        self.lock().synced
    }

    /// Says whether the legs are alike in a region.
    pub(super) fn set_synced(&self, region: u32, is_synced: bool) {
        let (byte, bit) = place(region);
        let Some(bits) = self.synced.get(byte) else { return };
        let mut state = self.lock();
        let before = if is_synced {
            bits.fetch_or(bit, Ordering::SeqCst)
        } else {
            bits.fetch_and(!bit, Ordering::SeqCst)
        };
        match (before & bit != 0, is_synced) {
            (false, true) => state.synced += 1,
            (true, false) => state.synced -= 1,
            (true, true) | (false, false) => {}
        }
    }

    /// The next region that is not in sync; each is named once until [`Log::search_again`].
    pub(super) fn next_unsynced(&self) -> Option<u32> {
        let mut state = self.lock();
        let mut at = state.search;
        while at < self.regions {
            let (byte, bit) = place(at);
            let bits = self.synced.get(byte)?.load(Ordering::SeqCst);
            if bits == u8::MAX {
                at = (at / 8 + 1).saturating_mul(8);
            } else if bits & bit != 0 {
                at += 1;
            } else {
                state.search = at + 1;
                return Some(at);
            }
        }
        state.search = self.regions;
        None
    }

    /// Has that region, and those behind it, named again.
    pub(super) fn search_again(&self, from: u32) {
        self.lock().search = from;
    }

    /// A region is about to be written: not clean from the next [`Log::write`] on.
    pub(super) fn mark(&self, region: u32) {
        let mut state = self.lock();
        let (byte, bit) = place(region);
        if let Some(bits) = state.clean.get_mut(byte) {
            if *bits & bit != 0 {
                *bits &= !bit;
                state.touch(byte..byte + 1);
            }
            state.dirtied |= state.touched.is_some();
        }
    }

    /// A region is clean: what was written to it is on stable storage on all legs.
    pub(super) fn clear(&self, region: u32) {
        let mut state = self.lock();
        let (byte, bit) = place(region);
        let distrust = state.distrust;
        if let Some(bits) = state.clean.get_mut(byte).filter(|_| !distrust) {
            *bits |= bit;
            state.touch(byte..byte + 1);
        }
    }

    /// A leg could not be flushed, so that nobody knows what it holds: no region is clean from now on.
    pub(super) fn distrust(&self) {
        let mut state = self.lock();
        state.distrust = true;
        state.clean.fill(0);
        let all = 0..state.clean.len();
        state.touch(all);
        state.dirtied = true;
    }

    /// Brings what was marked or cleared to the disk, what was marked to stable storage.
    pub(super) fn write(&self) -> Result<(), Errno> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        let Some(touched) = state.touched.take() else { return Ok(()) };
        let bits = state.clean.get(touched.clone()).unwrap_or_default().to_vec();
        let dirtied = std::mem::take(&mut state.dirtied);
        drop(state);
        let written = disk.pdev.write_at(&bits, Bytes(BITS_AT + touched.start as u64));
        let done = match written {
            Ok(()) if dirtied => disk.pdev.flush().inspect_err(|_| {
                disk.flush_failed.store(true, Ordering::SeqCst);
            }),
            result => result,
        };
        done.inspect_err(|_| {
            let mut state = self.lock();
            state.touch(touched);
            state.dirtied |= dirtied;
            drop(state);
            self.fail(disk);
        })
    }

    /// Takes the log from its disk, as the mirror begins to work, and says there how many regions it has now. A log in
    /// memory goes on as it is.
    pub(super) fn load(&self) {
        self.search_again(0);
        let Some(disk) = &self.disk else { return };
        let (mut header, mut bits) = ([0; HEADER], vec![0; bitset_bytes(self.regions)]);
        let read = disk
            .pdev
            .read_at(&mut header, Bytes(0))
            .and_then(|()| disk.pdev.read_at(&mut bits, Bytes(BITS_AT)));
        let (version, known) = match read {
            Ok(()) => self.known(header),
            Err(_) => (VERSION, None),
        };
        if known.is_none() {
            self.fail(disk);
        }
        fill(&mut bits, known.unwrap_or(0).min(self.regions)..self.regions, self.sync == Sync::Skip);
        fill(&mut bits, self.regions..self.regions.checked_next_multiple_of(64).unwrap_or(u32::MAX), false);
        for (synced, clean) in self.synced.iter().zip(&bits) {
            synced.store(*clean, Ordering::SeqCst);
        }
        let mut state = self.lock();
        state.synced = bits.iter().map(|bits| u64::from(bits.count_ones())).sum();
        state.touched = None;
        state.clean.clone_from(&bits);
        drop(state);
        self.renew(disk, version, &bits);
    }

    /// A header's version, and how many regions it knows: 0 where the log begins anew, `None` for a version that nobody
    /// understands.
    fn known(&self, header: [u8; HEADER]) -> (u32, Option<u32>) {
        let [m0, m1, m2, m3, v0, v1, v2, v3, regions @ ..] = header;
        let goes_on = self.goes_on.swap(false, Ordering::SeqCst);
        if (self.sync != Sync::Default && !goes_on) || u32::from_le_bytes([m0, m1, m2, m3]) != MAGIC {
            return (VERSION, Some(0));
        }
        match u32::from_le_bytes([v0, v1, v2, v3]) {
            // Version 1 had the bits in the order of the machine, which is the same on this one.
            1 | VERSION => {
                let regions = u64::from_le_bytes(regions);
                (VERSION, Some(u32::try_from(regions).unwrap_or(u32::MAX)))
            }
            version => (version, None),
        }
    }

    fn renew(&self, disk: &Disk, version: u32, bits: &[u8]) {
        let mut header = Vec::from(MAGIC.to_le_bytes());
        header.extend(version.to_le_bytes());
        header.extend(u64::from(self.regions).to_le_bytes());
        let written =
            disk.pdev.write_at(&header, Bytes(0)).and_then(|()| disk.pdev.write_at(bits, Bytes(BITS_AT)));
        let flushed = written.and_then(|()| {
            disk.pdev.flush().inspect_err(|_| disk.flush_failed.store(true, Ordering::SeqCst))
        });
        if flushed.is_err() {
            self.fail(disk);
        }
    }

    fn fail(&self, disk: &Disk) {
        if !disk.failed.swap(true, Ordering::SeqCst)
            && let Some(events) = self.events.upgrade()
        {
            events.signal();
        }
    }

    /// Its arguments, and a blank.
    pub(super) fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Vec<u8> {
        let sync = match self.sync {
            Sync::Default => "",
            Sync::Skip => "nosync ",
            Sync::Force => "sync ",
        };
        let more = u32::from(self.sync != Sync::Default);
        match &self.disk {
            None => format!("core {} {} {sync}", 1 + more, self.region).into_bytes(),
            Some(disk) => [
                format!("disk {} ", 2 + more).as_bytes(),
                name(&disk.pdev).as_bytes(),
                format!(" {} {sync}", self.region).as_bytes(),
            ]
            .concat(),
        }
    }

    /// How it is.
    pub(super) fn status(&self, name: &dyn Fn(&Pdev) -> Text) -> Vec<u8> {
        let Some(disk) = &self.disk else { return b"1 core".to_vec() };
        let letter = match () {
            () if disk.flush_failed.load(Ordering::SeqCst) => "F",
            () if disk.failed.load(Ordering::SeqCst) => "D",
            () => "A",
        };
        [b"3 disk ", name(&disk.pdev).as_bytes(), b" ", letter.as_bytes()].concat()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn touch(&mut self, bytes: Range<usize>) {
        self.touched = Some(match self.touched.take() {
            Some(touched) => touched.start.min(bytes.start)..touched.end.max(bytes.end),
            None => bytes,
        });
    }
}

/// The byte and the bit of a region.
fn place(region: u32) -> (usize, u8) {
    (usize::try_from(region / 8).unwrap_or(usize::MAX), 1 << (region % 8))
}

fn fill(bits: &mut [u8], regions: Range<u32>, value: bool) {
    for region in regions {
        let (byte, bit) = place(region);
        if let Some(bits) = bits.get_mut(byte) {
            *bits = if value { *bits | bit } else { *bits & !bit };
        }
    }
}
