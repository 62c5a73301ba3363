//! What targets and exports stand on: storage that is read and written at byte positions.
//!
//! A [`BlockDevice`] is anything with a size and bytes; a [`Pdev`] is one that a table names: a file, a disk, or another
//! device of the mapper. Nothing here knows what maps onto it.
#![forbid(unsafe_code)]

mod device;
mod pdev;

pub use device::{Allocation, BlockDevice};
pub use pdev::{Pdev, PdevSource};
