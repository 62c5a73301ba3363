//! Error numbers, which are part of the protocol: the same cause has the same number on every backend.

use std::fmt;

/// A Linux error number as an ioctl returns it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

/// Declares the numbers that this program itself returns or looks for, with their names, once.
macro_rules! errnos {
    ($($name:ident = $number:literal, $why:literal;)*) => {
        impl Errno {
            $(#[doc = $why] pub const $name: Self = Self($number);)*

            /// `EINVAL` and its like; `None` for a number that this program neither returns nor looks for.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

// Source: include/uapi/asm-generic/errno-base.h and errno.h.
errnos! {
    EPERM = 1, "Operation not permitted.";
    ENOENT = 2, "No such file or directory.";
    EINTR = 4, "Interrupted system call.";
    EIO = 5, "Input/output error.";
    ENXIO = 6, "No such device or address: no dm device of that name, uuid or number.";
    EAGAIN = 11, "Try again.";
    ENOMEM = 12, "Out of memory.";
    EACCES = 13, "Permission denied.";
    EFAULT = 14, "Bad address: the buffer is shorter than it says.";
    EBUSY = 16, "Device or resource busy.";
    EEXIST = 17, "File exists.";
    ENODEV = 19, "No such device: a table names a disk that is not there.";
    ENOTDIR = 20, "Not a directory.";
    EINVAL = 22, "Invalid argument.";
    ENOTTY = 25, "Inappropriate ioctl: a command that the driver does not know.";
    ENOTBLK = 15, "Block device required.";
    ENOSPC = 28, "No space left on device.";
    EROFS = 30, "Read-only file system, or device.";
    ELOOP = 40, "Too many levels: devices stacked in a circle or too deep.";
    EOVERFLOW = 75, "Value too large for its field.";
    EOPNOTSUPP = 95, "Operation not supported.";
}

impl Errno {
    /// The number that an error of the standard library carries; EIO for one that carries none.
    pub fn from_io(error: &std::io::Error) -> Self {
        error.raw_os_error().map_or(Self::EIO, Self)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The standard library gives strerror's words and appends the number, which no dmsetup message has.
        let words = std::io::Error::from_raw_os_error(self.0).to_string();
        f.write_str(words.strip_suffix(&format!(" (os error {})", self.0)).unwrap_or(&words))
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_reads_as_strerror_has_it() {
        assert_eq!(Errno::ENXIO.to_string(), "No such device or address");
        assert_eq!(format!("{:?} {:?}", Errno::EBUSY, Errno(99)), "EBUSY errno 99");
    }
}
