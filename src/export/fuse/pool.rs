//! The threads of a session: one, for as long as one is enough.
//!
//! To be woken on another processor costs more than to answer a small request. So one thread waits for requests, takes
//! the next after it has answered, and all others are parked. There is need of another:
//!
//! - when requests in a row were there already as it looked for the next: there are clients to serve at once, and another
//!   thread is woken, as many as there are processors;
//! - when it is about to do I/O on a device that is held: another takes its place first;
//! - when it does not come back from a request, as from a disk that does not answer: the watch sees that;
//! - when all requests are one client's, who waits for each: the follower goes where it is.
//!
//! So a request that waits keeps no other from being served, however many wait.

mod follower;

use super::channel::{Channel, Received};
use super::directory::Directory;
use super::worker::Worker;
use follower::{Follower, Streak};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, gettid};
use std::fs::File;
use std::hint;
use std::io::{self, PipeReader, PipeWriter, pipe};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// So many threads stay, parked, when there is nothing for them to do.
const MAX_PARKED: usize = 8;
/// So many threads there may be, should as many requests for suspended devices come.
const MAX_THREADS: usize = 2000;
/// A worker has its memory elsewhere.
const STACK: usize = 256 << 10;
/// How long nobody may look for requests before the watch sees to it.
const PATIENCE: Duration = Duration::from_millis(4);
/// So many requests in a row that were there already tell of clients to serve at once. One or two do not: a thread that the
/// system has set aside finds its one client's next request there.
const PRESSED: u32 = 3;
/// A client that asks again within so long is quick.
const QUICK: Duration = Duration::from_micros(150);
/// After a wait for a quick one the next is begun by looking, for so long.
const LOOKING: Duration = Duration::from_micros(50);

/// Who may wait for a request.
const NOBODY: u8 = 0;
const WORKER: u8 = 1;
/// The one whose turn the watch may end.
const FOLLOWER: u8 = 2;

/// The threads of a session.
#[derive(Debug)]
pub(super) struct Pool {
    directory: Arc<Directory>,
    session: File,
    /// So many threads serve at once, those not counted that wait for a device.
    most: usize,
    /// How many processors there are for them.
    processors: usize,
    /// How many threads do.
    active: AtomicUsize,
    /// Who waits for a request, if anybody does: no other does.
    attended: AtomicU8,
    /// How many requests were taken: the watch's pulse.
    taken: AtomicU64,
    ending: AtomicBool,
    /// Whose end is reached when `ending` is set: by that the waiting thread knows, which unmounting need not wake.
    end: PipeReader,
    threads: Mutex<Threads>,
    /// A thread is called from its parking, or has ended.
    changed: Condvar,
    watch: Watch,
    follower: Follower,
}

#[derive(Debug)]
struct Threads {
    /// `None` once they are to end.
    end: Option<PipeWriter>,
    /// All that there are, but for the watch.
    all: usize,
    parked: usize,
    /// How many of the parked are to go to work.
    called: usize,
    has_follower: bool,
    /// The client that the follower is to go to.
    called_to: Option<u32>,
}

/// The thread that watches.
#[derive(Debug)]
struct Watch {
    thread: Mutex<Option<Thread>>,
    /// The system's number of it, 0 until it has begun.
    id: AtomicI32,
    awake: AtomicBool,
}

