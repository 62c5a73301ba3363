//! `dust`: blocks that cannot be read until they are written, added and removed by messages.

use super::texts::{Kind, Texts, one};
use super::{Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, Role, SECTOR_SIZE, Sectors, Text, Use, Version, roles};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest block: a GiB.
const MAX_BLOCK: u32 = 1 << 30;

#[derive(Debug)]
struct Dust {
    pdev: Arc<Pdev>,
    offset: Sectors,
    length: Sectors,
    start: Sectors,
    /// Sectors in a block, a power of two.
    block: u64,
    disk: Mutex<Disk>,
}

/// What messages and writes change.
#[derive(Debug, Default)]
struct Disk {
    /// The bad blocks, each with how many writes to it fail before one mends it.
    bad: BTreeMap<u64, u8>,
    /// Whether bad blocks are treated as such.
    fails: bool,
    quiet: bool,
}

// In the kernel's order; all of its refusals are EINVAL, that of a missing device too.
fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    init.exactly(3)?;
    let bytes = init.count(2, "bytes")?;
    let largest = init.length.to_bytes().map_or(u64::MAX, |bytes| bytes.0).min(MAX_BLOCK.into());
    if !bytes.is_power_of_two() || u64::from(bytes) < SECTOR_SIZE || u64::from(bytes) > largest {
        let wrong = format!("a block of {bytes} bytes: it must be a power of two from 512 to {largest}");
        return Err(init.refuse(2, &wrong));
    }
    let offset = init.sectors(1)?;
    let pdev = init.pdev_or_invalid(0)?;
    let disk = Mutex::new(Disk::remembered(init.memory));
    let (start, length, block) = (init.start, init.length, u64::from(bytes) / SECTOR_SIZE);
    Ok(Box::new(Dust { pdev, offset, length, start, block, disk }))
}

impl Disk {
    /// Its memory as text: `fails`, `quiet`, and `BLOCK:WRITES` for each bad block.
    fn memory(&self) -> Text {
        let mut words = Vec::new();
        words.extend(self.fails.then(|| "fails".to_owned()));
        words.extend(self.quiet.then(|| "quiet".to_owned()));
        words.extend(self.bad.iter().map(|(block, writes)| format!("{block}:{writes}")));
        words.join(" ").into()
    }

    /// What text of [`Disk::memory`] says; other words count for nothing.
    fn remembered(memory: &Text) -> Self {
        let mut disk = Self::default();
        for word in memory.to_string().split(' ') {
            disk.fails |= word == "fails";
            disk.quiet |= word == "quiet";
            let Some((block, writes)) = word.split_once(':') else { continue };
            if let (Ok(block), Ok(writes)) = (block.parse(), writes.parse()) {
                disk.bad.insert(block, writes);
            }
        }
        disk
    }

    /// Whether a block is bad, and treated so.
    fn is_bad(&self, block: u64) -> bool {
        self.fails && self.bad.contains_key(&block)
    }

    /// A block is written: that mends it, unless it is to fail.
    fn write(&mut self, block: u64) -> Result<(), Errno> {
        if !self.fails {
            return Ok(());
        }
        let Some(writes) = self.bad.get_mut(&block) else { return Ok(()) };
        if *writes > 0 {
            *writes -= 1;
            return Err(Errno::EIO);
        }
        self.bad.remove(&block);
        Ok(())
    }

