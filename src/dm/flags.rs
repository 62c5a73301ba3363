//! The flag word that requests and replies carry.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// Bits of `struct dm_ioctl`'s `flags`. A driver sends bits that it does not know back as they came.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u32);

/// Declares each flag once; the constants and the names that `--trace` prints come from this list.
macro_rules! flags {
    ($($name:ident = $bit:literal, $why:literal;)*) => {
        impl Flags {
            $(#[doc = $why] pub const $name: Self = Self(1 << $bit);)*
            const NAMES: &[(Self, &str)] = &[$((Self::$name, stringify!($name)),)*];
        }
    };
}

// Source: linux/dm-ioctl.h, "Status bits"; the names are its own without `DM_` and `_FLAG`.
flags! {
    READONLY = 0, "In: load or create read-only. Out: the table is read-only.";
    SUSPEND = 1, "In: suspend, not resume. Out: the device is suspended.";
    EXISTS = 2, "libdm's own: it sets it and looks for it in replies.";
    PERSISTENT_DEV = 3, "In: `create` takes the minor that `dev` gives.";
    STATUS_TABLE = 4, "In: the table's text, not its status.";
    ACTIVE_PRESENT = 5, "Out: the active slot holds a table.";
    INACTIVE_PRESENT = 6, "Out: the inactive slot holds a table.";
    BUFFER_FULL = 8, "Out: the reply did not fit the buffer.";
    SKIP_BDGET = 9, "In: no longer used by drivers; libdm sends it for `--noopencount`.";
    SKIP_LOCKFS = 10, "In: suspend without freezing a file system.";
    NOFLUSH = 11, "In: suspend without flushing queued I/O.";
    QUERY_INACTIVE_TABLE = 12, "In: answer about the inactive slot.";
    UEVENT_GENERATED = 13, "Out: a uevent was sent that the caller may wait for.";
    UUID = 14, "In: `rename` sets the uuid.";
    SECURE_DATA = 15, "In: wipe every buffer after use.";
    DATA_OUT = 16, "Out: a message has an answer.";
    DEFERRED_REMOVE = 17, "In: remove when closed. Out: will be removed when closed.";
    INTERNAL_SUSPEND = 18, "Out: suspended by the driver itself.";
    IMA_MEASUREMENT = 19, "In: the text that IMA would measure.";
    PATHS = 31, "Ours, to the userspace mapper only: name files by path, not by number.";
}

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These and not those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// `other`, or nothing: for flags that follow an option.
    #[must_use]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }

    /// These with `other` set or cleared.
    #[must_use]
    pub const fn set(self, other: Self, on: bool) -> Self {
        if on { self.with(other) } else { self.without(other) }
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

impl fmt::Display for Flags {
    /// The names joined by `|`, what has none in hex: strace's way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        for (flag, name) in Self::NAMES.iter().filter(|(flag, _)| self.contains(*flag)) {
            write!(f, "{separator}{name}")?;
            rest &= !flag.0;
            separator = "|";
        }
        match rest {
            0 if self.0 != 0 => Ok(()),
            0 => f.write_str("0"),
            _ => write!(f, "{separator}{rest:#x}"),
        }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_read_by_name_and_the_unknown_in_hex() {
        assert_eq!((Flags::SUSPEND | Flags::NOFLUSH).to_string(), "SUSPEND|NOFLUSH");
        assert_eq!(Flags(0x80).to_string(), "0x80");
        assert_eq!(Flags(0x8000_0001).to_string(), "READONLY|PATHS");
        assert_eq!(Flags::NONE.to_string(), "0");
    }
}
