//! A device that tables name: an opened file, an opened disk, or another device of the mapper.
//!
//! Owns the opened descriptor and how a file or a disk does what [`BlockDevice`] asks. All I/O says its position, so
//! one descriptor serves any number of threads. Which device a word of a table means, and that two tables share
//! one `Pdev`, is the business of the [`PdevSource`].

#[cfg(target_os = "linux")]
use super::memory::Memory;
use super::{Access, Allocation, BlockDevice, Extent, FlushFailure, FlushFailures, Visit};
use crate::dm::{Bytes, DeviceNumber, Errno, Fault, SECTOR_SIZE, Sectors, Text};
#[cfg(target_os = "linux")]
use crate::sys::mapped::Part;
use crate::sys::{blockdev, sparse};
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
#[cfg(target_os = "linux")]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Ranges up to this that begin with data are called data, whatever holes they have.
const SMALLEST_HOLE: Bytes = Bytes(64 * 1024);

/// How long a run of data is believed in.
const RUN_LASTS: Duration = Duration::from_secs(1);

/// Zeros to write where neither a hole nor a zeroed range can be had.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Storage that a table names, with the number that stands for it in tables and dependencies.
#[derive(Debug)]
pub struct Pdev {
    number: DeviceNumber,
    name: Text,
    storage: Storage,
}

/// Where the bytes are.
#[derive(Debug)]
enum Storage {
    /// In a file or a disk that this process has open.
    Opened(Opened),
    /// In another device of the mapper.
    Stacked(Arc<dyn BlockDevice>),
}

/// Who knows which device a word of a table means: the mapper.
pub trait PdevSource: Debug {
    /// The device that `name` (`MAJOR:MINOR`, or a path) means, opened for writing too if `writable`.
    ///
    /// The errno is what the kernel's dm_get_device gives: ENODEV for what is not there, EINVAL for the device under
    /// the table itself, EOVERFLOW for a number that no device can have.
    fn open(&mut self, name: &Text, writable: bool) -> Result<Arc<Pdev>, Fault>;

    /// Makes sure that an opened device can be read and written by now, not only once the table is at work.
    fn ready(&mut self, _pdev: &Pdev) -> Result<(), Fault> {
        Ok(())
    }
}

impl<S: PdevSource + ?Sized> PdevSource for &mut S {
    fn open(&mut self, name: &Text, writable: bool) -> Result<Arc<Pdev>, Fault> {
        (**self).open(name, writable)
    }
}

impl Pdev {
    /// A regular file, or a disk, opened at the absolute `path`; `writable` says how `file` was opened.
    ///
    /// A file's size is what it is now, in whole sectors: a tail of less than 512 bytes is not part of the device.
    /// The file must not be in append mode, which ignores positions. ENOTBLK if it is neither file nor disk.
    pub fn file(number: DeviceNumber, path: &Path, file: File, writable: bool) -> io::Result<Self> {
        let opened = Opened::new(file, writable)?;
        Ok(Self { number, name: path.as_os_str().as_bytes().into(), storage: Storage::Opened(opened) })
    }

    /// Another device of the mapper, of that name.
    pub fn stacked(number: DeviceNumber, name: Text, device: Arc<dyn BlockDevice>) -> Self {
        Self { number, name, storage: Storage::Stacked(device) }
    }

    /// The number: the disk's own, the stacked device's, or the one that stands for a file.
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    /// The absolute path of a file or disk; for a stacked device its name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// The absolute path of a file or disk; `None` for a stacked device.
    pub fn path(&self) -> Option<&Text> {
        self.as_file().map(|_| &self.name)
    }

    /// How many whole sectors there are. A stacked device's size may change with its table.
    pub fn sectors(&self) -> Sectors {
        self.device().size().whole_sectors()
    }

    /// The opened file or disk, for I/O that moves data without copying it; `None` for a stacked device.
    pub fn as_file(&self) -> Option<&File> {
        match &self.storage {
            Storage::Opened(opened) => Some(&opened.file),
            Storage::Stacked(_) => None,
        }
    }

    /// Whether it is a regular file that has exactly so many sectors now.
    pub fn is_file_of(&self, length: Sectors) -> bool {
        let metadata = self.as_file().and_then(|file| file.metadata().ok());
        metadata
            .is_some_and(|metadata| metadata.is_file() && length.to_bytes() == Some(Bytes(metadata.len())))
    }

    /// Whether it is a file that is memory, which [`Pdev::part`] gives parts of.
    #[cfg(target_os = "linux")]
    pub fn is_memory(&self) -> bool {
        matches!(&self.storage, Storage::Opened(opened) if opened.memory().is_some())
    }

