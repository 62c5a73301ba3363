//! The directory that devices are shown in: checking it, mounting on it, unmounting.
//!
//! mount(2) where this process may, as root and in a user namespace of its own; else the setuid program that
//! FUSE has for it, `fusermount3`, which hands the session's descriptor back through a socket.

use super::MountError;
use super::pipe::longest_read;
use crate::dm::Errno;
use crate::sys::fuse;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{FUSE_SUPER_MAGIC, statfs};
use nix::unistd::{getegid, geteuid};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the kernel calls the file system; fusermount3 makes the same of `subtype=`.
const FILE_SYSTEM: &str = "fuse.rdmsetup";
const SOURCE: &str = "rdmsetup";
const HELPER: &str = "fusermount3";

/// A mounted directory.
#[derive(Debug)]
pub(super) struct Mountpoint {
    path: PathBuf,
    /// `st_dev` of what is mounted, so that nothing else is unmounted.
    device: Option<u64>,
    mounted: bool,
}

/// How much an unmounting may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    /// Nothing, when files are open.
    Refuse,
    /// Take the directory away now, and the rest when they are closed.
    Detach,
}

impl Mountpoint {
    /// Mounts on `path`; the session's descriptor, on which the kernel waits for an answer to its first request.
    ///
    /// # Errors
    /// A directory that is not an empty one of this user's; what mounting gives.
    pub(super) fn mount(path: &Path) -> Result<(Self, File), MountError> {
        let refused = |reason| MountError::Directory { path: path.to_owned(), reason };
        clear(path)?;
        let directory = open_own(path).map_err(refused)?;
        let full = path.canonicalize().map_err(|error| refused(error.to_string()))?;
        let session = match by_system_call(&directory) {
            Err(MountError::Refused { errno: Errno::EPERM | Errno::EACCES, .. }) => by_helper(&full)?,
            mounted => mounted?,
        };
        Ok((Self { path: full, device: None, mounted: true }, session))
    }

    /// The session is at work, so that the directory can be asked what it is.
    pub(super) fn is_served(&mut self) {
        self.device = fs::metadata(&self.path).ok().map(|found| found.dev());
    }

    /// Unmounts; `false` when files are open.
    pub(super) fn unmount(&mut self) -> bool {
        self.mounted = !self.is_gone() && unmount(&self.path, Busy::Refuse).is_err();
        !self.mounted
    }

    /// Takes the directory away though files in it are open.
    pub(super) fn detach(&mut self) -> Result<(), MountError> {
        if !self.is_gone() {
            unmount(&self.path, Busy::Detach)?;
        }
        self.mounted = false;
        Ok(())
    }

    /// Whether it is unmounted, or something else is there by now.
    fn is_gone(&self) -> bool {
        !self.mounted
            || match fs::metadata(&self.path) {
                Ok(found) => self.device.is_some_and(|device| device != found.dev()),
                Err(error) => Errno::from_io(&error) == Errno::ENOENT,
            }
    }
}

/// Unmounts what a killed server left.
fn clear(path: &Path) -> Result<(), MountError> {
    // More than one, should servers have been killed in a row; never without end.
    for _ in 0..16 {
        match fs::symlink_metadata(path) {
            Err(error) if Errno::from_io(&error) == Errno(nix::libc::ENOTCONN) => {
                unmount(path, Busy::Detach)?;
            }
            _ => break,
        }
    }
    Ok(())
}

/// The directory, opened; or why it is not to be used.
fn open_own(path: &Path) -> Result<File, String> {
    // No symbolic link: who can plant one decides what is hidden behind the mount.
    let flags = nix::libc::O_DIRECTORY | nix::libc::O_NOFOLLOW;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let directory = opened.map_err(|error| match Errno::from_io(&error) {
        Errno::ENOTDIR | Errno::ELOOP => "it is no directory, or a symbolic link to one".to_owned(),
        Errno::ENOENT => "it is not there: make it first".to_owned(),
        errno => errno.to_string(),
    })?;
    let found = directory.metadata().map_err(|error| error.to_string())?;
    let (owner, own) = (found.uid(), geteuid().as_raw());
    if owner != own {
        return Err(format!("it belongs to user {owner}, and this is user {own}"));
    }
    // Through the descriptor, so that it is the directory that was looked at.
    let link = link_to(&directory);
    let above = fs::metadata(link.join("..")).map_err(|error| error.to_string())?;
    if above.dev() != found.dev()
        && statfs(&link).is_ok_and(|kind| kind.filesystem_type() == FUSE_SUPER_MAGIC)
    {
        return Err(
            "something is mounted on it already, perhaps by another server: unmount that first".to_owned()
        );
    }
    let mut entries = fs::read_dir(&link).map_err(|error| error.to_string())?;
    if entries.next().is_some() {
        return Err("it is not empty".to_owned());
    }
    Ok(directory)
}

fn link_to(directory: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

fn by_system_call(directory: &File) -> Result<File, MountError> {
    let session = File::options().read(true).write(true).open("/dev/fuse").map_err(MountError::Device)?;
    let options = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions,max_read={}",
        session.as_raw_fd(),
        geteuid(),
        getegid(),
        longest_read()
    );
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(SOURCE), &link_to(directory), Some(FILE_SYSTEM), flags, Some(options.as_str()))
        .map_err(|errno| MountError::Refused { errno: Errno(errno as i32), said: String::new() })?;
    Ok(session)
}

/// What the helper could not do, and said of it.
fn helper_failed(error: &std::io::Error) -> MountError {
    MountError::Refused {
        errno: Errno::EPERM,
        said: format!(
            "and {HELPER}, which mounts for users, does not run: {error} (Debian: apt-get install fuse3)"
        ),
    }
}

fn by_helper(path: &Path) -> Result<File, MountError> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| helper_failed(&error))?;
    let max_read = longest_read();
    let options = format!(
        "fsname={SOURCE},subtype=rdmsetup,default_permissions,nosuid,nodev,noexec,max_read={max_read}"
    );
    let mut helper = Command::new(HELPER)
        .arg("-o")
        .arg(options)
        .arg("--")
        .arg(path)
        // The socket is its standard input: a descriptor that it inherits without more ado.
        .env("_FUSE_COMMFD", "0")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| helper_failed(&error))?;
    let session = fuse::receive(&ours);
    let mut said = String::new();
    if session.is_none()
        && let Some(stderr) = &mut helper.stderr
    {
        let _ = stderr.read_to_string(&mut said);
    }
    // It stays for as long as the socket is open where it is to unmount by itself, which it is not asked for.
    drop(ours);
    let _ = helper.wait();
    session.ok_or_else(|| MountError::Refused { errno: Errno::EPERM, said: said.trim().to_owned() })
}

fn unmount(path: &Path, busy: Busy) -> Result<(), MountError> {
    let flags = match busy {
        Busy::Refuse => MntFlags::UMOUNT_NOFOLLOW,
        Busy::Detach => MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH,
    };
    match umount2(path, flags) {
        Ok(()) => return Ok(()),
        Err(nix::Error::EPERM) => {}
        Err(errno) => return Err(MountError::Refused { errno: Errno(errno as i32), said: String::new() }),
    }
    let mut helper = Command::new(HELPER);
    helper.arg("-u").arg("-q");
    if busy == Busy::Detach {
        helper.arg("-z");
    }
    let ran =
        helper.arg("--").arg(path).stdin(Stdio::null()).output().map_err(|error| helper_failed(&error))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    Err(MountError::Refused { errno: Errno::EBUSY, said })
}
