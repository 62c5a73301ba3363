//! The device nodes of a kernel's devices, `/dev/mapper/NAME`, where no udevd makes them; and a device by its node.
//!
//! On NetBSD a device has two, as each disk there: the block device `NAME` and the character ("raw") device `rNAME`. On
//! DragonFly the kernel keeps them itself, and nothing is done here.
//!
//! dmsetup leaves nodes to udev even where none runs, and a container is left without any. Here nodes follow what
//! was done wherever udevd does not keep them ([`Keeper`]). The userspace mapper has no nodes. No symbolic link is
//! written through: `/dev/mapper` may hold anybody's.

mod node;

pub use node::{NodeError, NodeKind};

use super::udev::Keeper;
use crate::dm::{Command, DeviceNumber, Flags, Reply, Request, Text};
use crate::sys::devt;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Who owns a new node and who may use it: root and the group `disk`, as Debian's libdevmapper has it, or `operator`, as
/// NetBSD's has.
const OWNER: u32 = 0;
const GROUP: u32 = if cfg!(target_os = "netbsd") { 5 } else { 6 };
const MODE: u32 = if cfg!(target_os = "netbsd") { 0o640 } else { 0o660 };

/// The directory of nodes, and how new ones are made in it.
#[derive(Debug)]
pub struct Nodes {
    directory: PathBuf,
    custom: Custom,
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

/// Which nodes a system's devices have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custom {
    /// A block device (Linux).
    Block,
    /// A block device, and a character device of that major number with the same minor (NetBSD).
    BlockAndRaw(u32),
    /// Those that the kernel makes and removes (DragonFly).
    Kernels,
}

/// When a node is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddNode {
    /// When the device is created.
    OnCreate,
    /// When it is resumed: then it can be used.
    OnResume,
}

/// No device stands behind a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound(pub PathBuf);

impl Nodes {
    /// This system's nodes, below that directory of devices.
    pub fn new(dev_dir: &Path) -> Self {
        let directory = dev_dir.join("mapper");
        let custom = Custom::native(&directory.join("control"));
        Self { directory, custom, options: NodeOptions::default() }
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
            _ if self.custom == Custom::Kernels => return Ok(None),
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
            // A device in use stays until it is closed, and nobody would be there to take its node away then but udevd.
            (Command::DevRemove, _) if !(watched && reply.flags.contains(Flags::DEFERRED_REMOVE)) => {
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
                .is_some_and(|file| NodeKind::Block.is_of(&file))
    }

    /// Makes the node, and says where; one that is right already, or a link to one, stays.
    ///
    /// # Errors
    /// Something else has its name, or it cannot be made.
    pub fn add(&self, name: &Text, dev: DeviceNumber) -> Result<Option<PathBuf>, NodeError> {
        let mut made = None;
        for (kind, path) in self.paths(name) {
            let major = match self.custom {
                Custom::BlockAndRaw(major) if kind == NodeKind::Raw => major,
                Custom::BlockAndRaw(_) | Custom::Block | Custom::Kernels => dev.major,
            };
            let added = node::add(path, kind, DeviceNumber::new(major, dev.minor), &self.options)?;
            made = made.or(added);
        }
        Ok(made)
    }

    /// Removes the node, if it is there, and says where it was.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: &Text) -> Result<Option<PathBuf>, NodeError> {
        let mut removed = None;
        for (_, path) in self.paths(name) {
            let was_there = node::unlink(&path)?;
            removed = removed.or(was_there.then_some(path));
        }
        Ok(removed)
    }

    /// Gives the node its device's new name; a line for one that udevd should have renamed.
    fn rename(&self, old: &Text, new: &Text, watched: bool) -> Result<Option<String>, NodeError> {
        let mut told = None;
        for ((kind, old), (_, new)) in self.paths(old).into_iter().zip(self.paths(new)) {
            let line = node::rename(kind, &old, &new, watched)?;
            told = told.or(line);
        }
        Ok(told)
    }

