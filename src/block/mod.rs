//! What targets and exports stand on: storage that is read and written at byte positions.
//!
//! A [`BlockDevice`] is anything with a size and bytes; a [`Pdev`] is one that a table names: a file, a disk, or another
//! device of the mapper. Nothing here knows what maps onto it.
#![forbid(unsafe_code)]

mod device;
mod extent;
mod failures;
mod loan;
#[cfg(target_os = "linux")]
mod memory;
mod pdev;
mod user;
mod volumes;

#[cfg(target_os = "linux")]
pub use device::InPlace;
pub use device::{AGAIN, Allocation, BlockDevice, Visit};
pub use extent::{Access, Extent, Medium};
pub use failures::{FlushFailure, FlushFailures, Told};
pub use loan::Loan;
#[cfg(target_os = "linux")]
pub use memory::is_memory;
pub use pdev::{Pdev, PdevSource};
pub use user::{Peer, User, Via};
pub use volumes::{VolumeInfo, Volumes};
