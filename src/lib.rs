//! `rdmsetup`: dmsetup that also works where there is no kernel device-mapper and no root.
//!
//! A command becomes a [`dm::Request`], the request bytes, the bytes an ioctl; what answers (the Linux kernel, or the
//! mapper in this process) hands bytes back, which become a [`dm::Reply`] and then text:
//!
//! ```text
//! argv ─ cli ─▶ Request ─ wire ─▶ bytes ─ backend: ioctl(number, buffer) ─▶ bytes ─ wire ─▶ Reply ─ render ─▶ text
//! ```
//!
//! The rooms, in the order in which they may use one another: each uses only rooms above it (`tests/tidy.rs` reads
//! the imports and fails on one that climbs). No room below `cli` prints, none above `backend` sees bytes, and
//! `unsafe` is in `sys` alone.

pub mod dm;

pub mod sys;
pub mod wire;

pub mod block;
pub mod mapper;
pub mod target;

pub mod backend;
// It moves data by system calls that Linux alone has.
#[cfg(all(feature = "serve", target_os = "linux"))]
pub mod export;
pub mod render;

pub mod cli;
