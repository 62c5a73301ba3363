//! Failed flushes, remembered until every client has heard of them.
//!
//! The kernel tells a failed write-back once to each open file description, and here one serves all clients: whoever
//! flushes first would be the only one to hear. So failures are numbered, and each client compares the last one's
//! number with the last that it was told (the kernel's own way, `errseq_t` in its lib/errseq.c).

use crate::dm::Errno;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers all failures of this process in the order in which they were found.
static LAST: AtomicU64 = AtomicU64::new(0);

/// Low bits that hold the errno.
const ERRNO_BITS: u32 = 16;

/// A flush that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlushFailure {
    /// Later failures have higher numbers; the first has 1.
    pub number: u64,
    /// What the flush gave.
    pub errno: Errno,
}

/// The last failed flush of some storage.
#[derive(Debug, Default)]
pub struct FlushFailures(AtomicU64);

impl FlushFailures {
    /// Remembers a failure found now.
    pub fn record(&self, errno: Errno) {
        let number = LAST.fetch_add(1, Ordering::SeqCst) + 1;
        self.keep(FlushFailure { number, errno });
    }

    /// Takes over a failure of other storage, if it is later than what is known.
    pub fn keep(&self, failure: FlushFailure) {
        let errno = u64::from(u16::try_from(failure.errno.0).unwrap_or(u16::MAX));
        self.0.fetch_max(failure.number << ERRNO_BITS | errno, Ordering::SeqCst);
    }

    /// The last failure, if there was one.
    pub fn last(&self) -> Option<FlushFailure> {
        let packed = self.0.load(Ordering::SeqCst);
        let errno = i32::try_from(packed & ((1 << ERRNO_BITS) - 1)).ok()?;
        (packed != 0).then_some(FlushFailure { number: packed >> ERRNO_BITS, errno: Errno(errno) })
    }
}

/// What one client has been told.
#[derive(Debug)]
pub struct Told(AtomicU64);

impl Told {
    /// A client that starts now and need not know of what was before.
    pub fn from_now() -> Self {
        Self(AtomicU64::new(LAST.load(Ordering::SeqCst)))
    }

    /// The failure if the client has not been told, which it is by this.
    pub fn news(&self, last: Option<FlushFailure>) -> Option<Errno> {
        let last = last?;
        (self.0.fetch_max(last.number, Ordering::SeqCst) < last.number).then_some(last.errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_hears_of_a_failure_once() {
        let failures = FlushFailures::default();
        let (one, other) = (Told::from_now(), Told::from_now());
        assert_eq!(one.news(failures.last()), None);
        failures.record(Errno::EIO);
        assert_eq!(one.news(failures.last()), Some(Errno::EIO));
        assert_eq!(one.news(failures.last()), None);
        assert_eq!(other.news(failures.last()), Some(Errno::EIO));
        assert_eq!(Told::from_now().news(failures.last()), None);
        failures.record(Errno::ENOSPC);
        assert_eq!(one.news(failures.last()), Some(Errno::ENOSPC));
        assert_eq!(other.news(failures.last()), Some(Errno::ENOSPC));
    }

    #[test]
    fn a_failure_that_is_taken_over_replaces_older_ones_alone() {
        let (older, newer, all) =
            (FlushFailures::default(), FlushFailures::default(), FlushFailures::default());
        older.record(Errno::EIO);
        newer.record(Errno::ENOSPC);
        all.keep(newer.last().unwrap());
        all.keep(older.last().unwrap());
        assert_eq!(all.last(), newer.last());
    }
}