    /// Obeys a message without arguments.
    fn obey(&mut self, word: &Text) -> Result<Option<Text>, String> {
        let lower = word.to_ascii_lowercase();
        match lower.as_slice() {
            b"addbadblock" | b"removebadblock" | b"queryblock" => {
                Err(format!("{word} needs the number of a block"))
            }
            b"disable" => self.answer(|disk| disk.fails = false),
            b"enable" => self.answer(|disk| disk.fails = true),
            b"quiet" => self.answer(|disk| disk.quiet = !disk.quiet),
            b"countbadblocks" => {
                Ok(Some(format!("countbadblocks: {} badblock(s) found", self.bad.len()).into()))
            }
            b"clearbadblocks" if self.bad.is_empty() => {
                Ok(Some("dust_clear_badblocks: no badblocks found".into()))
            }
            b"clearbadblocks" => {
                self.bad.clear();
                Ok(Some("dust_clear_badblocks: badblocks cleared".into()))
            }
            b"listbadblocks" if self.bad.is_empty() => Ok(Some("No blocks in badblocklist".into())),
            b"listbadblocks" => {
                let lines = self.bad.keys().fold(String::new(), |mut lines, block| {
                    // Writing to a string has no way to fail.
                    let _ = writeln!(lines, "{block}");
                    lines
                });
                Ok(Some(lines.into()))
            }
            _ => Err(unknown(word)),
        }
    }

    fn answer(&mut self, change: impl FnOnce(&mut Self)) -> Result<Option<Text>, String> {
        change(self);
        Ok(None)
    }

    /// Obeys a message about a block, for `addbadblock` with the number of writes that are to fail.
    fn obey_block(&mut self, word: &Text, block: u64, writes: Option<u8>) -> Result<Option<Text>, String> {
        let lower = word.to_ascii_lowercase();
        match (lower.as_slice(), writes) {
            (b"addbadblock", _) => {
                if self.bad.contains_key(&block) {
                    return Err(format!("block {block} is in the list of bad blocks already"));
                }
                self.bad.insert(block, writes.unwrap_or(0));
                Ok(None)
            }
            (b"removebadblock", None) => {
                let removed = self.bad.remove(&block);
                removed.map(|_| None).ok_or_else(|| format!("block {block} is not in the list of bad blocks"))
            }
            (b"queryblock", None) => {
                let found = if self.bad.contains_key(&block) { "found" } else { "not found" };
                Ok(Some(format!("dust_query_block: block {block} {found} in badblocklist").into()))
            }
            _ => Err(unknown(word)),
        }
    }
}

fn unknown(word: &Text) -> String {
    format!("the message \"{word}\" is not known, or not with that many arguments")
}

/// Digits and nothing else.
fn number(word: &Text) -> Result<u64, String> {
    let digits = word.iter().all(u8::is_ascii_digit).then(|| word.to_string());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| format!("\"{word}\" is not a number"))
}

