//! Path selectors: which path of a group is next.
//!
//! Source: the kernel's drivers/md/dm-ps-round-robin.c, dm-ps-queue-length.c and dm-ps-service-time.c; its admin-guide for
//! the last two.

use super::super::Init;
use crate::dm::Fault;
use std::cmp::Ordering as Order;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The highest relative throughput of a path.
const MAX_THROUGHPUT: u32 = 100;

/// A kind of selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest requests in flight.
    QueueLength,
    /// The one that would be done first, by the bytes in flight and how fast it is.
    ServiceTime,
}

/// What is in flight to a device, whichever paths lead there.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) requests: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// What a selector knows of a path.
#[derive(Debug)]
pub(super) struct Place {
    /// Requests before the path changes: 0 or 1, as more is no longer heeded.
    repeat: u32,
    throughput: u32,
    load: Arc<Load>,
}

/// The selector of a group: its paths are known by their index there.
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) kind: Kind,
    places: Vec<Place>,
    /// The paths that work, the least recently used first.
    valid: Vec<usize>,
}

impl Kind {
    pub(super) fn find(name: &[u8]) -> Option<Self> {
        [Self::RoundRobin, Self::QueueLength, Self::ServiceTime]
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::QueueLength => "queue-length",
            Self::ServiceTime => "service-time",
        }
    }

    /// How many words a table has for each path.
    pub(super) fn table_words(self) -> usize {
        match self {
            Self::RoundRobin | Self::QueueLength => 1,
            Self::ServiceTime => 2,
        }
    }

    /// How many words a status has for each path.
    pub(super) fn status_words(self) -> usize {
        match self {
            Self::RoundRobin => 0,
            Self::QueueLength => 1,
            Self::ServiceTime => 2,
        }
    }
}

impl Selector {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, places: Vec::new(), valid: Vec::new() }
    }

    /// One more path, whose `count` arguments begin at `at`.
    pub(super) fn add(
        &mut self,
        init: &Init<'_>,
        at: usize,
        count: usize,
        load: Arc<Load>,
    ) -> Result<(), Fault> {
        let (name, most) = (self.kind.name(), self.kind.table_words());
        if count > most {
            let wrong = format!("{name} takes at most {most} arguments for a path, not {count}");
            return Err(init.refuse(at, &wrong));
        }
        let mut place = Place { repeat: 1, throughput: 1, load };
        if count > 0 {
            place.repeat = init.within(at, 0..=u32::MAX, "requests before the path changes")?.min(1);
        }
        if count > 1 {
            place.throughput = init.within(at + 1, 0..=MAX_THROUGHPUT, "relative throughput")?;
        }
        self.valid.push(self.places.len());
        self.places.push(place);
        Ok(())
    }

    /// The path for a request of that many bytes, if one works.
    pub(super) fn select(&mut self, bytes: u64) -> Option<usize> {
        let best = match self.kind {
            Kind::RoundRobin => 0,
            Kind::QueueLength => self.least(|one, other| one.requests().cmp(&other.requests()))?,
            Kind::ServiceTime => self.least(|one, other| one.compare(other, bytes))?,
        };
        if best >= self.valid.len() {
            return None;
        }
        let path = self.valid.remove(best);
        self.valid.push(path);
        Some(path)
    }

    /// The first of the valid paths that none is better than.
    fn least(&self, compare: impl Fn(&Place, &Place) -> Order) -> Option<usize> {
        let place = |index: usize| self.valid.get(index).and_then(|&path| self.places.get(path));
        let mut best = 0;
        for index in 1..self.valid.len() {
            if compare(place(index)?, place(best)?) == Order::Less {
                best = index;
            }
        }
        Some(best)
    }

    pub(super) fn fail(&mut self, path: usize) {
        self.valid.retain(|&valid| valid != path);
    }

    pub(super) fn reinstate(&mut self, path: usize) {
        let at = if self.kind == Kind::RoundRobin { 0 } else { self.valid.len() };
        self.valid.insert(at, path);
    }

    /// The paths that work, in the order in which they are looked at.
    pub(super) fn order(&self) -> &[usize] {
        &self.valid
    }

    /// Says which paths work, and in which order they are looked at.
    pub(super) fn set_order(&mut self, order: Vec<usize>) {
        self.valid = order;
    }

    /// A path's words in a table, each with a blank behind it.
    pub(super) fn params(&self, path: usize) -> String {
        let Some(place) = self.places.get(path) else { return String::new() };
        match self.kind {
            Kind::RoundRobin | Kind::QueueLength => format!("{} ", place.repeat),
            Kind::ServiceTime => format!("{} {} ", place.repeat, place.throughput),
        }
    }

    /// A path's words in a status, each with a blank behind it.
    pub(super) fn status(&self, path: usize) -> String {
        let Some(place) = self.places.get(path) else { return String::new() };
        match self.kind {
            Kind::RoundRobin => String::new(),
            Kind::QueueLength => format!("{} ", place.requests()),
            Kind::ServiceTime => format!("{} {} ", place.bytes(), place.throughput),
        }
    }
}

impl Place {
    fn requests(&self) -> u64 {
        self.load.requests.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.load.bytes.load(Ordering::Relaxed)
    }

    /// `Less` if this path would be done with a request before the other.
    fn compare(&self, other: &Self, incoming: u64) -> Order {
        let (own, theirs) = (self.bytes(), other.bytes());
        let faster = other.throughput.cmp(&self.throughput);
        if self.throughput == other.throughput {
            return own.cmp(&theirs);
        }
        if own == theirs || self.throughput == 0 || other.throughput == 0 {
            return faster;
        }
        let time = |bytes: u64, other: u32| u128::from(bytes + incoming) * u128::from(other);
        time(own, other.throughput).cmp(&time(theirs, self.throughput)).then(faster)
    }
}
