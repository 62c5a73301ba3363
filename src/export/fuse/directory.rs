//! The directory: names, what stat tells, and who may change what. Nothing is made or removed through it.

use super::opens::{Open, OpenDevice, Opens};
use super::passthrough::Passthrough;
use super::protocol::{Attributes, Body, Fields, GETATTR_HANDLE, Header, ROOT, changed, open_flag};
use crate::block::{Peer, User, Via, VolumeInfo, Volumes};
use crate::dm::{Errno, Text};
use nix::libc::{DT_DIR, DT_REG, O_ACCMODE, O_RDONLY, S_IFDIR, S_IFREG};
use nix::unistd::{getegid, geteuid};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// `d_off` of the first device: behind `.` and `..`.
const FIRST: u64 = 2;
/// Bytes of `struct fuse_dirent` before the name, and what its end is rounded up to.
const ENTRY: usize = 24;
const ENTRY_ALIGN: usize = 8;
/// The longest name, as statfs tells it.
const NAME_MAX: u32 = 255;
const BLOCK: u64 = 4096;

/// The devices, as the directory shows them.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) volumes: Arc<dyn Volumes>,
    pub(super) opens: Opens,
    uid: u32,
    gid: u32,
    /// `None` where nothing is passed through.
    passthrough: Option<Arc<Passthrough>>,
    /// When it was mounted, in seconds since 1970: the time of everything.
    time: u64,
}

/// The node number of a device: 1 is the directory's.
fn node(identity: u64) -> u64 {
    identity.saturating_add(ROOT)
}

impl Directory {
    pub(super) fn new(volumes: Arc<dyn Volumes>, passthrough: Option<Arc<Passthrough>>) -> Self {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self { volumes, opens: Opens::default(), uid, gid, passthrough, time }
    }

    fn root(&self) -> Attributes {
        let mode = S_IFDIR | 0o500;
        Attributes { node: ROOT, size: 0, mode, links: 2, uid: self.uid, gid: self.gid, time: self.time }
    }

    fn file(&self, identity: u64, size: u64, read_only: bool, links: u32) -> Attributes {
        let mode = S_IFREG | if read_only { 0o400 } else { 0o600 };
        let (uid, gid, time) = (self.uid, self.gid, self.time);
        Attributes { node: node(identity), size, mode, links, uid, gid, time }
    }

    fn of(&self, info: &VolumeInfo) -> Attributes {
        self.file(info.identity, info.size.0, info.read_only, 1)
    }

    /// What stat tells of a node. A device that was removed is told of to those who still have it open.
    fn attributes(&self, of: u64, handle: Option<u64>) -> Result<Attributes, Errno> {
        if of == ROOT {
            return Ok(self.root());
        }
        let identity = of - ROOT;
        if let Some(info) = self.volumes.by_identity(identity) {
            return Ok(self.of(&info));
        }
        match self.opens.get(handle.ok_or(Errno::ENOENT)?)?.as_ref() {
            Open::Device(OpenDevice { device, .. }) => {
                Ok(self.file(identity, device.size().0, device.is_read_only(), 0))
            }
            Open::Directory(_) => Err(Errno::ENOENT),
        }
    }

    /// `FUSE_LOOKUP`. Times of 0, so that the kernel asks each time: a device may be gone, or be another one, at once.
    pub(super) fn lookup(&self, header: &Header, fields: Fields<'_>) -> Result<Body, Errno> {
        let name = fields.name()?;
        let found = (header.node == ROOT).then(|| self.volumes.find(&Text::from(name))).flatten();
        let attributes = self.of(&found.ok_or(Errno::ENOENT)?);
        // Node, generation, how long the name and the attributes hold.
        Ok(attributes.put(Body::new().u64(attributes.node).zeros(8 + 8 + 8 + 4 + 4)))
    }

    fn told(attributes: Attributes) -> Body {
        attributes.put(Body::new().zeros(8 + 4 + 4))
    }

    /// `struct fuse_getattr_in`.
    pub(super) fn getattr(&self, header: &Header, mut fields: Fields<'_>) -> Result<Body, Errno> {
        let (flags, _, handle) = (fields.u32()?, fields.u32()?, fields.u64()?);
        let handle = (flags & GETATTR_HANDLE != 0).then_some(handle);
        self.attributes(header.node, handle).map(Self::told)
    }

    /// `struct fuse_setattr_in`. A device is not cut or grown through a file, as a disk is not: `O_TRUNC`, which is a size
    /// of 0 without a handle, does nothing, and ftruncate(2) to another size fails. Times are not kept.
    ///
    /// # Errors
    /// EINVAL for another size, EPERM for another owner or other permissions.
    pub(super) fn setattr(&self, header: &Header, mut fields: Fields<'_>) -> Result<Body, Errno> {
        let (valid, _, handle, size) = (fields.u32()?, fields.u32()?, fields.u64()?, fields.u64()?);
        let rest = fields.skip(8 + 3 * 8 + 3 * 4)?;
        let [mode, _, uid, gid] = {
            let mut rest = rest;
            [rest.u32()?, rest.u32()?, rest.u32()?, rest.u32()?]
        };
        let by_handle = valid & changed::HANDLE != 0;
        let now = self.attributes(header.node, by_handle.then_some(handle))?;
        let asks = |what: u32| valid & what != 0;
        let is_truncation = size == 0 && !by_handle;
        if asks(changed::SIZE) && size != now.size && !is_truncation {
            return Err(Errno::EINVAL);
        }
        let other = asks(changed::MODE) && mode & 0o7777 != now.mode & 0o7777
            || asks(changed::UID) && uid != now.uid
            || asks(changed::GID) && gid != now.gid;
        if other { Err(Errno::EPERM) } else { Ok(Self::told(now)) }
    }

