//! The gate in front of a device: counts the I/O in flight, and holds new I/O while the device is suspended.
//!
//! Every request passes here, on any number of threads, so the way through is two atomic additions on a counter that
//! the thread shares with few others, and no lock. Who holds the gate then looks at the counters: each request has either
//! seen that the gate is held, or is counted (both sides are sequentially consistent).

use crate::dm::Errno;
use std::io::{PipeReader, PipeWriter};
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many counters a gate has: more threads than that share some.
const COUNTERS: usize = 8;

const OPEN: u8 = 0;
const HELD: u8 = 1;
const SHUT: u8 = 2;

/// One counter on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicI64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Gate {
    counters: [Counter; COUNTERS],
    /// `OPEN`, `HELD` or `SHUT`. Written under `watchers`, so that who waits for it misses nothing.
    state: AtomicU8,
    /// Who wants to know of the next change: see [`Gate::watch`].
    watchers: Mutex<Vec<PipeWriter>>,
    opened: Condvar,
}

/// A request in flight, until this is dropped.
#[derive(Debug)]
pub(super) struct InFlight<'a> {
    gate: &'a Gate,
    counter: &'a AtomicI64,
}

impl Gate {
    /// Lets a request through, as soon as the gate is not held.
    ///
    /// # Errors
    /// EIO when it is shut.
    pub(super) fn enter(&self) -> Result<InFlight<'_>, Errno> {
        let counter = &self.counters[own_counter()].0;
        loop {
            counter.fetch_add(1, Ordering::SeqCst);
            match self.state.load(Ordering::SeqCst) {
                OPEN => return Ok(InFlight { gate: self, counter }),
                state => {
                    drop(InFlight { gate: self, counter });
                    if state == SHUT {
                        return Err(Errno::EIO);
                    }
                    self.wait_while_held();
                }
            }
        }
    }

    /// Whether a request that comes now waits.
    pub(super) fn is_held(&self) -> bool {
        self.state.load(Ordering::SeqCst) == HELD
    }

    fn wait_while_held(&self) {
        let mut watchers = self.lock();
        while self.state.load(Ordering::SeqCst) == HELD {
            watchers = self.opened.wait(watchers).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Holds requests that come from now on.
    pub(super) fn hold(&self) {
        self.set(HELD);
    }

    /// Lets them through.
    pub(super) fn open(&self) {
        self.set(OPEN);
    }

    /// Fails them, also those that are held.
    pub(super) fn shut(&self) {
        self.set(SHUT);
    }

    fn set(&self, state: u8) {
        let mut watchers = self.lock();
        // What is shut stays so.
        if self.state.load(Ordering::SeqCst) != SHUT {
            self.state.store(state, Ordering::SeqCst);
        }
        watchers.clear();
        self.opened.notify_all();
    }

    /// Whether requests are in flight; once it is not so while the gate is held it stays so.
    pub(super) fn is_busy(&self) -> bool {
        self.counters.iter().any(|counter| counter.0.load(Ordering::SeqCst) != 0)
    }

    /// Does something while no request is in flight and the gate is held, and leaves it as it was; `false`, and nothing
    /// was done, if what is in flight has not ended after `limit`.
    pub(super) fn quiesce(&self, then: &mut dyn FnMut(), limit: Duration) -> bool {
        let was_open = self.state.load(Ordering::SeqCst) == OPEN;
        if was_open {
            self.hold();
        }
        let end = Instant::now() + limit;
        while self.is_busy() && Instant::now() < end {
            thread::sleep(Duration::from_micros(100));
        }
        let idle = !self.is_busy();
        if idle {
            then();
        }
        if was_open {
            self.open();
        }
        idle
    }

    /// Something whose end is reached when the device changes: a request ended while the gate is not open, the gate
    /// was set, or [`Gate::changed`] was called.
    pub(super) fn watch(&self) -> std::io::Result<PipeReader> {
        let (reader, writer) = std::io::pipe()?;
        self.lock().push(writer);
        Ok(reader)
    }

    /// Wakes those who watch.
    pub(super) fn changed(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PipeWriter>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::SeqCst);
        if self.gate.state.load(Ordering::SeqCst) != OPEN {
            self.gate.changed();
        }
    }
}

/// The counter of this thread, the same for all gates.
fn own_counter() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed) % COUNTERS;
    }
    OWN.with(|own| *own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::Arc;

    #[test]
    fn who_holds_the_gate_waits_for_what_is_in_flight() {
        let gate = Gate::default();
        let request = gate.enter().unwrap();
        gate.hold();
        assert!(gate.is_busy());
        let mut watch = gate.watch().unwrap();
        drop(request);
        assert_eq!(watch.read(&mut [0]).unwrap(), 0);
        assert!(!gate.is_busy());
    }

    #[test]
    fn a_gate_that_is_quiesced_is_as_before_and_changes_nothing_while_a_request_is_in_flight() {
        let gate = Gate::default();
        let (short, mut done) = (Duration::from_millis(1), 0);
        let request = gate.enter().unwrap();
        assert!(!gate.quiesce(&mut || done += 1, short));
        drop(request);
        assert!(gate.quiesce(&mut || done += 1, short));
        drop(gate.enter().unwrap());
        gate.hold();
        assert!(gate.quiesce(&mut || done += 1, short));
        assert_eq!((done, gate.state.load(Ordering::SeqCst)), (2, HELD));
    }

    #[test]
    fn requests_wait_until_the_gate_opens() {
        let gate = Arc::new(Gate::default());
        gate.hold();
        let waiter = thread::spawn({
            let gate = gate.clone();
            move || gate.enter().map(drop)
        });
        gate.open();
        assert_eq!(waiter.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_shut_gate_fails_requests_and_never_opens() {
        let gate = Gate::default();
        gate.shut();
        gate.open();
        assert_eq!(gate.enter().map(drop), Err(Errno::EIO));
    }

    #[test]
    fn nothing_is_in_flight_while_the_gate_is_held() {
        let gate = Arc::new(Gate::default());
        let inside = Arc::new(AtomicI64::new(0));
        let run = Arc::new(AtomicUsize::new(1));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (gate, inside, run) = (gate.clone(), inside.clone(), run.clone());
                thread::spawn(move || {
                    while run.load(Ordering::Relaxed) == 1 {
                        let _in_flight = gate.enter().unwrap();
                        inside.fetch_add(1, Ordering::Relaxed);
                        inside.fetch_sub(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for _ in 0..200 {
            gate.hold();
            loop {
                let mut watch = gate.watch().unwrap();
                if !gate.is_busy() {
                    break;
                }
                let _ = watch.read(&mut [0]).unwrap();
            }
            for _ in 0..100 {
                assert_eq!(inside.load(Ordering::Relaxed), 0);
            }
            gate.open();
        }
        run.store(0, Ordering::Relaxed);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
}
