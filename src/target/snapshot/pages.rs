//! Chunks and their copies in memory, looked up without a lock.
//!
//! ```text
//! shelves ─ chunk / 16384 ─▶ shelf ─ / 64 ─▶ page ─ % 64 ─▶ 4 bytes: 0 no copy, n copy n - 1, all ones: among the odd
//! ```
//!
//! Four bytes a chunk, as neighbours are copied together far more often than not: what is looked up all the time stays in
//! the processor's caches, and a look-up that misses them misses once or twice. Shelves and pages are made when they get
//! their first copy and stay until the end, so that a reference to one is good without a lock. Chunks behind the origin's
//! end and copies that do not fit into four bytes, which a store may well tell of, are in a plain map.

use super::exceptions::Run;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Chunks of a page.
pub(super) const PAGE: u64 = SLOTS as u64;
const SLOTS: usize = 64;

/// Pages of a shelf: 4 KiB of pointers.
const SHELF: u64 = PLACES as u64;
const PLACES: usize = 256;

/// Shelves at most, which is 2 MiB of pointers and chunks for 8 TiB where they have 4 KiB: those beyond are odd.
const SHELVES: u64 = 1 << 17;

const NONE: u32 = 0;
const ODD: u32 = u32::MAX;

/// A cache line has 16 of them.
type Page = [AtomicU32; SLOTS];
type Shelf = [OnceLock<Box<Page>>; PLACES];

/// See the module. Who changes the copy of one chunk does so alone; nobody else has to wait.
#[derive(Debug)]
pub(super) struct Pages {
    shelves: Box<[OnceLock<Box<Shelf>>]>,
    odd: RwLock<HashMap<u64, u64>>,
}

/// Where a chunk's copy would be.
enum Slot<'a> {
    /// In a page, at that index.
    In(&'a Page, usize),
    /// In a page that is not there: neither that chunk nor the rest of the page has a copy.
    Missing,
    Odd,
}

/// Which shelf, which page of it, and which slot of that.
fn split(chunk: u64) -> Option<(usize, usize, usize)> {
    let shelf = usize::try_from(chunk / (PAGE * SHELF)).ok()?;
    let page = usize::try_from(chunk / PAGE % SHELF).ok()?;
    Some((shelf, page, usize::try_from(chunk % PAGE).ok()?))
}

impl Pages {
    /// No copies yet, of an origin of so many chunks.
    pub(super) fn new(chunks: u64) -> Self {
        let shelves = chunks.div_ceil(PAGE * SHELF).min(SHELVES);
        Self { shelves: (0..shelves).map(|_| OnceLock::new()).collect(), odd: RwLock::default() }
    }

