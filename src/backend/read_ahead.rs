//! How far the kernel reads ahead on a device (`--readahead`).
//!
//! Through `/sys` where it is there, as libdevmapper does; else through the device's node.

use crate::dm::{DeviceNumber, Errno};
use crate::sys::blockdev;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What the kernel shall read ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAhead {
    /// As much as it does of itself.
    Auto,
    /// So many sectors; 0 for nothing at all.
    Sectors(u32),
    /// So many, unless it reads more already.
    AtLeast(u32),
}

/// A value that could not be read or set.
#[derive(Debug)]
pub struct ReadAheadError {
    call: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl ReadAhead {
    /// Sets it for a device, whose node is there.
    ///
    /// # Errors
    /// The kernel does not let us; the device is as it was.
    pub fn set(self, dev: DeviceNumber, node: &Path) -> Result<(), ReadAheadError> {
        let (sectors, at_least) = match self {
            Self::Auto => return Ok(()),
            Self::Sectors(sectors) => (sectors, false),
            Self::AtLeast(sectors) => (sectors, true),
        };
        let path = PathBuf::from(format!("/sys/dev/block/{dev}/bdi/read_ahead_kb"));
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => set_by_sysfs(file, path, sectors, at_least),
            Err(_) => set_by_node(node, sectors, at_least),
        }
    }
}

fn set_by_sysfs(mut file: File, path: PathBuf, sectors: u32, at_least: bool) -> Result<(), ReadAheadError> {
    if at_least {
        let kilobytes = match fs::read_to_string(&path) {
            Ok(kilobytes) => kilobytes,
            Err(error) => return Err(ReadAheadError { call: "read", path, error }),
        };
        if kilobytes.trim_ascii().parse::<u64>().is_ok_and(|kilobytes| kilobytes * 2 >= u64::from(sectors)) {
            return Ok(());
        }
    }
    let kilobytes = sectors.div_ceil(2).to_string();
    file.write_all(kilobytes.as_bytes()).map_err(|error| ReadAheadError { call: "write", path, error })
}

fn set_by_node(node: &Path, sectors: u32, at_least: bool) -> Result<(), ReadAheadError> {
    let failed = |call, error| ReadAheadError { call, path: node.to_path_buf(), error };
    let disk = File::open(node).map_err(|error| failed("open", error))?;
    if at_least {
        let now = blockdev::read_ahead(disk.as_fd()).map_err(|error| failed("BLKRAGET", error))?;
        if now >= u64::from(sectors) {
            return Ok(());
        }
    }
    blockdev::set_read_ahead(disk.as_fd(), sectors).map_err(|error| failed("BLKRASET", error))
}

impl fmt::Display for ReadAheadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, path, error } = self;
        write!(f, "{}: {call} failed: {}", path.display(), Errno::from_io(error))
    }
}

impl std::error::Error for ReadAheadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_told() {
        let nowhere = DeviceNumber::new(4095, 1_048_575);
        let node = Path::new("/nonesuch/vol0");
        ReadAhead::Auto.set(nowhere, node).unwrap();
        let error = ReadAhead::AtLeast(8).set(nowhere, node).unwrap_err();
        assert_eq!(error.to_string(), "/nonesuch/vol0: open failed: No such file or directory");
    }
}
