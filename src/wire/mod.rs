//! Bytes to and from requests and replies, for both ends of the protocol.
//!
//! Pure code: no file, no clock, no system call. Whatever bytes come from the other side give a value or an error;
//! nothing here panics or reads past the end.
#![forbid(unsafe_code)]

pub mod linux;
