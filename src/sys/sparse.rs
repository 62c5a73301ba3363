//! Files with holes: making them, finding them.
//!
//! What a system has no call for is EOPNOTSUPP, as it is on a file system that cannot; whoever asks writes zeros then,
//! and takes all of a file for data.

use nix::errno::Errno;
use nix::libc;
use std::io;
use std::os::fd::BorrowedFd;

/// Makes a range read as zeros and gives its space back; the file keeps its size.
///
/// # Errors
/// EOPNOTSUPP where the system, the file system or the disk cannot; others as the call gives them.
pub fn punch_hole(file: BorrowedFd<'_>, at: u64, length: u64) -> io::Result<()> {
    Ok(make::hole(file, offset(at)?, offset(length)?)?)
}

/// Makes a range read as zeros without writing them, and keeps its space.
///
/// # Errors
/// As for [`punch_hole`].
pub fn zero_range(file: BorrowedFd<'_>, at: u64, length: u64) -> io::Result<()> {
    Ok(make::zeros(file, offset(at)?, offset(length)?)?)
}

/// Where the first data at or behind a place begins; `None` when there is none up to the end. This moves the file's own
/// position.
///
/// # Errors
/// EOPNOTSUPP or EINVAL where nobody can tell.
pub fn next_data(file: BorrowedFd<'_>, at: u64) -> io::Result<Option<u64>> {
    found(seek::data(file, offset(at)?))
}

/// Where the first hole at or behind a place begins, the one behind the file's end among them; `None` when the place is
/// behind that. This moves the file's own position.
///
/// # Errors
/// As for [`next_data`].
pub fn next_hole(file: BorrowedFd<'_>, at: u64) -> io::Result<Option<u64>> {
    found(seek::hole(file, offset(at)?))
}

/// A position or a length as system calls take it.
fn offset(bytes: u64) -> io::Result<libc::off_t> {
    bytes.try_into().map_err(|_| Errno::EOVERFLOW.into())
}

fn found(sought: nix::Result<libc::off_t>) -> io::Result<Option<u64>> {
    match sought {
        Ok(place) => u64::try_from(place).map(Some).map_err(|_| Errno::EOVERFLOW.into()),
        Err(Errno::ENXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Linux's `fallocate` does to a disk what it does to a file.
#[cfg(target_os = "linux")]
mod make {
    use nix::errno::Errno;
    use nix::fcntl::{FallocateFlags, fallocate};
    use nix::libc::off_t;
    use std::os::fd::BorrowedFd;

    pub(super) fn hole(file: BorrowedFd<'_>, at: off_t, length: off_t) -> nix::Result<()> {
        // The kernel knows holes that keep the size alone.
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        change(file, mode, at, length)
    }

    pub(super) fn zeros(file: BorrowedFd<'_>, at: off_t, length: off_t) -> nix::Result<()> {
        change(file, FallocateFlags::FALLOC_FL_ZERO_RANGE, at, length)
    }

    fn change(file: BorrowedFd<'_>, mode: FallocateFlags, at: off_t, length: off_t) -> nix::Result<()> {
        loop {
            match fallocate(file, mode, at, length) {
                Err(Errno::EINTR) => {}
                done => return done,
            }
        }
    }
}

/// Others have a call each, or none; none of them is needed.
#[cfg(not(target_os = "linux"))]
mod make {
    use nix::errno::Errno;
    use nix::libc::off_t;
    use std::os::fd::BorrowedFd;

    pub(super) fn hole(_: BorrowedFd<'_>, _: off_t, _: off_t) -> nix::Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) use hole as zeros;
}

/// `lseek` to what is next.
#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
mod seek {
    use nix::libc::off_t;
    use nix::unistd::{Whence, lseek};
    use std::os::fd::BorrowedFd;

    pub(super) fn data(file: BorrowedFd<'_>, at: off_t) -> nix::Result<off_t> {
        lseek(file, at, Whence::SeekData)
    }

    pub(super) fn hole(file: BorrowedFd<'_>, at: off_t) -> nix::Result<off_t> {
        lseek(file, at, Whence::SeekHole)
    }
}

/// Systems that tell nothing of holes.
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
mod seek {
    use nix::errno::Errno;
    use nix::libc::off_t;
    use std::os::fd::BorrowedFd;

    pub(super) fn data(_: BorrowedFd<'_>, _: off_t) -> nix::Result<off_t> {
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) use data as hole;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn a_place_that_no_file_has_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        assert_eq!(errno(punch_hole(file.as_fd(), u64::MAX, 1)), Some(libc::EOVERFLOW));
        assert_eq!(errno(zero_range(file.as_fd(), 0, u64::MAX)), Some(libc::EOVERFLOW));
        assert_eq!(errno(next_data(file.as_fd(), u64::MAX).map(drop)), Some(libc::EOVERFLOW));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn behind_the_end_there_is_nothing_and_a_pipe_has_no_places() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(next_data(file.as_fd(), 512).unwrap(), None);
        assert_eq!(next_hole(file.as_fd(), 512).unwrap(), None);
        let (end, _other) = std::io::pipe().unwrap();
        assert!(next_data(File::from(std::os::fd::OwnedFd::from(end)).as_fd(), 0).is_err());
    }
}