    /// `FUSE_OPEN` of a device, which is in use from now on.
    pub(super) fn open(&self, header: &Header, mut fields: Fields<'_>) -> Result<Body, Errno> {
        let flags = i32::from_ne_bytes(fields.u32()?.to_ne_bytes());
        let writable = flags & O_ACCMODE != O_RDONLY;
        let identity = header.node.checked_sub(ROOT).filter(|&identity| identity > 0).ok_or(Errno::ENOENT)?;
        let pid = (header.pid > 0).then_some(header.pid);
        let user = User { via: Via::Fuse, peer: Peer::Process { pid, uid: header.uid } };
        let device = self.volumes.open(identity, writable, user).map_err(|fault| fault.errno)?;
        let opened =
            self.passthrough.as_ref().map(|passthrough| passthrough.open(header.node, device.as_ref()));
        let backing = opened.as_ref().and_then(|opened| opened.backing);
        let open = OpenDevice { device, _opened: opened };
        let handle = self.opens.add(Open::Device(open));
        let mut flags = open_flag::NOFLUSH;
        if backing.is_some() {
            flags |= open_flag::PASSTHROUGH;
        }
        if backing.is_none() || writable {
            // Not through the kernel's cache: it is slower, and would hold what another table has shown.
            flags |= open_flag::DIRECT_IO | open_flag::PARALLEL_DIRECT_WRITES;
        }
        Ok(Body::new().u64(handle).u32(flags).i32(backing.unwrap_or(0)))
    }

    /// Whether the handle that a structure begins with is of a device that holds its I/O now.
    pub(super) fn is_held(&self, mut fields: Fields<'_>) -> bool {
        let open = fields.u64().and_then(|handle| self.opens.get(handle));
        open.is_ok_and(|open| matches!(open.as_ref(), Open::Device(open) if open.device.is_held()))
    }

    /// `FUSE_OPENDIR`.
    pub(super) fn opendir(&self) -> Body {
        let handle = self.opens.add(Open::Directory(Mutex::default()));
        Body::new().u64(handle).u32(0).u32(0)
    }

    /// `FUSE_READDIR`: fills `room` with entries from the one at `offset` on; how many bytes that took.
    pub(super) fn readdir(&self, handle: u64, offset: u64, room: &mut [u8]) -> Result<usize, Errno> {
        let open = self.opens.get(handle)?;
        let Open::Directory(listed) = open.as_ref() else { return Err(Errno::ENOTDIR) };
        let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
        if offset == 0 {
            *listed = self.volumes.list();
            // The kernel takes these for the directory itself, whatever a device is called.
            listed.retain(|info| !matches!(info.name.as_bytes(), b"." | b".." | b""));
        }
        let dots = [(ROOT, DT_DIR, &b"."[..]), (ROOT, DT_DIR, b"..")];
        let devices = listed.iter().map(|info| (node(info.identity), DT_REG, info.name.as_bytes()));
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        debug_assert_eq!(dots.len() as u64, FIRST);
        let mut used = 0;
        for (index, (node, kind, name)) in dots.into_iter().chain(devices).enumerate().skip(skip) {
            let length = (ENTRY + name.len()).next_multiple_of(ENTRY_ALIGN);
            let Some(entry) = room.get_mut(used..used + length) else { break };
            entry.fill(0);
            entry[0..8].copy_from_slice(&node.to_ne_bytes());
            entry[8..16].copy_from_slice(&(index as u64 + 1).to_ne_bytes());
            entry[16..20].copy_from_slice(&u32::try_from(name.len()).unwrap_or(0).to_ne_bytes());
            entry[20..24].copy_from_slice(&u32::from(kind).to_ne_bytes());
            entry[ENTRY..ENTRY + name.len()].copy_from_slice(name);
            used += length;
        }
        Ok(used)
    }

    /// `FUSE_STATFS`: all of the devices' bytes, and none to be had.
    pub(super) fn statfs(&self) -> Body {
        let devices = self.volumes.list();
        let bytes: u64 = devices.iter().fold(0, |sum, info| sum.saturating_add(info.size.0));
        let block = u32::try_from(BLOCK).unwrap_or(0);
        Body::new()
            .u64(bytes.div_ceil(BLOCK))
            .zeros(2 * 8)
            .u64(devices.len() as u64)
            .zeros(8)
            .u32(block)
            .u32(NAME_MAX)
            .u32(block)
            .zeros(4 + 6 * 4)
    }
}
