//! A socket that clients connect to.

use super::address::Address;
use super::tls::Tls;
use crate::block::Peer;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind, connect,
    getsockname, getsockopt, listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 128;

/// A listening socket. Dropping it removes its file.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    /// Clients must start TLS.
    pub(super) tls: Option<Arc<Tls>>,
    /// The socket's file, and its device and inode: what is there later may be another's.
    file: Option<(PathBuf, (u64, u64))>,
}

#[derive(Debug)]
enum Listening {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Why nothing listens at an address.
#[derive(Debug)]
pub enum ListenError {
    /// Another server listens there.
    InUse(Address),
    /// What is there is not a socket, and is left alone.
    NotASocket(PathBuf),
    /// It can be reached from other machines, and there is no TLS.
    Unprotected(SocketAddr),
    /// The system refused.
    System {
        /// What was to listen.
        address: String,
        /// Why not.
        source: io::Error,
    },
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(address) => write!(f, "another server listens at {address}"),
            Self::NotASocket(path) => {
                write!(f, "\"{}\" is not a socket: move it, or listen elsewhere", path.display())
            }
            Self::Unprotected(address) => write!(
                f,
                "tcp:{address} can be reached from other machines: give certificates with --tls, or say --insecure"
            ),
            Self::System { address, source } => write!(f, "cannot listen at {address}: {source}"),
        }
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            Self::InUse(_) | Self::NotASocket(_) | Self::Unprotected(_) => None,
        }
    }
}

impl Listener {
    /// Listens. With `tls` clients must start it. Without, an address beyond this machine is refused unless `insecure`.
    ///
    /// A Unix socket is for its owner alone (mode 0600). A socket file at which nobody listens any more is replaced.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn bind(address: &Address, tls: Option<Arc<Tls>>, insecure: bool) -> Result<Self, ListenError> {
        let failed = |source| ListenError::System { address: address.to_string(), source };
        match address {
            Address::Unix(path) => {
                let (socket, file) = listen_unix(path)?;
                Ok(Self { socket: Listening::Unix(socket.into()), tls, file })
            }
            Address::Tcp(at) => {
                if !at.ip().is_loopback() && tls.is_none() && !insecure {
                    return Err(ListenError::Unprotected(*at));
                }
                let socket = listen_tcp(*at).map_err(|error| {
                    if error.kind() == io::ErrorKind::AddrInUse {
                        ListenError::InUse(address.clone())
                    } else {
                        failed(error)
                    }
                })?;
                Ok(Self { socket: Listening::Tcp(socket.into()), tls, file: None })
            }
        }
    }

    /// A socket that listens already: of socket activation. It belongs to whoever made it, and so does its file.
    ///
    /// # Errors
    /// As [`Listener::bind`]; `System` for a descriptor that is no socket.
    pub fn from_fd(socket: OwnedFd, tls: Option<Arc<Tls>>, insecure: bool) -> Result<Self, ListenError> {
        let address = format!("the descriptor {}", socket.as_raw_fd());
        let failed = |error: nix::Error| ListenError::System { address, source: error.into() };
        let name: SockaddrStorage = getsockname(socket.as_raw_fd()).map_err(failed)?;
        let socket = match tcp_address(&name) {
            Some(at) if !at.ip().is_loopback() && tls.is_none() && !insecure => {
                return Err(ListenError::Unprotected(at));
            }
            Some(_) => Listening::Tcp(socket.into()),
            None => Listening::Unix(socket.into()),
        };
        Ok(Self { socket, tls, file: None })
    }

    /// The next client.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, Peer)> {
        match &self.socket {
            Listening::Unix(socket) => {
                let (client, _) = socket.accept()?;
                let peer = getsockopt(&client, sockopt::PeerCredentials)?;
                // 0 stands for what this process cannot see.
                let pid = u32::try_from(peer.pid()).ok().filter(|pid| *pid > 0);
                Ok((client.into(), Peer::Process { pid, uid: peer.uid() }))
            }
            Listening::Tcp(socket) => {
                let (client, address) = socket.accept()?;
                Ok((client.into(), Peer::Address(address)))
            }
        }
    }

    /// Has [`Listener::accept`] not wait.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match &self.socket {
            Listening::Unix(socket) => socket.set_nonblocking(true),
            Listening::Tcp(socket) => socket.set_nonblocking(true),
        }
    }

    /// Where it listens; for TCP with the port that the system chose if 0 was asked for. `None` when it cannot be said.
    pub fn address(&self) -> Option<Address> {
        match &self.socket {
            Listening::Unix(socket) => {
                socket.local_addr().ok()?.as_pathname().map(|path| Address::Unix(path.to_owned()))
            }
            Listening::Tcp(socket) => socket.local_addr().ok().map(Address::Tcp),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Listening::Unix(socket) => socket.as_fd(),
            Listening::Tcp(socket) => socket.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some((path, identity)) = &self.file
            && identity_of(path) == Some(*identity)
        {
            // Left behind, it is replaced by the next server.
            let _ = fs::remove_file(path);
        }
    }
}

