//! Devices as files of a directory, for any program that reads and writes files.
//!
//! ```text
//! client ─ read(2) ─▶ kernel ─ request ─▶ pool: a worker ─▶ directory | data ─▶ BlockDevice
//!                     kernel ◀─ reply, or a pipe full of the disks' pages ──────┘
//! ```
//!
//! The kernel's protocol is spoken here, without a library: the pages of disks go to clients through pipes (splice(2)), or
//! straight out of a file that is memory, and the number of threads grows with the requests that wait. The kernel caches
//! nothing, neither names nor sizes nor data, so that what a command has done to a device is what the next system call sees.
//!
//! Passthrough (`FUSE_PASSTHROUGH`), with which the kernel reads a disk's file without asking, is for who asks for it: a
//! file once opened so cannot be made to stop, so that neither can a suspend hold its I/O nor a new table lead it elsewhere.

mod buffer;
mod channel;
mod data;
mod directory;
mod mountpoint;
mod opens;
mod passthrough;
mod pipe;
mod pool;
mod protocol;
mod reading;
mod session;
mod worker;

use crate::block::Volumes;
use crate::dm::Errno;
use directory::Directory;
use mountpoint::Mountpoint;
use passthrough::Passthrough;
use pool::Pool;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// How a directory is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads at first, at least 1. With 2 or more there are more when so many requests wait that nobody would take the
    /// next; with 1 there is never more than that one, and a suspended device's I/O keeps all others waiting.
    pub threads: usize,
    /// Files of devices that are one file, from its beginning to its end, are read by the kernel without asking: as
    /// quickly as the file itself. While one is open so its device can neither be suspended nor get another table (EBUSY).
    pub passthrough: bool,
}

impl Default for Options {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        Self { threads, passthrough: false }
    }
}

/// Why a directory is not served.
#[derive(Debug)]
pub enum MountError {
    /// It is not an empty directory of this user's.
    Directory {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// `/dev/fuse` does not open.
    Device(io::Error),
    /// Mounting or unmounting failed.
    Refused {
        /// What the kernel gave; EPERM when it was the helper that failed.
        errno: Errno,
        /// What the helper said.
        said: String,
    },
    /// The kernel's protocol is too old.
    Version {
        /// Its version.
        major: u32,
        /// Its version's second number.
        minor: u32,
    },
    /// Passthrough was asked for: EPERM when it is not this process's to have, EOPNOTSUPP when it is not the kernel's.
    Passthrough(Errno),
    /// No thread can be had.
    Thread(io::Error),
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, reason } => {
                write!(f, "cannot show devices in \"{}\": {reason}", path.display())
            }
            Self::Device(error) => {
                write!(f, "cannot open /dev/fuse: {error}; the kernel's module is \"fuse\"")
            }
            Self::Refused { errno, said } if said.is_empty() => write!(f, "cannot mount: {errno}"),
            Self::Refused { errno, said } => write!(f, "cannot mount: {errno}: {said}"),
            Self::Version { major, minor } => {
                write!(
                    f,
                    "the kernel speaks FUSE {major}.{minor}, and 7.31 (Linux 5.4) is the oldest known here"
                )
            }
            Self::Passthrough(Errno::EPERM) => {
                write!(f, "cannot pass files through: that is root's, outside of containers (CAP_SYS_ADMIN)")
            }
            Self::Passthrough(Errno::EOPNOTSUPP) => {
                write!(f, "cannot pass files through: that takes Linux 6.9 with CONFIG_FUSE_PASSTHROUGH")
            }
            Self::Passthrough(errno) => write!(f, "cannot pass files through: {errno}"),
            Self::Thread(error) => write!(f, "cannot serve the directory: {error}"),
        }
    }
}

impl std::error::Error for MountError {}

/// A directory that shows devices. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct Mount {
    point: Mountpoint,
    /// `None` once it has stopped.
    pool: Option<Arc<Pool>>,
}

impl Mount {
    /// Shows `volumes` in the empty directory `path`, served by threads of its own. What a killed server left mounted
    /// there is unmounted first.
    ///
    /// # Errors
    /// See [`MountError`]; nothing is mounted then.
    pub fn start(path: &Path, volumes: Arc<dyn Volumes>, options: Options) -> Result<Self, MountError> {
        let (point, session) = Mountpoint::mount(path)?;
        let mut mount = Self { point, pool: None };
        mount.pool = Some(serve(session, volumes, options)?);
        mount.point.is_served();
        Ok(mount)
    }

    /// Unmounts, even when files are open, and waits until the requests in flight are answered. Files that are open
    /// give ENOTCONN from then on. Does nothing the second time.
    ///
    /// # Errors
    /// What unmounting gives: the directory still shows the devices then, and nobody serves it.
    pub fn stop(&mut self) -> Result<(), MountError> {
        let Some(pool) = self.pool.take() else { return Ok(()) };
        let unmounted = if self.point.unmount() { Ok(()) } else { self.point.detach() };
        // Unmounting ends the session only if no file is open and no other mount namespace has a copy of the mount.
        pool.end();
        pool.wait();
        unmounted
    }
}

/// The threads that serve a session. Where there are none the session has ended: to ask for the directory, as unmounting
/// does, would wait for an answer of its else.
fn serve(session: File, volumes: Arc<dyn Volumes>, options: Options) -> Result<Arc<Pool>, MountError> {
    session::begin(&session, options.passthrough)?;
    let passthrough = options.passthrough.then(|| Passthrough::new(&session)).transpose()?;
    let directory = Arc::new(Directory::new(volumes, passthrough));
    Pool::start(directory, session, options.threads).map_err(MountError::Thread)
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.pool.is_none() {
            // It never came to be served.
            let _ = self.point.detach();
        }
        let _ = self.stop();
    }
}
