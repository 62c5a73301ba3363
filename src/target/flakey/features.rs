//! What goes wrong on a `flakey` device while it is down.
//!
//! `drop_writes`, `error_writes` and `corrupt_bio_byte` are those of Linux 6.1; `error_reads`, `random_read_corrupt` and
//! `random_write_corrupt` came later, in the same version 1.5.0 of the target. The text of a table is that of the first
//! kernel that knows its features, which also puts a blank behind 6.1's.

use super::super::texts::{Feature, Form, Kind, Part, flag, one};
use super::super::{Init, Operation};
use crate::dm::Fault;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Words that a count of features may announce.
const MAX_WORDS: u32 = 11;

/// What a probability is a part of.
const CERTAIN: u32 = 1_000_000_000;

/// Flags of the kernel's bio: its operation, and those that direct I/O sets. Requests of other clients have the same here.
const READ: u32 = 0;
const WRITE: u32 = 1 | 1 << 11 | 1 << 15;

#[derive(Debug, Default)]
pub(super) struct Features {
    error_reads: bool,
    drop_writes: bool,
    error_writes: bool,
    corrupt: Option<Corrupt>,
    /// Of [`CERTAIN`].
    random_read: u32,
    random_write: u32,
}

/// `corrupt_bio_byte`.
#[derive(Clone, Copy, Debug)]
struct Corrupt {
    /// Counted from 1.
    nth: u32,
    writes: bool,
    value: u8,
    flags: u32,
}

/// The words of the features, one after the other.
struct Words<'a, 'b> {
    init: &'a Init<'b>,
    at: usize,
    end: usize,
}

impl Words<'_, '_> {
    /// The next word's place.
    fn take(&mut self) -> usize {
        self.at += 1;
        self.at - 1
    }

    /// EINVAL unless so many words follow.
    fn need(&self, count: usize, feature: &str) -> Result<(), Fault> {
        if self.end - self.at >= count {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        let wrong = format!("{feature} needs {count} argument{plural}, within the number of features");
        Err(self.init.refuse(self.at - 1, &wrong))
    }
}

impl Features {
    /// The features of a table line, behind its four other arguments.
    pub(super) fn parse(init: &Init<'_>) -> Result<Self, Fault> {
        const COUNT: usize = 4;
        let mut features = Self::default();
        if init.arguments.len() > COUNT {
            let count = usize::try_from(init.within(COUNT, 0..=MAX_WORDS, "features")?).unwrap_or(0);
            let (at, end) = (COUNT + 1, COUNT + 1 + count);
            if init.arguments.len() < end {
                return Err(init.refuse(init.arguments.len(), &format!("{count} features are announced")));
            }
            let mut words = Words { init, at, end };
            while words.at < end {
                features.parse_one(&mut words)?;
            }
        }
        features.refuse_contradictions().map_err(|wrong| init.refuse(COUNT, wrong))?;
        if !features.has_any() {
            (features.error_reads, features.error_writes) = (true, true);
        }
        Ok(features)
    }

    fn has_any(&self) -> bool {
        let whole = self.error_reads || self.drop_writes || self.error_writes;
        whole || self.corrupt.is_some() || self.random_read > 0 || self.random_write > 0
    }

    fn parse_one(&mut self, words: &mut Words<'_, '_>) -> Result<(), Fault> {
        let init = words.init;
        let at = words.take();
        let name = init.word(at)?.to_ascii_lowercase();
        let twice = |is_there: bool| {
            if is_there { Err(init.refuse(at, "the feature is there twice")) } else { Ok(()) }
        };
        match name.as_slice() {
            b"error_reads" => twice(std::mem::replace(&mut self.error_reads, true)),
            b"drop_writes" if self.error_writes => {
                Err(init.refuse(at, "drop_writes contradicts error_writes"))
            }
            b"drop_writes" => twice(std::mem::replace(&mut self.drop_writes, true)),
            b"error_writes" if self.drop_writes => {
                Err(init.refuse(at, "error_writes contradicts drop_writes"))
            }
            b"error_writes" => twice(std::mem::replace(&mut self.error_writes, true)),
            b"corrupt_bio_byte" => {
                twice(self.corrupt.is_some())?;
                words.need(4, "corrupt_bio_byte")?;
                self.corrupt = Some(Corrupt::parse(words)?);
                Ok(())
            }
            b"random_read_corrupt" => {
                twice(self.random_read > 0)?;
                words.need(1, "random_read_corrupt")?;
                self.random_read = init.within(words.take(), 0..=CERTAIN, "parts")?;
                Ok(())
            }
            b"random_write_corrupt" => {
                twice(self.random_write > 0)?;
                words.need(1, "random_write_corrupt")?;
                self.random_write = init.within(words.take(), 0..=CERTAIN, "parts")?;
                Ok(())
            }
            _ => Err(init.refuse(at, &format!("there is no feature \"{}\"", init.word(at)?))),
        }
    }

