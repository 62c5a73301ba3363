//! Reading what the kernel has in memory already, without waiting for a disk: `preadv2` with `RWF_NOWAIT`.

use nix::libc::{self, iovec, off_t};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Reads from byte `at` of the file what can be had without waiting, from the first byte on; how many bytes that was.
///
/// # Errors
/// EAGAIN when the first byte is not in memory, EOPNOTSUPP where the file system cannot tell (tmpfs is one).
pub fn read(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let at = off_t::try_from(at).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    let part = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the descriptor is borrowed, so open. The one part is the buffer, borrowed exclusively, of which the kernel
    // writes at most the length that the part says.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const part, 1, at, libc::RWF_NOWAIT) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_just_written_is_read_or_refused_as_a_whole() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut buffer = [0; 4];
        match read(&file, &mut buffer, 3) {
            Ok(count) => assert_eq!((count, &buffer), (4, b"3456")),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
        }
        assert_eq!(read(&file, &mut buffer, u64::MAX).unwrap_err().raw_os_error(), Some(libc::EOVERFLOW));
    }
}