impl Pool {
    /// The threads of the session that `session` is a descriptor of, at work.
    pub(super) fn start(directory: Arc<Directory>, session: File, most: usize) -> io::Result<Arc<Self>> {
        let (end, writer) = pipe()?;
        let threads =
            Threads { end: Some(writer), all: 0, parked: 0, called: 0, has_follower: false, called_to: None };
        let pool = Arc::new(Self {
            directory,
            session,
            most: most.max(1),
            processors: thread::available_parallelism().map_or(1, usize::from),
            active: AtomicUsize::new(0),
            attended: AtomicU8::new(NOBODY),
            taken: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            end,
            threads: Mutex::new(threads),
            changed: Condvar::new(),
            watch: Watch { thread: Mutex::new(None), id: AtomicI32::new(0), awake: AtomicBool::new(false) },
            follower: Follower::default(),
        });
        pool.add(&mut pool.lock(), Self::work)?;
        let watching = pool.clone();
        let watch = thread::Builder::new().name("fuse-watch".into()).stack_size(STACK);
        let watch = watch.spawn(move || watching.keep_watch())?;
        *pool.watch.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch.thread().clone());
        Ok(pool)
    }

    fn lock(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a thread that does that.
    fn add(self: &Arc<Self>, threads: &mut Threads, work: fn(&Arc<Self>, &mut Worker)) -> io::Result<()> {
        if threads.all >= MAX_THREADS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let channel = Channel::new(self.session.as_fd())?;
        let pool = self.clone();
        thread::Builder::new().name("fuse".into()).stack_size(STACK).spawn(move || {
            let _ended = Ended(&pool);
            work(&pool, &mut Worker::new(channel));
        })?;
        threads.all += 1;
        self.active.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Has another thread look for requests, if none does.
    fn call(self: &Arc<Self>) {
        let mut threads = self.lock();
        if self.is_attended() || threads.called > 0 || self.is_ending() {
            return;
        }
        if threads.parked > 0 {
            threads.called += 1;
            self.changed.notify_all();
        } else {
            // Without one requests are served later, by who is at work now.
            let _ = self.add(&mut threads, Self::work);
        }
    }

    /// Waits until it is called; `false` when it is to end.
    fn park(&self) -> bool {
        let mut threads = self.lock();
        self.active.fetch_sub(1, Ordering::SeqCst);
        if threads.parked >= MAX_PARKED {
            // Its end takes it off.
            self.active.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        threads.parked += 1;
        while threads.called == 0 && !self.is_ending() {
            threads = self.changed.wait(threads).unwrap_or_else(PoisonError::into_inner);
        }
        threads.called = threads.called.saturating_sub(1);
        threads.parked -= 1;
        self.active.fetch_add(1, Ordering::SeqCst);
        true
    }

    fn work(self: &Arc<Self>, worker: &mut Worker) {
        // How many requests in a row were there already as it looked for them.
        let mut pressed = 0_u32;
        let mut is_quick = false;
        let mut streak = Streak::default();
        while !self.is_ending() {
            let received = match worker.look() {
                Received::Nothing if !self.begin_to_wait(WORKER) => {
                    // Another waits already.
                    if !self.park() {
                        return;
                    }
                    pressed = 0;
                    continue;
                }
                Received::Nothing => {
                    let received = self.attend(worker, &mut is_quick);
                    self.end_to_wait(WORKER);
                    pressed = 0;
                    received
                }
                received @ (Received::Request(_) | Received::End) => received,
            };
            let length = match received {
                Received::Request(length) => length,
                Received::Nothing => continue,
                Received::End => return self.end(),
            };
            self.taken.fetch_add(1, Ordering::Relaxed);
            if pressed >= PRESSED && self.active.load(Ordering::Relaxed) < self.most {
                self.call();
            }
            self.watch.wake();
            let followed = streak.count(worker.client(length), is_quick && pressed == 0);
            self.serve(worker, length);
            pressed = pressed.saturating_add(1);
            if followed.is_some_and(|client| self.follow(client)) {
                if !self.park() {
                    return;
                }
                (pressed, is_quick) = (0, false);
            }
        }
    }

    /// Waits for the next request. Where they come one quickly after the other, as one client's do who waits for each, it
    /// looks for a while first: a processor that has gone to sleep takes longer to wake than such a client to ask.
    fn attend(&self, worker: &mut Worker, is_quick: &mut bool) -> Received {
        let begun = Instant::now();
        while *is_quick && self.processors > 1 && begun.elapsed() < LOOKING {
            match worker.look() {
                Received::Nothing => hint::spin_loop(),
                received @ (Received::Request(_) | Received::End) => return received,
            }
        }
        worker.wait(&self.end, None);
        *is_quick = begun.elapsed() < QUICK;
        worker.look()
    }

    fn serve(self: &Arc<Self>, worker: &mut Worker, length: usize) {
        if !worker.is_held(&self.directory, length) {
            return worker.serve(&self.directory, length);
        }
        self.active.fetch_sub(1, Ordering::SeqCst);
        self.call();
        worker.serve(&self.directory, length);
        self.active.fetch_add(1, Ordering::SeqCst);
    }

    /// Looks after those who do not come back, while requests come.
    fn keep_watch(self: &Arc<Self>) {
        self.watch.id.store(gettid().as_raw(), Ordering::SeqCst);
        let mut seen = None;
        while !self.is_ending() {
            let taken = self.taken.load(Ordering::SeqCst);
            let attended = self.is_attended();
            let follows = self.follower.is_following();
            if seen == Some(taken) && attended && !follows {
                // Nothing to do, for anybody.
                self.watch.awake.store(false, Ordering::SeqCst);
                if self.taken.load(Ordering::SeqCst) == taken && self.is_attended() {
                    thread::park();
                }
                self.watch.awake.store(true, Ordering::SeqCst);
                seen = None;
                continue;
            }
            if seen == Some(taken) && follows && (!attended || self.has_request()) {
                self.relieve();
            }
            if seen == Some(taken) {
                self.call();
            }
            seen = Some(taken);
            thread::park_timeout(PATIENCE);
        }
    }

    fn is_attended(&self) -> bool {
        self.attended.load(Ordering::SeqCst) != NOBODY
    }

    /// Becomes the one who waits for a request, if there is none.
    fn begin_to_wait(&self, who: u8) -> bool {
        self.attended.compare_exchange(NOBODY, who, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Ceases to be; `false` when that one was not any more.
    fn end_to_wait(&self, who: u8) -> bool {
        self.attended.compare_exchange(who, NOBODY, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Whether a request waits for somebody to take it.
    fn has_request(&self) -> bool {
        let mut waited = [PollFd::new(self.session.as_fd(), PollFlags::POLLIN)];
        poll(&mut waited, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Each thread ends after the request that it is at.
    pub(super) fn end(&self) {
        let mut threads = self.lock();
        self.ending.store(true, Ordering::SeqCst);
        threads.end = None;
        self.changed.notify_all();
        drop(threads);
        self.watch.unpark();
    }

    /// Waits until all threads have ended.
    pub(super) fn wait(&self) {
        let mut threads = self.lock();
        while threads.all > 0 {
            threads = self.changed.wait(threads).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Watch {
    fn id(&self) -> Option<Pid> {
        Some(self.id.load(Ordering::SeqCst)).filter(|id| *id > 0).map(Pid::from_raw)
    }

    /// A request was taken.
    fn wake(&self) {
        if !self.awake.load(Ordering::SeqCst) && !self.awake.swap(true, Ordering::SeqCst) {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            thread.unpark();
        }
    }
}

/// Counts a thread off when it ends.
struct Ended<'a>(&'a Arc<Pool>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
        self.0.lock().all -= 1;
        self.0.changed.notify_all();
    }
}
