//! Amounts of storage, each with its unit in its type.

use std::fmt;

/// Bytes in a sector, whatever the disk's own block size: device-mapper counts in these.
pub const SECTOR_SIZE: u64 = 512;

/// A number of 512-byte sectors, or a position counted in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sectors(pub u64);

/// A number of bytes, or a position counted in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Sectors {
    /// None at all; the first position.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` past 2^64 - 1.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The amount with its unit: `1 sector`, `8 sectors`.
    pub fn counted(self) -> String {
        format!("{self} sector{}", if self.0 == 1 { "" } else { "s" })
    }

    /// The same amount in bytes, or `None` past 2^64 - 1.
    pub fn to_bytes(self) -> Option<Bytes> {
        self.0.checked_mul(SECTOR_SIZE).map(Bytes)
    }
}

impl Bytes {
    /// The whole sectors in it; what is left over is not a sector of the device.
    pub fn whole_sectors(self) -> Sectors {
        Sectors(self.0 / SECTOR_SIZE)
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
