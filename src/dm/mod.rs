//! The vocabulary: what a device, a table, a request and a reply *are*.
//!
//! Plain data and the rules that hold wherever it goes. This room knows no bytes on a wire, no files, no system
//! calls and no other room; every other room speaks in its words.
#![forbid(unsafe_code)]

mod device;
mod errno;
mod fault;
mod flags;
pub mod limits;
mod reply;
mod request;
mod secret;
mod sectors;
mod similar;
mod size;
pub mod stats;
mod survey;
mod table;
mod table_draft;
mod table_text;
mod text;
mod version;

pub use device::{DeviceId, DeviceNumber};
pub use errno::Errno;
pub use fault::{Fault, LineField};
pub use flags::Flags;
pub use reply::{ListedDevice, Reply, ReplyBody, StatusLine, TargetVersion};
pub use request::{Carried, Command, CommandKind, Geometry, Request};
pub use secret::may_hold_key;
pub use sectors::{Bytes, SECTOR_SIZE, Sectors};
pub use similar::similar;
pub use size::Amounts;
pub use survey::{Role, Surveyor, Use, roles};
pub use table::{Line, Slot, Table};
pub use table_draft::TableDraft;
pub use table_text::{SourceTable, TableSyntaxError};
pub use text::Text;
pub use version::Version;
