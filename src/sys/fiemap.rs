//! Where a file lies on its device: Linux's `FS_IOC_FIEMAP`.

use std::io;
use std::os::fd::BorrowedFd;

/// Bytes of `struct fiemap` and of the `struct fiemap_extent`s behind it (linux/fiemap.h).
const HEADER_LEN: usize = 32;
const EXTENT_LEN: usize = 56;
/// How many extents are asked for at once.
const AT_ONCE: u32 = 64;

/// Write what is still to be allocated first.
const FLAG_SYNC: u32 = 1;
/// The last extent of the file.
const EXTENT_LAST: u32 = 1;
/// It has no place yet: unknown, or allocated later.
const EXTENT_NOWHERE: u32 = 2 | 4;

/// A stretch of a file that is in one piece on its device; all in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileExtent {
    /// Where in the file.
    pub logical: u64,
    /// Where on the device.
    pub physical: u64,
    /// How long.
    pub length: u64,
}

/// The extents of a file that have a place, in the file's order. What is not written yet is written first.
///
/// # Errors
/// EOPNOTSUPP on a file system that does not tell; what reading the map gives otherwise.
pub fn extents(file: BorrowedFd<'_>) -> io::Result<Vec<FileExtent>> {
    let mut found = Vec::new();
    let mut from = 0;
    loop {
        let (page, last) = page(file, from)?;
        let Some((end, _)) =
            page.last().and_then(|(extent, flags)| Some((extent.logical.checked_add(extent.length)?, flags)))
        else {
            return Ok(found);
        };
        found.extend(page.iter().filter(|(_, flags)| flags & EXTENT_NOWHERE == 0).map(|(extent, _)| *extent));
        // A map that does not get on would never end.
        if last || end <= from {
            return Ok(found);
        }
        from = end;
    }
}

/// Some extents from a place in the file on, each with its flags; whether the file's last is among them.
fn page(file: BorrowedFd<'_>, from: u64) -> io::Result<(Vec<(FileExtent, u32)>, bool)> {
    let mut buffer = vec![0u8; HEADER_LEN + EXTENT_LEN * AT_ONCE as usize];
    buffer[0..8].copy_from_slice(&from.to_ne_bytes());
    buffer[8..16].copy_from_slice(&u64::MAX.to_ne_bytes());
    buffer[16..20].copy_from_slice(&FLAG_SYNC.to_ne_bytes());
    buffer[24..28].copy_from_slice(&AT_ONCE.to_ne_bytes());
    fill(file, &mut buffer)?;
    let mapped = usize::try_from(u32_at(&buffer, 20)).unwrap_or(0);
    let extents: Vec<(FileExtent, u32)> = buffer[HEADER_LEN..]
        .chunks_exact(EXTENT_LEN)
        .take(mapped)
        .map(|bytes| {
            let [logical, physical, length] = [0, 8, 16].map(|at| u64_at(bytes, at));
            (FileExtent { logical, physical, length }, u32_at(bytes, 40))
        })
        .collect();
    let last = extents.iter().any(|(_, flags)| flags & EXTENT_LAST != 0);
    Ok((extents, last))
}

/// Has the kernel fill a buffer that begins with a header, and has room for [`AT_ONCE`] extents.
#[cfg(target_os = "linux")]
fn fill(file: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<()> {
    use nix::{libc, request_code_readwrite};
    use std::os::fd::AsRawFd;

    debug_assert!(buffer.len() == HEADER_LEN + EXTENT_LEN * AT_ONCE as usize);
    // SAFETY: the descriptor is borrowed, so open. The kernel reads the header and writes it and at most
    // `fm_extent_count` extents behind it: AT_ONCE, for which the buffer, borrowed exclusively, has room. Any bytes are a
    // valid `[u8]`.
    let result = unsafe {
        libc::ioctl(file.as_raw_fd(), request_code_readwrite!(b'f', 11, HEADER_LEN), buffer.as_mut_ptr())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Other systems do not tell.
#[cfg(not(target_os = "linux"))]
fn fill(_: BorrowedFd<'_>, _: &mut [u8]) -> io::Result<()> {
    Err(nix::errno::Errno::EOPNOTSUPP.into())
}

/// Whether the numbers that the file's system tells are places on its device: btrfs's are not.
///
/// # Errors
/// As the call gives them; EOPNOTSUPP on other systems than Linux.
#[cfg(target_os = "linux")]
pub fn tells_places(file: BorrowedFd<'_>) -> io::Result<bool> {
    use nix::sys::statfs::{BTRFS_SUPER_MAGIC, fstatfs};

    Ok(fstatfs(file)?.filesystem_type() != BTRFS_SUPER_MAGIC)
}

/// Whether the numbers that the file's system tells are places on its device: EOPNOTSUPP, since none is told here.
///
/// # Errors
/// EOPNOTSUPP.
#[cfg(not(target_os = "linux"))]
pub fn tells_places(_: BorrowedFd<'_>) -> io::Result<bool> {
    Err(nix::errno::Errno::EOPNOTSUPP.into())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_file_has_no_map() {
        let null = File::open("/dev/null").unwrap();
        assert!(extents(null.as_fd()).is_err());
    }
}
