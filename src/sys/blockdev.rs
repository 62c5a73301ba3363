//! What only an ioctl tells of, or does to, a block device of the kernel.
//!
//! Owns the ioctls of Linux's `linux/fs.h`, and those of NetBSD's `sys/dkio.h`, that files under a table need, and the
//! unsafe of calling them; what they are good for is the caller's to know. Zeroing is not here: `fallocate` does that to
//! a disk as well as to a file. What a system has no call for is EOPNOTSUPP.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The raw calls; the numbers are linux/fs.h's, which has them "bad" (their direction or size is not what is passed).
#[cfg(target_os = "linux")]
mod raw {
    use nix::libc::{c_int, c_long};
    use nix::{
        ioctl_read_bad, ioctl_write_int_bad, ioctl_write_ptr_bad, request_code_none, request_code_read,
    };

    // Declared with a size_t, yet the kernel stores 64 bits on every machine.
    ioctl_read_bad!(size, request_code_read!(0x12, 114, size_of::<usize>()), u64);
    ioctl_read_bad!(block_size, request_code_none!(0x12, 104), c_int);
    ioctl_write_ptr_bad!(discard, request_code_none!(0x12, 119), [u64; 2]);
    ioctl_write_int_bad!(set_read_ahead, request_code_none!(0x12, 98));
    ioctl_read_bad!(read_ahead, request_code_none!(0x12, 99), c_long);
}

/// NetBSD's `DIOCGMEDIASIZE` and `DIOCGSECTORSIZE`, an off_t and an unsigned int.
#[cfg(target_os = "netbsd")]
mod raw {
    pub(super) use super::lacking::{discard, read_ahead, set_read_ahead};
    use nix::ioctl_read;
    use nix::libc::c_int;

    ioctl_read!(size, b'd', 132, u64);
    ioctl_read!(block_size, b'd', 133, c_int);
}

#[cfg(not(any(target_os = "linux", target_os = "netbsd")))]
use lacking as raw;

/// Calls that are not there: they have the form of those that are, and touch nothing.
#[cfg(not(target_os = "linux"))]
#[cfg_attr(target_os = "netbsd", allow(dead_code, reason = "it has some of them"))]
mod lacking {
    use nix::errno::Errno;
    use nix::libc::{c_int, c_long};

    pub(super) unsafe fn size(_: c_int, _: *mut u64) -> nix::Result<c_int> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) unsafe fn block_size(_: c_int, _: *mut c_int) -> nix::Result<c_int> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) unsafe fn discard(_: c_int, _: *const [u64; 2]) -> nix::Result<c_int> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) unsafe fn set_read_ahead(_: c_int, _: c_int) -> nix::Result<c_int> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) unsafe fn read_ahead(_: c_int, _: *mut c_long) -> nix::Result<c_int> {
        Err(Errno::EOPNOTSUPP)
    }
}

/// The size in bytes of a block device (Linux: `BLKGETSIZE64`); ENOTTY for a descriptor of anything else.
pub fn size(disk: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes = 0;
    // SAFETY: the descriptor is borrowed, so open, and `bytes` is the u64 that the call writes to.
    unsafe { raw::size(disk.as_raw_fd(), &raw mut bytes) }?;
    Ok(bytes)
}

/// The size in bytes of a logical block, the least that the disk itself reads or writes (Linux: `BLKSSZGET`): 512 or
/// 4096 most often. ENOTTY for a descriptor of anything else.
pub fn logical_block_size(disk: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes = 0;
    // SAFETY: the descriptor is borrowed, so open, and `bytes` is the int that the call writes to.
    unsafe { raw::block_size(disk.as_raw_fd(), &raw mut bytes) }?;
    u64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Discards `length` bytes from byte `at` on (`BLKDISCARD`): both whole logical blocks, else EINVAL. EOPNOTSUPP
/// when the disk cannot.
pub fn discard(disk: BorrowedFd<'_>, at: u64, length: u64) -> io::Result<()> {
    let range = [at, length];
    // SAFETY: the descriptor is borrowed, so open, and `range` is the pair of u64 that BLKDISCARD only reads.
    unsafe { raw::discard(disk.as_raw_fd(), &raw const range) }?;
    Ok(())
}

/// How many sectors of 512 bytes the kernel reads ahead on the disk (`BLKRAGET`).
pub fn read_ahead(disk: BorrowedFd<'_>) -> io::Result<u64> {
    let mut sectors = 0;
    // SAFETY: the descriptor is borrowed, so open, and `sectors` is the long that BLKRAGET writes to.
    unsafe { raw::read_ahead(disk.as_raw_fd(), &raw mut sectors) }?;
    u64::try_from(sectors).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Sets how many sectors of 512 bytes the kernel reads ahead on the disk (`BLKRASET`).
pub fn set_read_ahead(disk: BorrowedFd<'_>, sectors: u32) -> io::Result<()> {
    let sectors = sectors.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the descriptor is borrowed, so open; BLKRASET takes a number and touches no memory of ours.
    unsafe { raw::set_read_ahead(disk.as_raw_fd(), sectors) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_disk_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let errno = |result: io::Result<u64>| result.unwrap_err().raw_os_error();
        assert_eq!(errno(size(file.as_fd())), Some(nix::libc::ENOTTY));
        assert_eq!(errno(logical_block_size(file.as_fd())), Some(nix::libc::ENOTTY));
        assert!(discard(file.as_fd(), 0, 512).is_err());
        assert_eq!(errno(read_ahead(file.as_fd())), Some(nix::libc::ENOTTY));
        assert!(set_read_ahead(file.as_fd(), 8).is_err());
    }
}
