//! A table: which target maps which part of a device.

use super::{Sectors, Text};
use std::fmt;

/// The lines of a table, in order. Whether they make a device (no gaps, known targets) is the driver's to judge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line of a table: `START LENGTH TARGET PARAMS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first sector of the device that it maps.
    pub start: Sectors,
    /// How many sectors it maps.
    pub length: Sectors,
    /// The kind of mapping, at most 15 bytes.
    pub target: Text,
    /// The target's arguments, in the target's own syntax.
    pub params: Text,
}

/// The two tables that a device can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The one that I/O goes through.
    Active,
    /// The one that `load` fills and `resume` makes active.
    Inactive,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.start, self.length, self.target, self.params)
    }
}
