//! The dialect of Linux: `struct dm_ioctl` and what stands behind it.
//!
//! A client encodes a request and decodes the reply; a driver (the userspace mapper) decodes the request and encodes the
//! reply into the same buffer. One file a structure: its layout, its encoder, its decoder. No buffer makes anything here
//! panic, read past `data_size`, or take more memory than a few times the buffer's own.
//!
//! Numbers are in the machine's byte order, records begin at multiples of 8 bytes, texts end with a NUL.

mod deps;
mod error;
mod explain;
mod field;
mod header;
mod ioctl;
mod message;
mod name_list;
mod payload;
mod reply;
mod request;
pub mod strace;
mod target_spec;
mod versions;

pub use error::{Flaw, WireError};
pub use explain::explain;
pub use header::{HEADER_LEN, buffer_is_full, is_secret, wanted_size};
pub use ioctl::{command_of, has_reply_data, ioctl_number, takes_no_data};
pub use reply::{decode_reply, encode_reply, wipe_secret};
pub use request::{check_version, decode_request, encode_request, write_version};
