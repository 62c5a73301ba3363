//! Which form the protocol is spoken in, and the client's side of each.

use super::linux;
use super::proplib::{self, PROPOSED, SHIPPED, Vocabulary};
use crate::dm::{CommandKind, Errno, Fault, Reply, Request};
use std::fmt;
use std::str::FromStr;

/// A form of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Linux's: `struct dm_ioctl` and what stands behind it.
    Linux,
    /// NetBSD's and DragonFly's: one ioctl, a dictionary with a `command`.
    Netbsd,
    /// The one that NetBSD's was to be: an ioctl a command, a dictionary that mirrors `struct dm_ioctl`.
    Proposed,
}

/// A word that names no dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialectError(String);

impl Dialect {
    /// That of this system's kernel.
    pub const NATIVE: Self = Self::native_of(std::env::consts::OS);

    /// That of a system's kernel; Linux's for a system whose kernel has no device-mapper.
    const fn native_of(system: &str) -> Self {
        match system.as_bytes() {
            b"netbsd" | b"dragonfly" => Self::Netbsd,
            _ => Self::Linux,
        }
    }

    /// The keys of a dialect of dictionaries.
    pub(super) fn vocabulary(self) -> Option<&'static Vocabulary> {
        match self {
            Self::Linux => None,
            Self::Netbsd => Some(&SHIPPED),
            Self::Proposed => Some(&PROPOSED),
        }
    }

    /// The ioctl's number for a command.
    pub fn number(self, kind: CommandKind) -> u32 {
        match self {
            Self::Linux => linux::ioctl_number(kind),
            Self::Netbsd => proplib::shipped_number(),
            Self::Proposed => proplib::proposed_number(kind),
        }
    }

    /// The bytes of a request: a buffer of at least `size` bytes where the driver fills in its reply, a text with its NUL
    /// where it gives a text of its own.
    ///
    /// # Errors
    /// EINVAL for what does not fit its field, EOPNOTSUPP for a command that the dialect has no word for.
    pub fn send(self, request: &Request, size: usize) -> Result<Vec<u8>, Fault> {
        match self.vocabulary() {
            None => linux::encode_request(request, size).map_err(|error| Fault::invalid(error.to_string())),
            Some(vocabulary) => {
                let mut text = proplib::document(&proplib::encode_request(vocabulary, request)?);
                text.push(0);
                Ok(text)
            }
        }
    }

    /// How long a buffer would do, in bytes, where the driver says that its reply did not fit; 0 when it does not know. A
    /// text has always the room that it needs.
    pub fn wants_more(self, buffer: &[u8]) -> Option<usize> {
        let is_full = self == Self::Linux && linux::buffer_is_full(buffer);
        is_full.then(|| linux::wanted_size(buffer))
    }

    /// The reply in a buffer.
    ///
    /// # Errors
    /// EIO for bytes that are no reply to that command.
    pub fn reply(self, kind: CommandKind, buffer: &[u8]) -> Result<Reply, Fault> {
        let senseless = |error: &dyn fmt::Display| {
            Fault::new(Errno::EIO, format!("the driver's reply makes no sense: {error}"))
        };
        match self.vocabulary() {
            None => linux::decode_reply(kind, buffer).map_err(|error| senseless(&error)),
            Some(vocabulary) => {
                let dict = proplib::parse(buffer, proplib::MAX_REPLY).map_err(|error| senseless(&error))?;
                proplib::decode_reply(vocabulary, kind, &dict).map_err(|error| senseless(&error))
            }
        }
    }

    /// The error that a driver of this dialect returns for one of Linux's.
    pub fn errno_to_wire(self, kind: CommandKind, errno: Errno) -> Errno {
        if self == Self::Netbsd { proplib::errno_to_wire(kind, errno) } else { errno }
    }

    /// What Linux would have returned, for the error of a driver of this dialect.
    pub fn errno_from_wire(self, kind: CommandKind, errno: Errno) -> Errno {
        if self == Self::Netbsd { proplib::errno_from_wire(kind, errno) } else { errno }
    }
}

impl FromStr for Dialect {
    type Err = DialectError;
    fn from_str(word: &str) -> Result<Self, DialectError> {
        [Self::Linux, Self::Netbsd, Self::Proposed]
            .into_iter()
            .find(|dialect| dialect.to_string() == word)
            .ok_or_else(|| DialectError(word.to_owned()))
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.vocabulary().map_or("linux", |vocabulary| vocabulary.name))
    }
}

impl fmt::Display for DialectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a dialect: linux, netbsd or proposed", self.0)
    }
}

impl std::error::Error for DialectError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_the_dialect_of_its_driver() {
        let native =
            |systems: &[&str]| systems.iter().map(|system| Dialect::native_of(system)).collect::<Vec<_>>();
        assert_eq!(native(&["netbsd", "dragonfly"]), [Dialect::Netbsd; 2]);
        assert_eq!(native(&["linux", "freebsd", "openbsd", "macos", "illumos"]), [Dialect::Linux; 5]);
        assert_eq!(Dialect::NATIVE, Dialect::native_of(std::env::consts::OS));
    }
}
