//! The kernel's FUSE device: descriptors of a session.

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::{cmsg_space, libc};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// The raw call.
mod raw {
    use nix::{ioctl_read_bad, ioctl_write_ptr, request_code_read};

    // `FUSE_DEV_IOC_CLONE` of linux/fuse.h, which only reads the number that it is given, whatever its direction bits say.
    ioctl_read_bad!(clone, request_code_read!(229, 0, size_of::<u32>()), u32);

    /// `struct fuse_backing_map`.
    #[repr(C)]
    #[derive(Debug)]
    pub(super) struct Backing {
        pub(super) descriptor: i32,
        pub(super) flags: u32,
        pub(super) padding: u64,
    }

    // `FUSE_DEV_IOC_BACKING_OPEN` and `FUSE_DEV_IOC_BACKING_CLOSE`, since Linux 6.9.
    ioctl_write_ptr!(back, 229, 1, Backing);
    ioctl_write_ptr!(end_backing, 229, 2, u32);
}

/// A new descriptor of `/dev/fuse` for the session of `session`: each has its own list of requests in work.
///
/// # Errors
/// What opening `/dev/fuse` gives; EINVAL when the descriptor is no session's.
pub fn clone(session: BorrowedFd<'_>) -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let mut number =
        u32::try_from(session.as_raw_fd()).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: both descriptors are open; the kernel reads one u32 from the pointer, which is to a live local.
    unsafe { raw::clone(device.as_raw_fd(), &raw mut number) }?;
    Ok(device)
}

/// Has the kernel keep a file that it may read in place of the session's files (passthrough); the number to name it by.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, or where the session did not ask for passthrough; EOPNOTSUPP or ELOOP for a file that cannot
/// stand under another; ENOTTY before Linux 6.9.
pub fn back(session: BorrowedFd<'_>, file: BorrowedFd<'_>) -> io::Result<i32> {
    back_with(session, file.as_raw_fd())
}

/// Whether [`back`] is this process's to ask for.
///
/// # Errors
/// What it would be refused with, whatever the file.
pub fn may_back(session: BorrowedFd<'_>) -> io::Result<()> {
    // No file at all: that is found out after the permission.
    match back_with(session, -1) {
        Err(error) if error.raw_os_error() != Some(libc::EBADF) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn back_with(session: BorrowedFd<'_>, descriptor: RawFd) -> io::Result<i32> {
    let backing = raw::Backing { descriptor, flags: 0, padding: 0 };
    // SAFETY: the session's descriptor is open; the kernel reads a `fuse_backing_map` from the pointer, which is to a live
    // local of that layout.
    Ok(unsafe { raw::back(session.as_raw_fd(), &raw const backing) }?)
}

/// Has the kernel forget a number that [`back`] gave. Files that are open keep what they have.
///
/// # Errors
/// ENOENT for a number that is not known.
pub fn end_backing(session: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    let number = number.cast_unsigned();
    // SAFETY: the session's descriptor is open; the kernel reads one u32 from the pointer, which is to a live local.
    unsafe { raw::end_backing(session.as_raw_fd(), &raw const number) }?;
    Ok(())
}

/// The descriptor that comes in the next message of a socket (`SCM_RIGHTS`); `None` when the message, or the socket's end,
/// has none.
pub fn receive(socket: &UnixStream) -> Option<File> {
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    // Room for one: the kernel closes what does not fit.
    let mut room = cmsg_space!(RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut data, Some(&mut room), flags).ok()?;
    let mut received = None;
    for control in message.cmsgs().ok()? {
        if let ControlMessageOwned::ScmRights(descriptors) = control {
            for descriptor in descriptors {
                // SAFETY: the kernel has just made the descriptor for this process, and only this message names it, so
                // that it has one owner: the value made here.
                received = Some(unsafe { OwnedFd::from_raw_fd(descriptor) });
            }
        }
    }
    received.map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_session_is_refused() {
        let null = File::open("/dev/null").unwrap();
        assert!(clone(null.as_fd()).is_err());
        assert!(back(null.as_fd(), null.as_fd()).is_err() && may_back(null.as_fd()).is_err());
        assert!(end_backing(null.as_fd(), 1).is_err());
    }

    #[test]
    fn a_socket_without_descriptors_gives_none() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(receive(&ours).is_none());
    }
}
