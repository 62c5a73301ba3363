//! A device-mapper in this process: devices with two table slots, over files and disks.
//!
//! ```text
//! ioctl(number, buffer) ─ entry ─▶ Request ─ commands ─▶ devices, tables ─▶ Reply ─ entry ─▶ buffer
//!                                               volume ─▶ live table ─ strategy ─▶ targets ─▶ pdevs
//! ```
//!
//! [`Mapper`] is the driver's state and its commands, one at a time; [`Volume`] is the data path, for any number of
//! threads; [`State`] is what a file remembers between commands. It answers as Linux answers: the same flags, order of
//! checks and error numbers (`tests/kernel` compares them). The targets' names are not known here, only their list.
#![forbid(unsafe_code)]

mod activate;
mod beacon;
mod catalog;
mod check;
mod commands;
mod device;
mod entry;
mod expected;
mod gate;
#[cfg(target_os = "linux")]
mod in_place;
mod lending;
mod limits;
mod live;
mod live_table;
mod looking;
mod lookup;
mod pdevs;
mod pieces;
mod retire;
mod saved;
mod service;
mod state_dir;
mod stored;
mod suspend;
mod tables;
mod volume;

pub use catalog::Catalog;
pub use check::{Draft, check_elsewhere};
pub use entry::{Outcome, Progress, Waiting};
pub use saved::{State, StateError};
pub use state_dir::{LockedState, StateDir, StateWatch};
pub use suspend::Flusher;
pub use volume::Volume;

use crate::dm::{Fault, Text, Version};
use crate::target::Shared;
use beacon::Beacon;
use device::Device;
use live::Live;
use pdevs::Pdevs;
use std::collections::BTreeMap;
use std::io::{self, PipeReader};
use std::sync::Arc;

/// The interface version that the mapper speaks: Linux 6.16's, the first with every command of the header.
pub const VERSION: Version = Version::new(4, 50, 0);

/// The major number of the mapper's devices: from Linux's range for local use (240 to 254, the kernel's
/// admin-guide/devices.txt), and the end of it that the kernel gives to its own drivers last, so that a table's
/// `253:0` is never mistaken for the kernel's own device-mapper.
pub const MAJOR: u32 = 240;

/// The driver: its devices, and the disks and files under them.
#[derive(Debug, Default)]
pub struct Mapper {
    /// By name, in the order in which they are listed.
    devices: BTreeMap<Text, Device>,
    pdevs: Pdevs,
    /// What targets share, whichever devices they are of.
    shared: Shared,
    /// Why the last request failed.
    fault: Option<Fault>,
    /// Whether anything differs from the state that it was made from.
    changed: bool,
    /// Which state that was: how often it had been saved, 0 for none.
    generation: u64,
    /// Whether this process serves the devices' data for as long as it runs.
    serves: bool,
    /// How many devices there ever were in this process.
    identities: u64,
    /// Who wants to know of every change.
    beacon: Arc<Beacon>,
}

impl Mapper {
    /// A mapper without devices.
    pub fn new() -> Self {
        Self::default()
    }

    /// The reason of the last failure, once.
    pub fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// A device, which gets an identity of its own.
    fn insert(&mut self, mut device: Device) {
        self.identities += 1;
        device.identity = self.identities;
        device.live.tell(self.beacon.clone());
        self.devices.insert(device.name.clone(), device);
    }

    /// Something whose end is reached when a device is next made, removed, renamed, suspended or resumed, when a table is
    /// loaded or dropped, and at any device's next event.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn watch_all(&self) -> io::Result<PipeReader> {
        self.beacon.watch()
    }

    /// Whether there is something to save.
    pub fn is_changed(&self) -> bool {
        self.changed || self.devices.values().any(Device::has_moved)
    }
}
