//! Devices shown to other programs, live: each export stands on [`crate::block::Volumes`] and knows nothing of tables.
#![forbid(unsafe_code)]

pub mod fuse;
pub mod nbd;
