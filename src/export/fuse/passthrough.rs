//! Passthrough: the kernel reads a device's file for those who have it open, and asks nobody.
//!
//! That is as quick as the file itself, and nothing can hold it or lead it elsewhere, so the device is lent for that
//! long. Who only reads is passed through; who writes is served here, as a file could be written past the device's end.
//!
//! The kernel wants all files that are open of one node to be of one mind (`fuse_file_io_open` in its fs/fuse/iomode.c):
//! while one is passed through, each has to name the same backing file, also one that is served here. So a node is
//! passed through from its first open file on, or not until its last is closed.

use super::MountError;
use crate::block::{BlockDevice, Loan};
use crate::dm::Errno;
use crate::sys::fuse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The nodes that are open, of a session that may pass through.
#[derive(Debug)]
pub(super) struct Passthrough {
    session: File,
    nodes: Mutex<BTreeMap<u64, Node>>,
}

/// A node that is open.
#[derive(Debug)]
struct Node {
    /// How many files of it are.
    files: usize,
    backing: Option<Backing>,
}

/// What the kernel reads in its place.
#[derive(Debug)]
struct Backing {
    number: i32,
    _loan: Loan,
}

/// One open file of a node, until this is dropped.
#[derive(Debug)]
pub(super) struct Opened {
    node: u64,
    /// The number of the backing file, if it is passed through.
    pub(super) backing: Option<i32>,
    passthrough: Arc<Passthrough>,
}

impl Passthrough {
    /// For a session whose kernel can.
    ///
    /// # Errors
    /// EPERM: this process may not have it do so.
    pub(super) fn new(session: &File) -> Result<Arc<Self>, MountError> {
        let session = session.try_clone().map_err(MountError::Device)?;
        fuse::may_back(session.as_fd()).map_err(|error| MountError::Passthrough(Errno::from_io(&error)))?;
        Ok(Arc::new(Self { session, nodes: Mutex::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more file of a node is open.
    pub(super) fn open(self: &Arc<Self>, node: u64, device: &dyn BlockDevice) -> Opened {
        let mut nodes = self.lock();
        let entry = nodes.entry(node).or_insert_with(|| Node { files: 0, backing: self.back(device) });
        entry.files += 1;
        let backing = entry.backing.as_ref().map(|backing| backing.number);
        Opened { node, backing, passthrough: self.clone() }
    }

    /// What backs a device; nothing where it is not a file from end to end, or is held now, or its file cannot back another
    /// (the kernel has a limit to how many file systems stand on one another).
    fn back(&self, device: &dyn BlockDevice) -> Option<Backing> {
        let loan = device.lend()?;
        let number = fuse::back(self.session.as_fd(), loan.file()?.as_fd()).ok()?;
        Some(Backing { number, _loan: loan })
    }

    /// One file of a node less.
    fn close(&self, node: u64) {
        let mut nodes = self.lock();
        let Entry::Occupied(mut entry) = nodes.entry(node) else { return };
        entry.get_mut().files -= 1;
        if entry.get().files > 0 {
            return;
        }
        if let Some(backing) = entry.remove().backing {
            // The session may have ended, and its numbers with it.
            let _ = fuse::end_backing(self.session.as_fd(), backing.number);
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.passthrough.close(self.node);
    }
}
