//! One device node: making it, giving it another name, removing it.

use super::NodeOptions;
use crate::dm::DeviceNumber;
use crate::sys::devt;
use nix::sys::stat::{Mode, SFlag, mknod, umask};
use std::fmt;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A block device.
    Block,
    /// A character device.
    Raw,
}

/// A node, or the directory of nodes, that does not follow its device.
#[derive(Debug)]
pub enum NodeError {
    /// Something that is no device of that kind stands where the node belongs.
    Occupied(NodeKind, PathBuf),
    /// A system call failed: which, on what, why.
    System(&'static str, PathBuf, io::Error),
}

impl NodeKind {
    /// Whether a file is one.
    pub(super) fn is_of(self, file: &Metadata) -> bool {
        match self {
            Self::Block => file.file_type().is_block_device(),
            Self::Raw => file.file_type().is_char_device(),
        }
    }
}

/// Makes a node, and says where; one that is right already, or a link to one, stays.
///
/// # Errors
/// Something else has its name, or it cannot be made.
pub(super) fn add(
    path: PathBuf,
    kind: NodeKind,
    dev: DeviceNumber,
    options: &NodeOptions,
) -> Result<Option<PathBuf>, NodeError> {
    if let Ok(there) = fs::symlink_metadata(&path) {
        let behind = if there.is_symlink() { fs::metadata(&path).ok() } else { Some(there) };
        match behind {
            Some(behind) if !kind.is_of(&behind) => return Err(NodeError::Occupied(kind, path)),
            Some(behind) if devt::split(behind.rdev()) == (dev.major, dev.minor) => return Ok(None),
            Some(_) | None => {
                unlink(&path)?;
            }
        }
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(|error| failed("mkdir", directory, error))?;
    }
    let NodeOptions { mode, uid, gid, .. } = *options;
    make(&path, kind, dev, mode).map_err(|errno| failed("mknod", &path, errno.into()))?;
    lchown(&path, Some(uid), Some(gid)).map_err(|error| failed("chown", &path, error))?;
    Ok(Some(path))
}

/// Gives one node another name.
pub(super) fn rename(
    kind: NodeKind,
    old: &Path,
    new: &Path,
    watched: bool,
) -> Result<Option<String>, NodeError> {
    if let Ok(there) = fs::symlink_metadata(new)
        && !there.is_symlink()
        && !fs::metadata(new).is_ok_and(|file| kind.is_of(&file))
    {
        return Err(NodeError::Occupied(kind, new.to_path_buf()));
    }
    let undone = |what: &str| {
        let (old, new) = (old.display(), new.display());
        format!("The node {old} should have been renamed to {new} by udev but {what}.")
    };
    if watched && fs::metadata(new).is_ok() {
        let still = "old node is still present. Falling back to direct old node removal";
        return Ok(unlink(old)?.then(|| undone(still)));
    }
    match fs::rename(old, new) {
        Ok(()) => Ok(Some(undone("new node is not present. Falling back to direct node rename"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("rename", old, error)),
    }
}

/// Makes a device node of exactly that mode.
#[allow(clippy::useless_conversion, reason = "mode_t has 16 bits on some systems")]
fn make(path: &Path, kind: NodeKind, dev: DeviceNumber, mode: u32) -> nix::Result<()> {
    // The mask is the whole process's: no two threads may set it and set it back at once.
    static MASK: Mutex<()> = Mutex::new(());
    let _turn = MASK.lock().unwrap_or_else(PoisonError::into_inner);
    let old_mask = umask(Mode::empty());
    let kind = match kind {
        NodeKind::Block => SFlag::S_IFBLK,
        NodeKind::Raw => SFlag::S_IFCHR,
    };
    let mode = Mode::from_bits_truncate(mode.try_into().unwrap_or_default());
    let made = mknod(path, kind, mode, devt::make(dev.major, dev.minor));
    umask(old_mask);
    made
}

/// Removes a name; whether it was there.
pub(super) fn unlink(path: &Path) -> Result<bool, NodeError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("unlink", path, error)),
    }
}

pub(super) fn failed(call: &'static str, path: &Path, error: io::Error) -> NodeError {
    NodeError::System(call, path.to_path_buf(), error)
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied(kind, path) => {
                let kind = match kind {
                    NodeKind::Block => "block",
                    NodeKind::Raw => "raw",
                };
                write!(f, "A non-{kind} device file at '{}' is already present", path.display())
            }
            Self::System(call, path, error) => {
                write!(f, "{}: {call} failed: {}", path.display(), crate::dm::Errno::from_io(error))
            }
        }
    }
}

impl std::error::Error for NodeError {}
