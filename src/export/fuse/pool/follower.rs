//! The thread that goes where its client is.
//!
//! A client that waits for each answer and a thread that waits for each request are never at work at the same time, yet the
//! system puts either on a processor that is idle, and to have that wake takes longer than to answer. So a client that is
//! alone, and quick to ask again, is served by a thread on its own processor, which they pass to each other.
//!
//! The client is the system's to place, and may be moved to an idle processor when its answer wakes it; the follower goes
//! after it. To the scheduler a processor where none but threads of `SCHED_IDLE` run is as good as an idle one
//! (`sched_idle_cpu` in the kernel's kernel/sched/fair.c), so the follower is such a thread, for good, as users may not
//! take that back, and does nothing else. Beside it a client is moved at a tick of the clock now and then, and reads
//! 122,000 blocks a second where it waits for each; beside a thread like any other 66,000, and unfollowed 27,000 (Linux
//! 6.18, two processors).
//!
//! Such a thread gets next to nothing of a processor that others want too. So it stops as soon as its client is not alone,
//! or not quick, or does not stay, and the watch has another thread take its place when it does not come.

use super::super::channel::Received;
use super::super::worker::Worker;
use super::{FOLLOWER, Pool, QUICK};
use crate::sys::processor::{self, Usage};
use nix::sched::CpuSet;
use nix::unistd::{Pid, gettid};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many reads and writes in a row, each waited for but not for long, make a client one to be followed.
const STREAK: u32 = 32;
/// So many requests make a round, after which the follower looks whether it is of use.
const ROUND: u32 = 256;
/// A client that asks for nothing for so long is not followed any more.
const PAUSE: Duration = Duration::from_millis(20);
/// After the follower was of no use nobody is followed for so long; for twice as long each time, up to the most.
const REST: Duration = Duration::from_millis(100);
const MOST_REST: Duration = Duration::from_secs(10);
/// So many requests in a row that had to be awaited tell that the client may have gone elsewhere: where it shares the
/// follower's processor it is at work as soon as it has its answer, and has asked again when the follower is next.
const AWAITED: u32 = 2;
/// As many at most, where the client turns out to be there all the same.
const MOST_AWAITED: u32 = 64;
/// A client that has gone elsewhere so often in a round does not stay.
const RESTLESS: u32 = 12;

/// A client's requests in a row.
#[derive(Debug, Default)]
pub(super) struct Streak {
    client: Option<u32>,
    length: u32,
}

impl Streak {
    /// Counts a read or write of that client, a thread's number, or another request of `None`; it was waited for, and not
    /// long, if `is_quick`. The client, when it is one to be followed.
    pub(super) fn count(&mut self, client: Option<u32>, is_quick: bool) -> Option<u32> {
        if client != self.client || !is_quick {
            *self = Self { client, length: 0 };
        }
        self.length += 1;
        if self.length < STREAK {
            return None;
        }
        self.length = 0;
        client
    }
}

/// What the session's other threads know of the follower.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// It has a client, or is called to one.
    is_following: AtomicBool,
    /// The same, or it is still at a request.
    is_at_work: AtomicBool,
    /// The watch has had another thread take its place.
    is_relieved: AtomicBool,
    place: Mutex<Place>,
}

/// Nothing waits while it is locked: whoever locks it may be kept from every processor, and others lock it too.
#[derive(Debug, Default)]
struct Place {
    /// The follower, while it has a client, and the processors that it may run on otherwise.
    free: Option<(Pid, CpuSet)>,
    rests_until: Option<Instant>,
    /// How long it rested last, since it was of use.
    rested: Duration,
}

/// Why a client is followed no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// There is another, or it pauses, or the session ends.
    Alone,
    /// It was of no use.
    Useless,
}

impl Follower {
    pub(super) fn is_following(&self) -> bool {
        self.is_following.load(Ordering::SeqCst)
    }

