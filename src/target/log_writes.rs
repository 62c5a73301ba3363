//! `log-writes`: every write goes to one device as it is, and with its data into a log on another.
//!
//! The log has what was written in the order in which it reached stable storage: writes are kept back until a client
//! flushes, and logged then, before the flush itself; one that is itself to be on stable storage when it ends is logged at
//! once. What is still kept back when the table, or the process, goes away is logged then.

use super::texts::{Kind, Part, Texts, flag, one};
use super::{Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, Role, SECTOR_SIZE, Sectors, Text, Use, Version, roles};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod log;

use log::{DISCARD, Entry, FLUSH, FUA, Log};

/// The most sectors of one entry: what one bio of the kernel has at most, 256 pages.
const MAX_ENTRY: u64 = 2048;

#[derive(Debug)]
struct LogWrites {
    pdev: Arc<Pdev>,
    log_pdev: Arc<Pdev>,
    start: Sectors,
    length: Sectors,
    log: Mutex<Log>,
    /// Whether entries come in this process that the saved state hears of late.
    serves: bool,
}

// In the kernel's order, so that what is wrong twice has its errno. Further words are no fault to it.
fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    init.at_least(2)?;
    let (pdev, log_pdev) = (init.pdev(0)?, init.pdev(1)?);
    let log = Log::new(log_pdev.clone(), pdev.block_size(), init.memory);
    let Init { start, length, serves, .. } = *init;
    Ok(Box::new(LogWrites { pdev, log_pdev, start, length, log: Mutex::new(log), serves }))
}

impl LogWrites {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where on the device a sector of the line is: the same as on the mapped device.
    fn place(&self, sector: Sectors) -> Result<Sectors, Errno> {
        self.start.checked_add(sector).ok_or(Errno::EIO)
    }

    /// The whole blocks of the device around what was written, as the log counts in them; only who writes less than a
    /// block of a disk with large ones makes it read.
    fn whole_blocks(&self, sector: Sectors, data: Vec<u8>) -> Result<(Sectors, Vec<u8>), Errno> {
        let block = self.pdev.block_size().0;
        let at = sector.to_bytes().ok_or(Errno::EIO)?.0;
        let end = at + data.len() as u64;
        if at.is_multiple_of(block) && end.is_multiple_of(block) {
            return Ok((sector, data));
        }
        let first = at - at % block;
        let length = usize::try_from(end.next_multiple_of(block) - first).map_err(|_| Errno::EIO)?;
        let mut blocks = vec![0; length];
        self.pdev.read_at(&mut blocks, Bytes(first))?;
        Ok((Sectors(first / SECTOR_SIZE), blocks))
    }

    /// Keeps a finished write for the log, whatever came of it, as the kernel does.
    fn keep(&self, sector: Sectors, data: Vec<u8>) -> Result<(), Errno> {
        let entry = self.entry(0, sector, data)?;
        self.log().keep(entry);
        Ok(())
    }

    fn entry(&self, flags: u64, sector: Sectors, data: Vec<u8>) -> Result<Entry, Errno> {
        let (sector, data) = self.whole_blocks(sector, data)?;
        let sectors = Sectors(data.len() as u64 / SECTOR_SIZE);
        Ok(Entry { flags, sector, sectors, data })
    }
}

impl Target for LogWrites {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        match (operation, self.place(sector)) {
            (_, Err(errno)) => Mapping::Fail { errno, length },
            (Operation::Read, Ok(sector)) => Mapping::Remap { pdev: &self.pdev, sector, length },
            (Operation::Discard, Ok(_)) => Mapping::Handle { length },
            (Operation::Write | Operation::WriteZeroes, Ok(_)) => {
                Mapping::Handle { length: Sectors(length.0.min(MAX_ENTRY)) }
            }
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        [name(&self.pdev).as_bytes(), b" ", name(&self.log_pdev).as_bytes()].concat().into()
    }

    /// How many entries are logged, and the last sector that they take.
    fn status(&self, _name: &dyn Fn(&Pdev) -> Text) -> Text {
        self.log().status().into()
    }

