//! The numbers of the ioctls, and which errors they return.
//!
//! Source: `NETBSD_DM_IOCTL` in NetBSD's sys/dev/dm/netbsd-dm.h, `_IOWR` in its sys/sys/ioccom.h (direction in bits 31-29,
//! size in 28-16, group in 15-8, number in 7-0), and common/include/prop/plistref.h: a pointer and a length.

use crate::dm::{CommandKind, Errno};

/// The group that all of device-mapper's ioctls share, on Linux too.
const GROUP: u32 = 0xfd;
/// `_IOWR` of a `struct plistref` of 64 bits and of 32, without a number.
const BASES: [u32; 2] = [0xc000_0000 | 16 << 16 | GROUP << 8, 0xc000_0000 | 8 << 16 | GROUP << 8];

/// The longest request, in bytes, its closing NUL among them: NetBSD takes `pref_len` below 65536.
pub const MAX_REQUEST: usize = 65535;
/// The longest reply that is read or written, in bytes; the drivers know no limit.
pub const MAX_REPLY: usize = 64 << 20;

/// The one ioctl of the protocol that shipped, on this machine: 0xc010fd00 where pointers have 64 bits, else 0xc008fd00.
pub fn shipped_number() -> u32 {
    if size_of::<usize>() == 8 { BASES[0] } else { BASES[1] }
}

/// The ioctl of a command in the protocol that was proposed: as Linux numbers them, with a `struct plistref`.
pub fn proposed_number(kind: CommandKind) -> u32 {
    shipped_number() | u32::from(kind.number())
}

/// The command's number in an ioctl that passes a property list; `None` for any other ioctl. 0 is that of `DM_VERSION` in
/// what was proposed, and of every command in what shipped.
pub fn plist_number(number: u32) -> Option<u8> {
    let [command, ..] = number.to_le_bytes();
    BASES.contains(&(number & !0xff)).then_some(command)
}

/// The error as NetBSD's driver has it: no such device is ENOENT there, and a name that is taken EEXIST.
pub fn errno_to_wire(kind: CommandKind, errno: Errno) -> Errno {
    match (kind, errno) {
        (CommandKind::DevCreate | CommandKind::DevRename, Errno::EBUSY) => Errno::EEXIST,
        (_, Errno::ENXIO) => Errno::ENOENT,
        _ => errno,
    }
}

/// The error as Linux has it, back from [`errno_to_wire`]; ENOENT to a `reload` may as well be a disk's.
pub fn errno_from_wire(kind: CommandKind, errno: Errno) -> Errno {
    match (kind, errno) {
        (CommandKind::DevCreate | CommandKind::DevRename, Errno::EEXIST) => Errno::EBUSY,
        (CommandKind::TableLoad, _) => errno,
        (_, Errno::ENOENT) => Errno::ENXIO,
        _ => errno,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_headers() {
        assert_eq!(BASES, [0xc010_fd00, 0xc008_fd00]);
        assert_eq!(plist_number(0xc010_fd00), Some(0));
        assert_eq!(plist_number(0xc008_fd0c), Some(12));
        assert_eq!(plist_number(0xc138_fd00), None, "Linux's");
        assert_eq!(plist_number(0xc010_fc00), None);
        assert_eq!(plist_number(proposed_number(CommandKind::TableDeps)), Some(11));
    }
}
