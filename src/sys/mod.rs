//! The only room with `unsafe`: system calls that no library wraps safely.
//!
//! Each function checks what its unsafe block relies on, so that nothing outside this room can misuse it. It knows the
//! shapes of ioctls, not what they mean.
#![allow(unsafe_code, reason = "this is the one room for it; each block says why it is sound")]

pub mod blockdev;
pub mod clock;
pub mod control;
pub mod fiemap;
pub mod interrupt;
pub mod plistref;
pub mod semaphore;
