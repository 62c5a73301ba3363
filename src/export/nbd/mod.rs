//! A server of the NBD protocol: each device an export under its name.
//!
//! ```text
//! Listener ─ accept ─▶ handshake ─▶ Session ─▶ transmission: inbox ─▶ requests ─▶ outbox
//!                      (tls: a pump between two sockets)       ├─ in_place: mapped file ─ socket, a run of small requests
//!                                                              ├─ bulk: file ─ pipe ─ socket, no copy through memory
//!                                                              └─ pool: what may sleep, answered out of order
//! ```
//!
//! A connection has one thread, which takes all requests that the socket has, answers what needs no waiting at once,
//! and sends all answers together; no request takes a lock. What may sleep (a disk, a flush, a target that handles its
//! data itself) goes to threads that the connection has only then.
//!
//! Source: doc/proto.md of <https://github.com/NetworkBlockDevice/nbd>, fixed newstyle.

mod address;
mod bulk;
mod cached;
mod handshake;
mod in_place;
mod inbox;
mod listener;
mod options;
mod outbox;
mod pipe;
mod pool;
mod protocol;
mod server;
mod session;
mod slow;
mod socket;
mod status;
mod tls;
mod transmission;
mod zeroing;

pub use address::{Address, AddressError};
pub use listener::{ListenError, Listener};
pub use server::{ClientInfo, Options, Server};
pub use tls::{Tls, TlsError};
