//! The devices as those who show them need them: by name and by identity, without the mapper's lock.

use super::Mapper;
use super::live::Live;
use crate::block::{BlockDevice, VolumeInfo};
use crate::dm::{DeviceId, DeviceNumber, Fault, Text};
use std::collections::HashMap;
use std::sync::Arc;

/// Which devices there were when it was made; their sizes are those of now.
#[derive(Debug, Default)]
pub struct Catalog {
    /// By name, sorted.
    entries: Vec<Entry>,
    by_identity: HashMap<u64, usize>,
}

#[derive(Debug)]
struct Entry {
    name: Text,
    number: DeviceNumber,
    identity: u64,
    live: Arc<Live>,
}

impl Mapper {
    /// The devices as they are now.
    pub fn catalog(&self) -> Catalog {
        let entry = |device: &super::Device| Entry {
            name: device.name.clone(),
            number: device.number(),
            identity: device.identity,
            live: device.live.clone(),
        };
        let entries: Vec<Entry> = self.devices.values().map(entry).collect();
        let by_identity = entries.iter().enumerate().map(|(index, entry)| (entry.identity, index)).collect();
        Catalog { entries, by_identity }
    }

    /// The identity of the device that is asked for.
    ///
    /// # Errors
    /// ENXIO when there is no such device.
    pub fn identity_of(&self, id: &DeviceId) -> Result<u64, Fault> {
        self.device(id).map(|device| device.identity)
    }

    /// The name of the device of that identity.
    pub fn name_of(&self, identity: u64) -> Option<&Text> {
        self.devices.values().find(|device| device.identity == identity).map(|device| &device.name)
    }
}

impl Catalog {
    /// All of them, sorted by name.
    pub fn list(&self) -> Vec<VolumeInfo> {
        self.entries.iter().map(Entry::info).collect()
    }

    /// The device of that name.
    pub fn find(&self, name: &Text) -> Option<VolumeInfo> {
        let index = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        self.entries.get(index).map(Entry::info)
    }

    /// The device of that identity.
    pub fn by_identity(&self, identity: u64) -> Option<VolumeInfo> {
        self.entries.get(*self.by_identity.get(&identity)?).map(Entry::info)
    }
}

impl Entry {
    fn info(&self) -> VolumeInfo {
        VolumeInfo {
            name: self.name.clone(),
            number: self.number,
            identity: self.identity,
            size: self.live.size(),
            read_only: self.live.is_read_only(),
        }
    }
}
