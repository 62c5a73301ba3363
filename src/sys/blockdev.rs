//! What only an ioctl tells of, or does to, a block device of the kernel.
//!
//! Owns the ioctls of `linux/fs.h` that files under a table need, and the unsafe of calling them; what they are
//! good for is the caller's to know. Zeroing is not here: `fallocate` does that to a disk as well as to a file.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The raw calls; the numbers are linux/fs.h's, which has them "bad" (their direction or size is not what is passed).
mod raw {
    use nix::libc::{c_int, c_long};
    use nix::{
        ioctl_read_bad, ioctl_write_int_bad, ioctl_write_ptr_bad, request_code_none, request_code_read,
    };

    // Declared with a size_t, yet the kernel stores 64 bits on every machine.
    ioctl_read_bad!(blkgetsize64, request_code_read!(0x12, 114, size_of::<usize>()), u64);
    ioctl_read_bad!(blksszget, request_code_none!(0x12, 104), c_int);
    ioctl_write_ptr_bad!(blkdiscard, request_code_none!(0x12, 119), [u64; 2]);
    ioctl_write_int_bad!(blkraset, request_code_none!(0x12, 98));
    ioctl_read_bad!(blkraget, request_code_none!(0x12, 99), c_long);
}

/// The size in bytes of a block device (`BLKGETSIZE64`); ENOTTY for a descriptor of anything else.
pub fn size(disk: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes = 0;
    // SAFETY: the descriptor is borrowed, so open, and `bytes` is the u64 that BLKGETSIZE64 writes to.
    unsafe { raw::blkgetsize64(disk.as_raw_fd(), &raw mut bytes) }?;
    Ok(bytes)
}

/// The size in bytes of a logical block, the least that the disk itself reads or writes (`BLKSSZGET`): 512 or 4096
/// most often. ENOTTY for a descriptor of anything else.
pub fn logical_block_size(disk: BorrowedFd<'_>) -> io::Result<u64> {
    let mut bytes = 0;
    // SAFETY: the descriptor is borrowed, so open, and `bytes` is the int that BLKSSZGET writes to.
    unsafe { raw::blksszget(disk.as_raw_fd(), &raw mut bytes) }?;
    u64::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Discards `length` bytes from byte `at` on (`BLKDISCARD`): both whole logical blocks, else EINVAL. EOPNOTSUPP
/// when the disk cannot.
pub fn discard(disk: BorrowedFd<'_>, at: u64, length: u64) -> io::Result<()> {
    let range = [at, length];
    // SAFETY: the descriptor is borrowed, so open, and `range` is the pair of u64 that BLKDISCARD only reads.
    unsafe { raw::blkdiscard(disk.as_raw_fd(), &raw const range) }?;
    Ok(())
}

/// How many sectors of 512 bytes the kernel reads ahead on the disk (`BLKRAGET`).
pub fn read_ahead(disk: BorrowedFd<'_>) -> io::Result<u64> {
    let mut sectors = 0;
    // SAFETY: the descriptor is borrowed, so open, and `sectors` is the long that BLKRAGET writes to.
    unsafe { raw::blkraget(disk.as_raw_fd(), &raw mut sectors) }?;
    u64::try_from(sectors).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Sets how many sectors of 512 bytes the kernel reads ahead on the disk (`BLKRASET`).
pub fn set_read_ahead(disk: BorrowedFd<'_>, sectors: u32) -> io::Result<()> {
    let sectors = sectors.try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the descriptor is borrowed, so open; BLKRASET takes a number and touches no memory of ours.
    unsafe { raw::blkraset(disk.as_raw_fd(), sectors) }?;
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
