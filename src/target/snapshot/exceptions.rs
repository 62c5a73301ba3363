//! Which chunks have a copy of their own, and where: the exceptions that are complete.
//!
//! Looking one up takes no lock, and a copy that was found can be read without one: it stays where it is for as long as the
//! snapshot is resumed (a merge takes exceptions away, but neither their copies nor before the origin has the same).
//!
//! That a chunk has *no* copy holds for an instant only. Who reads such a chunk from the origin therefore holds its group
//! for as long as that takes, looks again, and who adds the chunk's exception waits for it: only after that the exception
//! can be seen, and only after that the origin may be written (the kernel tracks such reads chunk by chunk instead).

use super::pages::{PAGE, Pages};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Consecutive chunks that are held together, and read at once.
const GROUP: u64 = PAGE;

/// How many locks share the groups among them.
const LOCKS: u64 = 128;

/// The complete exceptions of a snapshot: chunks of the origin to chunks of the COW device.
#[derive(Debug)]
pub(super) struct Exceptions {
    pages: Pages,
    locks: Box<[Lock]>,
}

/// On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lock(RwLock<()>);

/// Chunks that are alike: all the origin's, or copied to consecutive chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Where the first chunk's copy is, if it has one.
    pub(super) copy: Option<u64>,
    /// How many chunks, at least 1.
    pub(super) chunks: u64,
}

/// Chunks of one group, while nobody adds an exception to it.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pages: &'a Pages,
    _lock: RwLockReadGuard<'a, ()>,
}

impl Exceptions {
    /// None yet, for an origin of so many chunks; there may be some beyond them.
    pub(super) fn new(chunks: u64) -> Self {
        Self { pages: Pages::new(chunks), locks: (0..LOCKS).map(|_| Lock::default()).collect() }
    }

    fn lock(&self, chunk: u64) -> &RwLock<()> {
        let index = usize::try_from(chunk / GROUP % LOCKS).unwrap_or_default();
        &self.locks[index].0
    }

    /// Where the chunk's copy is.
    pub(super) fn copy_of(&self, chunk: u64) -> Option<u64> {
        self.pages.get(chunk)
    }

    /// The chunks from `chunk` on that are alike, at most `limit`, which is above 0. That some have no copy may be
    /// otherwise by the time that this returns.
    pub(super) fn run(&self, chunk: u64, limit: u64) -> Run {
        self.pages.run(chunk, limit)
    }

    /// Keeps exceptions from being added to the chunk's group.
    pub(super) fn hold(&self, chunk: u64) -> Held<'_> {
        Held { pages: &self.pages, _lock: self.lock(chunk).read().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Adds an exception, after reads of the origin that are under way in its group.
    pub(super) fn insert(&self, chunk: u64, copy: u64) {
        let _alone = self.lock(chunk).write().unwrap_or_else(PoisonError::into_inner);
        self.pages.set(chunk, copy);
    }

    /// Forgets an exception.
    pub(super) fn remove(&self, chunk: u64) {
        let _alone = self.lock(chunk).write().unwrap_or_else(PoisonError::into_inner);
        self.pages.clear(chunk);
    }

    /// Waits for all who hold a group now.
    pub(super) fn wait_for_readers(&self) {
        self.locks.iter().for_each(|lock| drop(lock.0.write().unwrap_or_else(PoisonError::into_inner)));
    }
}

impl Held<'_> {
    /// The chunks from `chunk` on that are alike, at most `limit` and none outside of the group.
    pub(super) fn run(&self, chunk: u64, limit: u64) -> Run {
        self.pages.run(chunk, limit.min(GROUP - chunk % GROUP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;

    const CHUNKS: u64 = 4 * GROUP;
    const ROUNDS: u64 = 60;

    /// An origin and its copies of one number a chunk; chunk c holds c until it is written.
    struct Storage {
        table: Exceptions,
        origin: Vec<AtomicU64>,
        cow: Vec<AtomicU64>,
    }

    impl Storage {
        /// Half of the chunks are beyond what the table was made for.
        fn new() -> Self {
            Self {
                table: Exceptions::new(CHUNKS / 2),
                origin: (0..CHUNKS).map(AtomicU64::new).collect(),
                cow: (0..CHUNKS).map(|_| AtomicU64::new(u64::MAX)).collect(),
            }
        }

        /// As the snapshot reads a chunk.
        fn read(&self, chunk: u64) -> u64 {
            let number =
                |of: &[AtomicU64], chunk| of[usize::try_from(chunk).unwrap()].load(Ordering::Relaxed);
            if let Some(copy) = self.table.copy_of(chunk) {
                return number(&self.cow, copy);
            }
            let held = self.table.hold(chunk);
            match held.run(chunk, 1).copy {
                Some(copy) => number(&self.cow, copy),
                None => number(&self.origin, chunk),
            }
        }

        /// As the origin is written: the copy, the exception, the new content.
        fn overwrite(&self, chunk: u64) {
            let (old, new) = (usize::try_from(chunk).unwrap(), (chunk + 5) % CHUNKS);
            let number = self.origin[old].load(Ordering::Relaxed);
            self.cow[usize::try_from(new).unwrap()].store(number, Ordering::Relaxed);
            self.table.insert(chunk, new);
            self.origin[old].store(u64::MAX, Ordering::Relaxed);
        }
    }

    #[test]
    fn readers_see_chunks_as_they_were_while_the_origin_is_overwritten() {
        for round in 0..ROUNDS {
            let (storage, done) = (Storage::new(), AtomicBool::new(false));
            thread::scope(|scope| {
                let (storage, done) = (&storage, &done);
                for reader in 0..2 {
                    scope.spawn(move || {
                        let mut chunk = round + reader;
                        while !done.load(Ordering::Relaxed) {
                            chunk = (chunk * 5 + 1) % CHUNKS;
                            assert_eq!(storage.read(chunk), chunk);
                        }
                    });
                }
                let writers: Vec<_> = (0..2)
                    .map(|parity| {
                        scope.spawn(move || {
                            let own = (0..CHUNKS).filter(|chunk| chunk % 2 == parity);
                            own.for_each(|chunk| storage.overwrite(chunk));
                        })
                    })
                    .collect();
                writers.into_iter().for_each(|writer| writer.join().unwrap());
                done.store(true, Ordering::Relaxed);
            });
            assert!((0..CHUNKS).all(|chunk| storage.read(chunk) == chunk));
        }
    }

    #[test]
    fn an_exception_is_not_seen_before_who_holds_its_group_is_done() {
        let table = Exceptions::new(CHUNKS);
        let held = table.hold(1);
        thread::scope(|scope| {
            let adding = scope.spawn(|| table.insert(2, 7));
            for _ in 0..100 {
                assert_eq!((held.run(1, 5).chunks, table.copy_of(2)), (5, None));
                thread::yield_now();
            }
            assert!(!adding.is_finished());
            drop(held);
        });
        assert_eq!(table.copy_of(2), Some(7));
    }

    #[test]
    fn what_is_held_ends_with_the_group() {
        let table = Exceptions::new(CHUNKS);
        table.insert(GROUP, 2);
        assert_eq!(table.hold(3).run(3, CHUNKS), Run { copy: None, chunks: GROUP - 3 });
        assert_eq!(table.run(3, CHUNKS), Run { copy: None, chunks: GROUP - 3 });
        assert_eq!(table.run(GROUP + 1, CHUNKS), Run { copy: None, chunks: CHUNKS });
    }
}
