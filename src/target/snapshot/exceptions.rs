//! Which chunks have a copy of their own, and where: the exceptions that are complete.
//!
//! A shard holds every so-manieth group of chunks behind a lock of its own. Who reads a chunk from the origin holds its
//! shard for as long as that takes, and who adds the chunk's exception waits for it: only after that the origin may be
//! written (the kernel tracks such reads chunk by chunk instead).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Consecutive chunks that share a shard: so many are looked up, and read, under one lock.
const GROUP: u64 = 32;

/// How many shards there are.
const SHARDS: u64 = 128;

/// A hash of chunk numbers: they are neighbours far more often than not, and nobody chooses them to collide within the
/// 32 of a group and every 4096th after it.
#[derive(Debug, Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // Fibonacci hashing; the table looks at the high bits and at the low ones.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

type Map = HashMap<u64, u64, BuildHasherDefault<Mix>>;

/// The complete exceptions of a snapshot: chunks of the origin to chunks of the COW device.
#[derive(Debug)]
pub(super) struct Exceptions {
    shards: Box<[RwLock<Map>]>,
}

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
pub(super) struct Held<'a>(RwLockReadGuard<'a, Map>);

impl Default for Exceptions {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }
}

impl Exceptions {
    fn shard(&self, chunk: u64) -> &RwLock<Map> {
        let index = usize::try_from(chunk / GROUP % SHARDS).unwrap_or_default();
        &self.shards[index]
    }

    /// Where the chunk's copy is.
    pub(super) fn copy_of(&self, chunk: u64) -> Option<u64> {
        self.hold(chunk).0.get(&chunk).copied()
    }

    /// Keeps exceptions from being added to the chunk's group.
    pub(super) fn hold(&self, chunk: u64) -> Held<'_> {
        Held(self.shard(chunk).read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds an exception, after reads of the origin that are under way in its group.
    pub(super) fn insert(&self, chunk: u64, copy: u64) {
        self.shard(chunk).write().unwrap_or_else(PoisonError::into_inner).insert(chunk, copy);
    }

    /// Forgets an exception.
    pub(super) fn remove(&self, chunk: u64) {
        self.shard(chunk).write().unwrap_or_else(PoisonError::into_inner).remove(&chunk);
    }

    /// Waits for all who hold a group now.
    pub(super) fn wait_for_readers(&self) {
        self.shards.iter().for_each(|shard| drop(shard.write().unwrap_or_else(PoisonError::into_inner)));
    }

    /// The chunks from `chunk` on that are alike, at most `limit`, which is above 0.
    pub(super) fn run(&self, chunk: u64, limit: u64) -> Run {
        let mut run = self.hold(chunk).run(chunk, limit);
        while run.chunks < limit {
            let next = chunk + run.chunks;
            if !next.is_multiple_of(GROUP) {
                break;
            }
            let more = self.hold(next).run(next, limit - run.chunks);
            let follows = run.copy.map(|copy| copy.wrapping_add(run.chunks));
            if more.copy != follows {
                break;
            }
            run.chunks += more.chunks;
        }
        run
    }
}

impl Held<'_> {
    /// The chunks from `chunk` on that are alike, at most `limit` and none outside of the group.
    pub(super) fn run(&self, chunk: u64, limit: u64) -> Run {
        let copy = self.0.get(&chunk).copied();
        let limit = limit.min(GROUP - chunk % GROUP);
        let alike =
            |ahead: &u64| self.0.get(&(chunk + ahead)).copied() == copy.map(|copy| copy.wrapping_add(*ahead));
        let chunks = 1 + (1..limit).take_while(alike).count() as u64;
        Run { copy, chunks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbtest::arbtest;
    use std::collections::BTreeMap;

    #[test]
    fn runs_are_those_of_a_plain_map() {
        arbtest(|u| {
            let (table, mut plain) = (Exceptions::default(), BTreeMap::new());
            for _ in 0..u.int_in_range(0..=120)? {
                let chunk = u.int_in_range(0..=100)?;
                if u.ratio(1, 8)? {
                    table.remove(chunk);
                    plain.remove(&chunk);
                } else {
                    let copy = if u.ratio(3, 4)? { chunk + 2 } else { u.int_in_range(2..=200)? };
                    table.insert(chunk, copy);
                    plain.insert(chunk, copy);
                }
            }
            let (chunk, limit) = (u.int_in_range(0..=100)?, u.int_in_range(1..=100)?);
            let copy = plain.get(&chunk).copied();
            let alike = (0..limit)
                .take_while(|ahead| plain.get(&(chunk + ahead)).copied() == copy.map(|c| c + ahead));
            assert_eq!(table.run(chunk, limit), Run { copy, chunks: alike.count() as u64 });
            assert_eq!(table.copy_of(chunk), copy);
            Ok(())
        });
    }

    #[test]
    fn the_last_chunk_of_all_has_an_answer() {
        let table = Exceptions::default();
        assert_eq!(table.run(u64::MAX, 1), Run { copy: None, chunks: 1 });
    }
}
