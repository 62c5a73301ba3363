//! What is wrong with bytes, or with a request that no bytes can say.

use crate::dm::{DeviceNumber, Errno, Version};
use std::fmt;

/// Bytes that make no sense, or a value that does not fit its field: what, where, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// The structure or field.
    pub what: &'static str,
    /// Where it begins, in bytes from the start of the buffer.
    pub at: usize,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The buffer, `has` bytes, ends before what it says it holds.
    BeyondBuffer {
        /// Bytes that there should be.
        needed: usize,
        /// Bytes that there are.
        has: usize,
    },
    /// `data_size` does not even cover the header.
    DataSize {
        /// What it says, in bytes.
        says: u32,
    },
    /// The data begins inside the header.
    InsideHeader,
    /// The data, as far as `data_size` goes, ends inside a record.
    Short {
        /// Bytes that the record needs.
        needed: u64,
        /// Bytes that there are.
        has: usize,
    },
    /// A text has no closing NUL.
    Unterminated,
    /// The next record would begin inside this one.
    NextInside {
        /// What the record says, in bytes from where its kind counts.
        next: u32,
    },
    /// A record does not begin at a multiple of 8 bytes.
    Misaligned {
        /// What the record before it, or the header, says.
        next: u32,
    },
    /// A text is longer than its field.
    TooLong {
        /// Its bytes.
        length: usize,
        /// The bytes that fit.
        limit: usize,
    },
    /// A text has a NUL byte within.
    HoldsNul,
    /// A size or count is more than 32 bits can say.
    TooLarge {
        /// The size or count.
        size: usize,
    },
    /// A device number has more bits than Linux gives it.
    Number(DeviceNumber),
    /// The caller speaks another major version, or a later minor one.
    Version {
        /// The caller's.
        asked: Version,
        /// The driver's.
        own: Version,
    },
    /// The driver says that its reply did not fit.
    Full,
}

impl WireError {
    /// That flaw of that part of the buffer.
    pub(super) fn new(what: &'static str, at: usize, flaw: Flaw) -> Self {
        Self { what, at, flaw }
    }

    /// What a driver returns for it: EFAULT where the buffer is shorter than it says, else EINVAL.
    pub fn errno(&self) -> Errno {
        if matches!(self.flaw, Flaw::BeyondBuffer { .. }) { Errno::EFAULT } else { Errno::EINVAL }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, at, flaw } = self;
        match flaw {
            Flaw::BeyondBuffer { needed, has } => write!(f, "{what}: {needed} bytes long, the buffer {has}"),
            Flaw::DataSize { says } => write!(f, "{what}: {says} bytes do not hold the header"),
            Flaw::InsideHeader => write!(f, "{what}: at byte {at}, inside the header"),
            Flaw::Short { needed, has } => {
                write!(f, "{what}: record at byte {at} needs {needed} bytes, {has} are left")
            }
            Flaw::Unterminated => write!(f, "{what}: text at byte {at} has no closing NUL"),
            Flaw::NextInside { next } => {
                write!(f, "{what}: record at byte {at} says next at +{next}, inside itself")
            }
            Flaw::Misaligned { next } => {
                write!(f, "{what}: record at byte {at} says next at +{next}, not a multiple of 8")
            }
            Flaw::TooLong { length, limit } => write!(f, "{what}: {length} bytes, {limit} are the most"),
            Flaw::HoldsNul => write!(f, "{what}: holds a NUL byte"),
            Flaw::TooLarge { size } => write!(f, "{what}: {size} is more than 32 bits can say"),
            Flaw::Number(dev) => write!(f, "{what}: {dev} has more than 12 bits of major or 20 of minor"),
            Flaw::Version { asked, own } => write!(f, "{what}: {asked} was asked for, the driver has {own}"),
            Flaw::Full => write!(f, "{what}: did not fit the buffer"),
        }
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_why() {
        let error = WireError::new("name list", 340, Flaw::NextInside { next: 12 });
        assert_eq!(error.to_string(), "name list: record at byte 340 says next at +12, inside itself");
        assert_eq!(error.errno(), Errno::EINVAL);
        let error = WireError::new("header", 0, Flaw::BeyondBuffer { needed: 305, has: 12 });
        assert_eq!(error.to_string(), "header: 305 bytes long, the buffer 12");
        assert_eq!(error.errno(), Errno::EFAULT);
    }
}