    fn is_relieved(&self) -> bool {
        self.is_relieved.load(Ordering::SeqCst)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests(&self) -> bool {
        self.place().rests_until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self) {
        let mut place = self.place();
        place.rested = (2 * place.rested).clamp(REST, MOST_REST);
        place.rests_until = Some(Instant::now() + place.rested);
    }

    /// Binds this thread to the client's processor, and the watch to the others, as its waking would drive the client away;
    /// the processor. `None` when it cannot be followed there.
    fn go_to(&self, client: u32, watch: Option<Pid>, allowed: &CpuSet) -> Option<usize> {
        let processor = processor::of(client)?;
        let (only, others) = processor::parted(processor, allowed)?;
        self.place().free = Some((gettid(), *allowed));
        if let Some(watch) = watch {
            processor::bind(watch, &others);
        }
        processor::bind(gettid(), &only).then_some(processor)
    }

    /// Lets the follower run on every processor again, and the watch.
    fn release(&self, watch: Option<Pid>) {
        let free = self.place().free;
        if let Some((thread, allowed)) = free {
            for thread in watch.into_iter().chain([thread]) {
                processor::bind(thread, &allowed);
            }
        }
    }
}

/// A round's requests, and what had been before them.
struct Round {
    begun: Instant,
    usage: Usage,
    requests: u32,
    /// How often the client had gone elsewhere.
    moves: u32,
}

impl Round {
    fn begin() -> Self {
        Self { begun: Instant::now(), usage: processor::usage(), requests: 0, moves: 0 }
    }

    /// Whether the client stayed, waited for each answer, and was quick. As one processor has both, the follower leaves it
    /// once for each request: who does not has found the next request there, as several are on their way at once.
    fn was_of_use(&self) -> bool {
        let now = processor::usage();
        let others = self.begun.elapsed().saturating_sub(now.ran.saturating_sub(self.usage.ran));
        let waited = now.switches.saturating_sub(self.usage.switches) >= u64::from(self.requests / 2);
        self.moves < RESTLESS && waited && others < QUICK * self.requests
    }
}

/// A client that is followed.
struct Followed {
    client: u32,
    /// Where the follower may run.
    allowed: CpuSet,
    /// Where it does.
    here: usize,
    round: Round,
    /// How many requests in a row had to be awaited, and how many are to be before it is looked up where the client is.
    awaited: u32,
    patience: u32,
}

impl Pool {
    /// Has the follower take the place of the thread that calls, and that client; whether it does.
    pub(super) fn follow(self: &Arc<Self>, client: u32) -> bool {
        if self.processors < 2 || self.most < 2 || self.follower.rests() {
            return false;
        }
        let mut threads = self.lock();
        if self.follower.is_at_work.load(Ordering::SeqCst) || self.is_ending() {
            return false;
        }
        if !threads.has_follower && self.add(&mut threads, Self::be_follower).is_err() {
            self.follower.rest();
            return false;
        }
        threads.has_follower = true;
        threads.called_to = Some(client);
        self.follower.is_relieved.store(false, Ordering::SeqCst);
        self.follower.is_at_work.store(true, Ordering::SeqCst);
        self.follower.is_following.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        true
    }

    /// What the follower does from its first moment to its last.
    fn be_follower(self: &Arc<Self>, worker: &mut Worker) {
        let gives_way = processor::give_way().is_ok();
        while let Some(client) = self.await_client() {
            let allowed = processor::allowed().filter(|_| gives_way);
            let left = allowed.map_or(Left::Useless, |allowed| self.serve_alone(worker, client, allowed));
            if left == Left::Useless || self.follower.is_relieved() {
                self.follower.rest();
            }
            if self.is_ending() {
                // The watch may have ended too, and its number be somebody else's.
                return;
            }
            self.leave();
            self.follower.place().free = None;
            self.follower.is_at_work.store(false, Ordering::SeqCst);
            self.call();
        }
    }

    /// Its client is followed no more: it may run anywhere, and is watched as every other thread.
    fn leave(&self) {
        self.follower.release(self.watch.id());
        self.follower.is_following.store(false, Ordering::SeqCst);
    }

