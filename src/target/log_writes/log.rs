//! The log of `log-writes`, as the kernel has it on the disk.
//!
//! ```text
//! block 0      the head: magic, version, number of entries, block size
//! then for each entry
//! one block    sector, number of sectors, flags, length of a mark; the mark behind them
//! its data     as many blocks as it has sectors; none for a discard, a flush or a mark
//! ```
//!
//! Numbers are little-endian; entries count in blocks of the logged device. The head is written only where a mark or a write
//! through the disk's cache (FUA) is, so that it never tells of more than there is. Flag 16, metadata, the kernel has from
//! its file systems alone; nobody here can say so of a write. Source: struct log_write_super and log_write_entry, and
//! `log_writes_kthread`, in the kernel's drivers/md/dm-log-writes.c.

use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, SECTOR_SIZE, Sectors, Text};
use std::sync::Arc;

pub(super) const FLUSH: u64 = 1;
pub(super) const FUA: u64 = 1 << 1;
pub(super) const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const ENTRY_LENGTH: u64 = 32;
const LAST_MARK: &[u8] = b"dm-log-writes-end";

/// What one entry tells of.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) flags: u64,
    pub(super) sector: Sectors,
    pub(super) sectors: Sectors,
    /// What was written, or a mark's text.
    pub(super) data: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Log {
    pdev: Arc<Pdev>,
    /// Bytes in a block of the logged device, a power of two.
    block: u64,
    entries: u64,
    /// Where the next entry goes.
    next: Sectors,
    /// Whether it goes on: not once it was full or could not be written.
    enabled: bool,
    /// Finished writes that no flush was asked for yet.
    kept: Vec<Entry>,
    /// Entries may come that no saved memory tells of.
    is_open: bool,
}

/// Says in a memory that the log went on behind it.
const OPEN: &str = "open";
const DISABLED: &str = "disabled";

impl Log {
    /// A log that goes on where `memory` says, or a new one. Nothing is written yet. A memory that was written while the log
    /// went on, as that of a server which was killed, cannot say where it ends: a new log, as the kernel begins one with
    /// each table, after a crash too.
    pub(super) fn new(pdev: Arc<Pdev>, block: Bytes, memory: &Text) -> Self {
        let block = block.0.max(SECTOR_SIZE);
        let mut log = Self {
            pdev,
            block,
            entries: 0,
            next: Sectors(block / SECTOR_SIZE),
            enabled: true,
            kept: Vec::new(),
            is_open: false,
        };
        let memory = memory.to_string();
        let words: Vec<&str> = memory.split(' ').collect();
        if let [entries, next, rest @ ..] = words.as_slice()
            && let (Ok(entries), Ok(next)) = (entries.parse(), next.parse())
            && !rest.contains(&OPEN)
        {
            (log.entries, log.next, log.enabled) = (entries, Sectors(next), !rest.contains(&DISABLED));
        }
        log
    }

