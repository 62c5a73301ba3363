//! The device nodes of a kernel's devices, `/dev/mapper/NAME`, where no udevd makes them; and a device by its node.
//!
//! dmsetup leaves nodes to udev even where none runs, and a container is left without any. Here nodes follow what
//! was done when udevd does not run, when `DM_DISABLE_UDEV` says so, or when `DM_DEV_DIR` is not udev's directory.
//! The userspace mapper has no nodes. No symbolic link is written through: `/dev/mapper` may hold anybody's.

use crate::dm::{Command, DeviceNumber, Flags, Reply, Request, Text};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Who owns a new node and who may use it: root and the group `disk`, as Debian's libdevmapper has it.
const OWNER: u32 = 0;
const GROUP: u32 = 6;
const MODE: Mode = Mode::from_bits_truncate(0o660);

/// Flags for udev's rules, which stand above the cookie in a request's event number (`DM_UDEV_…_FLAG`).
const DISABLE_DM_RULES: u32 = 1 << 16;
const PRIMARY_SOURCE: u32 = 1 << 22;

/// The directory of nodes, and whether this program keeps it.
#[derive(Debug)]
pub struct Nodes {
    directory: PathBuf,
    /// `DM_DISABLE_UDEV` is set.
    udev_disabled: bool,
    /// Nodes are made and removed here.
    kept: bool,
}

/// A node, or the directory of nodes, that does not follow its device.
#[derive(Debug)]
pub enum NodeError {
    /// Something that is no block device stands where the node belongs.
    Occupied(PathBuf),
    /// A system call failed: which, on what, why.
    System(&'static str, PathBuf, io::Error),
}

/// No device stands behind a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound(pub PathBuf);

impl Nodes {
    /// The nodes below that directory of devices; a mapper in userspace has none.
    pub fn new(dev_dir: &Path, udev_disabled: bool, is_mapper: bool) -> Self {
        let udev_runs = || Path::new("/run/udev/control").exists();
        let kept = !is_mapper && (udev_disabled || dev_dir != Path::new("/dev") || !udev_runs());
        Self { directory: dev_dir.join("mapper"), udev_disabled, kept }
    }

    /// Where the nodes are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What a request that makes a uevent says to udev's rules: that it is the first to say so, and with udev disabled
    /// that they are to make no nodes.
    pub fn udev_flags(&self) -> u32 {
        if self.udev_disabled { PRIMARY_SOURCE | DISABLE_DM_RULES } else { PRIMARY_SOURCE }
    }

    /// Lets the nodes follow what was done: made at resume, renamed, removed.
    ///
    /// # Errors
    /// The node does not follow; the device is as it was asked for.
    pub fn follow(&self, request: &Request, reply: &Reply) -> Result<(), NodeError> {
        if !self.kept {
            return Ok(());
        }
        let told = if reply.device.name.is_empty() { &request.device.name } else { &reply.device.name };
        match (&request.command, reply.device.dev) {
            (Command::DevSuspend, Some(dev)) if !request.flags.contains(Flags::SUSPEND) => {
                self.add(told, dev)
            }
            // A device in use stays until it is closed, and so does its node.
            (Command::DevRemove, _) if !reply.flags.contains(Flags::DEFERRED_REMOVE) => self.remove(told),
            (Command::DevRename(name), _) if !request.flags.contains(Flags::UUID) => {
                self.rename(&request.device.name, name)
            }
            _ => Ok(()),
        }
    }

