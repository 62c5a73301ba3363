//! Which device: by name, by uuid, by number.

use super::Text;
use super::limits::{MAX_MAJOR, MAX_MINOR};
use std::fmt;

/// A block device's number, `MAJOR:MINOR`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// The driver, 12 bits on Linux.
    pub major: u32,
    /// The device within the driver, 20 bits on Linux.
    pub minor: u32,
}

impl DeviceNumber {
    /// The number `major:minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// `MAJOR:MINOR` in decimal and nothing else, as the kernel reads a device in a table; `None` if the text is
    /// anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (major, minor) = text.split_once(':')?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        (digits(major) && digits(minor)).then_some(())?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// Whether both parts fit the bits that Linux has for them.
    pub fn is_valid(self) -> bool {
        self.major <= MAX_MAJOR && self.minor <= MAX_MINOR
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// The fields by which a request names its device, and a reply the device that it is about.
///
/// A driver looks by uuid when there is one, else by name, else by number, and refuses two at once; what is empty
/// or `None` is not given. `create` alone takes a name and a uuid together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeviceId {
    /// At most 127 bytes, without `/`; empty when not given.
    pub name: Text,
    /// At most 128 bytes; empty when not given.
    pub uuid: Text,
    /// The number; `None` when not given (0 on the wire).
    pub dev: Option<DeviceNumber>,
}

impl DeviceId {
    /// The device of that name.
    pub fn by_name(name: impl Into<Text>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The device of that uuid.
    pub fn by_uuid(uuid: impl Into<Text>) -> Self {
        Self { uuid: uuid.into(), ..Self::default() }
    }

    /// The device of that number.
    pub fn by_number(dev: DeviceNumber) -> Self {
        Self { dev: Some(dev), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_two_decimals_and_nothing_else() {
        assert_eq!(DeviceNumber::parse(b"7:12"), Some(DeviceNumber::new(7, 12)));
        for text in ["7", "7:", ":1", "7:1x", "+7:1", "7:1:2", "", "7: 1", "4294967296:0"] {
            assert_eq!(DeviceNumber::parse(text.as_bytes()), None, "{text}");
        }
    }
}