    /// The names in the directory, `control` left out; none where nodes are not this program's.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<Text>, NodeError> {
        let entries =
            fs::read_dir(&self.directory).map_err(|error| node::failed("opendir", &self.directory, error))?;
        let files = entries.flatten().map(|entry| entry.file_name()).filter(|name| name != "control");
        let mut names: Vec<Text> = files.map(|file| self.device_of(&file)).collect();
        if matches!(self.custom, Custom::BlockAndRaw(_)) {
            names.sort_unstable();
            names.dedup();
        }
        Ok(names)
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
            return Ok(self.device_of(last));
        }
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let found = entries.map(|entry| entry.file_name()).find(|name| is_it(name));
        found.map(|name| self.device_of(&name)).ok_or_else(|| NotFound(last.into()))
    }

    /// Where the node of that name belongs; a name that is no file's name has none.
    fn path(&self, name: &Text) -> Option<PathBuf> {
        let is_file = !matches!(name.as_bytes(), b"" | b"." | b"..") && !name.contains(&b'/');
        is_file.then(|| self.directory.join(OsStr::from_bytes(name)))
    }

    /// Where the nodes of a device of that name belong, the one that people know first.
    fn paths(&self, name: &Text) -> Vec<(NodeKind, PathBuf)> {
        let block = self.path(name).map(|path| (NodeKind::Block, path));
        let raw = block.is_some().then(|| {
            let file = [b"r", name.as_bytes()].concat();
            (NodeKind::Raw, self.directory.join(OsStr::from_bytes(&file)))
        });
        match self.custom {
            Custom::Block => block.into_iter().collect(),
            Custom::BlockAndRaw(_) => block.into_iter().chain(raw).collect(),
            Custom::Kernels => Vec::new(),
        }
    }

    /// The device that a file of the directory is a node of. A raw one is known by what it is: a device may have a name
    /// that begins with an `r`.
    fn device_of(&self, file: &OsStr) -> Text {
        let is_raw = || {
            let there = fs::symlink_metadata(self.directory.join(file));
            matches!(self.custom, Custom::BlockAndRaw(_)) && there.is_ok_and(|it| NodeKind::Raw.is_of(&it))
        };
        match file.as_bytes().strip_prefix(b"r") {
            Some(name) if is_raw() => name.into(),
            _ => file.as_bytes().into(),
        }
    }
}

impl Custom {
    /// This system's; the raw devices have the major number of the control node.
    fn native(control: &Path) -> Self {
        let raw_major = || fs::metadata(control).ok().map(|control| devt::split(control.rdev()).0);
        if cfg!(target_os = "dragonfly") {
            Self::Kernels
        } else if cfg!(target_os = "netbsd") {
            raw_major().map_or(Self::Block, Self::BlockAndRaw)
        } else {
            Self::Block
        }
    }
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self { mode: MODE, uid: OWNER, gid: GROUP, when: AddNode::OnResume }
    }
}

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
    use std::io::{self, Write};
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
    fn a_raw_node_goes_beside_its_block_node() {
        let (_dev, mut nodes) = nodes();
        nodes.custom = Custom::BlockAndRaw(241);
        if !can_make(&nodes) {
            return;
        }
        let kind = |file: &str| {
            let there = fs::symlink_metadata(nodes.directory().join(file)).ok()?;
            let kind = [NodeKind::Block, NodeKind::Raw].into_iter().find(|kind| kind.is_of(&there))?;
            Some((kind, devt::split(there.rdev()), there.mode() & 0o7777))
        };
        let both = |name: &str| (kind(name), kind(&format!("r{name}")));
        let expected = (Some((NodeKind::Block, (240, 99), MODE)), Some((NodeKind::Raw, (241, 99), MODE)));
        assert_eq!(both("vol0"), expected);
        assert_eq!(nodes.names().unwrap(), [Text::from("vol0")], "one device");
        assert_eq!(nodes.name_behind(&nodes.directory().join("rvol0")).unwrap(), "vol0");
        // A device of that name would need the place of the other's raw node.
        assert!(matches!(nodes.add(&"rvol0".into(), DEV), Err(NodeError::Occupied(NodeKind::Block, _))));
        let follow = |name: &str, command: Command| {
            let request = Request::new(DeviceId::by_name(name), command);
            let reply = Reply { device: request.device.clone(), ..reply() };
            nodes.follow(&request, &reply, Keeper::Program).unwrap();
        };
        follow("vol0", Command::DevRename("root".into()));
        assert_eq!((both("vol0"), both("root")), ((None, None), expected));
        assert_eq!(nodes.names().unwrap(), [Text::from("root")], "its own r is no mark");
        fs::remove_file(nodes.directory().join("root")).unwrap();
        assert_eq!(nodes.names().unwrap(), [Text::from("root")], "known by the raw node alone");
        follow("root", Command::DevRemove);
        assert_eq!((both("root"), nodes.names().unwrap()), ((None, None), Vec::new()));
    }

    #[test]
    fn a_kernels_own_nodes_are_left_to_it() {
        let (_dev, mut nodes) = nodes();
        nodes.custom = Custom::Kernels;
        fs::write(nodes.directory().join("vol0"), "its own").unwrap();
        assert_eq!(nodes.add(&"vol0".into(), DEV).unwrap(), None);
        assert_eq!(nodes.remove(&"vol0".into()).unwrap(), None);
        let request = Request::new(DeviceId::by_name("vol0"), Command::DevRemove);
        assert_eq!(nodes.follow(&request, &reply(), Keeper::Program).unwrap(), None);
        assert_eq!(nodes.names().unwrap(), [Text::from("vol0")]);
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
        assert!(matches!(nodes.add(&"file".into(), DEV), Err(NodeError::Occupied(NodeKind::Block, _))));
        symlink(&file, nodes.directory().join("link")).unwrap();
        assert!(matches!(nodes.add(&"link".into(), DEV), Err(NodeError::Occupied(NodeKind::Block, _))));
        assert!(matches!(
            nodes.rename(&"link".into(), &"file".into(), false),
            Err(NodeError::Occupied(NodeKind::Block, _))
        ));
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
