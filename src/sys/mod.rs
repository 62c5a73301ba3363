//! The only room with `unsafe`: system calls that no library wraps safely.
//!
//! Each function checks what its unsafe block relies on, so that nothing outside this room can misuse it. It knows the
//! shapes of ioctls, not what they mean.
#![allow(unsafe_code, reason = "this is the one room for it; each block says why it is sound")]

// The unwinder's few functions out of gcc's archive in the place of libgcc_s.so, which std asks for behind it and then
// does without: one library less to find, map and relocate at each start, and to carry into an initramfs.
#[cfg(all(target_os = "linux", target_env = "gnu", not(target_feature = "crt-static")))]
#[link(name = "gcc_eh")]
unsafe extern "C" {}

pub mod blockdev;
pub mod clock;
pub mod control;
pub mod devt;
pub mod fiemap;
#[cfg(target_os = "linux")]
pub mod fuse;
pub mod interrupt;
pub mod local_socket;
#[cfg(target_os = "linux")]
pub mod mapped;
#[cfg(target_os = "linux")]
pub mod page_cache;
pub mod plistref;
#[cfg(target_os = "linux")]
pub mod processor;
pub mod semaphore;
pub mod sparse;
#[cfg(target_os = "linux")]
pub mod uevent;
pub mod watch;

use nix::sys::ioctl::ioctl_num_type;

/// An ioctl's number in the type that this C library declares: a long, or an int of the same bits.
#[allow(
    clippy::cast_lossless,
    clippy::cast_possible_wrap,
    reason = "all its 32 bits stay, whatever the type makes of them"
)]
fn request_code(number: u32) -> ioctl_num_type {
    number as ioctl_num_type
}
