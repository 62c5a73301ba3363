//! What a target is made from, and the reading of its arguments.
//!
//! Numbers are read as strictly as the kernel reads them, and each refusal names the target, the argument and what
//! is wrong with it. What the numbers mean is the target's.

use super::{Events, Shared, TargetType};
use crate::block::{Pdev, PdevSource};
use crate::dm::{Errno, Fault, Sectors, Text};
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};

/// A table line on its way to become a target.
#[derive(Debug)]
pub struct Init<'a> {
    /// The type that the line names.
    pub target: &'static TargetType,
    /// The first sector of the device that the line maps.
    pub start: Sectors,
    /// How many sectors it maps, above 0.
    pub length: Sectors,
    /// The line's parameters, split into words.
    pub arguments: &'a [Text],
    /// Whether the table is loaded read-only, so that its devices are opened for reading alone.
    pub read_only: bool,
    /// Who opens the devices that arguments name.
    pub pdevs: &'a mut dyn PdevSource,
    /// What the targets over one device share.
    pub shared: &'a Shared,
    /// Whether the table was at work before, in another process, and is made again.
    pub restores: bool,
    /// Where the target may tell of events, for as long as the device is there.
    pub events: Weak<dyn Events>,
    /// What the same line's target knew before ([`Target::memory`](super::Target::memory)), in another process or
    /// between its loading and its use; empty for a new one.
    pub memory: &'a Text,
    /// Whether this process goes on serving the device, so that work in the background is worth beginning. A command
    /// that only looks at it does not.
    pub serves: bool,
}

impl Init<'_> {
    /// EINVAL unless there are that many arguments.
    pub fn exactly(&self, count: usize) -> Result<(), Fault> {
        if self.arguments.len() == count {
            return Ok(());
        }
        let takes = match count {
            0 => "no arguments,".into(),
            1 => format!("1 argument, {},", self.target.usage),
            _ => format!("{count} arguments, {},", self.target.usage),
        };
        Err(self.miscounted(&format!("{takes} not {}", self.arguments.len()), count))
    }

    /// EINVAL if there are fewer arguments.
    pub fn at_least(&self, count: usize) -> Result<(), Fault> {
        if self.arguments.len() >= count {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        let takes =
            format!("{count} or more argument{plural}, {}, not {}", self.target.usage, self.arguments.len());
        Err(self.miscounted(&takes, count))
    }

    /// EINVAL for an argument that is `wrong`, as in `linear: "38x" is not a number of sectors`.
    pub fn refuse(&self, index: usize, wrong: &str) -> Fault {
        Fault::invalid(format!("{}: {wrong}", self.target.name)).at_argument(index)
    }

    /// A 64-bit decimal number of `unit`s (a plural): digits and nothing else, as the kernel's `sscanf("%llu%c")`
    /// has it; but it refuses what is 2^64 or more, which the kernel takes modulo 2^64. EINVAL.
    pub fn number(&self, index: usize, unit: &str) -> Result<u64, Fault> {
        self.decimal(index, self.word(index)?.as_bytes(), unit)
    }

    /// A position or a length in sectors, as [`Init::number`] reads numbers.
    pub fn sectors(&self, index: usize) -> Result<Sectors, Fault> {
        self.number(index, "sectors").map(Sectors)
    }

    /// A position in sectors, as the kernel's `kstrtoull` has it: a `+` may stand in front. EINVAL.
    pub fn offset(&self, index: usize) -> Result<Sectors, Fault> {
        let word = self.word(index)?.as_bytes();
        self.decimal(index, word.strip_prefix(b"+").unwrap_or(word), "sectors").map(Sectors)
    }

    /// A 32-bit decimal number of `unit`s (a plural), as the kernel's `kstrtouint` has it: a `+` may stand in
    /// front. EINVAL.
    pub fn count(&self, index: usize, unit: &str) -> Result<u32, Fault> {
        let word = self.word(index)?.as_bytes();
        self.decimal(index, word.strip_prefix(b"+").unwrap_or(word), unit)
    }

    /// A 32-bit decimal number of `unit`s within a range, as the kernel's `dm_read_arg` has it: digits and nothing else.
    /// EINVAL.
    pub fn within(&self, index: usize, range: RangeInclusive<u32>, unit: &str) -> Result<u32, Fault> {
        let number: u32 = self.decimal(index, self.word(index)?.as_bytes(), unit)?;
        if range.contains(&number) {
            return Ok(number);
        }
        let (first, last) = range.into_inner();
        Err(self.refuse(index, &format!("{number} is not a number of {unit} from {first} to {last}")))
    }

    /// The same device as [`Init::pdev`] for a target whose refusal is EINVAL whatever is wrong with the device.
    pub fn pdev_or_invalid(&mut self, index: usize) -> Result<Arc<Pdev>, Fault> {
        self.pdev(index).map_err(|fault| Fault { errno: Errno::EINVAL, ..fault })
    }

    /// The device that an argument names, opened as the table needs it; the errno is the source's.
    pub fn pdev(&mut self, index: usize) -> Result<Arc<Pdev>, Fault> {
        self.pdev_opened(index, !self.read_only)
    }

    /// The same, opened for writing or not whatever the table is.
    pub fn pdev_opened(&mut self, index: usize, writable: bool) -> Result<Arc<Pdev>, Fault> {
        let name = self.word(index)?.clone();
        self.pdevs.open(&name, writable).map_err(|mut fault| {
            fault.reason = format!("{}: {}", self.target.name, fault.reason);
            fault.at_argument(index)
        })
    }

    /// An argument as it stands. EINVAL when it is missing.
    pub fn word(&self, index: usize) -> Result<&Text, Fault> {
        self.arguments
            .get(index)
            .ok_or_else(|| self.refuse(index, &format!("argument {} is missing", index + 1)))
    }

    fn decimal<N: TryFrom<u64>>(&self, index: usize, digits: &[u8], unit: &str) -> Result<N, Fault> {
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            let wrong = format!("\"{}\" is not a number of {unit}", self.word(index)?);
            return Err(self.refuse(index, &wrong));
        }
        let number = digits
            .iter()
            .try_fold(0u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| {
            self.refuse(index, &format!("{} is too large a number of {unit}", Text::from(digits)))
        })
    }

    /// The fault of a wrong number of arguments, at the first that is too many or where one is missing.
    fn miscounted(&self, takes: &str, count: usize) -> Fault {
        let index = count.min(self.arguments.len());
        Fault::invalid(format!("{} takes {takes}", self.target.name)).at_argument(index)
    }
}
