//! Chunks and their copies in memory, looked up without a lock.
//!
//! ```text
//! shelves ─ chunk / 16384 ─▶ shelf ─ / 64 ─▶ place ─▶ page ─ % 64 ─▶ 4 bytes: 0 no copy, n copy n - 1, all ones: odd
//!                                             └ / 16 ─▶ 4 bytes: n if the 16 chunks have the copies n - 1 and so on
//! ```
//!
//! Neighbours are copied together far more often than not: then what is looked up is half a byte a chunk, which stays in
//! the processor's caches where 4 bytes a chunk would not, and with those a look-up misses them once or twice. Shelves and
//! pages are made when they get their first copy and stay until the end, so that a reference to one is good without a
//! lock. Chunks behind the origin's end and copies that do not fit into four bytes, which a store may well tell of, are
//! odd: they are in a plain map.

use super::exceptions::Run;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Chunks of a page.
pub(super) const PAGE: u64 = SLOTS as u64;
const SLOTS: usize = 64;

/// Consecutive chunks of a page that may be told of together: those of a cache line.
const ROW: usize = 16;

/// Pages of a shelf: 8 KiB of places.
const SHELF: u64 = PLACES as u64;
const PLACES: usize = 256;

/// Shelves at most, which is 2 MiB of pointers and chunks for 8 TiB where they have 4 KiB: those beyond are odd.
const SHELVES: u64 = 1 << 17;

const NONE: u32 = 0;
const ODD: u32 = u32::MAX;

type Page = [AtomicU32; SLOTS];
type Shelf = [Place; PLACES];

/// See the module. Who changes a page does so alone: nobody else has to wait, neither other pages' nor readers.
#[derive(Debug)]
pub(super) struct Pages {
    shelves: Box<[OnceLock<Box<Shelf>>]>,
    odd: RwLock<HashMap<u64, u64>>,
}

/// A page, and what can be told without looking into it; not across two cache lines.
#[derive(Debug, Default)]
#[repr(align(32))]
struct Place {
    page: OnceLock<Box<Page>>,
    /// The first number of each row whose numbers are consecutive and none odd; 0 for the others.
    rows: [AtomicU32; SLOTS / ROW],
}

/// Where a chunk's copy would be.
enum Slot<'a> {
    /// In the page there, at that index.
    In(&'a Place, usize),
    /// On a shelf that is not there: neither that chunk nor any of its page has a copy.
    Missing,
    Odd,
}

/// Which shelf, which place of it, and which slot of that page.
fn split(chunk: u64) -> Option<(usize, usize, usize)> {
    let shelf = usize::try_from(chunk / (PAGE * SHELF)).ok()?;
    let place = usize::try_from(chunk / PAGE % SHELF).ok()?;
    Some((shelf, place, usize::try_from(chunk % PAGE).ok()?))
}

impl Place {
    /// The slot's number. What was done before it was set is seen by whoever sees it.
    fn number(&self, slot: usize) -> u64 {
        match (self.rows[slot / ROW].load(Ordering::Acquire), self.page.get()) {
            (NONE, Some(page)) => u64::from(page[slot].load(Ordering::Acquire)),
            (NONE, None) => u64::from(NONE),
            (first, _) => u64::from(first) + (slot % ROW) as u64,
        }
    }

    /// Sets it; gives what it was.
    fn set(&self, slot: usize, number: u32) -> u32 {
        let page = self.page.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicU32::new(NONE))));
        let row = &self.rows[slot / ROW];
        // Before a number that is not of the row's: who sees the row until then sees what was.
        row.store(NONE, Ordering::Release);
        let before = page[slot].swap(number, Ordering::AcqRel);
        let from = slot - slot % ROW;
        let first = page[from].load(Ordering::Relaxed);
        let numbers = page[from..from + ROW].iter().map(|slot| slot.load(Ordering::Relaxed));
        let consecutive = |(wanted, number): (u64, u32)| u64::from(number) == wanted && number != ODD;
        let is_row = first != NONE && (u64::from(first)..).zip(numbers).all(consecutive);
        if is_row {
            row.store(first, Ordering::Release);
        }
        before
    }
}

impl Pages {
    /// No copies yet, of an origin of so many chunks.
    pub(super) fn new(chunks: u64) -> Self {
        let shelves = chunks.div_ceil(PAGE * SHELF).min(SHELVES);
        Self { shelves: (0..shelves).map(|_| OnceLock::new()).collect(), odd: RwLock::default() }
    }

