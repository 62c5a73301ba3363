//! What is wrong with an answer about statistics, or with a group that somebody wants.

use crate::dm::Text;
use std::fmt;

/// An answer of the kernel's that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsError {
    /// A row of `@stats_list`.
    ListRow(Text),
    /// A row of `@stats_print`.
    PrintRow(Text),
    /// The group that a region keeps.
    Group {
        /// The region.
        region: u64,
        /// Its text.
        aux: Text,
    },
    /// A group names a region that is not there.
    Missing {
        /// The group.
        group: u64,
        /// The region.
        region: u64,
    },
}

/// Why regions cannot be a group, or a group cannot be found: libdm's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupError {
    /// The device has no regions.
    NoRegions,
    /// The text that is no list of ids.
    List(String),
    /// A list without an id in it.
    Empty,
    /// An id above all that there are.
    Beyond(u64),
    /// A region that is not there.
    NoRegion(u64),
    /// A region that is in a group, and the group.
    Grouped(u64, u64),
    /// Histograms of different bounds.
    Bounds,
    /// A group id above all that there are.
    InvalidGroup(u64),
    /// A group that is not there.
    NoGroup(u64),
}

impl fmt::Display for StatsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListRow(row) => write!(f, "the kernel lists a region as \"{row}\", which makes no sense"),
            Self::PrintRow(row) => write!(f, "the kernel counts \"{row}\", which makes no sense"),
            Self::Group { region, aux } => write!(
                f,
                "Could not parse member list while reading group aux_data\nFailed to parse group descriptor from \
                 region_id {region} aux_data:'{aux}'"
            ),
            Self::Missing { group, region } => {
                write!(f, "Group descriptor {group} contains non-existent region_id {region}.")
            }
        }
    }
}

impl std::error::Error for StatsError {}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRegions => f.write_str("Could not create group: no regions found."),
            Self::List(text) => write!(f, "Could not parse list: '{text}'"),
            Self::Empty => f.write_str("Invalid region ID: -1"),
            Self::Beyond(id) => write!(f, "Invalid region ID: {id}"),
            Self::NoRegion(id) => write!(f, "Region ID {id} does not exist"),
            Self::Grouped(id, group) => write!(f, "Region ID {id} already a member of group ID {group}"),
            Self::Bounds => f.write_str("All region histogram bounds must match exactly"),
            Self::InvalidGroup(id) => write!(f, "Invalid group ID: {id}"),
            Self::NoGroup(id) => write!(f, "Group ID {id} does not exist"),
        }
    }
}

impl std::error::Error for GroupError {}
