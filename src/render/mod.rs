//! Replies as text: bytes in, bytes out, as dmsetup writes them, trailing blanks and tabs included.
//!
//! Pure functions. Names and parameters are bytes in no promised encoding, so text is a `Vec<u8>` throughout; nothing
//! here asks a backend or touches a file.
#![forbid(unsafe_code)]

mod concise;
mod explain;
mod histogram;
mod info;
mod list;
pub mod report;
pub mod screen;
mod table;
mod tree;
mod units;

pub use concise::{ConciseForm, concise};
pub use explain::{ExplainedLine, Place, explain};
pub use histogram::{Edges, HistogramStyle, Values, histogram, percent};
pub use info::info;
pub use list::{DeviceName, dependencies, listed, listed_with_target, target_version};
pub use table::{Keys, hide_keys, line};
pub use tree::{DeviceTree, TreeDevice, TreeNode, TreeSigns, TreeStyle};
pub use units::{NoUnits, Units, unit_bytes};
