//! Local sockets: who is at the other end, and paths that are longer than an address has room for.

use nix::unistd::Uid;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Bytes of the longest path that every system's `sockaddr_un` holds with its NUL (104 on the BSDs, 108 on Linux).
const LONGEST: usize = 103;

/// Connects to the socket at a path.
///
/// # Errors
/// connect's: ENOENT and ECONNREFUSED when nobody listens there.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    with_short(path, |path| UnixStream::connect(path))
}

/// Listens at a path, for this user alone, in the place of a socket that nobody listens at any more.
///
/// # Errors
/// EADDRINUSE when somebody listens there; EEXIST when there is something else than a socket; bind's.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(io::Error::from_raw_os_error(nix::libc::EEXIST));
        }
        Ok(_) => {
            if connect(path).is_ok() {
                return Err(io::Error::from_raw_os_error(nix::libc::EADDRINUSE));
            }
            fs::remove_file(path)?;
        }
    }
    let listener = with_short(path, |path| UnixListener::bind(path))?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Does something with a path, or with a shorter one that leads through its opened directory.
fn with_short<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().as_bytes().len() <= LONGEST {
        return act(path);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return act(path) };
    let directory = File::open(parent)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    act(&short)
}

/// The process that connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user then.
    pub uid: Uid,
    /// Its number, where the system tells.
    pub pid: Option<i32>,
}

impl Peer {
    /// The process at the other end.
    ///
    /// # Errors
    /// getsockopt's.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials)?;
        Ok(Self { uid: Uid::from_raw(credentials.uid()), pid: Some(credentials.pid()) })
    }

    /// The process at the other end, where the system has no call for it that is known here.
    ///
    /// # Errors
    /// Always: who cannot be known is not let in.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub fn of(_stream: &UnixStream) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
