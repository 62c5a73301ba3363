//! The thread of a mirror that is served: copies the primary leg to the others, region by region, and calls clean what is
//! no longer written.

use super::legs::Failure;
use super::set::Set;
use crate::block::{Allocation, BlockDevice};
use crate::dm::{Bytes, Errno, Fault, SECTOR_SIZE, Sectors};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a region is not written before it is called clean, and how often what was copied is noted in the log.
const REST: Duration = Duration::from_millis(500);

/// How much is copied at once.
const CHUNK: usize = 256 << 10;

/// The thread, if it runs.
#[derive(Debug, Default)]
pub(super) struct Worker(Mutex<Option<JoinHandle<()>>>);

impl Worker {
    /// Begins, if it has not begun.
    pub(super) fn start(&self, set: &Arc<Set>) -> Result<(), Fault> {
        let mut worker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_some() {
            return Ok(());
        }
        set.flow().stop = false;
        let set = Arc::clone(set);
        let thread = thread::Builder::new().name("mirror".into()).spawn(move || run(&set));
        *worker = Some(thread.map_err(|error| {
            Fault::new(Errno::from_io(&error), format!("mirror: cannot start a thread: {error}"))
        })?);
        Ok(())
    }

    /// Ends, when the region that is being copied is.
    pub(super) fn stop(&self, set: &Set) {
        let worker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            set.flow().stop = true;
            set.notify();
            // What it did before a panic is in the log or is done again.
            let _ = worker.join();
        }
    }
}

fn run(set: &Set) {
    let mut noted = Instant::now();
    loop {
        set.note_sync();
        if let Some(region) = next(set) {
            let copied = copy(set, region);
            finish(set, region, copied);
            if noted.elapsed() >= REST {
                set.clean(false);
                noted = Instant::now();
            }
            continue;
        }
        set.clean(false);
        noted = Instant::now();
        let end = Instant::now() + REST;
        let mut flow = set.flow();
        // Requests that end wake whoever waits, and nothing is to be done then.
        while !flow.stop {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            flow = set.wait(flow, Some(left));
        }
        if flow.stop {
            return;
        }
    }
}

/// The next region to copy, which nobody writes from now on.
fn next(set: &Set) -> Option<u32> {
    let mut flow = set.flow();
    if flow.stop {
        return None;
    }
    let region = set.log.next_unsynced()?;
    while !flow.regions.recover(region) && !flow.stop {
        flow = set.wait(flow, None);
    }
    if !flow.stop {
        return Some(region);
    }
    if let Some(region) = flow.regions.give_up() {
        set.log.search_again(region);
    }
    drop(flow);
    set.notify();
    None
}

/// Copies a region to the other legs: `false` when a leg failed.
fn copy(set: &Set, region: u32) -> bool {
    if set.flow().regions.is_cancelled() {
        return false;
    }
    let from = Sectors(u64::from(region) * set.log.region());
    let end = Sectors((from.0 + set.log.region()).min(set.length.0));
    let source = set.legs.primary();
    let mut failed = vec![false; set.legs.len()];
    let mut buffer = vec![0; CHUNK];
    let mut at = from;
    while at < end {
        let length = Bytes(((end.0 - at.0) * SECTOR_SIZE).min(CHUNK as u64));
        copy_chunk(set, source, at, length, &mut buffer, &mut failed);
        if set.features.handle_errors && failed.contains(&true) {
            break;
        }
        at.0 += length.0 / SECTOR_SIZE;
    }
    let failures = failed.iter().enumerate().filter(|(_, failed)| **failed);
    failures.for_each(|(index, _)| set.fail(index, Failure::Sync));
    !failed.contains(&true)
}

fn copy_chunk(set: &Set, source: usize, at: Sectors, length: Bytes, buffer: &mut [u8], failed: &mut [bool]) {
    let Some(from) = set.legs.get(source) else { return };
    let buffer = &mut buffer[..usize::try_from(length.0).unwrap_or(CHUNK)];
    // A hole becomes a hole: the first copy of a large file that is almost empty is quick.
    let hole = from.position(at).and_then(|place| from.pdev.allocation(place, length));
    let is_hole = matches!(hole, Ok(Allocation::Hole(hole)) if hole >= length);
    if !is_hole && from.position(at).and_then(|place| from.pdev.read_at(buffer, place)).is_err() {
        failed[source] = true;
        return;
    }
    for (index, leg) in set.legs.iter().enumerate().filter(|(index, _)| *index != source) {
        let written = leg.position(at).and_then(|place| {
            if is_hole {
                leg.pdev.write_zeroes(place, length, true)
            } else {
                leg.pdev.write_at(buffer, place)
            }
        });
        failed[index] |= written.is_err();
    }
}

/// What comes of it. Where errors are not handled a region counts as in sync all the same, as in the kernel, but its log
/// does not call it clean.
fn finish(set: &Set, region: u32, copied: bool) {
    set.forget_told();
    let mut flow = set.flow();
    let cancelled = flow.regions.is_cancelled();
    set.log.set_synced(region, !cancelled && (copied || !set.features.handle_errors));
    flow.regions.recovered(!cancelled && copied && set.log.is_kept());
    drop(flow);
    set.notify();
}