    /// Says whether entries may come from now on that no saved memory tells of.
    pub(super) fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
    }

    /// What [`Log::new`] goes on from.
    pub(super) fn memory(&self) -> Text {
        let mut words = vec![self.entries.to_string(), self.next.to_string()];
        words.extend((!self.enabled).then(|| DISABLED.to_owned()));
        words.extend(self.is_open.then(|| OPEN.to_owned()));
        words.join(" ").into()
    }

    pub(super) fn status(&self) -> String {
        let disabled = if self.enabled { "" } else { " logging_disabled" };
        format!("{} {}{disabled}", self.entries, self.next.0 - 1)
    }

    /// Keeps a finished write or discard until the next flush.
    pub(super) fn keep(&mut self, entry: Entry) {
        if self.enabled {
            self.kept.push(entry);
        }
    }

    /// Logs what was kept, and behind it the flush.
    pub(super) fn flush(&mut self, flush: Entry) {
        if self.enabled {
            let kept = std::mem::take(&mut self.kept);
            kept.into_iter().chain([flush]).for_each(|entry| self.put(&entry));
        }
    }

    /// Logs a write that went through the disk's cache, before what is kept.
    pub(super) fn through(&mut self, entry: &Entry) {
        self.put(entry);
    }

    /// Logs what was kept.
    pub(super) fn release(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        kept.iter().for_each(|entry| self.put(entry));
    }

    /// Puts a mark into the log, before what is kept.
    pub(super) fn mark(&mut self, text: &[u8]) {
        // The kernel's room for it, which leaves one for the byte that ends its string.
        let room = usize::try_from(self.block - ENTRY_LENGTH - 1).unwrap_or(0);
        let data = text[..text.len().min(room)].to_vec();
        self.put(&Entry { flags: MARK, sector: Sectors::ZERO, sectors: Sectors::ZERO, data });
    }

    /// Logs what was kept, and the last mark.
    pub(super) fn end(&mut self) {
        self.release();
        self.mark(LAST_MARK);
    }

    /// Writes one entry. When it cannot be, the log ends here; the clients' writes are no concern of it.
    fn put(&mut self, entry: &Entry) {
        if !self.enabled {
            return;
        }
        let at = self.next;
        let data = if entry.flags & (DISCARD | MARK) == 0 { entry.sectors.0 } else { 0 };
        // A log this long is longer than any disk.
        self.next = Sectors(at.0.saturating_add(data).saturating_add(self.block / SECTOR_SIZE));
        let size = self.pdev.sectors();
        if size > Sectors::ZERO && self.next >= size {
            self.enabled = false;
            return;
        }
        self.entries += 1;
        if self.write(at, entry).is_err() {
            self.enabled = false;
        }
    }

    fn write(&self, at: Sectors, entry: &Entry) -> Result<(), Errno> {
        let in_blocks = |sectors: Sectors| sectors.0 / (self.block / SECTOR_SIZE);
        let is_mark = entry.flags & MARK != 0;
        let mark = if is_mark { entry.data.as_slice() } else { &[] };
        let numbers = [in_blocks(entry.sector), in_blocks(entry.sectors), entry.flags, mark.len() as u64]
            .map(u64::to_le_bytes);
        self.write_block(at, &[numbers.as_flattened(), mark].concat())?;
        if !is_mark && !entry.data.is_empty() {
            let behind = at.to_bytes().and_then(|at| at.0.checked_add(self.block)).ok_or(Errno::EIO)?;
            self.pdev.write_at(&entry.data, Bytes(behind))?;
        }
        if entry.flags & (MARK | FUA) == 0 {
            return Ok(());
        }
        let head = [MAGIC, VERSION, self.entries, self.block].map(u64::to_le_bytes);
        self.write_block(Sectors::ZERO, head.as_flattened())
    }

    /// Writes one block, with zeros behind the content.
    fn write_block(&self, at: Sectors, content: &[u8]) -> Result<(), Errno> {
        let mut block = content.to_vec();
        block.resize(usize::try_from(self.block).map_err(|_| Errno::EIO)?, 0);
        self.pdev.write_at(&block, at.to_bytes().ok_or(Errno::EIO)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::DeviceNumber;
    use std::fs::File;
    use std::path::Path;
    use tempfile::TempDir;

    /// A log on a file of that many sectors, and the file.
    fn log(directory: &TempDir, sectors: u64, memory: &str) -> (Log, std::path::PathBuf) {
        let path = directory.path().join("log");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        file.set_len(sectors * 512).unwrap();
        let pdev = Pdev::file(DeviceNumber::new(7, 1), Path::new("/log"), file, true).unwrap();
        (Log::new(Arc::new(pdev), Bytes(512), &memory.into()), path)
    }

    fn written(sector: u64, byte: u8) -> Entry {
        Entry { flags: 0, sector: Sectors(sector), sectors: Sectors(2), data: vec![byte; 1024] }
    }

    fn flush() -> Entry {
        Entry { flags: FLUSH, sector: Sectors::ZERO, sectors: Sectors::ZERO, data: Vec::new() }
    }

    /// The four numbers of a sector.
    fn numbers(bytes: &[u8], sector: usize) -> [u64; 4] {
        let number =
            |at: usize| bytes[sector * 512 + at * 8..][..8].try_into().map(u64::from_le_bytes).unwrap();
        [0, 1, 2, 3].map(number)
    }

    #[test]
    fn entries_stand_in_the_order_of_the_flushes() {
        let directory = TempDir::new().unwrap();
        let (mut log, path) = log(&directory, 64, "");
        log.keep(written(7, 0xaa));
        log.mark(b"first");
        assert_eq!(log.status(), "1 1");
        log.keep(Entry { flags: DISCARD, data: Vec::new(), ..written(9, 0) });
        log.flush(flush());
        log.keep(written(1, 0xbb));
        assert_eq!((log.status(), log.memory()), ("4 6".into(), "4 7".into()));
        log.end();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(numbers(&bytes, 0), [MAGIC, 1, 6, 512]);
        assert_eq!(numbers(&bytes, 1), [0, 0, MARK, 5]);
        assert_eq!(&bytes[512 + 32..512 + 38], b"first\0");
        assert_eq!(numbers(&bytes, 2), [7, 2, 0, 0]);
        assert!(bytes[3 * 512..5 * 512].iter().all(|byte| *byte == 0xaa));
        assert_eq!((numbers(&bytes, 5), numbers(&bytes, 6)), ([9, 2, DISCARD, 0], [0, 0, FLUSH, 0]));
        assert_eq!((numbers(&bytes, 7), numbers(&bytes, 10)), ([1, 2, 0, 0], [0, 0, MARK, 17]));
        assert_eq!(&bytes[10 * 512 + 32..][..17], LAST_MARK);
    }

    #[test]
    fn a_full_log_is_over() {
        let directory = TempDir::new().unwrap();
        let (mut full, path) = log(&directory, 6, "");
        full.keep(written(0, 1));
        full.flush(flush());
        assert_eq!(full.status(), "2 4");
        full.mark(b"no room, for the last sector is never used");
        assert_eq!((full.status(), full.memory()), ("2 5 logging_disabled".into(), "2 6 disabled".into()));
        full.end();
        assert_eq!(numbers(&std::fs::read(path).unwrap(), 0), [0; 4]);
        let (mut still, _) = log(&directory, 64, "2 6 disabled");
        still.flush(flush());
        assert_eq!(still.status(), "2 5 logging_disabled");
    }

    #[test]
    fn a_write_through_the_cache_is_logged_at_once_and_told_by_the_head() {
        let directory = TempDir::new().unwrap();
        let (mut log, path) = log(&directory, 64, "");
        log.keep(written(7, 0xaa));
        log.through(&Entry { flags: FUA, ..written(1, 0xbb) });
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((numbers(&bytes, 0), numbers(&bytes, 1)), ([MAGIC, 1, 1, 512], [1, 2, FUA, 0]));
        assert!(bytes[2 * 512..4 * 512].iter().all(|byte| *byte == 0xbb));
        log.release();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!((numbers(&bytes, 0), numbers(&bytes, 4)), ([MAGIC, 1, 1, 512], [7, 2, 0, 0]));
    }

    #[test]
    fn a_log_that_went_on_behind_its_memory_begins_anew() {
        let directory = TempDir::new().unwrap();
        let (mut log, _) = log(&directory, 64, "4 7");
        log.set_open(true);
        assert_eq!(log.memory(), "4 7 open");
        let (anew, _) = self::log(&directory, 64, "4 7 open");
        assert_eq!((anew.status(), anew.memory()), ("0 0".into(), "0 1".into()));
        let (anew, _) = self::log(&directory, 64, "4 7 disabled open");
        assert_eq!(anew.status(), "0 0");
    }

    #[test]
    fn a_log_goes_on_where_it_was() {
        let directory = TempDir::new().unwrap();
        let (mut log, path) = log(&directory, 64, "4 7");
        log.mark(&[b'm'; 1000]);
        let bytes = std::fs::read(path).unwrap();
        assert_eq!((numbers(&bytes, 0), numbers(&bytes, 7)), ([MAGIC, 1, 5, 512], [0, 0, MARK, 479]));
    }
}
