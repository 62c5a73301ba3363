//! The bytes of open devices: writing, and what else is done to ranges.

use super::opens::{Open, OpenDevice};
use super::protocol::{Body, Fields};
use crate::block::{Allocation, BlockDevice};
use crate::dm::{Bytes, Errno};
use nix::libc::{FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, SEEK_DATA, SEEK_HOLE};

/// `BLKGETSIZE64` of linux/fs.h. It is the one question to a disk whose answer FUSE can carry: the others do not say in
/// their number that they take a pointer.
const BLKGETSIZE64: u32 = 0x8008_1272;

/// Modes of fallocate(2): the range is to read as zeros, with a hole or without.
const PUNCH_HOLE: i32 = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
const ZERO_RANGE: i32 = FALLOC_FL_ZERO_RANGE;
const ZERO_RANGE_KEEP_SIZE: i32 = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;

/// The device behind a handle. EBADF when it is a directory's.
pub(super) fn device(open: &Open) -> Result<&OpenDevice, Errno> {
    match open {
        Open::Device(device) => Ok(device),
        Open::Directory(_) => Err(Errno(nix::libc::EBADF)),
    }
}

/// How many of `length` bytes at `at` the device has.
pub(super) fn within(device: &dyn BlockDevice, at: u64, length: u64) -> u64 {
    device.size().0.saturating_sub(at).min(length)
}

/// Writes what of `data` lies before the end; how many bytes that was.
///
/// # Errors
/// ENOSPC at the end, as a disk's node gives it.
pub(super) fn write(open: &OpenDevice, at: u64, data: &[u8]) -> Result<Body, Errno> {
    let device = open.device.as_ref();
    let length = within(device, at, data.len() as u64);
    let data = usize::try_from(length).ok().and_then(|length| data.get(..length)).unwrap_or(data);
    if data.is_empty() {
        return Err(Errno::ENOSPC);
    }
    device.write_at(data, Bytes(at))?;
    Ok(Body::new().u32(u32::try_from(length).map_err(|_| Errno::EIO)?).u32(0))
}

/// `struct fuse_fallocate_in` behind its handle: holes and zeros, to the rules of a disk's node (`blkdev_fallocate`).
///
/// # Errors
/// EOPNOTSUPP for reserving space, which no device can promise; EINVAL at the end.
pub(super) fn fallocate(open: &OpenDevice, mut fields: Fields<'_>) -> Result<(), Errno> {
    let (at, length, mode) = (fields.u64()?, fields.u64()?, fields.u32()?);
    let device = open.device.as_ref();
    let mode = i32::try_from(mode).map_err(|_| Errno::EOPNOTSUPP)?;
    let (may_unmap, keeps_size) = match mode {
        PUNCH_HOLE => (true, true),
        ZERO_RANGE_KEEP_SIZE => (false, true),
        ZERO_RANGE => (false, false),
        _ => return Err(Errno::EOPNOTSUPP),
    };
    let inside = within(device, at, length);
    if inside == 0 || (inside < length && !keeps_size) {
        return Err(Errno::EINVAL);
    }
    device.write_zeroes(Bytes(at), Bytes(inside), may_unmap)
}

/// `struct fuse_lseek_in` behind its handle: the next data or hole. The end is a hole.
///
/// # Errors
/// ENXIO at the end and when there is no data before it.
pub(super) fn seek(open: &OpenDevice, mut fields: Fields<'_>) -> Result<Body, Errno> {
    let (mut at, whence) = (fields.u64()?, fields.u32()?);
    let device = open.device.as_ref();
    let wants_data = match i32::try_from(whence) {
        Ok(SEEK_DATA) => true,
        Ok(SEEK_HOLE) => false,
        _ => return Err(Errno::EINVAL),
    };
    let end = device.size().0;
    if at >= end {
        return Err(Errno::ENXIO);
    }
    while at < end {
        let run = device.allocation(Bytes(at), Bytes(end - at))?;
        if matches!(run, Allocation::Data(_)) == wants_data {
            return Ok(Body::new().u64(at));
        }
        at = at.saturating_add(run.length().0.max(1));
    }
    if wants_data { Err(Errno::ENXIO) } else { Ok(Body::new().u64(end)) }
}

/// `struct fuse_ioctl_in` behind its handle.
///
/// # Errors
/// ENOTTY for all but the size.
pub(super) fn ioctl(open: &OpenDevice, mut fields: Fields<'_>) -> Result<Body, Errno> {
    let (_flags, command) = (fields.u32()?, fields.u32()?);
    if command != BLKGETSIZE64 {
        return Err(Errno::ENOTTY);
    }
    // Result, flags, and two counts that other kinds of ioctls use.
    Ok(Body::new().zeros(16).u64(open.device.size().0))
}