    // The log is not among them: its size is found where it ends.
    fn pdevs(&self) -> Vec<Used<'_>> {
        vec![Used { pdev: &self.pdev, start: Sectors::ZERO, length: self.length }]
    }

    fn message(&self, words: &[Text]) -> Result<Option<Text>, Fault> {
        match words {
            [mark, text] if mark.eq_ignore_ascii_case(b"mark") => {
                self.log().mark(text);
                Ok(None)
            }
            [other, _] => Err(Fault::invalid(format!("log-writes knows the message mark, not \"{other}\""))),
            _ => Err(Fault::invalid(format!(
                "log-writes: a message has 2 words, mark TEXT, not {}",
                words.len()
            ))),
        }
    }

    fn flush_asked(&self) -> Result<(), Errno> {
        let flush = Entry { flags: FLUSH, sector: Sectors::ZERO, sectors: Sectors::ZERO, data: Vec::new() };
        self.log().flush(flush);
        Ok(())
    }

    fn memory(&self) -> Text {
        self.log().memory()
    }

    fn resume(&self) -> Result<(), Fault> {
        self.log().set_open(self.serves);
        Ok(())
    }

    fn postsuspend(&self) -> Result<(), Errno> {
        self.log().set_open(false);
        Ok(())
    }

    fn leave(&self) {
        self.log().release();
    }

    fn retire(&self) {
        self.log().end();
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        let sector = self.place(sector)?;
        let written = self.pdev.write_at(data, sector.to_bytes().ok_or(Errno::EIO)?);
        written.and(self.keep(sector, data.to_vec()))
    }

    fn write_through(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        let sector = self.place(sector)?;
        let written = self.pdev.write_through(data, sector.to_bytes().ok_or(Errno::EIO)?);
        let entry = self.entry(FUA, sector, data.to_vec())?;
        self.log().through(&entry);
        written
    }

    fn discard(&self, sector: Sectors, length: Sectors) -> Result<(), Errno> {
        let sector = self.place(sector)?;
        let bytes = length.to_bytes().ok_or(Errno::EIO)?;
        let discarded = self.pdev.discard(sector.to_bytes().ok_or(Errno::EIO)?, bytes);
        self.log().keep(Entry { flags: DISCARD, sector, sectors: length, data: Vec::new() });
        discarded
    }

    /// Logged as the zeros that they are.
    fn write_zeroes(&self, sector: Sectors, length: Sectors, may_unmap: bool) -> Result<(), Errno> {
        let sector = self.place(sector)?;
        let bytes = length.to_bytes().ok_or(Errno::EIO)?;
        let written = self.pdev.write_zeroes(sector.to_bytes().ok_or(Errno::EIO)?, bytes, may_unmap);
        written.and(self.keep(sector, vec![0; usize::try_from(bytes.0).map_err(|_| Errno::EIO)?]))
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "log-writes",
    version: Version::new(1, 1, 0),
    usage: "DEVICE LOG-DEVICE",
    help: "Maps to DEVICE, from the same sector on, and logs on LOG-DEVICE what is written, discarded and flushed, with the \
           data, so that replay-log can bring a disk to any point of it. The message mark TEXT puts a mark into the log; \
           the last mark is dm-log-writes-end. A new table begins a new log, and so does the end of a server that was \
           killed: replay the log before it runs again.",
    roles: |words| roles(words, &[Role::Device(Use::Whole), Role::Device(Use::Own)], &[]),
    example: "0 2097152 log-writes /dev/sdb /dev/sdc",
    rewords: false,
    texts: Texts {
        table: &[
            one("device", Kind::Device, "the device under it"),
            one("log_device", Kind::Device, "the device that holds the log"),
        ],
        status: &[
            one("entry_count", Kind::Number, "how many entries the log has"),
            one("end_bytes", Kind::Sectors, "where on the log device the last of them ends"),
            Part::Features(&[flag("logging_disabled", "the log could not be written")]),
        ],
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;

    #[test]
    fn writes_are_handled_and_reads_are_not() {
        let target = make("0 8000 log-writes 7:0 7:1").unwrap();
        assert_eq!(target.params(&numbers), "7:0 7:1");
        assert_eq!(target.status(&numbers), "0 0");
        let ask = |operation| target.strategy(operation, Sectors(5), Sectors(5000));
        let whole = Sectors(5000);
        assert!(
            matches!(ask(Operation::Read), Mapping::Remap { sector: Sectors(5), length, .. } if length == whole)
        );
        assert!(matches!(ask(Operation::Discard), Mapping::Handle { length } if length == whole));
        for operation in [Operation::Write, Operation::WriteZeroes] {
            assert!(matches!(ask(operation), Mapping::Handle { length: Sectors(MAX_ENTRY) }));
        }
        assert_eq!(target.pdevs().len(), 1);
        make("0 8 log-writes 7:0 7:1 more words").unwrap();
    }

    #[test]
    fn refusals_are_the_kernels() {
        for (line, errno, at) in [
            ("0 8 log-writes", Errno::EINVAL, 0),
            ("0 8 log-writes 7:0", Errno::EINVAL, 1),
            ("0 8 log-writes no 7:0", Errno::ENODEV, 0),
            ("0 8 log-writes 7:0 no", Errno::ENODEV, 1),
        ] {
            let fault = make(line).expect_err(line);
            assert_eq!((fault.errno, fault.argument), (errno, Some(at)), "{line}");
        }
        let target = make("0 8 log-writes 7:0 7:1").unwrap();
        for message in ["mark", "mark a b", "x y", ""] {
            assert!(target.message(&Text::from(message).words()).is_err(), "{message}");
        }
    }
}
