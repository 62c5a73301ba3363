//! Whether zeroing a range would be faster than writing zeros to it.

use crate::block::{Access, BlockDevice, Extent};
use crate::dm::{Bytes, Errno};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, TMPFS_MAGIC, fstatfs};
use std::fs::File;
use std::os::unix::fs::FileTypeExt;

/// File systems that zero a range by their metadata alone: those that punch holes, and those that keep the range
/// allocated too.
const PUNCHING: [FsType; 4] = [TMPFS_MAGIC, EXT4_SUPER_MAGIC, XFS, BTRFS_SUPER_MAGIC];
const ZEROING: [FsType; 3] = [EXT4_SUPER_MAGIC, XFS, BTRFS_SUPER_MAGIC];
/// `XFS_SUPER_MAGIC` of Linux's include/uapi/linux/magic.h, which nix does not have for musl.
const XFS: FsType = FsType(0x5846_5342);

/// Whether every part of the range is known to be zeroed faster than it is written. Nothing is changed.
pub(super) fn is_fast(
    device: &dyn BlockDevice,
    at: Bytes,
    length: Bytes,
    may_unmap: bool,
) -> Result<bool, Errno> {
    let mut fast = true;
    if length.0 > 0 {
        device.extents(Access::Write, at, length, &mut |extent| {
            fast &= match extent {
                Extent::File { file, .. } => is_fast_file(file, may_unmap),
                Extent::Zero { .. } => true,
                Extent::Handled { .. } => false,
            };
            Ok(())
        })?;
    }
    Ok(fast)
}

/// A disk of the kernel's may be zeroed by writing, and does not say: that is not called fast.
fn is_fast_file(file: &File, may_unmap: bool) -> bool {
    let kinds = if may_unmap { &PUNCHING[..] } else { &ZEROING };
    file.metadata().is_ok_and(|metadata| !metadata.file_type().is_block_device())
        && fstatfs(file).is_ok_and(|system| kinds.contains(&system.filesystem_type()))
}
