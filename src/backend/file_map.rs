//! A file as the stretches of its device that it lies on, where that device is a mapped one.

use crate::dm::stats::{self, Extent};
use crate::dm::{Bytes, DeviceNumber, Errno};
use crate::sys::{devt, fiemap};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file on a mapped device.
#[derive(Debug)]
pub struct MappedFile {
    file: File,
    path: PathBuf,
}

/// Why a file cannot be mapped: libdm's line.
#[derive(Debug)]
pub enum FileMapError {
    /// It is not there.
    NotFound(PathBuf),
    /// It cannot be opened.
    Open(PathBuf),
    /// btrfs tells places that are not the device's.
    Btrfs,
    /// It is no regular file.
    NotRegular,
    /// The device that it is on is not a mapped one.
    NotMapped,
    /// It lies nowhere.
    NoExtents,
    /// A system call failed: which, and why.
    System(&'static str, Errno),
}

impl MappedFile {
    /// Opens the file.
    ///
    /// # Errors
    /// It is not there, or may not be read.
    pub fn open(path: &Path) -> Result<Self, FileMapError> {
        let whole = fs::canonicalize(path).map_err(|_| FileMapError::NotFound(path.to_path_buf()))?;
        match File::open(&whole) {
            Ok(file) => Ok(Self { file, path: whole }),
            Err(_) => Err(FileMapError::Open(whole)),
        }
    }

    /// Where it is, from the root on.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mapped device that it is on.
    ///
    /// # Errors
    /// It is no regular file, or on no mapped device.
    pub fn device(&self) -> Result<DeviceNumber, FileMapError> {
        if !fiemap::tells_places(self.file.as_fd()).map_err(|error| failed("fstatfs", &error))? {
            return Err(FileMapError::Btrfs);
        }
        let metadata = self.file.metadata().map_err(|error| failed("fstat", &error))?;
        if !metadata.is_file() {
            return Err(FileMapError::NotRegular);
        }
        let (major, minor) = devt::split(metadata.dev());
        let dev = DeviceNumber::new(major, minor);
        if mapper_majors().contains(&dev.major) { Ok(dev) } else { Err(FileMapError::NotMapped) }
    }

    /// The stretches of the device that it lies on, in the file's order.
    ///
    /// # Errors
    /// There is none, or the file system does not tell.
    pub fn extents(&self) -> Result<Vec<Extent>, FileMapError> {
        let told = fiemap::extents(self.file.as_fd()).map_err(|error| failed("FIEMAP", &error))?;
        let extents = stats::join(told.iter().map(|extent| stats::FileExtent {
            physical: Bytes(extent.physical),
            length: Bytes(extent.length),
        }));
        if extents.is_empty() { Err(FileMapError::NoExtents) } else { Ok(extents) }
    }

    /// The open file as a program that is started may have it: its number stays the same there.
    ///
    /// # Errors
    /// What the system call gives.
    pub fn inherited(&self) -> io::Result<RawFd> {
        fcntl(&self.file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(self.file.as_raw_fd())
    }
}

fn failed(call: &'static str, error: &io::Error) -> FileMapError {
    FileMapError::System(call, Errno::from_io(error))
}

/// The majors of the kernel's mapped devices.
fn mapper_majors() -> Vec<u32> {
    let devices = fs::read_to_string("/proc/devices").unwrap_or_default();
    let line = |line: &str| line.trim_start().strip_suffix(" device-mapper")?.parse().ok();
    devices.lines().filter_map(line).collect()
}

impl fmt::Display for FileMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(path) => write!(f, "Could not canonicalize file name: {}", path.display()),
            Self::Open(path) => write!(f, "Could not open {} for reading", path.display()),
            Self::Btrfs => {
                f.write_str("Cannot map file: btrfs does not provide physical FIEMAP extent data.")
            }
            Self::NotRegular => f.write_str("Not a regular file"),
            Self::NotMapped => f.write_str("Cannot map file: not a device-mapper device."),
            Self::NoExtents => f.write_str("Cannot map file: no allocated extents."),
            Self::System(call, errno) => write!(f, "Cannot map file: {call} failed: {errno}"),
        }
    }
}

impl std::error::Error for FileMapError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_mapped_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("nowhere");
        let error = MappedFile::open(&nowhere).unwrap_err().to_string();
        assert_eq!(error, format!("Could not canonicalize file name: {}", nowhere.display()));
        let file = MappedFile::open(directory.path()).unwrap();
        assert!(matches!(file.device(), Err(FileMapError::NotRegular | FileMapError::Btrfs)));
    }
}
