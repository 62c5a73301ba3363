//! Versions: of the driver's interface and of each target.

use std::fmt;

/// Three numbers, ordered as versions are: the interface breaks with the first, grows with the second, is mended
/// with the third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// No compatibility either way when it differs.
    pub major: u32,
    /// Compatible backwards only.
    pub minor: u32,
    /// Compatible both ways.
    pub patch: u32,
}

impl Version {
    /// The version `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