    fn refuse_contradictions(&self) -> Result<(), &'static str> {
        let changes = |writes| self.corrupt.is_some_and(|corrupt| corrupt.writes == writes);
        if self.drop_writes && (changes(true) || self.random_write > 0) {
            return Err("writes that are dropped cannot be corrupted");
        }
        if self.error_writes && (changes(true) || self.random_write > 0) {
            return Err("writes that fail cannot be corrupted");
        }
        if self.error_reads && (changes(false) || self.random_read > 0) {
            return Err("reads that fail cannot be corrupted");
        }
        Ok(())
    }

    /// Whether such a request fails.
    pub(super) fn fails(&self, operation: Operation) -> bool {
        if operation == Operation::Read { self.error_reads } else { self.error_writes }
    }

    /// Whether such a request is forgotten, with success.
    pub(super) fn drops(&self, operation: Operation) -> bool {
        operation != Operation::Read && self.drop_writes
    }

    /// Whether data of such a request may be changed. What has no data of its own is not.
    pub(super) fn may_corrupt(&self, operation: Operation) -> bool {
        match operation {
            Operation::Read => self.fixed(operation).is_some() || self.random_read > 0,
            Operation::Write => self.fixed(operation).is_some() || self.random_write > 0,
            Operation::Discard | Operation::WriteZeroes => false,
        }
    }

    /// The change to each request of that kind, if there is one.
    fn fixed(&self, operation: Operation) -> Option<Corrupt> {
        let (writes, flags) = if operation == Operation::Read { (false, READ) } else { (true, WRITE) };
        self.corrupt.filter(|corrupt| corrupt.writes == writes && corrupt.flags & flags == corrupt.flags)
    }

    /// Changes the data of a request as the features say.
    pub(super) fn corrupt(&self, operation: Operation, data: &mut [u8]) {
        if let Some(corrupt) = self.fixed(operation) {
            let nth = usize::try_from(corrupt.nth - 1).ok();
            if let Some(byte) = nth.and_then(|nth| data.get_mut(nth)) {
                *byte = corrupt.value;
            }
        }
        let probability = if operation == Operation::Read { self.random_read } else { self.random_write };
        if random() % u64::from(CERTAIN) < u64::from(probability) {
            let at = usize::try_from(random()).unwrap_or(0).checked_rem(data.len());
            if let Some(byte) = at.and_then(|at| data.get_mut(at)) {
                *byte = random().to_le_bytes()[0];
            }
        }
    }
}

impl Corrupt {
    fn parse(words: &mut Words<'_, '_>) -> Result<Self, Fault> {
        let init = words.init;
        let nth = init.within(words.take(), 1..=u32::MAX, "a byte")?;
        let at = words.take();
        let writes = match init.word(at)?.as_bytes() {
            b"w" | b"W" => true,
            b"r" | b"R" => false,
            _ => return Err(init.refuse(at, &format!("\"{}\" is neither r nor w", init.word(at)?))),
        };
        let value = init.within(words.take(), 0..=255, "a byte's values")?;
        let flags = init.within(words.take(), 0..=u32::MAX, "flags")?;
        Ok(Self { nth, writes, value: u8::try_from(value).unwrap_or(u8::MAX), flags })
    }
}

/// A number that nobody foresees; there is no secret in it.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

