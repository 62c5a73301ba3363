//! The dialects of property lists: a dictionary in, a dictionary out.
//!
//! ```text
//! bytes ─ read ─▶ Dict ─ request, reply (by a Vocabulary of keys) ─▶ Request, Reply      and back through `write`
//! ```
//!
//! One codec for two vocabularies, [`SHIPPED`] and [`PROPOSED`]; both ends of each. Nothing here panics, and a text takes
//! at most [`MEMORY_PER_BYTE`] times its length in memory.

mod brief;
mod element;
mod explain;
mod ioctl;
mod keys;
mod read;
mod reply;
mod request;
mod scan;
mod signs;
#[cfg(test)]
mod testing;
mod value;
mod write;

pub use brief::brief;
pub use explain::explain;
pub use ioctl::{
    MAX_REPLY, MAX_REQUEST, errno_from_wire, errno_to_wire, plist_number, proposed_number, shipped_number,
};
pub use keys::{Key, PROPOSED, SHIPPED, Shape, Vocabulary, WORDS, Word, word_of};
pub use read::{MAX_DEPTH, MEMORY_PER_BYTE, SyntaxError, parse};
pub use reply::{decode_reply, encode_reply};
pub use request::{command_word, decode_request, encode_request, is_proposed};
pub use signs::{DRIVER_VERSION, Outcome, outcome};
pub use value::{Dict, Integer, Value};
pub use write::{bare, document};
