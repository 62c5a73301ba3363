//! A limit on everything that comes from outside, in one place.
//!
//! The first three are the protocol's (`linux/dm-ioctl.h`); the rest are ours, each well above what a real table
//! needs and well below what would hurt the machine.

/// Bytes in the name field, the closing NUL among them (`DM_NAME_LEN`).
pub const NAME_LEN: usize = 128;
/// Bytes in the uuid field, the closing NUL among them (`DM_UUID_LEN`).
pub const UUID_LEN: usize = 129;
/// Bytes in the target type field, the closing NUL among them (`DM_MAX_TYPE_NAME`).
pub const TYPE_NAME_LEN: usize = 16;

/// Bytes in the largest buffer that a client offers before it gives up on `BUFFER_FULL`.
pub const MAX_BUFFER: usize = 1 << 30;
/// How deep devices may be stacked on one another in the userspace mapper.
pub const MAX_STACK_DEPTH: usize = 32;
/// Lines that one table of the userspace mapper may have.
pub const MAX_TABLE_LINES: usize = 4 << 20;
/// The highest minor number of a Linux device (`MINORMASK`).
pub const MAX_MINOR: u32 = (1 << 20) - 1;
/// The highest major number of a Linux device.
pub const MAX_MAJOR: u32 = (1 << 12) - 1;
