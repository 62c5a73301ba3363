//! `snapshot`, `snapshot-origin`, `snapshot-merge`: a device as it was at an instant, writable, over the device as it goes on.
//!
//! ```text
//! write to snapshot-origin ─ Origin ─▶ each Member (a target's hold on a snapshot) ─ Core ─▶ COW device: chunks, Log
//! ```
//!
//! A chunk that is about to be written for the first time, in the origin or in a snapshot, is copied to a snapshot's COW
//! device first. The order on stable storage is: the copy, the exception that tells of it, and then the origin's new
//! content; so a snapshot is whole whenever the power fails.
//!
//! What the kernel does by handing its state from one target to another is here a state ([`core::Core`]) that two
//! targets may hold for a while.

mod arguments;
mod copying;
mod core;
mod exceptions;
mod layout;
mod log;
mod member;
mod merge;
mod origin;
mod pages;
mod passing;
mod reading;

pub(super) use merge::TARGET as MERGE;
pub(super) use passing::TARGET as ORIGIN;
pub(super) use reading::TARGET as SNAPSHOT;
