//! What the kernel says of device-mapper in its log while a request is performed: the reason that an errno leaves out.

use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// Records that are looked at, at most: others write to the log too.
const MAX_RECORDS: usize = 1000;
/// No record is longer (`CONSOLE_EXT_LOG_MAX`).
const MAX_RECORD: usize = 8192;

/// The log, from a moment on.
#[derive(Debug)]
pub(super) struct KernelLog(File);

impl KernelLog {
    /// From now on; `None` where it may not be read.
    pub(super) fn from_now() -> Option<Self> {
        let mut file =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg").ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Self(file))
    }

    /// What device-mapper has said since, without its prefix.
    pub(super) fn said(mut self) -> Vec<String> {
        let mut said = Vec::new();
        let mut record = [0; MAX_RECORD];
        for _ in 0..MAX_RECORDS {
            match self.0.read(&mut record) {
                Ok(0) => break,
                Ok(length) => said.extend(message(&record[..length])),
                // Records were overwritten before they were read: the next read gives the oldest that is left.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(_) => break,
            }
        }
        reasons(said)
    }
}

/// Device-mapper's words in a record of the log, `LEVEL,NUMBER,TIME,FLAGS;TEXT`.
fn message(record: &[u8]) -> Option<String> {
    let text = record.split(|&byte| byte == b';').skip(1).collect::<Vec<_>>().join(&b';');
    let line = text.split(|&byte| byte == b'\n').next()?;
    let words = line.strip_prefix(b"device-mapper: ")?;
    Some(String::from_utf8_lossy(words).into_owned())
}

/// Those that say why: that a target could not be added is only what follows from it.
fn reasons(mut said: Vec<String>) -> Vec<String> {
    let is_consequence = |words: &String| words == "ioctl: error adding target to table";
    if !said.iter().all(is_consequence) {
        said.retain(|words| !is_consequence(words));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_device_mapper_said_first() {
        let record = b"3,1021,5140900,-;device-mapper: table: 254:0: linear: Invalid argument count (-EINVAL)\n SUBSYSTEM=block\n";
        let reason = message(record).unwrap();
        assert_eq!(reason, "table: 254:0: linear: Invalid argument count (-EINVAL)");
        assert_eq!(message(b"6,1,2,-;usb 1-1: a; device-mapper: lookalike"), None);
        assert_eq!(message(b"no record"), None);
        let consequence = "ioctl: error adding target to table".to_owned();
        assert_eq!(reasons(vec![reason.clone(), consequence.clone()]), [reason]);
        assert_eq!(reasons(vec![consequence.clone()]), [consequence]);
    }
}