    /// Makes the node; one that is right already, or a link to one, stays.
    ///
    /// # Errors
    /// Something else has its name, or it cannot be made.
    pub fn add(&self, name: &Text, dev: DeviceNumber) -> Result<(), NodeError> {
        let Some(path) = self.path(name) else { return Ok(()) };
        let number = makedev(u64::from(dev.major), u64::from(dev.minor));
        if let Ok(there) = fs::symlink_metadata(&path) {
            let behind = if there.is_symlink() { fs::metadata(&path).ok() } else { Some(there) };
            match behind {
                Some(behind) if !behind.file_type().is_block_device() => {
                    return Err(NodeError::Occupied(path));
                }
                Some(behind) if behind.rdev() == number => return Ok(()),
                Some(_) | None => unlink(&path)?,
            }
        }
        fs::create_dir_all(&self.directory).map_err(|error| failed("mkdir", &self.directory, error))?;
        make_node(&path, number).map_err(|errno| failed("mknod", &path, errno.into()))?;
        lchown(&path, Some(OWNER), Some(GROUP)).map_err(|error| failed("chown", &path, error))
    }

    /// Removes the node, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &Text) -> Result<(), NodeError> {
        self.path(name).map_or(Ok(()), |path| unlink(&path))
    }

    /// Gives the node its device's new name.
    fn rename(&self, old: &Text, new: &Text) -> Result<(), NodeError> {
        let (Some(old), Some(new)) = (self.path(old), self.path(new)) else { return Ok(()) };
        if let Ok(there) = fs::symlink_metadata(&new) {
            let is_block = |file: &Metadata| file.file_type().is_block_device();
            if !fs::metadata(&new).as_ref().is_ok_and(is_block) && !there.is_symlink() {
                return Err(NodeError::Occupied(new));
            }
        }
        match fs::rename(&old, &new) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("rename", &old, error)),
            _ => Ok(()),
        }
    }

    /// The names in the directory, `control` left out; none where nodes are not this program's.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<Text>, NodeError> {
        let entries =
            fs::read_dir(&self.directory).map_err(|error| failed("opendir", &self.directory, error))?;
        let names = entries.flatten().map(|entry| entry.file_name());
        Ok(names.filter(|name| name != "control").map(|name| Text::from(name.as_bytes())).collect())
    }

    /// The name of the device that a path leads to: the path's own last part if that is right, else the node in the
    /// directory that has the same number. `VG/LV` is looked for in the directory above, too.
    ///
    /// # Errors
    /// No node of the directory is that device.
    pub fn name_behind(&self, path: &Path) -> Result<Text, NotFound> {
        let missing = || NotFound(path.to_path_buf());
        let last = path.file_name().unwrap_or(OsStr::new(""));
        let number = match fs::metadata(path) {
            Ok(file) => file.rdev(),
            Err(_) if path.is_relative() && path.components().count() == 2 => {
                fs::metadata(self.directory.join("..").join(path)).map_err(|_| missing())?.rdev()
            }
            Err(_) => return Err(missing()),
        };
        let is_it =
            |name: &OsStr| fs::metadata(self.directory.join(name)).is_ok_and(|file| file.rdev() == number);
        if is_it(last) {
            return Ok(last.as_bytes().into());
        }
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let found = entries.map(|entry| entry.file_name()).find(|name| is_it(name));
        found.map(|name| name.as_bytes().into()).ok_or_else(|| NotFound(last.into()))
    }

    /// Where the node of that name belongs; a name that is no file's name has none.
    fn path(&self, name: &Text) -> Option<PathBuf> {
        let is_file = !matches!(name.as_bytes(), b"" | b"." | b"..") && !name.contains(&b'/');
        is_file.then(|| self.directory.join(OsStr::from_bytes(name)))
    }
}

/// Makes a block device node of exactly [`MODE`].
fn make_node(path: &Path, number: u64) -> nix::Result<()> {
    // The mask is the whole process's: no two threads may set it and set it back at once.
    static MASK: Mutex<()> = Mutex::new(());
    let _turn = MASK.lock().unwrap_or_else(PoisonError::into_inner);
    let old_mask = umask(Mode::empty());
    let made = mknod(path, SFlag::S_IFBLK, MODE, number);
    umask(old_mask);
    made
}

fn unlink(path: &Path) -> Result<(), NodeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("unlink", path, error)),
        _ => Ok(()),
    }
}

