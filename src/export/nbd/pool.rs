//! The threads of one connection that may sleep, so that its other requests need not.
//!
//! They are started when they are needed, and end when they were not for a while: a connection that never waits for a
//! disk has none.

use super::protocol::Request;
use super::session::Session;
use super::slow;
use nix::libc::c_long;
use nix::sys::resource::{UsageWho, getrusage};
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How many requests of a connection may sleep at once.
const MAX_THREADS: usize = 32;
/// How many may wait for their turn, and with how many bytes of data in all: what is behind them stays in the socket.
const MAX_WAITING: usize = 128;
const MAX_BYTES: usize = 64 << 20;
/// How long a thread waits for work.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many writes are done together where that does not wait: more, and the client has nothing to do meanwhile.
const AT_ONCE: usize = 4;
/// Which part of the time that writes together took the next of them may wait for more.
const LINGERING: u32 = 8;
/// Room for the deepest stack of targets, and for little else.
pub(super) const STACK: usize = 256 << 10;

/// A request, and the data of a write.
pub(super) type Job = (Request, Vec<u8>);

/// See the module.
#[derive(Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    session: Arc<Session>,
    work: Mutex<Work>,
    /// There is a job, or there will be none.
    come: Condvar,
    /// A job is done, or a thread has ended.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    jobs: VecDeque<Job>,
    /// Writes that are to be done together by one thread: those that come while it does some are the next it does.
    together: Vec<Job>,
    /// There is such a thread.
    gathers: bool,
    /// The last of them had to wait for something.
    gathers_slept: bool,
    /// How long to wait for more before the next of them.
    lingering: Duration,
    /// Bytes that jobs hold or will hold, waiting or not.
    bytes: usize,
    threads: usize,
    /// Threads that wait for a job.
    idle: usize,
    closing: bool,
}

impl Pool {
    pub(super) fn new(session: Arc<Session>) -> Self {
        let (work, come, done) = Default::default();
        Self(Arc::new(Shared { session, work, come, done }))
    }

    /// Has a request done and answered, with the data of a write. Waits while too many are waiting.
    pub(super) fn submit(&self, request: Request, data: Vec<u8>) -> io::Result<()> {
        let mut work = self.0.room();
        work.bytes += cost(&request);
        work.jobs.push_back((request, data));
        self.wake(work)
    }

    /// The same for writes that cost less when they are done together, which are taken out of `writes`.
    pub(super) fn submit_together(&self, writes: &mut Vec<Job>) -> io::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut work = self.0.room();
        work.bytes += writes.iter().map(|(request, _)| cost(request)).sum::<usize>();
        work.together.append(writes);
        if work.gathers {
            Ok(())
        } else if work.gathers_slept {
            self.wake(work)
        } else {
            // To hand them over costs more than they do, as it seems.
            let (work, done) = self.0.next(work);
            drop(work);
            done
        }
    }

    /// Sees to it that what has just come is done.
    fn wake(&self, mut work: MutexGuard<'_, Work>) -> io::Result<()> {
        if work.idle < work.waiting() && work.threads < MAX_THREADS {
            let shared = self.0.clone();
            let started = thread::Builder::new()
                .name("nbd-wait".to_owned())
                .stack_size(STACK)
                .spawn(move || shared.run());
            work.threads += usize::from(started.is_ok());
            if work.threads == 0 {
                // No thread to be had: this one waits, and with it the connection.
                let (work, done) = self.0.next(work);
                drop(work);
                return done;
            }
        }
        drop(work);
        self.0.come.notify_one();
        Ok(())
    }

    /// Waits until every request is answered, and the threads have ended.
    pub(super) fn finish(&self) {
        let mut work = self.0.lock();
        work.closing = true;
        self.0.come.notify_all();
        while work.threads > 0 {
            work = self.0.done.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The memory that a request needs while it is done.
fn cost(request: &Request) -> usize {
    use super::protocol::Command;
    match request.command {
        Command::Read | Command::Write => request.bytes(),
        Command::Disconnect
        | Command::Flush
        | Command::Trim
        | Command::Cache
        | Command::WriteZeroes
        | Command::BlockStatus
        | Command::Unknown => 0,
    }
}

impl Work {
    /// How many threads could begin with something now.
    fn waiting(&self) -> usize {
        self.jobs.len() + usize::from(!self.gathers && !self.together.is_empty())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while too many are waiting.
    fn room(&self) -> MutexGuard<'_, Work> {
        let mut work = self.lock();
        while work.jobs.len() + work.together.len() >= MAX_WAITING
            || (work.bytes >= MAX_BYTES && work.threads > 0)
        {
            work = self.done.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        work
    }

    fn run(&self) {
        let _counted = Counted(self);
        let mut work = self.lock();
        loop {
            if work.waiting() > 0 {
                let (locked, done) = self.next(work);
                work = locked;
                if done.is_err() {
                    // The client is gone: its own thread is to find out too.
                    self.session.socket.cut();
                }
            } else if work.closing {
                return;
            } else {
                work.idle += 1;
                let (locked, waited) =
                    self.come.wait_timeout(work, PATIENCE).unwrap_or_else(PoisonError::into_inner);
                work = locked;
                work.idle -= 1;
                if waited.timed_out() && work.waiting() == 0 {
                    return;
                }
            }
        }
    }

    /// Does what is next, if there is something, and answers it.
    fn next<'a>(&'a self, mut work: MutexGuard<'a, Work>) -> (MutexGuard<'a, Work>, io::Result<()>) {
        let gathers = !work.gathers && !work.together.is_empty();
        work.gathers |= gathers;
        if gathers && !work.lingering.is_zero() {
            let lingering = mem::take(&mut work.lingering);
            drop(work);
            thread::sleep(lingering);
            work = self.lock();
        }
        let jobs =
            if gathers { mem::take(&mut work.together) } else { work.jobs.pop_front().into_iter().collect() };
        let at_once = if work.gathers_slept { jobs.len() } else { AT_ONCE };
        drop(work);
        let (before, begin) = (sleeps(), Instant::now());
        let mut sent = Ok(());
        for jobs in jobs.chunks(at_once.max(1)) {
            if gathers {
                slow::expect(&self.session, jobs);
            }
            let replies = jobs.iter().map(|(request, data)| slow::perform(&self.session, request, data));
            sent = sent.and(self.session.send(&replies.collect::<Vec<_>>().concat()));
        }
        let slept = sleeps() != before;
        let mut work = self.lock();
        if gathers {
            work.gathers_slept = slept;
            // Those who had these are about to write again, and better together with those that wait already.
            let crowded = slept && !work.together.is_empty();
            work.lingering = if crowded { begin.elapsed() / LINGERING } else { Duration::ZERO };
        }
        work.bytes -= jobs.iter().map(|(request, _)| cost(request)).sum::<usize>();
        work.gathers &= !gathers;
        self.done.notify_all();
        (work, sent)
    }
}

/// How often this thread has waited for something until now.
fn sleeps() -> Option<c_long> {
    getrusage(UsageWho::RUSAGE_THREAD).ok().map(|usage| usage.voluntary_context_switches())
}

/// A running thread, counted until it ends, however it ends.
struct Counted<'a>(&'a Shared);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.lock().threads -= 1;
        self.0.done.notify_all();
    }
}
