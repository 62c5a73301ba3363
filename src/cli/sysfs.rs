//! What Linux tells of block devices in /sys and /proc: names, numbers and read-ahead. Where they are not there, nothing
//! is told.

use crate::backend::{Holder, HolderSearch};
use crate::dm::{DeviceNumber, Text};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;

/// The kernel's name for the device: `sda1`, `dm-0`.
pub(super) fn kernel_name(dev: DeviceNumber) -> Option<Text> {
    let target = fs::read_link(directory(dev)).ok()?;
    let mut name = target.file_name()?.to_owned().into_vec();
    // A slash in a name is an exclamation mark there.
    name.iter_mut().filter(|byte| **byte == b'!').for_each(|byte| *byte = b'/');
    Some(name.into())
}

/// A mapped device's name, in the form that the driver has it; `None` for a device of any other kind.
pub(super) fn mapped_name(dev: DeviceNumber) -> Option<Text> {
    let name = fs::read(directory(dev) + "/dm/name").ok()?;
    Some(name.trim_ascii_end().into())
}

/// How many sectors the kernel reads ahead.
pub(super) fn read_ahead(dev: DeviceNumber) -> Option<u64> {
    // A thousand devices are asked for it in a row: one read, and no look at how long such a file might be.
    let mut digits = [0; 32];
    let length = File::open(directory(dev) + "/bdi/read_ahead_kb").ok()?.read(&mut digits).ok()?;
    let kilobytes: u64 = std::str::from_utf8(digits[..length].trim_ascii()).ok()?.parse().ok()?;
    kilobytes.checked_mul(2)
}

/// The major number of the kernel's mapped devices.
pub(super) fn mapped_major() -> Option<u32> {
    let devices = fs::read_to_string("/proc/devices").ok()?;
    let line = devices.lines().find(|line| line.ends_with(" device-mapper"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// All that hold a block device of the kernel.
pub(super) fn holders(dev: DeviceNumber) -> Vec<Holder> {
    HolderSearch::default().holders(dev)
}

fn directory(dev: DeviceNumber) -> String {
    format!("/sys/dev/block/{dev}")
}
