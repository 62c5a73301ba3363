//! The numbers of the ioctls, and what each command may carry.
//!
//! Knows nothing of buffers. Source: `linux/dm-ioctl.h`, and `asm-generic/ioctl.h` for how a number is put together
//! (x86, Arm, RISC-V and most others; not Alpha, MIPS, PowerPC and SPARC, which arrange it in their own way).

use crate::dm::CommandKind;

/// `DM_IOCTL`: the type that all of device-mapper's ioctls share.
const TYPE: u8 = 0xfd;
/// `_IOC_READ | _IOC_WRITE` and the size of `struct dm_ioctl`, in their places.
const READ_WRITE_HEADER: u32 = 3 << 30 | 312 << 16;

/// The number to give to ioctl(2): `_IOWR(0xfd, nr, struct dm_ioctl)`, for `MpathProbePaths` `_IO(0xfd, 18)`.
pub fn ioctl_number(kind: CommandKind) -> u32 {
    let number = u32::from_le_bytes([kind.number(), TYPE, 0, 0]);
    if kind == CommandKind::MpathProbePaths { number } else { READ_WRITE_HEADER | number }
}

/// The command that a number asks for; `None` is ENOTTY.
///
/// As in the kernel, direction and size do not count: only the type and the command's number do.
pub fn command_of(number: u32) -> Option<CommandKind> {
    let [command, kind, _, _] = number.to_le_bytes();
    if kind == TYPE { CommandKind::from_number(command) } else { None }
}

/// Whether the command's reply may carry data behind the header, so that a client offers room for it.
pub fn has_reply_data(kind: CommandKind) -> bool {
    match kind {
        CommandKind::ListDevices
        | CommandKind::DevWait
        | CommandKind::TableDeps
        | CommandKind::TableStatus
        | CommandKind::ListVersions
        | CommandKind::TargetMsg
        | CommandKind::GetTargetVersion => true,
        CommandKind::Version
        | CommandKind::RemoveAll
        | CommandKind::DevCreate
        | CommandKind::DevRemove
        | CommandKind::DevRename
        | CommandKind::DevSuspend
        | CommandKind::DevStatus
        | CommandKind::TableLoad
        | CommandKind::TableClear
        | CommandKind::DevSetGeometry
        | CommandKind::DevArmPoll
        | CommandKind::MpathProbePaths => false,
    }
}

/// Whether a driver looks at nothing behind the header, whatever size the caller gives (`IOCTL_FLAGS_NO_PARAMS`).
pub fn takes_no_data(kind: CommandKind) -> bool {
    match kind {
        CommandKind::RemoveAll
        | CommandKind::DevCreate
        | CommandKind::DevRemove
        | CommandKind::DevSuspend
        | CommandKind::DevStatus
        | CommandKind::TableClear
        | CommandKind::DevArmPoll => true,
        CommandKind::Version
        | CommandKind::ListDevices
        | CommandKind::DevRename
        | CommandKind::DevWait
        | CommandKind::TableLoad
        | CommandKind::TableDeps
        | CommandKind::TableStatus
        | CommandKind::ListVersions
        | CommandKind::TargetMsg
        | CommandKind::DevSetGeometry
        | CommandKind::GetTargetVersion
        | CommandKind::MpathProbePaths => false,
    }
}

/// Whether a successful reply is the driver's version alone and the rest of the buffer stays as it was sent.
///
/// The kernel answers `DM_VERSION` before it looks at anything else, and copies no byte back for the other two.
pub(super) fn reply_is_version_only(kind: CommandKind) -> bool {
    matches!(kind, CommandKind::Version | CommandKind::RemoveAll | CommandKind::DevSetGeometry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_header() {
        assert_eq!(ioctl_number(CommandKind::Version), 0xc138_fd00);
        assert_eq!(ioctl_number(CommandKind::TableStatus), 0xc138_fd0c);
        assert_eq!(ioctl_number(CommandKind::MpathProbePaths), 0xfd12);
        for &kind in CommandKind::ALL {
            assert_eq!(command_of(ioctl_number(kind)), Some(kind));
        }
    }

    #[test]
    fn direction_and_size_of_a_number_do_not_count() {
        assert_eq!(command_of(0xfd03), Some(CommandKind::DevCreate));
        assert_eq!(
            command_of(0xc134_fd03),
            Some(CommandKind::DevCreate),
            "308 bytes: a 32-bit program of old"
        );
        assert_eq!(command_of(0xc138_fd13), None);
        assert_eq!(command_of(0xc138_fc00), None);
    }
}
