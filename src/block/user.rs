//! Who has a device open.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// One that has a device open through a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    /// How it came.
    pub via: Via,
    /// Who it is.
    pub peer: Peer,
}

/// A way to a server's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The NBD protocol.
    Nbd,
    /// A file of a directory that FUSE shows.
    Fuse,
    /// The control socket, as commands do.
    Control,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// A process of this machine.
    Process {
        /// Its number; `None` where the server cannot see it, as in another container.
        pid: Option<u32>,
        /// Its effective user when it connected or opened.
        uid: u32,
    },
    /// An address, over TCP.
    Address(SocketAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { pid: Some(pid), .. } => write!(f, "process {pid}"),
            Self::Process { pid: None, uid } => write!(f, "a process of user {uid}"),
            Self::Address(address) => write!(f, "tcp:{address}"),
        }
    }
}
