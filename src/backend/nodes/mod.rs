//! The device nodes of a kernel's devices, `/dev/mapper/NAME`, where no udevd makes them; and a device by its node.
//!
//! dmsetup leaves nodes to udev even where none runs, and a container is left without any. Here nodes follow what
//! was done wherever udevd does not keep them ([`Keeper`]). The userspace mapper has no nodes. No symbolic link is
//! written through: `/dev/mapper` may hold anybody's.

use super::udev::Keeper;
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
const MODE: u32 = 0o660;

/// The directory of nodes, and how new ones are made in it.
#[derive(Debug)]
pub struct Nodes {
    directory: PathBuf,
    /// For the nodes of the devices that are made.
    pub options: NodeOptions,
}

/// How a node is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it is made.
    pub when: AddNode,
}

/// When a node is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddNode {
    /// When the device is created.
    OnCreate,
    /// When it is resumed: then it can be used.
    OnResume,
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
    /// The nodes below that directory of devices.
    pub fn new(dev_dir: &Path) -> Self {
        Self { directory: dev_dir.join("mapper"), options: NodeOptions::default() }
    }

    /// Where the nodes are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Lets the nodes follow what was done: made at resume, renamed, removed. Where udevd keeps them but is watched, a
    /// line says what it left undone and was done here.
    ///
    /// # Errors
    /// The node does not follow; the device is as it was asked for.
    pub fn follow(
        &self,
        request: &Request,
        reply: &Reply,
        keeper: Keeper,
    ) -> Result<Option<String>, NodeError> {
        let watched = match keeper {
            Keeper::Nobody => return Ok(None),
            Keeper::Udevd if !self.is_left_over(request) => return Ok(None),
            Keeper::Watched => true,
            Keeper::Udevd | Keeper::Program => false,
        };
        let told = if reply.device.name.is_empty() { &request.device.name } else { &reply.device.name };
        let resumes = !request.flags.contains(Flags::SUSPEND);
        match (&request.command, reply.device.dev) {
            (Command::DevCreate, Some(dev)) if self.options.when == AddNode::OnCreate && !watched => {
                self.add(told, dev).map(|_| None)
            }
            (Command::DevSuspend, Some(dev)) if resumes && self.options.when == AddNode::OnResume => {
                let made = self.add(told, dev)?.filter(|_| watched);
                Ok(made.map(|path| {
                    format!("{} not set up by udev: Falling back to direct node creation.", path.display())
                }))
            }
            // A device in use stays until it is closed, and so does its node.
            (Command::DevRemove, _) if !reply.flags.contains(Flags::DEFERRED_REMOVE) => {
                let removed = self.remove(told)?.filter(|_| watched);
                Ok(removed.map(|path| {
                    let path = path.display();
                    format!("Node {path} was not removed by udev. Falling back to direct node removal.")
                }))
            }
            (Command::DevRename(name), _) if !request.flags.contains(Flags::UUID) => {
                Ok(self.rename(&request.device.name, name, watched)?.filter(|_| watched))
            }
            _ => Ok(None),
        }
    }

    /// Whether a device that goes or is renamed has a node of its own where udevd keeps links: made by a command that
    /// kept udevd from it, and udevd will not touch it.
    fn is_left_over(&self, request: &Request) -> bool {
        matches!(request.command, Command::DevRemove | Command::DevRename(_))
            && self
                .path(&request.device.name)
                .and_then(|path| fs::symlink_metadata(path).ok())
                .is_some_and(|file| file.file_type().is_block_device())
    }

    /// Makes the node, and says where; one that is right already, or a link to one, stays.
    ///
    /// # Errors
    /// Something else has its name, or it cannot be made.
    pub fn add(&self, name: &Text, dev: DeviceNumber) -> Result<Option<PathBuf>, NodeError> {
        let Some(path) = self.path(name) else { return Ok(None) };
        let number = makedev(u64::from(dev.major), u64::from(dev.minor));
        if let Ok(there) = fs::symlink_metadata(&path) {
            let behind = if there.is_symlink() { fs::metadata(&path).ok() } else { Some(there) };
            match behind {
                Some(behind) if !behind.file_type().is_block_device() => {
                    return Err(NodeError::Occupied(path));
                }
                Some(behind) if behind.rdev() == number => return Ok(None),
                Some(_) | None => {
                    unlink(&path)?;
                }
            }
        }
        fs::create_dir_all(&self.directory).map_err(|error| failed("mkdir", &self.directory, error))?;
        let NodeOptions { mode, uid, gid, .. } = self.options;
        make_node(&path, number, mode).map_err(|errno| failed("mknod", &path, errno.into()))?;
        lchown(&path, Some(uid), Some(gid)).map_err(|error| failed("chown", &path, error))?;
        Ok(Some(path))
    }

    /// Removes the node, if it is there, and says where it was.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &Text) -> Result<Option<PathBuf>, NodeError> {
        let Some(path) = self.path(name) else { return Ok(None) };
        Ok(unlink(&path)?.then_some(path))
    }

    /// Gives the node its device's new name; a line for one that udevd should have renamed.
    fn rename(&self, old: &Text, new: &Text, watched: bool) -> Result<Option<String>, NodeError> {
        let (Some(old), Some(new)) = (self.path(old), self.path(new)) else { return Ok(None) };
        if let Ok(there) = fs::symlink_metadata(&new) {
            let is_block = |file: &Metadata| file.file_type().is_block_device();
            if !fs::metadata(&new).as_ref().is_ok_and(is_block) && !there.is_symlink() {
                return Err(NodeError::Occupied(new));
            }
        }
        let undone = |what: &str| {
            let (old, new) = (old.display(), new.display());
            format!("The node {old} should have been renamed to {new} by udev but {what}.")
        };
        if watched && fs::metadata(&new).is_ok() {
            let still = "old node is still present. Falling back to direct old node removal";
            return Ok(unlink(&old)?.then(|| undone(still)));
        }
        match fs::rename(&old, &new) {
            Ok(()) => Ok(Some(undone("new node is not present. Falling back to direct node rename"))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("rename", &old, error)),
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

impl Default for NodeOptions {
    fn default() -> Self {
        Self { mode: MODE, uid: OWNER, gid: GROUP, when: AddNode::OnResume }
    }
}

/// Makes a block device node of exactly that mode.
fn make_node(path: &Path, number: u64, mode: u32) -> nix::Result<()> {
    // The mask is the whole process's: no two threads may set it and set it back at once.
    static MASK: Mutex<()> = Mutex::new(());
    let _turn = MASK.lock().unwrap_or_else(PoisonError::into_inner);
    let old_mask = umask(Mode::empty());
    let made = mknod(path, SFlag::S_IFBLK, Mode::from_bits_truncate(mode), number);
    umask(old_mask);
    made
}

/// Removes a name; whether it was there.
fn unlink(path: &Path) -> Result<bool, NodeError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("unlink", path, error)),
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
        let nodes = Nodes::new(dev.path());
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
        assert_eq!((node.mode() & 0o7777, node.uid(), node.gid()), (MODE, OWNER, GROUP));
        assert_eq!(nodes.name_behind(&nodes.directory().join("vol0")).unwrap(), "vol0");
        let follow = |command: Command| {
            let request = Request::new(DeviceId::by_name("vol0"), command);
            assert_eq!(nodes.follow(&request, &reply(), Keeper::Nobody).unwrap(), None);
            assert_eq!(nodes.follow(&request, &reply(), Keeper::Program).unwrap(), None);
        };
        follow(Command::DevRename("vol1".into()));
        assert_eq!(nodes.names().unwrap(), [Text::from("vol1")]);
        follow(Command::DevSuspend);
        assert_eq!(nodes.names().unwrap().len(), 2);
        follow(Command::DevRemove);
        assert_eq!(nodes.names().unwrap(), [Text::from("vol1")]);
    }

    #[test]
    fn udevd_is_left_its_links_but_no_node_of_ours() {
        let (_dev, nodes) = nodes();
        if !can_make(&nodes) {
            return;
        }
        let follow = |name: &str, command: Command| {
            let request = Request::new(DeviceId::by_name(name), command);
            let reply = Reply { device: request.device.clone(), ..reply() };
            nodes.follow(&request, &reply, Keeper::Udevd).unwrap();
        };
        symlink("vol0", nodes.directory().join("link")).unwrap();
        follow("link", Command::DevRename("other".into()));
        follow("link", Command::DevRemove);
        follow("new", Command::DevSuspend);
        assert_eq!(nodes.names().unwrap().len(), 2);
        follow("vol0", Command::DevRename("vol1".into()));
        assert!(nodes.names().unwrap().contains(&"vol1".into()));
        follow("vol1", Command::DevRemove);
        assert_eq!(nodes.names().unwrap(), [Text::from("link")]);
    }

    #[test]
    fn what_udevd_left_undone_is_done_and_told() {
        let (_dev, mut nodes) = nodes();
        nodes.options = NodeOptions { mode: 0o640, uid: OWNER, gid: 0, when: AddNode::OnResume };
        if !can_make(&nodes) {
            return;
        }
        let node = fs::symlink_metadata(nodes.directory().join("vol0")).unwrap();
        assert_eq!((node.mode() & 0o7777, node.gid()), (0o640, 0));
        let told = |command: Command| {
            let request = Request::new(DeviceId::by_name("vol0"), command);
            nodes.follow(&request, &reply(), Keeper::Watched).unwrap().unwrap_or_default()
        };
        assert_eq!(told(Command::DevSuspend), "", "the node is there");
        assert!(told(Command::DevRename("vol1".into())).contains("should have been renamed"));
        assert_eq!(told(Command::DevRename("vol1".into())), "");
        assert!(told(Command::DevSuspend).contains("not set up by udev"));
        assert!(told(Command::DevRemove).contains("not removed by udev"));
        assert_eq!(told(Command::DevRemove), "");
        assert_eq!(told(Command::DevCreate), "");
    }

    #[test]
    fn what_is_no_node_is_left_alone() {
        let (_dev, nodes) = nodes();
        let file = nodes.directory().join("file");
        fs::write(&file, "mine").unwrap();
        assert!(matches!(nodes.add(&"file".into(), DEV), Err(NodeError::Occupied(_))));
        symlink(&file, nodes.directory().join("link")).unwrap();
        assert!(matches!(nodes.add(&"link".into(), DEV), Err(NodeError::Occupied(_))));
        assert!(matches!(nodes.rename(&"link".into(), &"file".into(), false), Err(NodeError::Occupied(_))));
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