    /// Waits until there is a client to go to; `None` at the end.
    fn await_client(&self) -> Option<u32> {
        let mut threads = self.lock();
        self.active.fetch_sub(1, Ordering::SeqCst);
        while threads.called_to.is_none() && !self.is_ending() {
            threads = self.changed.wait(threads).unwrap_or_else(PoisonError::into_inner);
        }
        self.active.fetch_add(1, Ordering::SeqCst);
        threads.called_to.take().filter(|_| !self.is_ending())
    }

    /// Serves a client for as long as it is alone.
    fn serve_alone(self: &Arc<Self>, worker: &mut Worker, client: u32, allowed: CpuSet) -> Left {
        let Some(here) = self.follower.go_to(client, self.watch.id(), &allowed) else { return Left::Useless };
        let round = Round::begin();
        let mut followed = Followed { client, allowed, here, round, awaited: 0, patience: AWAITED };
        while !self.is_ending() && !self.follower.is_relieved() {
            let length = match self.next_request(worker, &mut followed) {
                Received::Request(length) => length,
                Received::Nothing => return Left::Alone,
                Received::End => {
                    self.end();
                    return Left::Alone;
                }
            };
            self.taken.fetch_add(1, Ordering::Relaxed);
            self.watch.wake();
            if worker.client(length) != Some(client) || worker.is_held(&self.directory, length) {
                // It may take locks that others wait for, which must not be where others keep it from running; or wait.
                self.leave();
                self.serve(worker, length);
                return Left::Alone;
            }
            worker.serve(&self.directory, length);
            if !self.keep_up(&mut followed) {
                return Left::Useless;
            }
        }
        Left::Alone
    }

    /// The next request; nothing when the client pauses, or another thread waits.
    fn next_request(&self, worker: &mut Worker, followed: &mut Followed) -> Received {
        let received = worker.look();
        if received != Received::Nothing {
            followed.awaited = 0;
            return received;
        }
        followed.awaited += 1;
        if !self.begin_to_wait(FOLLOWER) {
            return Received::Nothing;
        }
        worker.wait(&self.end, Some(PAUSE));
        // Relieved meanwhile, it is not its turn any more.
        if self.end_to_wait(FOLLOWER) { worker.look() } else { Received::Nothing }
    }

    /// Goes after the client when that may have been moved, and says at the end of a round whether it was of use.
    fn keep_up(&self, followed: &mut Followed) -> bool {
        followed.round.requests += 1;
        if followed.awaited >= followed.patience {
            let found = self.follower.go_to(followed.client, self.watch.id(), &followed.allowed);
            let Some(there) = found else { return false };
            let has_moved = there != followed.here;
            followed.round.moves += u32::from(has_moved);
            followed.patience = if has_moved { AWAITED } else { (2 * followed.patience).min(MOST_AWAITED) };
            (followed.here, followed.awaited) = (there, 0);
        }
        if followed.round.requests < ROUND {
            return true;
        }
        let was_of_use = followed.round.was_of_use();
        if was_of_use {
            self.follower.place().rested = Duration::ZERO;
        }
        followed.round = Round::begin();
        was_of_use
    }

    /// The watch's part: the follower does not come, to a request that waits or from one that it has.
    pub(super) fn relieve(&self) {
        self.follower.is_relieved.store(true, Ordering::SeqCst);
        self.end_to_wait(FOLLOWER);
        self.follower.release(self.watch.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_quick_client_makes_a_streak() {
        let mut streak = Streak::default();
        let mut count = |client, is_quick| streak.count(client, is_quick);
        let followed = |count: &mut dyn FnMut() -> Option<u32>| (0..STREAK).filter_map(|_| count()).count();
        assert_eq!(followed(&mut || count(Some(7), true)), 1);
        assert_eq!(followed(&mut || count(Some(7), false)), 0);
        assert_eq!(followed(&mut || count(None, true)), 0, "nothing but reads and writes");
        let mut turn = 0;
        let mut in_turn = || {
            turn += 1;
            count(Some(turn % 2), true)
        };
        assert_eq!(followed(&mut in_turn), 0);
    }
}
