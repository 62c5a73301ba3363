//! The files and directories that are open, by the handle that the kernel names them with.

use super::passthrough::Opened;
use crate::block::{BlockDevice, VolumeInfo};
use crate::dm::Errno;
use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is behind a handle.
#[derive(Debug)]
pub(super) enum Open {
    Device(OpenDevice),
    /// What there was when it was read from its beginning.
    Directory(Mutex<Vec<VolumeInfo>>),
}

/// A device that a client has open, which is in use until this is dropped.
#[derive(Debug)]
pub(super) struct OpenDevice {
    pub(super) device: Arc<dyn BlockDevice>,
    /// What the kernel knows of it, where files are passed through.
    pub(super) _opened: Option<Opened>,
}

/// The table of handles: every read and write looks into it and no lock is taken; opening and closing replace it.
#[derive(Debug, Default)]
pub(super) struct Opens {
    table: ArcSwap<Vec<Option<Arc<Open>>>>,
    writing: Mutex<()>,
}

impl Opens {
    /// The handle of something new.
    pub(super) fn add(&self, open: Open) -> u64 {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Vec::clone(&self.table.load());
        let free = table.iter().position(Option::is_none).unwrap_or_else(|| {
            table.push(None);
            table.len() - 1
        });
        table[free] = Some(Arc::new(open));
        self.table.store(Arc::new(table));
        free as u64
    }

    /// What the handle stands for. EBADF when it stands for nothing.
    pub(super) fn get(&self, handle: u64) -> Result<Arc<Open>, Errno> {
        let index = usize::try_from(handle).map_err(|_| Errno(nix::libc::EBADF))?;
        self.table.load().get(index).cloned().flatten().ok_or(Errno(nix::libc::EBADF))
    }

    /// The handle stands for nothing from now on. What it stood for is closed when the caller drops it.
    pub(super) fn remove(&self, handle: u64) -> Option<Arc<Open>> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Vec::clone(&self.table.load());
        let removed = usize::try_from(handle).ok().and_then(|index| table.get_mut(index)?.take());
        while table.last().is_some_and(Option::is_none) {
            table.pop();
        }
        self.table.store(Arc::new(table));
        removed
    }
}
