//! A file that is memory: which of it can be used in place.

use super::Access;
use crate::dm::Bytes;
use crate::sys::mapped::{Mapped, Part, page_size};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

/// Linux's linux/magic.h.
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// Files larger than this are not mapped: what is known of their pages would take more than 2 MiB.
const LARGEST: Bytes = Bytes(64 << 30);

/// Whether a file's content is never anywhere but in memory.
pub fn is_memory(file: &File) -> bool {
    fstatfs(file).is_ok_and(|system| {
        let kind = system.filesystem_type();
        kind == TMPFS_MAGIC || u64::try_from(kind.0) == Ok(RAMFS_MAGIC)
    })
}

/// See the module. To use a page in place neither waits for a disk nor fails, but for a file that is cut short meanwhile.
#[derive(Debug)]
pub(super) struct Memory {
    mapped: Mapped,
    writable: bool,
    page: usize,
    /// A bit for each page that was there. To read one that is not would make it: a hole is to stay one.
    there: Box<[AtomicU64]>,
}

impl Memory {
    /// The first `size` bytes of a file; `None` unless it is memory, and can be mapped.
    pub(super) fn of(file: &File, size: Bytes, writable: bool) -> Option<Self> {
        if size > LARGEST || !is_memory(file) {
            return None;
        }
        let mapped = Mapped::new(file, size.0, writable).ok()?;
        let page = page_size();
        let words = usize::try_from(size.0).ok()?.div_ceil(page).div_ceil(64);
        Some(Self { mapped, writable, page, there: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    /// A range of it, to be used at once; `None` where it has to be read or written as a file.
    pub(super) fn part(&self, access: Access, at: Bytes, length: usize) -> Option<Part<'_>> {
        let part = self.mapped.part(at.0, length)?;
        match access {
            Access::Read => (self.all_known(at, length) || self.look(part, at)).then_some(part),
            Access::Write if self.writable => {
                // It makes what is not there.
                self.each(at, length, &mut |word, bits| {
                    // Not to take the line from another processor for nothing.
                    if word.load(Ordering::Relaxed) & bits != bits {
                        word.fetch_or(bits, Ordering::Relaxed);
                    }
                });
                Some(part)
            }
            Access::Write => None,
        }
    }

    /// Says that a range may have become a hole.
    pub(super) fn forget(&self, at: Bytes, length: Bytes) {
        let length = usize::try_from(length.0).unwrap_or(usize::MAX);
        self.each(at, length, &mut |word, bits| {
            word.fetch_and(!bits, Ordering::Relaxed);
        });
    }

    fn all_known(&self, at: Bytes, length: usize) -> bool {
        let mut known = true;
        self.each(at, length, &mut |word, bits| known &= word.load(Ordering::Relaxed) & bits == bits);
        known
    }

    /// Asks whether all of a part that begins at `at` is there, and remembers it.
    fn look(&self, part: Part<'_>, at: Bytes) -> bool {
        let (mut page, mut all) = (at.0 / self.page as u64, true);
        let looked = part.pages(self.page, &mut |is_there| {
            all &= is_there;
            if is_there
                && let Some(word) = usize::try_from(page / 64).ok().and_then(|index| self.there.get(index))
            {
                word.fetch_or(1 << (page % 64), Ordering::Relaxed);
            }
            page += 1;
        });
        looked.is_ok() && all
    }

    /// Does `each` for every word that has bits of the range, with those bits.
    fn each(&self, at: Bytes, length: usize, each: &mut dyn FnMut(&AtomicU64, u64)) {
        let page = self.page as u64;
        let (first, end) = (at.0 / page, at.0.saturating_add(length as u64).div_ceil(page));
        let mut next = first;
        while next < end {
            let Some(word) = usize::try_from(next / 64).ok().and_then(|index| self.there.get(index)) else {
                return;
            };
            let (low, count) = (next % 64, (64 - next % 64).min(end - next));
            each(word, (u64::MAX >> (64 - count)) << low);
            next += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::unix::fs::{FileExt, MetadataExt};

    #[test]
    fn holes_are_not_used_in_place_and_stay_holes() {
        let file = File::from(memfd_create(c"test", MFdFlags::empty()).unwrap());
        file.set_len(1 << 20).unwrap();
        let memory = Memory::of(&file, Bytes(1 << 20), true).unwrap();
        let reads = |at, length| memory.part(Access::Read, Bytes(at), length).is_some();
        let page = memory.page;
        assert!(!reads(0, 1));
        file.write_all_at(&vec![1; 130 * page], 0).unwrap();
        let stored = file.metadata().unwrap().blocks();
        assert!(reads(0, 130 * page) && reads(page as u64, 1) && !reads(0, 130 * page + 1));
        memory.forget(Bytes(64 * page as u64), Bytes(1));
        assert!(!memory.all_known(Bytes(0), 65 * page));
        assert!(
            memory.all_known(Bytes(0), 64 * page) && memory.all_known(Bytes(65 * page as u64), 65 * page)
        );
        assert_eq!(file.metadata().unwrap().blocks(), stored);
    }

    #[test]
    fn what_was_written_is_known_and_read_only_files_are_not_written() {
        let file = File::from(memfd_create(c"test", MFdFlags::empty()).unwrap());
        file.set_len(1 << 20).unwrap();
        let memory = Memory::of(&file, Bytes(1 << 20), true).unwrap();
        assert!(memory.part(Access::Write, Bytes(5000), 10).is_some());
        assert!(memory.all_known(Bytes(5000), 10) && !memory.all_known(Bytes(0), 10_000));
        let memory = Memory::of(&file, Bytes(1 << 20), false).unwrap();
        assert!(memory.part(Access::Write, Bytes(5000), 10).is_none());
        assert!(memory.part(Access::Read, Bytes(1 << 20), 1).is_none());
        assert!(Memory::of(&File::open("/proc/self/exe").unwrap(), Bytes(512), false).is_none());
    }
}