    fn slot(&self, chunk: u64) -> Slot<'_> {
        let Some((shelf, place, slot)) = split(chunk) else { return Slot::Odd };
        let Some(shelf) = self.shelves.get(shelf) else { return Slot::Odd };
        match shelf.get() {
            Some(shelf) => Slot::In(&shelf[place], slot),
            None => Slot::Missing,
        }
    }

    fn odd(&self, chunk: u64) -> Option<u64> {
        self.odd.read().unwrap_or_else(PoisonError::into_inner).get(&chunk).copied()
    }

    fn decode(&self, chunk: u64, number: u64) -> Option<u64> {
        if number == u64::from(ODD) { self.odd(chunk) } else { number.checked_sub(1) }
    }

    /// Where the chunk's copy is. What was written before it was set is seen by whoever sees it.
    pub(super) fn get(&self, chunk: u64) -> Option<u64> {
        match self.slot(chunk) {
            Slot::In(place, slot) => self.decode(chunk, place.number(slot)),
            Slot::Missing => None,
            Slot::Odd => self.odd(chunk),
        }
    }

    /// Gives the chunk a copy.
    pub(super) fn set(&self, chunk: u64, copy: u64) {
        let number = copy.checked_add(1).and_then(|number| u32::try_from(number).ok());
        let number = number.unwrap_or(ODD);
        let at = split(chunk).and_then(|(shelf, place, slot)| Some((self.shelves.get(shelf)?, place, slot)));
        if number == ODD || at.is_none() {
            self.odd.write().unwrap_or_else(PoisonError::into_inner).insert(chunk, copy);
        }
        if let Some((shelf, place, slot)) = at {
            let shelf = shelf.get_or_init(|| Box::new(std::array::from_fn(|_| Place::default())));
            shelf[place].set(slot, number);
        }
    }

    /// Takes it away.
    pub(super) fn clear(&self, chunk: u64) {
        let is_odd = match self.slot(chunk) {
            Slot::In(place, slot) => place.number(slot) != u64::from(NONE) && place.set(slot, NONE) == ODD,
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
        let is_so = |ahead: &u64, found: Option<u64>| found == copy.map(|copy| copy.wrapping_add(*ahead));
        let chunks = 0..limit;
        match self.slot(chunk) {
            Slot::In(place, slot) if place.page.get().is_some() => {
                let found = |ahead, slot| self.decode(chunk + ahead, place.number(slot));
                chunks.zip(slot..).take_while(|(ahead, slot)| is_so(ahead, found(*ahead, *slot))).count()
                    as u64
            }
            Slot::In(..) | Slot::Missing if copy.is_none() => limit,
            Slot::In(..) | Slot::Missing => 0,
            Slot::Odd => chunks.take_while(|ahead| is_so(ahead, self.odd(chunk + ahead))).count() as u64,
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
            for _ in 0..u.int_in_range(0..=60)? {
                let first = chunk(u)?;
                let count = if u.ratio(1, 2)? { 1 } else { u.int_in_range(1..=3 * ROW as u64)? };
                let chunks = first..=first.saturating_add(count - 1);
                if u.ratio(1, 8)? {
                    chunks.clone().for_each(|chunk| table.clear(chunk));
                    plain.retain(|chunk, _| !chunks.contains(chunk));
                    continue;
                }
                let copy = match u.int_in_range(0..=9)? {
                    0 => u64::MAX,
                    1 => u64::from(u32::MAX) - u.int_in_range(0..=2 * ROW as u64)?,
                    2 => u.int_in_range(0..=200)?,
                    _ => first.wrapping_add(2),
                };
                for (chunk, ahead) in chunks.zip(0..) {
                    table.set(chunk, copy.wrapping_add(ahead));
                    plain.insert(chunk, copy.wrapping_add(ahead));
                }
            }
            for (chunk, copy) in &plain {
                assert_eq!(table.get(*chunk), Some(*copy));
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
        let places = shelves.iter().flat_map(|shelf| shelf.iter());
        let pages = places.filter(|place| place.page.get().is_some());
        // 2^14 to 2^30 have a shelf each, all below share one; 2^0 to 2^5 share a page, 2^6 to 2^30 have one each.
        assert_eq!((shelves.len(), pages.count()), (18, 1 + 25));
        assert_eq!(table.odd.read().unwrap().len(), 33);
    }
}
