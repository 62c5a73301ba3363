//! The legs of a mirror: which of them failed and how, and from which is read.

use crate::block::Pdev;
use crate::dm::{Bytes, Errno, Sectors};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// How a leg failed: what its letter in the status says, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// `F`: it could not be flushed before the log called its regions clean.
    Flush = 1,
    /// `D`: it could not be written, so that the legs differ.
    Write = 2,
    /// `S`: it could not be synchronized.
    Sync = 4,
    /// `R`: it could not be read; its data is as good as it was.
    Read = 8,
}

/// One copy.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) pdev: Arc<Pdev>,
    pub(super) offset: Sectors,
    errors: AtomicU32,
    /// A bit for each [`Failure`].
    failures: AtomicU32,
}

impl Leg {
    pub(super) fn new(pdev: Arc<Pdev>, offset: Sectors) -> Self {
        Self { pdev, offset, errors: AtomicU32::new(0), failures: AtomicU32::new(0) }
    }

    /// Where on its device a sector of the mirror lies; `None` past 2^64.
    pub(super) fn place(&self, sector: Sectors) -> Option<Sectors> {
        self.offset.checked_add(sector)
    }

    /// The same in bytes.
    pub(super) fn position(&self, sector: Sectors) -> Result<Bytes, Errno> {
        self.place(sector).and_then(Sectors::to_bytes).ok_or(Errno::EIO)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.errors.load(Ordering::SeqCst) == 0
    }

    fn letter(&self) -> u8 {
        let failures = self.failures.load(Ordering::SeqCst);
        let has = |failure: Failure| failures & failure as u32 != 0;
        match () {
            () if self.is_alive() => b'A',
            () if has(Failure::Flush) => b'F',
            () if has(Failure::Write) => b'D',
            () if has(Failure::Sync) => b'S',
            () if has(Failure::Read) => b'R',
            () => b'U',
        }
    }
}

/// What a failure calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grief {
    /// It was of a kind that the leg has had.
    Known,
    /// It is new.
    New,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Legs {
    legs: Vec<Leg>,
    /// The leg that is read, and that others are synchronized from.
    primary: AtomicUsize,
    /// One has failed since all were synchronized.
    any_failed: AtomicBool,
}

impl Legs {
    pub(super) fn new(legs: Vec<Leg>) -> Self {
        Self { legs, primary: AtomicUsize::new(0), any_failed: AtomicBool::new(false) }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Leg> {
        self.legs.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.legs.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Leg> {
        self.legs.get(index)
    }

    pub(super) fn primary(&self) -> usize {
        self.primary.load(Ordering::SeqCst)
    }

    pub(super) fn any_failed(&self) -> bool {
        self.any_failed.load(Ordering::SeqCst)
    }

    /// The first leg without errors.
    pub(super) fn first_alive(&self) -> Option<usize> {
        self.legs.iter().position(Leg::is_alive)
    }

    /// The leg to read what all of them have: the primary, or the nearest before it that is alive (`choose_mirror`).
    pub(super) fn choose(&self) -> Option<usize> {
        let (primary, count) = (self.primary(), self.legs.len());
        (0..count)
            .map(|back| (primary + count - back) % count)
            .find(|&index| self.legs.get(index).is_some_and(Leg::is_alive))
    }

    /// The leg to read what only the primary has for certain.
    pub(super) fn choose_primary(&self) -> Option<usize> {
        Some(self.primary()).filter(|&index| self.legs.get(index).is_some_and(Leg::is_alive))
    }

    /// Notes a failure; with `replace` another leg becomes the primary where the primary failed (`fail_mirror`).
    pub(super) fn fail(&self, index: usize, failure: Failure, replace: bool) -> Grief {
        self.any_failed.store(true, Ordering::SeqCst);
        let Some(leg) = self.legs.get(index) else { return Grief::Known };
        leg.errors.fetch_add(1, Ordering::SeqCst);
        let before = leg.failures.fetch_or(failure as u32, Ordering::SeqCst);
        if before & failure as u32 != 0 {
            return Grief::Known;
        }
        if let (true, Some(alive)) = (replace && index == self.primary(), self.first_alive()) {
            self.primary.store(alive, Ordering::SeqCst);
        }
        Grief::New
    }

    /// Forgets all failures: the legs are in sync again.
    pub(super) fn forgive(&self) {
        self.any_failed.store(false, Ordering::SeqCst);
        for leg in &self.legs {
            leg.errors.store(0, Ordering::SeqCst);
            leg.failures.store(0, Ordering::SeqCst);
        }
    }

    /// A letter for each.
    pub(super) fn letters(&self) -> Vec<u8> {
        self.legs.iter().map(Leg::letter).collect()
    }
}
