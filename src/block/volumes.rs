//! The devices that exports show: which there are, and opening one.

use super::{BlockDevice, User};
use crate::dm::{Bytes, DeviceNumber, Fault, Text};
use std::fmt::Debug;
use std::sync::Arc;

/// What an export tells of a device without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Its name.
    pub name: Text,
    /// Its device number.
    pub number: DeviceNumber,
    /// A number that no other device has or had, as long as the server lives: a device that is removed and made again
    /// gets another. At least 1.
    pub identity: u64,
    /// Its size now; 0 without a table.
    pub size: Bytes,
    /// Whether writing is refused.
    pub read_only: bool,
}

/// A set of devices that changes while it is shown: devices come, go, are renamed and resized at any time.
pub trait Volumes: Debug + Send + Sync {
    /// All devices, sorted by name.
    fn list(&self) -> Vec<VolumeInfo>;

    /// The device of that name, if there is one.
    fn find(&self, name: &Text) -> Option<VolumeInfo>;

    /// The device of that identity, whatever its name is by now, if it is still there.
    fn by_identity(&self, identity: u64) -> Option<VolumeInfo>;

    /// Opens a device for somebody: it is in use (`open_count`) until the value is dropped. Opening a suspended device succeeds, and
    /// its I/O waits.
    ///
    /// # Errors
    /// ENXIO when it is not there; EROFS when it is to be written and read-only; what its disks give otherwise.
    fn open(&self, identity: u64, writable: bool, user: User) -> Result<Arc<dyn BlockDevice>, Fault>;
}
