//! Disks as a check sees them: opened for reading alone, with those that are planned among them.

use super::check::{Draft, Types};
use super::{Live, MAJOR};
use crate::block::{Access, Allocation, BlockDevice, FlushFailure, Pdev, PdevSource, Visit};
use crate::dm::limits::MAX_MINOR;
use crate::dm::{Bytes, DeviceNumber, Errno, Fault, Sectors, Text};
use nix::unistd::{AccessFlags, access};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// A source of disks that are only looked at.
#[derive(Debug)]
pub(super) struct Looking<'a, S> {
    disks: S,
    planned: &'a BTreeMap<Text, Sectors>,
    /// Whether a device's bare name means it: to the mapper it does, to a kernel it is a path.
    takes_bare: bool,
}

impl<'a, S> Looking<'a, S> {
    /// The disks of that source, and those that the draft counts on.
    pub(super) fn new(disks: S, draft: &Draft<'a>, types: Types) -> Self {
        Self { disks, planned: draft.planned, takes_bare: types == Types::Ours }
    }

    /// The planned device of that name, or of that number where it is planned by it.
    fn planned(&self, word: &Text) -> Option<Arc<Pdev>> {
        let bare = || (self.takes_bare || DeviceNumber::parse(word).is_some()).then(|| word.clone());
        let name = word.strip_prefix(b"/dev/mapper/").map(Text::from).or_else(bare)?;
        let place = self.planned.keys().position(|planned| *planned == name)?;
        let size = *self.planned.get(&name)?;
        let live = Live::default();
        live.resize(size, false);
        // A number that no device of the mapper gets as long as there are others.
        let minor = MAX_MINOR.saturating_sub(u32::try_from(place).unwrap_or(u32::MAX));
        Some(Arc::new(Pdev::stacked(DeviceNumber::new(MAJOR, minor), name, Arc::new(live))))
    }
}

impl<S: PdevSource> PdevSource for Looking<'_, S> {
    fn open(&mut self, name: &Text, writable: bool) -> Result<Arc<Pdev>, Fault> {
        if let Some(planned) = self.planned(name) {
            return Ok(planned);
        }
        let pdev = self.disks.open(name, false)?;
        if let Some(path) = pdev.path().filter(|_| writable) {
            may_write(path)?;
        }
        let (number, name) = (pdev.number(), pdev.name().clone());
        Ok(Arc::new(Pdev::stacked(number, name, Arc::new(Untouched { pdev, writable }))))
    }
}

/// A disk that is read as it is, and keeps nothing of what is written: a target that prepares its disk when it is made, as
/// a new exception store is, gets its way and changes nothing.
#[derive(Debug)]
struct Untouched {
    pdev: Arc<Pdev>,
    writable: bool,
}

impl Untouched {
    fn forget(&self) -> Result<(), Errno> {
        if self.writable { Ok(()) } else { Err(Errno::EROFS) }
    }
}

impl BlockDevice for Untouched {
    fn size(&self) -> Bytes {
        self.pdev.size()
    }

    fn block_size(&self) -> Bytes {
        self.pdev.block_size()
    }

    fn is_read_only(&self) -> bool {
        !self.writable
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        self.pdev.read_at(buffer, at)
    }

    fn write_at(&self, _data: &[u8], _at: Bytes) -> Result<(), Errno> {
        self.forget()
    }

    fn discard(&self, _at: Bytes, _length: Bytes) -> Result<(), Errno> {
        self.forget()
    }

    fn write_zeroes(&self, _at: Bytes, _length: Bytes, _may_unmap: bool) -> Result<(), Errno> {
        self.forget()
    }

    fn extents(&self, access: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno> {
        match access {
            Access::Read => self.pdev.extents(access, at, length, visit),
            // Whoever visits would write to it.
            Access::Write => Err(Errno::EROFS),
        }
    }

    fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn flush_failure(&self) -> Option<FlushFailure> {
        None
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        self.pdev.allocation(at, length)
    }
}

/// That the disk or file may be written to, as far as can be told without opening it so: to open a disk for writing
/// makes others look at it when it is closed.
fn may_write(path: &Text) -> Result<(), Fault> {
    access(Path::new(OsStr::from_bytes(path)), AccessFlags::W_OK).map_err(|errno| {
        let errno = Errno(errno as i32);
        let fault = Fault::new(errno, format!("cannot open \"{path}\" for writing: {errno}"));
        fault.with_hint(Some("--readonly loads a table that only reads it".into()))
    })
}