fn tcp_address(name: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = name.as_sockaddr_in().map(|name| SocketAddr::new(IpAddr::V4(name.ip()), name.port()));
    v4.or_else(|| name.as_sockaddr_in6().map(|name| SocketAddr::new(IpAddr::V6(name.ip()), name.port())))
}

/// The device and inode of what is at a path itself, if it is a socket.
fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.file_type().is_socket().then(|| (metadata.dev(), metadata.ino()))
}

type Bound = (OwnedFd, Option<(PathBuf, (u64, u64))>);

fn listen_unix(path: &Path) -> Result<Bound, ListenError> {
    let at = Address::Unix(path.to_owned());
    let failed = |error: nix::Error| ListenError::System { address: at.to_string(), source: error.into() };
    let name = UnixAddr::new(path).map_err(failed)?;
    let socket = new_socket(AddressFamily::Unix).map_err(failed)?;
    // The file that `bind` makes takes the socket's mode (Linux's net/unix/af_unix.c): it is never open to others.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed)?;
    match bind(socket.as_raw_fd(), &name) {
        Err(nix::Error::EADDRINUSE) => {
            remove_stale(path, &name, &at)?;
            bind(socket.as_raw_fd(), &name).map_err(failed)?;
        }
        result => result.map_err(failed)?,
    }
    let identity = identity_of(path);
    listen(&socket, Backlog::new(BACKLOG).map_err(failed)?).map_err(failed)?;
    Ok((socket, identity.map(|identity| (path.to_owned(), identity))))
}

/// Removes a socket file at which nobody listens.
fn remove_stale(path: &Path, name: &UnixAddr, at: &Address) -> Result<(), ListenError> {
    let failed = |source: io::Error| ListenError::System { address: at.to_string(), source };
    if identity_of(path).is_none() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    let probe = new_socket(AddressFamily::Unix).map_err(|errno| failed(errno.into()))?;
    match connect(probe.as_raw_fd(), name) {
        Err(nix::Error::ECONNREFUSED) => fs::remove_file(path).map_err(failed),
        // Gone meanwhile.
        Err(nix::Error::ENOENT) => Ok(()),
        // Also a full backlog, or no right to it, is somebody's who is there.
        Ok(()) | Err(nix::Error::EAGAIN | nix::Error::EACCES) => Err(ListenError::InUse(at.clone())),
        Err(errno) => Err(failed(errno.into())),
    }
}

fn listen_tcp(at: SocketAddr) -> io::Result<OwnedFd> {
    let family = if at.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = new_socket(family)?;
    // A server that ended a moment ago is no reason not to start.
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    let name = SockaddrStorage::from(at);
    let name: &dyn SockaddrLike = &name;
    bind(socket.as_raw_fd(), name)?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    Ok(socket)
}

fn new_socket(family: AddressFamily) -> nix::Result<OwnedFd> {
    socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}
