//! The threads of a session: as many as there are requests that wait, and one more.
//!
//! A request may wait for long: for a device that is suspended, for a disk that does not answer. So there is always a
//! thread that takes the next request: who takes one, and was the last that waited for any, begets another first. Threads
//! that too many others wait beside end.

use super::channel::Channel;
use super::directory::Directory;
use super::worker::Worker;
use crate::sys::fuse;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// So many threads may wait for requests, or as many as there were at first.
const MAX_IDLE: usize = 8;
/// So many threads there may be, should as many requests to suspended devices come.
const MAX_THREADS: usize = 2000;
/// A worker has its memory elsewhere.
const STACK: usize = 256 << 10;

/// The threads of a session.
#[derive(Debug)]
pub(super) struct Pool {
    directory: Arc<Directory>,
    session: File,
    /// Whether more threads than at the beginning come to be.
    grows: bool,
    /// So many may wait for requests.
    max_idle: usize,
    /// How many wait for a request, or are about to.
    idle: AtomicUsize,
    ending: AtomicBool,
    threads: Mutex<usize>,
    ended: Condvar,
}

impl Pool {
    /// The threads of the session that `session` is a descriptor of, at work: `threads` at first, and no more ever if
    /// that is 1.
    pub(super) fn start(directory: Arc<Directory>, session: File, threads: usize) -> io::Result<Arc<Self>> {
        let pool = Arc::new(Self {
            directory,
            session,
            grows: threads > 1,
            max_idle: threads.max(MAX_IDLE),
            idle: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
            threads: Mutex::new(0),
            ended: Condvar::new(),
        });
        for _ in 0..threads.max(1) {
            pool.idle.fetch_add(1, Ordering::SeqCst);
            pool.add()?;
        }
        Ok(pool)
    }

    /// Adds a thread, which has been counted as idle.
    fn add(self: &Arc<Self>) -> io::Result<()> {
        let begun = self.begin();
        if begun.is_err() {
            self.idle.fetch_sub(1, Ordering::SeqCst);
        }
        begun
    }

    fn begin(self: &Arc<Self>) -> io::Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if *threads >= MAX_THREADS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let channel = Channel::new(fuse::clone(self.session.as_fd())?);
        let pool = self.clone();
        thread::Builder::new().name("fuse".into()).stack_size(STACK).spawn(move || {
            let _thread = Thread(pool.clone());
            pool.work(&mut Worker::new(channel));
        })?;
        *threads += 1;
        Ok(())
    }

    fn work(self: &Arc<Self>, worker: &mut Worker) {
        while let Some(length) = worker.receive() {
            if self.idle.fetch_sub(1, Ordering::SeqCst) == 1 && self.grows && !self.is_ending() {
                self.idle.fetch_add(1, Ordering::SeqCst);
                // Without one the request is served all the same.
                let _ = self.add();
            }
            worker.serve(&self.directory, length);
            if self.is_ending() || self.idle.fetch_add(1, Ordering::SeqCst) >= self.max_idle {
                self.idle.fetch_sub(1, Ordering::SeqCst);
                return;
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Each thread ends after the request that it is at, or that it takes next.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    /// Waits until all threads have ended.
    pub(super) fn wait(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while *threads > 0 {
            threads = self.ended.wait(threads).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A thread, counted until this is dropped.
#[derive(Debug)]
struct Thread(Arc<Pool>);

impl Drop for Thread {
    fn drop(&mut self) {
        *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
