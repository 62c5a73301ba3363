//! Where the bytes of a range are, for whoever moves them itself.

use super::Visit;
use crate::dm::{Bytes, Errno};
use std::fmt::Debug;
use std::fs::File;

/// What is about to be done with the extents of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Their bytes are read.
    Read,
    /// Their bytes are replaced.
    Write,
}

/// A part of a range that is in one place. It is valid only while the visitor that it was handed to runs: until then
/// the device counts the I/O as in flight, and no table is swapped under it.
#[derive(Clone, Copy, Debug)]
pub enum Extent<'a> {
    /// In a file or disk that this process has open: to be moved by `pread`, `splice` or what else is fast. An end of
    /// the file before the end of the extent is EIO.
    File {
        /// The file. Its own position means nothing.
        file: &'a File,
        /// Where in the file the extent begins.
        at: Bytes,
        /// How long it is.
        length: Bytes,
    },
    /// Nowhere: it reads as zeros, and what is written to it is dropped.
    Zero {
        /// How long it is.
        length: Bytes,
    },
    /// Where only its owner reaches it.
    Handled {
        /// The owner.
        medium: &'a dyn Medium,
        /// How long it is.
        length: Bytes,
    },
}

impl Extent<'_> {
    /// How many bytes it has.
    pub fn length(&self) -> Bytes {
        match self {
            Self::File { length, .. } | Self::Zero { length } | Self::Handled { length, .. } => *length,
        }
    }
}

/// One extent whose bytes only its owner moves, all of them at once.
pub trait Medium: Debug {
    /// Fills the buffer, which is as long as the extent.
    fn read(&self, buffer: &mut [u8]) -> Result<(), Errno>;

    /// Writes the data, which is as long as the extent.
    fn write(&self, data: &[u8]) -> Result<(), Errno>;

    /// Hands its extents over to be read, as [`BlockDevice::extents`](super::BlockDevice::extents) does, if that can be had
    /// without `read`. Their bytes are to be copied while the visitor runs: they may be others as soon as it has ended,
    /// also where a pipe refers to them. By default `None`.
    fn lend(&self, _visit: &mut Visit<'_>) -> Option<Result<(), Errno>> {
        None
    }

    /// Whether several writes cost it less when [`BlockDevice::expect_writes`](super::BlockDevice::expect_writes) comes
    /// before them. By default not.
    fn expects_writes(&self) -> bool {
        false
    }
}