impl fmt::Display for Features {
    /// The number of words and the words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.error_reads && self.error_writes;
        let mut words = Vec::new();
        if !all {
            words.extend(self.error_reads.then(|| "error_reads".to_owned()));
            words.extend(self.error_writes.then(|| "error_writes".to_owned()));
        }
        words.extend(self.drop_writes.then(|| "drop_writes".to_owned()));
        if let Some(Corrupt { nth, writes, value, flags }) = self.corrupt {
            let direction = if writes { 'w' } else { 'r' };
            words.push(format!("corrupt_bio_byte {nth} {direction} {value} {flags}"));
        }
        let old = !self.error_reads || all;
        let random = [("random_read_corrupt", self.random_read), ("random_write_corrupt", self.random_write)];
        let random = random.into_iter().filter(|(_, probability)| *probability > 0);
        let random: Vec<String> = random.map(|(name, probability)| format!("{name} {probability}")).collect();
        let old = old && random.is_empty();
        words.extend(random);
        let text = words.join(" ");
        let count = text.split_ascii_whitespace().count();
        let gap = if text.is_empty() { "" } else { " " };
        write!(f, "{count}{gap}{text}{}", if old { " " } else { "" })
    }
}

/// The features of a table line.
pub(super) const FORM: Form = &[Part::Features(&[
    flag("error_reads", "reads fail while it is down"),
    flag("drop_writes", "writes are lost while it is down"),
    flag("error_writes", "writes fail while it is down"),
    Feature {
        word: "corrupt_bio_byte",
        means: "a byte of each request is replaced while it is down",
        form: &[
            one("nth", Kind::Number, "which byte, from 1"),
            one("direction", Kind::Text, "r for reads, w for writes"),
            one("value", Kind::Number, "what it is replaced by"),
            one("flags", Kind::Number, "only requests with these flags of the kernel's bio"),
        ],
    },
    Feature {
        word: "random_read_corrupt",
        means: "some reads get a wrong byte while it is down",
        form: &[one("random_read_corrupt", Kind::Number, "how many of 1000000000")],
    },
    Feature {
        word: "random_write_corrupt",
        means: "some writes get a wrong byte while it is down",
        form: &[one("random_write_corrupt", Kind::Number, "how many of 1000000000")],
    },
])];

#[cfg(test)]
mod tests {
    use super::*;

    fn corrupted(features: &Features, operation: Operation) -> Vec<u8> {
        let mut data = vec![0; 512];
        features.corrupt(operation, &mut data);
        data
    }

    #[test]
    fn the_nth_byte_of_matching_requests_is_replaced() {
        let mut corrupt = Corrupt { nth: 224, writes: true, value: 7, flags: 0 };
        let of = |corrupt| Features { corrupt: Some(corrupt), ..Features::default() };
        let written = corrupted(&of(corrupt), Operation::Write);
        assert_eq!((written[223], written.iter().filter(|byte| **byte != 0).count()), (7, 1));
        assert_eq!(corrupted(&of(corrupt), Operation::Read), [0; 512]);
        corrupt.nth = 513;
        assert_eq!(corrupted(&of(corrupt), Operation::Write), [0; 512]);
        // A synchronous write; metadata is nothing that a request here says of itself.
        corrupt.nth = 1;
        for (flags, matches) in [(1, true), (1 << 11, true), (1 << 12, false), (32, false)] {
            corrupt.flags = flags;
            let features = of(corrupt);
            assert_eq!(features.may_corrupt(Operation::Write), matches, "{flags}");
            assert_eq!(corrupted(&features, Operation::Write)[0], if matches { 7 } else { 0 }, "{flags}");
        }
    }

    #[test]
    fn random_bytes_are_replaced_as_often_as_asked() {
        let changed = |probability| {
            let features = Features { random_read: probability, ..Features::default() };
            let changed = |_: &u32| corrupted(&features, Operation::Read) != [0; 512];
            (0..1000).filter(changed).count()
        };
        assert_eq!(changed(0), 0);
        // A byte may be replaced by itself, one time in 256.
        assert!((960..=1000).contains(&changed(CERTAIN)), "{}", changed(CERTAIN));
        assert!((350..650).contains(&changed(CERTAIN / 2)), "{}", changed(CERTAIN / 2));
    }
}
