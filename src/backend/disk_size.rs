//! How large the disk, file or device is that a word of a table names.

use super::Client;
use crate::dm::{
    Bytes, Command, DeviceId, DeviceNumber, Errno, Fault, Flags, Request, SECTOR_SIZE, Sectors, Text,
};
use crate::sys::blockdev;
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How many sectors it has, whole ones alone: by its path; by its number; and of a device that the mapper in userspace has,
/// by its name, with `/dev/mapper/` before it or not.
///
/// # Errors
/// There is nothing of that name, or it is no disk, or may not be looked at.
pub fn disk_size(client: &mut Client, word: &Text) -> Result<Sectors, Fault> {
    if let Some(number) = DeviceNumber::parse(word) {
        let own = if client.is_mapper() { mapped_size(client, DeviceId::by_number(number))? } else { None };
        return match own {
            Some(size) => Ok(size),
            None => size_at(&PathBuf::from(format!("/dev/block/{number}")), word),
        };
    }
    let name = word.strip_prefix(b"/dev/mapper/").unwrap_or(word);
    if client.is_mapper()
        && !name.contains(&b'/')
        && let Some(size) = mapped_size(client, DeviceId::by_name(name))?
    {
        return Ok(size);
    }
    size_at(Path::new(OsStr::from_bytes(word)), word)
}

/// The size of a device of the driver's by its table; `None` if it has no such device.
fn mapped_size(client: &mut Client, device: DeviceId) -> Result<Option<Sectors>, Fault> {
    let request = Request::new(device, Command::TableStatus).with_flags(Flags::NOFLUSH);
    match client.perform(&request) {
        Ok(reply) => {
            let ends = reply.lines().iter().filter_map(|line| line.start.checked_add(line.length));
            Ok(Some(ends.max().unwrap_or_default()))
        }
        Err(error) if error.errno == Errno::ENXIO => Ok(None),
        Err(error) => Err(error.fault.clone().unwrap_or_else(|| Fault::new(error.errno, error.to_string()))),
    }
}

fn size_at(path: &Path, word: &Text) -> Result<Sectors, Fault> {
    let failed = |error: io::Error| match Errno::from_io(&error) {
        Errno::ENOENT | Errno::ENOTDIR => {
            Fault::new(Errno::ENODEV, format!("there is no disk or file \"{word}\""))
        }
        errno => Fault::new(errno, format!("cannot open \"{word}\": {errno}")),
    };
    // Without blocking, as for a tape or a pipe.
    let file =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.file_type().is_block_device() {
        return blockdev::size(file.as_fd()).map(|bytes| Sectors(bytes / SECTOR_SIZE)).map_err(failed);
    }
    if metadata.is_file() {
        return Ok(Bytes(metadata.len()).whole_sectors());
    }
    Err(Fault::new(Errno::ENOTBLK, format!("\"{word}\" is neither a disk nor a file")))
}
