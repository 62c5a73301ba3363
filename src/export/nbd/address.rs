//! Where a server listens, in words.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `tcp:ADDRESS:PORT`; an IPv6 address is in brackets. A name stands for its first address.
    Tcp(SocketAddr),
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.split_once(':') {
            Some(("unix", "")) => Err(AddressError(format!("\"{text}\" names no path: unix:PATH is wanted"))),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => match address.to_socket_addrs().map(|mut found| found.next()) {
                Ok(Some(found)) => Ok(Self::Tcp(found)),
                Ok(None) => Err(AddressError(format!("\"{address}\" has no address"))),
                Err(error) => Err(AddressError(format!(
                    "\"{address}\" is not ADDRESS:PORT ({error}), as 127.0.0.1:10809 and [::1]:10809 are"
                ))),
            },
            _ => Err(AddressError(format!("\"{text}\" is neither unix:PATH nor tcp:ADDRESS:PORT"))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back() {
        for text in ["unix:/run/nbd.sock", "unix:rel", "tcp:127.0.0.1:10809", "tcp:[::1]:0"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "unix:", "/run/nbd.sock", "tcp:", "tcp:127.0.0.1", "tcp:::1", "udp:1.2.3.4:5"] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains('"'), "{error}");
        }
    }
}
