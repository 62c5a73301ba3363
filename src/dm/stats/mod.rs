//! I/O statistics: regions of a device in which the kernel counts, their areas, groups of them, latency histograms.
//!
//! ```text
//! Create ─▶ @stats_create …      @stats_list ─▶ Statistics (regions, groups) ◀─ counters ─ @stats_print
//!                                                   │
//!                                                   └─ walk ─▶ Object ─▶ Totals ─▶ rates
//! ```
//!
//! All of it travels as the text of a `message` that begins with `@`, which the driver itself answers; this is that
//! text and what it means. Groups are libdm's own, kept in a text that the kernel stores with a region.
//!
//! Source: Documentation/admin-guide/device-mapper/statistics.rst.

mod bounds;
mod counters;
mod error;
mod extents;
mod members;
mod message;
mod overlap;
mod rates;
mod region;
mod table;

pub use bounds::{Bounds, BoundsError};
pub use counters::{Area, Counters};
pub use error::{GroupError, StatsError};
pub use extents::{Extent, FileExtent, join};
pub use members::{Members, NotMembers};
pub use message::{Create, Step, clear, delete, list, print};
pub use rates::Rates;
pub use region::{Group, Region};
pub use table::{Kinds, Object, Statistics};

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds in a millisecond, in which the kernel counts unless it is told otherwise.
pub const NANOS_PER_MILLI: u64 = 1_000_000;