    /// A range of a file that is memory, if it can be used in place.
    #[cfg(target_os = "linux")]
    pub fn part(&self, access: Access, at: Bytes, length: usize) -> Option<Part<'_>> {
        match &self.storage {
            Storage::Opened(opened) => opened.memory()?.part(access, at, length),
            Storage::Stacked(_) => None,
        }
    }

    fn device(&self) -> &dyn BlockDevice {
        match &self.storage {
            Storage::Opened(opened) => opened,
            Storage::Stacked(device) => device.as_ref(),
        }
    }
}

impl BlockDevice for Pdev {
    fn size(&self) -> Bytes {
        self.device().size()
    }

    fn block_size(&self) -> Bytes {
        self.device().block_size()
    }

    fn is_read_only(&self) -> bool {
        self.device().is_read_only()
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        self.device().read_at(buffer, at)
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        self.device().write_at(data, at)
    }

    fn write_through(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        self.device().write_through(data, at)
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.device().discard(at, length)
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno> {
        self.device().write_zeroes(at, length, may_unmap)
    }

    fn extents(&self, access: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno> {
        self.device().extents(access, at, length, visit)
    }

    fn expect_writes(&self, ranges: &[Range<Bytes>]) {
        self.device().expect_writes(ranges);
    }

    fn is_held(&self) -> bool {
        self.device().is_held()
    }

    fn flush(&self) -> Result<(), Errno> {
        self.device().flush()
    }

    fn flush_failure(&self) -> Option<FlushFailure> {
        self.device().flush_failure()
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        self.device().allocation(at, length)
    }
}

/// A file or a disk of which this process has a descriptor.
#[derive(Debug)]
struct Opened {
    file: File,
    /// A disk of the kernel's, not a regular file.
    is_disk: bool,
    /// Whole sectors, as found when it was opened.
    size: Bytes,
    block_size: Bytes,
    writable: bool,
    failures: FlushFailures,
    /// The last run of data that was looked for.
    run: Mutex<Option<DataRun>>,
    /// Its memory, if it is memory: mapped when it is first asked for.
    #[cfg(target_os = "linux")]
    memory: OnceLock<Option<Memory>>,
}

/// A run of data in a file. To find its end a file system may look at every page of it, and who asks for allocation asks
/// about one part after the other. That data has become a hole is no fault to miss, for a little while.
#[derive(Clone, Copy, Debug)]
struct DataRun {
    begin: Bytes,
    end: Bytes,
    found: Instant,
}

impl Opened {
    fn new(file: File, writable: bool) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        let (size, block_size) = if kind.is_block_device() {
            (blockdev::size(file.as_fd())?, blockdev::logical_block_size(file.as_fd())?)
        } else if kind.is_file() {
            (metadata.len(), SECTOR_SIZE)
        } else {
            return Err(io::Error::from_raw_os_error(Errno::ENOTBLK.0));
        };
        let size = Bytes(size - size % SECTOR_SIZE);
        let (is_disk, block_size) = (kind.is_block_device(), Bytes(block_size));
        Ok(Self {
            file,
            is_disk,
            size,
            block_size,
            writable,
            failures: FlushFailures::default(),
            run: Mutex::default(),
            #[cfg(target_os = "linux")]
            memory: OnceLock::new(),
        })
    }

    #[cfg(target_os = "linux")]
    fn memory(&self) -> Option<&Memory> {
        self.memory.get_or_init(|| Memory::of(&self.file, self.size, self.writable)).as_ref()
    }

    fn refuse_read_only(&self) -> Result<(), Errno> {
        if self.writable { Ok(()) } else { Err(Errno::EROFS) }
    }

    /// The run of data that a byte is in, if it was found a moment ago.
    fn known_run(&self, at: Bytes) -> Option<DataRun> {
        let run = *self.run.lock().unwrap_or_else(PoisonError::into_inner);
        run.filter(|run| run.begin <= at && at < run.end && run.found.elapsed() < RUN_LASTS)
    }

    /// Gives a range's space back; `false` when nobody can.
    fn punch_hole(&self, at: Bytes, length: Bytes) -> Result<bool, Errno> {
        let punched = unless_it_cannot(sparse::punch_hole(self.file.as_fd(), at.0, length.0));
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = None;
        #[cfg(target_os = "linux")]
        if let Some(memory) = self.memory.get().and_then(Option::as_ref) {
            memory.forget(at, length);
        }
        punched
    }

    /// The run of data or hole at `at`, which may go past the `length` asked about; `None` when the file system does
    /// not say.
    fn run_at(&self, at: Bytes, length: Bytes) -> Option<Allocation> {
        if let Some(run) = self.known_run(at) {
            return Some(Allocation::Data(Bytes(run.end.0 - at.0)));
        }
        // Seeking moves the file's own position, which no I/O here uses.
        match sparse::next_data(self.file.as_fd(), at.0).ok()? {
            Some(data) if data > at.0 => Some(Allocation::Hole(Bytes(data - at.0))),
            // To find the next hole a file system may look at every page up to it: not for so little.
            Some(_) if length <= SMALLEST_HOLE => Some(Allocation::Data(length)),
            Some(_) => {
                let end = Bytes(sparse::next_hole(self.file.as_fd(), at.0).ok()??);
                let run = DataRun { begin: at, end, found: Instant::now() };
                *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
                Some(Allocation::Data(Bytes(end.0.saturating_sub(at.0))))
            }
            None => {
                // No data from here to the end, and nothing at all where the file was truncated: reading that is an
                // error, so it must not pass for zeros.
                let end = self.file.metadata().ok()?.len();
                (at.0 < end).then(|| Allocation::Hole(Bytes(end - at.0)))
            }
        }
    }
}

impl BlockDevice for Opened {
    fn size(&self) -> Bytes {
        self.size
    }