impl Dust {
    /// Where on the disk a sector of the line is, for who writes there: that mends its block, or fails.
    fn mend(&self, sector: Sectors) -> Result<Bytes, Errno> {
        let sector = self.offset.checked_add(sector).ok_or(Errno::EIO)?;
        self.disk().write(sector.0 / self.block)?;
        sector.to_bytes().ok_or(Errno::EIO)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn block_number(&self, word: &Text) -> Result<u64, String> {
        let (block, last) = (number(word)?, self.pdev.sectors().0 / self.block);
        // The kernel's own check, which lets one too many pass.
        if block > last {
            Err(format!("block {block} is behind the disk, whose last is {last}"))
        } else {
            Ok(block)
        }
    }
}

impl Target for Dust {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let length = match operation {
            // The kernel cuts requests at the blocks of the line, and looks at the disk's block of their first sector;
            // a discard it does not cut.
            Operation::Discard => length,
            Operation::Read | Operation::Write | Operation::WriteZeroes => {
                Sectors(length.0.min(self.block - sector.0 % self.block))
            }
        };
        let Some(sector) = self.offset.checked_add(sector) else {
            return Mapping::Fail { errno: Errno::EIO, length };
        };
        match (self.disk().is_bad(sector.0 / self.block), operation) {
            (false, _) => Mapping::Remap { pdev: &self.pdev, sector, length },
            (true, Operation::Read) => Mapping::Fail { errno: Errno::EIO, length },
            // Where nothing but an answer is wanted, nothing is mended.
            (true, _) => Mapping::Handle { length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let text = format!(" {} {}", self.offset, self.block * SECTOR_SIZE);
        [name(&self.pdev).as_bytes(), text.as_bytes()].concat().into()
    }

    fn status(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let disk = self.disk();
        let fails = if disk.fails { " fail_read_on_bad_block" } else { " bypass" };
        let quiet = if disk.quiet { " quiet" } else { " verbose" };
        [name(&self.pdev).as_bytes(), fails.as_bytes(), quiet.as_bytes()].concat().into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        vec![Used { pdev: &self.pdev, start: self.offset, length: self.length }]
    }

    fn message(&self, words: &[Text]) -> Result<Option<Text>, Fault> {
        let obeyed = match words {
            [word] => self.disk().obey(word),
            [word, block] => {
                self.block_number(block).and_then(|block| self.disk().obey_block(word, block, None))
            }
            [word, block, writes] => number(writes).and_then(|writes| {
                let writes =
                    u8::try_from(writes).map_err(|_| format!("{writes} failing writes are above 255"))?;
                self.disk().obey_block(word, self.block_number(block)?, Some(writes))
            }),
            _ => Err(format!("a message has 1 to 3 words, not {}", words.len())),
        };
        obeyed.map_err(|wrong| Fault::invalid(format!("dust: {wrong}")))
    }

    /// To the kernel's target a flush is a write at the device's first sector.
    fn flush_asked(&self) -> Result<(), Errno> {
        let first = self.offset.0.wrapping_sub(self.start.0);
        self.disk().write(first / self.block)
    }

    fn memory(&self) -> Text {
        self.disk().memory()
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        self.pdev.write_at(data, self.mend(sector)?)
    }

    fn discard(&self, sector: Sectors, length: Sectors) -> Result<(), Errno> {
        self.pdev.discard(self.mend(sector)?, length.to_bytes().ok_or(Errno::EIO)?)
    }

    fn write_zeroes(&self, sector: Sectors, length: Sectors, may_unmap: bool) -> Result<(), Errno> {
        self.pdev.write_zeroes(self.mend(sector)?, length.to_bytes().ok_or(Errno::EIO)?, may_unmap)
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "dust",
    version: Version::new(1, 0, 0),
    usage: "DEVICE SECTOR BLOCK",
    help: "Maps to DEVICE from SECTOR on, with bad blocks of BLOCK bytes (a power of two from 512): once the message \
           enable has come they cannot be read, and a write mends them. The messages addbadblock NUMBER [FAILING-WRITES], \
           removebadblock, queryblock, countbadblocks, listbadblocks and clearbadblocks change and tell the list; disable \
           lets all pass again; quiet is for the kernel's log.",
    roles: |words| roles(words, &[Role::Device(Use::Whole), Role::Offset], &[]),
    example: "0 2097152 dust /dev/sdb 0 4096",
    rewords: false,
    texts: Texts {
        table: &[
            one("device", Kind::Device, "the device under it"),
            one("offset_bytes", Kind::Sectors, "where on the device it begins"),
            one("block_bytes", Kind::Number, "the size of a block"),
        ],
        status: &[
            one("device", Kind::Device, "the device under it"),
            one("mode", Kind::Text, "fail_read_on_bad_block or bypass"),
            one("log", Kind::Text, "verbose or quiet"),
        ],
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;

    fn say(target: &dyn Target, text: &str) -> Result<String, Errno> {
        let answer = target.message(&Text::from(text).words()).map_err(|fault| fault.errno)?;
        Ok(answer.map_or_else(String::new, |answer| answer.to_string()))
    }

    /// What becomes of the first sector of a block: Pass, Fail, Handle.
    fn fate(target: &dyn Target, operation: Operation, block: u64) -> char {
        match target.strategy(operation, Sectors(block * 8), Sectors(800)) {
            Mapping::Remap { length: Sectors(8), .. } => 'P',
            Mapping::Fail { errno: Errno::EIO, length: Sectors(8) } => 'F',
            Mapping::Handle { length: Sectors(8) } => 'H',
            Mapping::Remap { .. } | Mapping::Fail { .. } | Mapping::Handle { .. } | Mapping::Zero { .. } => {
                '?'
            }
        }
    }

    #[test]
    fn a_bad_block_fails_reads_until_it_is_written() {
        // The test's disk has no sectors, so its only block number is 0.
        let target = make("0 8000 dust 7:0 0 4096").unwrap();
        let target = target.as_ref();
        assert_eq!(target.status(&numbers), "7:0 bypass verbose");
        assert_eq!(say(target, "addbadblock 0 2"), Ok(String::new()));
        assert_eq!(say(target, "AddBadBlock 0"), Err(Errno::EINVAL));
        let both =
            |block| [Operation::Read, Operation::Write].map(|operation| fate(target, operation, block));
        assert_eq!(both(0), ['P', 'P'], "not enabled yet");
        say(target, "enable").unwrap();
        say(target, "quiet").unwrap();
        assert_eq!(target.status(&numbers), "7:0 fail_read_on_bad_block quiet");
        assert_eq!((both(0), both(1)), (['F', 'H'], ['P', 'P']));
        assert_eq!(target.memory(), "fails quiet 0:2");
        // Two writes fail, and the third mends it, though the test's disk then fails it too.
        assert!(target.write(Sectors(3), &[0; 512]).is_err() && target.flush_asked().is_err());
        assert_eq!(both(0), ['F', 'H']);
        assert!(target.write(Sectors(0), &[0; 512]).is_err() && target.flush_asked().is_ok());
        assert_eq!(both(0), ['P', 'P']);
        assert_eq!(say(target, "countbadblocks").unwrap(), "countbadblocks: 0 badblock(s) found");
    }

    #[test]
    fn what_it_knew_it_knows_again() {
        let known = Disk::remembered(&"fails 7:0 quiet 3:255 x 1:999".into());
        assert_eq!(known.memory(), "fails quiet 3:255 7:0");
        assert_eq!(Disk::default().memory(), "");
    }

    #[test]
    fn answers_are_the_kernels() {
        let target = make("0 8000 dust 7:0 0 512").unwrap();
        let target = target.as_ref();
        assert_eq!(say(target, "listbadblocks").unwrap(), "No blocks in badblocklist");
        assert_eq!(say(target, "clearbadblocks").unwrap(), "dust_clear_badblocks: no badblocks found");
        say(target, "addbadblock 0").unwrap();
        assert_eq!(say(target, "listbadblocks").unwrap(), "0\n");
        assert_eq!(say(target, "queryblock 0").unwrap(), "dust_query_block: block 0 found in badblocklist");
        assert_eq!(say(target, "removebadblock 0").unwrap(), "");
        assert_eq!(
            say(target, "queryblock 0").unwrap(),
            "dust_query_block: block 0 not found in badblocklist"
        );
        for wrong in [
            "addbadblock",
            "addbadblock 1",
            "addbadblock 0 256",
            "addbadblock 0x",
            "queryblock 0 0",
            "a b c d",
            "x",
        ] {
            assert_eq!(say(target, wrong), Err(Errno::EINVAL), "{wrong}");
        }
    }

    #[test]
    fn refusals_are_the_kernels() {
        for (line, at) in [
            ("0 8 dust 7:0 0", 2),
            ("0 8 dust 7:0 0 0", 2),
            ("0 8 dust 7:0 0 256", 2),
            ("0 8 dust 7:0 0 768", 2),
            ("0 8 dust 7:0 0 8192", 2),
            ("0 4194304 dust 7:0 0 2147483648", 2),
            ("0 8 dust no x 512", 1),
            ("0 8 dust no 0 512", 0),
        ] {
            let fault = make(line).expect_err(line);
            assert_eq!((fault.errno, fault.argument), (Errno::EINVAL, Some(at)), "{line}");
        }
    }
}
