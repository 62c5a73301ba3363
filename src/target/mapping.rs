//! A target's answer to "where?": plain data that whoever moves the bytes can act on without the target.

use crate::block::{Access, Pdev};
use crate::dm::{Errno, Sectors};
use std::sync::Arc;

/// What is to be done with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Read it.
    Read,
    /// Write it.
    Write,
    /// Forget what it holds.
    Discard,
    /// Make it read as zeros, without sending them.
    WriteZeroes,
}

impl From<Access> for Operation {
    fn from(access: Access) -> Self {
        match access {
            Access::Read => Self::Read,
            Access::Write => Self::Write,
        }
    }
}

/// Where a range goes. `length`, in sectors, is how much of the range the answer covers, from its first sector on.
#[derive(Clone, Copy, Debug)]
pub enum Mapping<'a> {
    /// To `pdev`, from its sector `sector` on.
    Remap {
        /// The device.
        pdev: &'a Arc<Pdev>,
        /// The position on that device.
        sector: Sectors,
        /// How far this holds.
        length: Sectors,
    },
    /// Nowhere: it reads as zeros, and what is written or discarded is dropped with success.
    Zero {
        /// How far this holds.
        length: Sectors,
    },
    /// To an error.
    Fail {
        /// What the I/O returns.
        errno: Errno,
        /// How far this holds.
        length: Sectors,
    },
    /// To the target's own `read`, `write`, `discard` or `write_zeroes`.
    Handle {
        /// How far this holds.
        length: Sectors,
    },
}

impl Mapping<'_> {
    /// How much of the range the answer covers.
    pub fn length(self) -> Sectors {
        match self {
            Self::Remap { length, .. }
            | Self::Zero { length }
            | Self::Fail { length, .. }
            | Self::Handle { length } => length,
        }
    }
}

/// What follows from the failure of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It fails.
    Failed,
    /// It fails, and that is an event of the device, for which `wait` waits.
    Event,
    /// It has not failed yet: the target is asked anew where it goes.
    Again,
}

/// A part of a device that a target uses.
#[derive(Clone, Copy, Debug)]
pub struct Used<'a> {
    /// The device.
    pub pdev: &'a Arc<Pdev>,
    /// The first sector used. With `length` it may reach past 2^64: the table's word is not yet judged.
    pub start: Sectors,
    /// How many sectors are used.
    pub length: Sectors,
}
