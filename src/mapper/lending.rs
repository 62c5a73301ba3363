//! Who has a device's file on loan, and whether it is lent now.
//!
//! Whoever has it reads it without passing the gate, so that nothing can make them wait or lead them elsewhere. So it is
//! one or the other: a device that lends is not held, and a device that is held does not lend.

use super::live_table::LiveTable;
use crate::block::Pdev;
use crate::dm::Sectors;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// How many have the file; below 0 it is not lent.
#[derive(Debug, Default)]
pub(super) struct Lending(AtomicI32);

const STOPPED: i32 = -1;

impl Lending {
    /// One more has it; `false` when it is not lent now.
    pub(super) fn lend(&self) -> bool {
        let more = |lent: i32| lent.checked_add(1).filter(|_| lent > STOPPED);
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// One who had it does not any more.
    pub(super) fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lends it no more; `false` when somebody has it.
    pub(super) fn stop(&self) -> bool {
        let stopped = self.0.compare_exchange(0, STOPPED, Ordering::SeqCst, Ordering::SeqCst);
        matches!(stopped, Ok(_) | Err(STOPPED))
    }

    /// Lends it again, if it had stopped.
    pub(super) fn go_on(&self) {
        let _ = self.0.compare_exchange(STOPPED, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// The file that is the table's device, byte for byte from its first to its last, if there is one.
pub(super) fn only_file(table: &LiveTable) -> Option<&Arc<Pdev>> {
    let [line] = &table.lines[..] else { return None };
    let used = line.target.is_window().then(|| line.target.pdevs().into_iter().next())??;
    (used.start == Sectors::ZERO && used.pdev.is_file_of(line.length)).then_some(used.pdev)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_lent_or_held() {
        let lending = Lending::default();
        assert!(lending.lend() && lending.lend() && !lending.stop());
        lending.give_back();
        assert!(!lending.stop());
        lending.go_on();
        lending.give_back();
        assert!(lending.stop() && lending.stop() && !lending.lend());
        lending.go_on();
        lending.go_on();
        assert!(lending.lend() && !lending.stop());
    }
}
