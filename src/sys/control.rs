//! The kernel's device-mapper control node: find it, open it, call it.

use super::{devt, request_code};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, mknod};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The control node's number: the misc driver's major and `MAPPER_CTRL_MINOR` (linux/miscdevice.h).
const CONTROL_MAJOR: u32 = 10;
const CONTROL_MINOR: u32 = 236;

/// Bytes of `struct dm_ioctl`, and where in it `data_size` stands (linux/dm-ioctl.h).
const HEADER_LEN: usize = 312;
const DATA_SIZE: std::ops::Range<usize> = 12..16;

/// The opened control node.
#[derive(Debug)]
pub struct Control {
    file: File,
}

impl Control {
    /// Where the control node is, below the directory of device nodes (`/dev`, or `DM_DEV_DIR`).
    pub fn path(dev_dir: &Path) -> PathBuf {
        dev_dir.join("mapper/control")
    }

    /// Opens the node.
    ///
    /// # Errors
    /// ENOENT when it is not there, ENODEV or ENXIO when no driver is behind it, EACCES without the right.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file })
    }

    /// Makes the node, with the directory that it stands in, as dmsetup does where nobody else has.
    ///
    /// # Errors
    /// EPERM without the right to make device nodes; ENODEV on other systems than Linux, where the number is another's.
    pub fn create(path: &Path) -> io::Result<()> {
        if !cfg!(target_os = "linux") {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        mknod(path, SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, devt::make(CONTROL_MAJOR, CONTROL_MINOR))?;
        Ok(())
    }

    /// Whether the running kernel says that it has the driver, loaded (`/proc/misc`).
    pub fn driver_is_loaded() -> bool {
        fs::read("/proc/misc").is_ok_and(|misc| {
            misc.split(|&byte| byte == b'\n').any(|line| line.trim_ascii().ends_with(b" device-mapper"))
        })
    }

    /// The open node once more, to be polled.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// Calls the driver: the buffer holds the request, then the reply.
    ///
    /// # Errors
    /// What the driver returns; EFAULT, without a call, for a buffer shorter than it says itself to be.
    pub fn ioctl(&self, number: u32, buffer: &mut [u8]) -> io::Result<()> {
        let said: [u8; 4] = buffer
            .get(DATA_SIZE)
            .filter(|_| buffer.len() >= HEADER_LEN)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EFAULT))?;
        if usize::try_from(u32::from_ne_bytes(said)).is_ok_and(|said| said > buffer.len()) {
            return Err(io::Error::from_raw_os_error(libc::EFAULT));
        }
        // SAFETY: the descriptor is open for as long as `self` lives. The driver reads and writes at most `data_size`
        // bytes from the pointer, or `HEADER_LEN` where it takes no data; both were just checked to lie within the
        // buffer, which is borrowed exclusively. Any bytes at all are a valid `[u8]`.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), request_code(number), buffer.as_mut_ptr()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_lies_about_its_size_never_reaches_the_driver() {
        let control = Control { file: File::open("/dev/null").unwrap() };
        let errno = |buffer: &mut [u8]| control.ioctl(0xc138_fd00, buffer).unwrap_err().raw_os_error();
        assert_eq!(errno(&mut [0; 100]), Some(libc::EFAULT));
        let mut long = [0; HEADER_LEN];
        long[DATA_SIZE].copy_from_slice(&313u32.to_ne_bytes());
        assert_eq!(errno(&mut long), Some(libc::EFAULT));
        long[DATA_SIZE].copy_from_slice(&312u32.to_ne_bytes());
        assert_eq!(errno(&mut long), Some(libc::ENOTTY), "this one is asked, and /dev/null knows no ioctl");
    }
}