    fn block_size(&self) -> Bytes {
        self.block_size
    }

    fn is_read_only(&self) -> bool {
        !self.writable
    }

    fn read_at(&self, buffer: &mut [u8], at: Bytes) -> Result<(), Errno> {
        // An end that comes too soon (the file was truncated) carries no number and so is EIO.
        self.file.read_exact_at(buffer, at.0).map_err(|error| Errno::from_io(&error))
    }

    fn write_at(&self, data: &[u8], at: Bytes) -> Result<(), Errno> {
        self.refuse_read_only()?;
        self.file.write_all_at(data, at.0).map_err(|error| Errno::from_io(&error))
    }

    fn discard(&self, at: Bytes, length: Bytes) -> Result<(), Errno> {
        self.refuse_read_only()?;
        if !self.is_disk {
            // Only a hint, so storage that cannot is no failure.
            return self.punch_hole(at, length).map(drop);
        }
        let Some((at, length)) = whole_blocks(at, length, self.block_size) else { return Ok(()) };
        match blockdev::discard(self.file.as_fd(), at.0, length.0) {
            Err(error) if !cannot(Errno::from_io(&error)) => Err(Errno::from_io(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn write_zeroes(&self, at: Bytes, length: Bytes, may_unmap: bool) -> Result<(), Errno> {
        self.refuse_read_only()?;
        if may_unmap && self.punch_hole(at, length)? {
            return Ok(());
        }
        if unless_it_cannot(sparse::zero_range(self.file.as_fd(), at.0, length.0))? {
            return Ok(());
        }
        let (mut at, mut left) = (at, length.0);
        while left > 0 {
            let piece = usize::try_from(left).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.write_at(&ZEROS[..piece], at)?;
            at.0 += piece as u64;
            left -= piece as u64;
        }
        Ok(())
    }

    fn extents(&self, access: Access, at: Bytes, length: Bytes, visit: &mut Visit<'_>) -> Result<(), Errno> {
        if access == Access::Write {
            self.refuse_read_only()?;
        }
        visit(Extent::File { file: &self.file, at, length })
    }

    fn flush(&self) -> Result<(), Errno> {
        self.file.sync_data().map_err(|error| {
            let errno = Errno::from_io(&error);
            self.failures.record(errno);
            errno
        })
    }

    fn flush_failure(&self) -> Option<FlushFailure> {
        self.failures.last()
    }

    fn allocation(&self, at: Bytes, length: Bytes) -> Result<Allocation, Errno> {
        let run = if self.is_disk { None } else { self.run_at(at, length) };
        // At least 1, should the file change between two questions to it.
        let clip = |run: Bytes| Bytes(run.0.clamp(1, length.0.max(1)));
        Ok(match run {
            Some(Allocation::Hole(run)) => Allocation::Hole(clip(run)),
            Some(Allocation::Data(run)) => Allocation::Data(clip(run)),
            None => Allocation::Data(length),
        })
    }
}

/// Whether it was done; `false` when this storage cannot, so that another way can be tried.
fn unless_it_cannot(done: io::Result<()>) -> Result<bool, Errno> {
    match done.map_err(|error| Errno::from_io(&error)) {
        Ok(()) => Ok(true),
        Err(errno) if cannot(errno) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether an errno says that this storage does not know the operation, or not at these positions (a disk of 4096
/// byte blocks), so that another way can be tried.
fn cannot(errno: Errno) -> bool {
    matches!(errno, Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOTTY | Errno(nix::libc::ENOSYS))
}

/// The whole blocks within a range; `None` when there are none.
fn whole_blocks(at: Bytes, length: Bytes, block: Bytes) -> Option<(Bytes, Bytes)> {
    let begin = at.0.checked_next_multiple_of(block.0)?;
    let end = at.0.checked_add(length.0)?;
    let end = end - end.checked_rem(block.0)?;
    (begin < end).then(|| (Bytes(begin), Bytes(end - begin)))
}

#[cfg(test)]
mod tests;
