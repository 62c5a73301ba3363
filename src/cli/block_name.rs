//! How block devices are called in lists: `-o devno`, `-o blkdevname`, `-o devname`.

use super::context::Context;
use super::sysfs;
use crate::dm::{DeviceNumber, ListedDevice, Text};
use crate::render::DeviceName;
use std::fmt;

/// The major number under which files stand that the mapper in userspace uses as disks.
const LOOP_MAJOR: u32 = 7;

/// What a block device is called by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    /// `devno`: major and minor.
    Number,
    /// `blkdevname`: the kernel's name.
    Kernel,
    /// `devname`: a mapped device's own name, the kernel's for any other.
    Mapped,
}

/// A word that is none of the kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownKind(String);

/// Words with commas between, each cut short at will; the last one counts.
pub(super) fn kind(words: &str) -> Result<NameKind, UnknownKind> {
    let names =
        [("devno", NameKind::Number), ("blkdevname", NameKind::Kernel), ("devname", NameKind::Mapped)];
    let mut chosen = NameKind::Number;
    let mut rest = Some(words).filter(|words| !words.is_empty());
    while let Some(here) = rest {
        let (word, after) = here.split_once(',').map_or((here, None), |(word, after)| (word, Some(after)));
        let known = names.iter().find(|(name, _)| name.starts_with(word));
        chosen = known.ok_or_else(|| UnknownKind(here.into()))?.1;
        rest = after.filter(|after| !after.is_empty());
    }
    Ok(chosen)
}

/// What the device is called by; by its number where it has no such name. `mapped` are the devices that there are.
pub(super) fn called(
    ctx: &mut Context,
    kind: NameKind,
    dev: DeviceNumber,
    mapped: &[ListedDevice],
) -> DeviceName {
    let from_mapper = ctx.client().is_ok_and(|client| client.is_mapper());
    let own = || mapped.iter().find(|device| device.dev == dev).map(|device| device.name.clone());
    let foreign = mapped.first().map(|device| device.dev.major).filter(|_| from_mapper);
    let kernel_name = || kernel_name(dev, foreign);
    let name = match kind {
        NameKind::Number => None,
        NameKind::Kernel => kernel_name(),
        // As the driver has it and not decoded: dmsetup takes it from /sys.
        NameKind::Mapped if from_mapper => own().or_else(kernel_name),
        NameKind::Mapped => sysfs::mapped_name(dev).or_else(kernel_name),
    };
    name.map_or(DeviceName::Number(dev), DeviceName::Name)
}

/// The kernel's name for the device. Of the mapper's own, which the kernel does not know and which have the major number
/// `foreign`, and of files, the name that the kernel would have for them.
pub(super) fn kernel_name(dev: DeviceNumber, foreign: Option<u32>) -> Option<Text> {
    match foreign {
        Some(major) if dev.major == major => Some(format!("dm-{}", dev.minor).into()),
        Some(_) if dev.major == LOOP_MAJOR => Some(format!("loop{}", dev.minor).into()),
        _ => sysfs::kernel_name(dev),
    }
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Option not recognised: {}.", self.0)
    }
}

impl std::error::Error for UnknownKind {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_may_be_cut_short_and_the_last_counts() {
        for (words, expected) in [
            ("devno", NameKind::Number),
            ("blk", NameKind::Kernel),
            ("dev", NameKind::Number),
            ("devna", NameKind::Mapped),
            ("blk,devname", NameKind::Mapped),
            ("blk,", NameKind::Kernel),
        ] {
            assert_eq!(kind(words), Ok(expected), "{words}");
        }
        assert_eq!(kind("blk,foo,x").unwrap_err().to_string(), "Option not recognised: foo,x.");
    }
}