    fn slot(&self, chunk: u64) -> Slot<'_> {
        let Some((shelf, page, index)) = split(chunk) else { return Slot::Odd };
        let Some(shelf) = self.shelves.get(shelf) else { return Slot::Odd };
        match shelf.get().and_then(|shelf| shelf[page].get()) {
            Some(page) => Slot::In(page, index),
            None => Slot::Missing,
        }
    }

    fn odd(&self, chunk: u64) -> Option<u64> {
        self.odd.read().unwrap_or_else(PoisonError::into_inner).get(&chunk).copied()
    }

    fn decode(&self, chunk: u64, number: u32) -> Option<u64> {
        match number {
            NONE => None,
            ODD => self.odd(chunk),
            number => Some(u64::from(number - 1)),
        }
    }

    /// Where the chunk's copy is. What was written before it was set is seen by whoever sees it.
    pub(super) fn get(&self, chunk: u64) -> Option<u64> {
        match self.slot(chunk) {
            Slot::In(page, index) => self.decode(chunk, page[index].load(Ordering::Acquire)),
            Slot::Missing => None,
            Slot::Odd => self.odd(chunk),
        }
    }

    /// Gives the chunk a copy.
    pub(super) fn set(&self, chunk: u64, copy: u64) {
        let number = copy.checked_add(1).and_then(|number| u32::try_from(number).ok());
        let number = number.unwrap_or(ODD);
        let place = split(chunk);
        let place = place.and_then(|(shelf, page, index)| Some((self.shelves.get(shelf)?, page, index)));
        if number == ODD || place.is_none() {
            self.odd.write().unwrap_or_else(PoisonError::into_inner).insert(chunk, copy);
        }
        if let Some((shelf, page, index)) = place {
            let shelf = shelf.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
            let page = shelf[page].get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU32::new(NONE))));
            page[index].store(number, Ordering::Release);
        }
    }

    /// Takes it away.
    pub(super) fn clear(&self, chunk: u64) {
        let is_odd = match self.slot(chunk) {
            Slot::In(page, index) => page[index].swap(NONE, Ordering::AcqRel) == ODD,
            Slot::Missing => false,
            Slot::Odd => true,
        };
        if is_odd {
            self.odd.write().unwrap_or_else(PoisonError::into_inner).remove(&chunk);
        }
    }

    /// The chunks from `chunk` on that are alike, at most `limit`, which is above 0.
    pub(super) fn run(&self, chunk: u64, limit: u64) -> Run {
        let copy = self.get(chunk);
        let mut chunks = 1;
        while chunks < limit
            && let Some(next) = chunk.checked_add(chunks)
        {
            let wanted = copy.map(|copy| copy.wrapping_add(chunks));
            let rest = (PAGE - next % PAGE).min(limit - chunks);
            let alike = self.alike(next, rest, wanted);
            chunks += alike;
            if alike < rest {
                break;
            }
        }
        Run { copy, chunks }
    }

    /// How many of `limit` chunks of one page are so: without copies, or with consecutive ones from `copy` on.
    fn alike(&self, chunk: u64, limit: u64, copy: Option<u64>) -> u64 {
        let wanted = |ahead: u64| copy.map(|copy| copy.wrapping_add(ahead));
        match self.slot(chunk) {
            Slot::In(page, index) => {
                let slots = page[index..].iter().zip(0..limit);
                let is_so = |(slot, ahead): &(&AtomicU32, u64)| {
                    self.decode(chunk + ahead, slot.load(Ordering::Acquire)) == wanted(*ahead)
                };
                slots.take_while(is_so).count() as u64
            }
            Slot::Missing if copy.is_none() => limit,
            Slot::Missing => 0,
            Slot::Odd => (0..limit).take_while(|ahead| self.odd(chunk + ahead) == wanted(*ahead)).count() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arbtest::arbtest;
    use std::collections::BTreeMap;

    /// Chunks in several pages and shelves, before the origin's end and behind it, up to the last there is.
    fn chunk(u: &mut arbtest::arbitrary::Unstructured<'_>) -> arbtest::arbitrary::Result<u64> {
        let near = u.int_in_range(0..=100)?;
        Ok(match u.int_in_range(0..=9)? {
            0 => PAGE * SHELF - 50 + near,
            1 => 2 * PAGE * SHELF - 50 + near,
            2 => u64::MAX - near,
            _ => near,
        })
    }

    #[test]
    fn runs_are_those_of_a_plain_map() {
        arbtest(|u| {
            let (table, mut plain) = (Pages::new(2 * PAGE * SHELF), BTreeMap::new());
            for _ in 0..u.int_in_range(0..=120)? {
                let chunk = chunk(u)?;
                if u.ratio(1, 8)? {
                    table.clear(chunk);
                    plain.remove(&chunk);
                    continue;
                }
                let copy = match u.int_in_range(0..=9)? {
                    0 => u64::MAX,
                    1 => u64::from(u32::MAX) - 2 + u.int_in_range(0..=4)?,
                    2 => u.int_in_range(0..=200)?,
                    _ => chunk.wrapping_add(2),
                };
                table.set(chunk, copy);
                plain.insert(chunk, copy);
            }
            let (chunk, limit) = (chunk(u)?, u.int_in_range(1..=200)?);
            let copy = plain.get(&chunk).copied();
            let alike = |ahead: &u64| {
                let found = chunk.checked_add(*ahead).map(|chunk| plain.get(&chunk).copied());
                found == Some(copy.map(|copy| copy.wrapping_add(*ahead)))
            };
            let chunks = (0..limit).take_while(alike).count() as u64;
            assert_eq!(table.run(chunk, limit), Run { copy, chunks });
            assert_eq!(table.get(chunk), copy);
            Ok(())
        });
    }

    #[test]
    fn the_last_chunk_of_all_has_an_answer() {
        let table = Pages::new(u64::MAX);
        assert_eq!(table.run(u64::MAX, 2), Run { copy: None, chunks: 1 });
        table.set(u64::MAX, 7);
        assert_eq!(table.run(u64::MAX, 2), Run { copy: Some(7), chunks: 1 });
    }

    #[test]
    fn an_origin_without_end_and_chunks_far_apart_take_little_memory() {
        let table = Pages::new(u64::MAX);
        assert_eq!(table.shelves.len() as u64, SHELVES);
        for far in 0..64 {
            table.set(1 << far, far);
        }
        assert!((0..64).all(|far| table.get(1 << far) == Some(far)));
        let shelves: Vec<_> = table.shelves.iter().filter_map(OnceLock::get).collect();
        let pages = shelves.iter().flat_map(|shelf| shelf.iter()).filter(|page| page.get().is_some());
        // 2^14 to 2^30 have a shelf each, all below share one; 2^0 to 2^5 share a page, 2^6 to 2^30 have one each.
        assert_eq!((shelves.len(), pages.count()), (18, 1 + 25));
        assert_eq!(table.odd.read().unwrap().len(), 33);
    }
}
