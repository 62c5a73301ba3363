//! The kernel's disks as a check of a table sees them: what the driver would refuse of them, found without the driver.

use crate::block::{Pdev, PdevSource};
use crate::dm::{DeviceNumber, Errno, Fault, Text};
use crate::sys::devt;
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every block device that there is.
#[derive(Debug)]
pub(super) struct KernelDisks;

impl PdevSource for KernelDisks {
    fn open(&mut self, name: &Text, _writable: bool) -> Result<Arc<Pdev>, Fault> {
        let path = path_of(name)?;
        let failed = |error: io::Error| cannot_open(name, &error);
        let metadata = fs::metadata(&path).map_err(failed)?;
        if !metadata.file_type().is_block_device() {
            let hint = if metadata.is_file() {
                "the kernel maps disks alone: `losetup -f --show FILE` makes one of a file, and --backend user takes files"
            } else {
                "name a disk, as in `lsblk -p`"
            };
            let fault = Fault::new(Errno::ENODEV, format!("\"{name}\" is not a disk"));
            return Err(fault.with_hint(Some(hint.into())));
        }
        let (major, minor) = devt::split(metadata.rdev());
        let dev = DeviceNumber::new(major, minor);
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path);
        Pdev::file(dev, &path, file.map_err(failed)?, false).map(Arc::new).map_err(failed)
    }
}

/// The number of the disk whose node that path leads to; `None` where it leads to none.
pub fn disk_number(path: &Path) -> Option<DeviceNumber> {
    let metadata = fs::metadata(path).ok().filter(|metadata| metadata.file_type().is_block_device())?;
    let (major, minor) = devt::split(metadata.rdev());
    Some(DeviceNumber::new(major, minor))
}

/// The path of a table's word: what it says, or the node of that number.
fn path_of(word: &Text) -> Result<PathBuf, Fault> {
    let Some(dev) = DeviceNumber::parse(word) else {
        return Ok(Path::new(OsStr::from_bytes(word)).to_path_buf());
    };
    let missing = || Fault::new(Errno::ENXIO, format!("there is no disk with number {dev}"));
    let uevent = fs::read(format!("/sys/dev/block/{dev}/uevent")).map_err(|_| missing())?;
    let name = uevent.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"DEVNAME="));
    Ok(super::dev_dir().join(OsStr::from_bytes(name.ok_or_else(missing)?)))
}

fn cannot_open(name: &Text, error: &io::Error) -> Fault {
    match Errno::from_io(error) {
        Errno::ENOENT | Errno::ENOTDIR => Fault::new(Errno::ENODEV, format!("there is no disk \"{name}\"")),
        errno => Fault::new(errno, format!("cannot open \"{name}\": {errno}")),
    }
}
