//! The regions that are at work: written, to be called clean, or being synchronized.
//!
//! A region that is not here is as the log says: in sync and clean, or not in sync.

use std::collections::HashMap;

/// A region at work.
#[derive(Debug, Default)]
struct Region {
    /// Requests that write it.
    pending: u32,
    state: State,
    /// No request has come since it was looked at.
    idle: bool,
    /// The legs are being flushed to call it clean, and no request has come since that began.
    cleaning: bool,
}

/// What is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// As the log has it.
    #[default]
    Logged,
    /// In sync, and not clean in the log.
    Dirty,
    /// Not in sync, whatever the log says.
    Unsynced,
}

/// Where a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// To all legs; the log has the region as dirty already.
    Dirty,
    /// To all legs, and the region is to be marked in the log first.
    Clean,
    /// To the primary leg alone.
    Unsynced,
    /// Nowhere before the region has been synchronized.
    Wait,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Regions {
    regions: HashMap<u32, Region>,
    recovering: Option<u32>,
    /// A write to the region that is being synchronized failed on a leg.
    cancelled: bool,
}

impl Regions {
    /// A write to a region begins, unless it has to wait; `is_synced` is what the log says.
    pub(super) fn begin(&mut self, region: u32, is_synced: bool) -> Entry {
        if self.recovering == Some(region) {
            return Entry::Wait;
        }
        let known = self.regions.entry(region).or_default();
        known.pending += 1;
        known.idle = false;
        known.cleaning = false;
        match known.state {
            State::Dirty => Entry::Dirty,
            State::Logged if is_synced => {
                known.state = State::Dirty;
                Entry::Clean
            }
            State::Logged | State::Unsynced => Entry::Unsynced,
        }
    }

    /// A discard begins, unless it has to wait: `false`.
    pub(super) fn begin_discard(&mut self, region: u32) -> bool {
        if self.recovering != Some(region) {
            self.regions.entry(region).or_default().pending += 1;
        }
        self.recovering != Some(region)
    }

    /// It ends. A log in memory needs no care about what is `kept`; after a `lost` flush nobody knows what the legs hold.
    pub(super) fn end(&mut self, region: u32, kept: bool, lost: bool) {
        let Some(known) = self.regions.get_mut(&region) else { return };
        known.pending = known.pending.saturating_sub(1);
        if known.pending > 0 {
            return;
        }
        if lost && known.state != State::Logged {
            known.state = State::Unsynced;
        }
        if known.state == State::Logged || known.state == State::Dirty && !kept {
            self.regions.remove(&region);
        }
    }

    /// A write to a region has not reached all legs.
    pub(super) fn unsync(&mut self, region: u32) {
        self.regions.entry(region).or_default().state = State::Unsynced;
        self.cancelled |= self.recovering == Some(region);
    }

    /// Writes to a region wait from now on; `false` while there are some that began before.
    pub(super) fn recover(&mut self, region: u32) -> bool {
        if self.recovering != Some(region) {
            self.recovering = Some(region);
            self.cancelled = false;
        }
        self.regions.get(&region).is_none_or(|known| known.pending == 0)
    }

    /// Whether the region that is being synchronized is no longer to be.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// The region has been synchronized (`dirty` in the log still), or not.
    pub(super) fn recovered(&mut self, dirty: bool) {
        let Some(region) = self.recovering.take() else { return };
        if dirty {
            let known = Region { state: State::Dirty, idle: true, ..Region::default() };
            self.regions.insert(region, known);
        } else if !self.cancelled {
            self.regions.remove(&region);
        }
    }

    /// Ends the synchronizing of a region that has not begun to be copied.
    pub(super) fn give_up(&mut self) -> Option<u32> {
        self.recovering.take()
    }

    /// Whether a region may be called clean once the legs are flushed: all of them, or those that nobody has written for a
    /// while.
    pub(super) fn start_cleaning(&mut self, all: bool) -> bool {
        let mut any = false;
        for known in self.regions.values_mut().filter(|known| known.pending == 0) {
            known.cleaning = known.state == State::Dirty && (all || known.idle);
            known.idle = true;
            any |= known.cleaning;
        }
        any
    }

    /// The legs were flushed: `clean` hears of each region that is clean by that.
    pub(super) fn finish_cleaning(&mut self, mut clean: impl FnMut(u32)) {
        self.regions.retain(|&region, known| {
            if known.cleaning {
                clean(region);
            }
            !known.cleaning
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_marked_once_and_cleaned_when_nobody_writes_it() {
        let mut regions = Regions::default();
        assert_eq!(regions.begin(3, true), Entry::Clean);
        assert_eq!(regions.begin(3, true), Entry::Dirty);
        regions.end(3, true, false);
        assert!(!regions.start_cleaning(true), "one request is under way");
        regions.end(3, true, false);
        assert!(!regions.start_cleaning(false), "it was written just now");
        assert!(regions.start_cleaning(false));
        // A request that comes while the legs are flushed is not flushed with them.
        assert_eq!(regions.begin(3, true), Entry::Dirty);
        regions.end(3, true, false);
        regions.finish_cleaning(|region| panic!("{region} is not clean"));
        assert!(regions.start_cleaning(true));
        let mut clean = Vec::new();
        regions.finish_cleaning(|region| clean.push(region));
        assert_eq!((clean, regions.begin(3, true)), (vec![3], Entry::Clean));
    }

    #[test]
    fn writes_wait_for_a_region_that_is_being_synchronized() {
        let mut regions = Regions::default();
        assert_eq!(regions.begin(7, false), Entry::Unsynced);
        assert!(!regions.recover(7), "a write is under way");
        assert_eq!(regions.begin(7, false), Entry::Wait);
        regions.end(7, true, false);
        assert!(regions.recover(7) && !regions.is_cancelled());
        regions.recovered(true);
        assert_eq!(regions.begin(7, true), Entry::Dirty);
    }

    #[test]
    fn a_failed_write_leaves_a_region_unsynced_until_it_is_synchronized() {
        let mut regions = Regions::default();
        assert_eq!(regions.begin(1, true), Entry::Clean);
        regions.unsync(1);
        regions.end(1, true, false);
        assert_eq!(regions.begin(1, true), Entry::Unsynced);
        assert!(!regions.recover(1));
        regions.unsync(1);
        regions.end(1, true, false);
        assert!(regions.recover(1) && regions.is_cancelled());
        regions.recovered(false);
        assert_eq!(regions.begin(1, true), Entry::Unsynced);
        regions.end(1, true, false);
        assert!(regions.recover(1) && regions.give_up() == Some(1));
    }

    #[test]
    fn after_a_lost_flush_what_was_being_written_is_not_in_sync() {
        let mut regions = Regions::default();
        assert_eq!(regions.begin(2, true), Entry::Clean);
        regions.end(2, true, true);
        assert_eq!(regions.begin(2, true), Entry::Unsynced);
    }
}
