//! Bytes to and from requests and replies, for both ends of the protocol, in each of its dialects.
//!
//! ```text
//! Request ─ Dialect::send ─▶ (number, bytes) ─▶ Call::receive ─▶ Request
//! Reply ◀─ Dialect::reply ─ bytes ◀───────────── Call::answer ◀─ Reply
//! ```
//!
//! Pure code: no file, no clock, no system call. Whatever bytes come from the other side give a value or an error;
//! nothing here panics or reads past the end.
#![forbid(unsafe_code)]

mod call;
mod dialect;
mod explain;
pub mod linux;
pub mod proplib;
pub mod show;

pub use call::{Call, Driver};
pub use dialect::{Dialect, DialectError};
pub use explain::{Explanation, Field, Side, explain};
