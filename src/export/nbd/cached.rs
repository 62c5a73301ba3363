//! Reading and writing at once what needs no waiting.

use crate::block::{AGAIN, Access, BlockDevice, Extent, is_memory};
use crate::dm::{Bytes, Errno};
use crate::sys::page_cache;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// How far a request got without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is done, or has failed.
    Done(Result<(), Errno>),
    /// It may have to wait: whoever may do that must do it again from the start.
    MayWait {
        /// It costs less together with others like it.
        together: bool,
    },
}

/// What is known of the files under a device.
#[derive(Debug, Default)]
pub(super) struct Cached {
    /// Descriptors of files that cannot tell what of them is in memory, and whether all of them is. A descriptor may come
    /// to mean another file when a table is swapped: then a read may wait here, or elsewhere without need.
    silent: Vec<(i32, bool)>,
}

impl Cached {
    /// Fills the buffer from position `at` of the device, if all of it is in memory.
    pub(super) fn read(&mut self, device: &dyn BlockDevice, buffer: &mut [u8], at: u64) -> Progress {
        let length = Bytes(buffer.len() as u64);
        let (mut rest, mut waits) = (buffer, false);
        let result = device.extents(Access::Read, Bytes(at), length, &mut |extent| {
            self.read_extent(extent, &mut rest, &mut waits)
        });
        if waits || result == Err(AGAIN) {
            Progress::MayWait { together: false }
        } else {
            Progress::Done(result)
        }
    }

    fn read_extent(
        &mut self,
        extent: Extent<'_>,
        rest: &mut &mut [u8],
        waits: &mut bool,
    ) -> Result<(), Errno> {
        // What a visitor returns may become an event of the device, so waiting is no failure.
        if *waits {
            return Ok(());
        }
        if let Extent::Handled { medium, .. } = extent {
            let lent = medium.lend(&mut |extent| self.read_extent(extent, rest, waits));
            return lent.unwrap_or_else(|| {
                *waits = true;
                Ok(())
            });
        }
        let count = usize::try_from(extent.length().0).map_err(|_| Errno::EIO)?;
        let now = rest.split_off_mut(..count).ok_or(Errno::EIO)?;
        match extent {
            Extent::File { file, at, .. } => *waits = !self.read_file(file, now, at.0)?,
            Extent::Zero { .. } => now.fill(0),
            Extent::Handled { .. } => *waits = true,
        }
        Ok(())
    }

    /// Whether reading the range would not wait, as far as its first and its last byte tell.
    pub(super) fn has(&mut self, file: &File, at: u64, length: u64) -> Result<bool, Errno> {
        if self.is_known_to_be_memory(file) {
            return Ok(true);
        }
        let mut byte = [0];
        Ok(self.read_file(file, &mut byte, at)?
            && self.read_file(file, &mut byte, at.saturating_add(length.saturating_sub(1)))?)
    }

    fn is_known_to_be_memory(&self, file: &File) -> bool {
        self.silent.contains(&(file.as_raw_fd(), true))
    }

    /// Reads if it needs no waiting; whether it did.
    fn read_file(&mut self, file: &File, buffer: &mut [u8], at: u64) -> Result<bool, Errno> {
        if let Some((_, in_memory)) = self.silent.iter().find(|(known, _)| *known == file.as_raw_fd()) {
            if *in_memory {
                file.read_exact_at(buffer, at).map_err(|error| Errno::from_io(&error))?;
            }
            return Ok(*in_memory);
        }
        match page_cache::read(file, buffer, at) {
            Ok(count) => Ok(count == buffer.len()),
            Err(error) if Errno::from_io(&error) == Errno::EOPNOTSUPP => {
                self.silent.push((file.as_raw_fd(), is_memory(file)));
                self.read_file(file, buffer, at)
            }
            // Whoever waits finds out what it is.
            Err(_) => Ok(false),
        }
    }
}

/// Writes the data at position `at` of the device, unless a part of it is handled by its owner, who may sleep.
pub(super) fn write(device: &dyn BlockDevice, data: &[u8], at: u64) -> Progress {
    let (mut rest, mut waits, mut together) = (data, false, false);
    let length = Bytes(data.len() as u64);
    let result = device.extents(Access::Write, Bytes(at), length, &mut |extent| {
        if waits {
            return Ok(());
        }
        let count = usize::try_from(extent.length().0).map_err(|_| Errno::EIO)?;
        let now = rest.split_off(..count).ok_or(Errno::EIO)?;
        match extent {
            Extent::File { file, at, .. } => {
                file.write_all_at(now, at.0).map_err(|error| Errno::from_io(&error))?;
            }
            Extent::Zero { .. } => {}
            Extent::Handled { medium, .. } => (waits, together) = (true, medium.expects_writes()),
        }
        Ok(())
    });
    if waits || result == Err(AGAIN) { Progress::MayWait { together } } else { Progress::Done(result) }
}
