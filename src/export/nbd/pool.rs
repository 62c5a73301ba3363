//! The threads of one connection that may sleep, so that its other requests need not.
//!
//! They are started when they are needed, and end when they were not for a while: a connection that never waits for a
//! disk has none.

use super::protocol::Request;
use super::session::Session;
use super::slow;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many requests of a connection may sleep at once.
const MAX_THREADS: usize = 32;
/// How many may wait for their turn, and with how many bytes of data in all: what is behind them stays in the socket.
const MAX_WAITING: usize = 128;
const MAX_BYTES: usize = 64 << 20;
/// How long a thread waits for work.
const PATIENCE: Duration = Duration::from_secs(2);
/// Room for the deepest stack of targets, and for little else.
pub(super) const STACK: usize = 256 << 10;

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
    jobs: VecDeque<(Request, Vec<u8>)>,
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
        let mut work = self.0.lock();
        while work.jobs.len() >= MAX_WAITING || (work.bytes >= MAX_BYTES && work.threads > 0) {
            work = self.0.done.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        work.bytes += cost(&request);
        work.jobs.push_back((request, data));
        if work.idle < work.jobs.len() && work.threads < MAX_THREADS {
            let shared = self.0.clone();
            let started = thread::Builder::new()
                .name("nbd-wait".to_owned())
                .stack_size(STACK)
                .spawn(move || shared.run());
            work.threads += usize::from(started.is_ok());
            if work.threads == 0 {
                // No thread to be had: this one waits, and with it the connection.
                let job = work.jobs.pop_back();
                work.bytes -= cost(&request);
                drop(work);
                return job.map_or(Ok(()), |(request, data)| self.0.answer(&request, &data));
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let _counted = Counted(self);
        let mut work = self.lock();
        loop {
            if let Some((request, data)) = work.jobs.pop_front() {
                drop(work);
                if self.answer(&request, &data).is_err() {
                    // The client is gone: its own thread is to find out too.
                    self.session.socket.cut();
                }
                drop(data);
                work = self.lock();
                work.bytes -= cost(&request);
                self.done.notify_all();
            } else if work.closing {
                return;
            } else {
                work.idle += 1;
                let (locked, waited) =
                    self.come.wait_timeout(work, PATIENCE).unwrap_or_else(PoisonError::into_inner);
                work = locked;
                work.idle -= 1;
                if waited.timed_out() && work.jobs.is_empty() {
                    return;
                }
            }
        }
    }

    fn answer(&self, request: &Request, data: &[u8]) -> io::Result<()> {
        self.session.send(&slow::perform(&self.session, request, data))
    }
}

/// A running thread, counted until it ends, however it ends.
struct Counted<'a>(&'a Shared);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.lock().threads -= 1;
        self.0.done.notify_all();
    }
}