fn failed(call: &'static str, path: &Path, error: io::Error) -> NodeError {
    NodeError::System(call, path.to_path_buf(), error)
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Occupied(path) => {
                write!(f, "A non-block device file at '{}' is already present", path.display())
            }
            Self::System(call, path, error) => {
                write!(f, "{}: {call} failed: {}", path.display(), crate::dm::Errno::from_io(error))
            }
        }
    }
}

impl std::error::Error for NodeError {}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device {} not found", self.0.display())
    }
}

impl std::error::Error for NotFound {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{DeviceId, ReplyBody, Version};
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const DEV: DeviceNumber = DeviceNumber { major: 240, minor: 99 };

    fn nodes() -> (TempDir, Nodes) {
        let dev = tempfile::tempdir().unwrap();
        let nodes = Nodes::new(dev.path(), true, false);
        fs::create_dir(nodes.directory()).unwrap();
        (dev, nodes)
    }

    /// Whether nodes can be made here at all; a test that needs one says when it cannot run.
    fn can_make(nodes: &Nodes) -> bool {
        let made = nodes.add(&"vol0".into(), DEV);
        if let Err(error) = &made {
            assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {error}");
            let _ = writeln!(io::stderr(), "SKIPPED: a node cannot be made here: {error}");
        }
        made.is_ok()
    }

    fn reply() -> Reply {
        let device = DeviceId { name: "vol0".into(), uuid: Text::new(), dev: Some(DEV) };
        Reply {
            version: Version::default(),
            device,
            flags: Flags::NONE,
            open_count: 0,
            event_nr: 0,
            target_count: 0,
            body: ReplyBody::None,
        }
    }

    #[test]
    fn nodes_follow_their_devices() {
        let (_dev, nodes) = nodes();
        if !can_make(&nodes) {
            return;
        }
        let node = fs::symlink_metadata(nodes.directory().join("vol0")).unwrap();
        assert_eq!((node.mode() & 0o7777, node.uid(), node.gid()), (0o660, OWNER, GROUP));
        assert_eq!(nodes.name_behind(&nodes.directory().join("vol0")).unwrap(), "vol0");
        let follow = |command: Command| {
            nodes.follow(&Request::new(DeviceId::by_name("vol0"), command), &reply()).unwrap();
        };
        follow(Command::DevRename("vol1".into()));
        assert_eq!(nodes.names().unwrap(), [Text::from("vol1")]);
        follow(Command::DevSuspend);
        assert_eq!(nodes.names().unwrap().len(), 2);
        follow(Command::DevRemove);
        assert_eq!(nodes.names().unwrap(), [Text::from("vol1")]);
    }

    #[test]
    fn what_is_no_node_is_left_alone() {
        let (_dev, nodes) = nodes();
        let file = nodes.directory().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(matches!(nodes.add(&"file".into(), DEV), Err(NodeError::Occupied(_))));
        symlink(&file, nodes.directory().join("link")).unwrap();
        assert!(matches!(nodes.add(&"link".into(), DEV), Err(NodeError::Occupied(_))));
        assert!(matches!(nodes.rename(&"link".into(), &"file".into()), Err(NodeError::Occupied(_))));
        nodes.add(&"..".into(), DEV).unwrap();
        nodes.remove(&"../file".into()).unwrap();
        nodes.remove(&"nosuch".into()).unwrap();
        nodes.remove(&"link".into()).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert!(nodes.name_behind(Path::new("/nosuch")).is_err());
    }

    #[test]
    fn a_link_to_nowhere_makes_way() {
        let (_dev, nodes) = nodes();
        symlink("nowhere", nodes.directory().join("vol0")).unwrap();
        if can_make(&nodes) {
            assert!(!fs::symlink_metadata(nodes.directory().join("vol0")).unwrap().is_symlink());
        }
        assert!(!nodes.directory().join("nowhere").exists());
    }
}
