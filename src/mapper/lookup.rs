//! Finding devices, and what holds them open.

use super::device::Device;
use super::{MAJOR, Mapper};
use crate::dm::limits::{MAX_MINOR, MAX_STACK_DEPTH};
use crate::dm::{DeviceId, DeviceNumber, Errno, Fault, Text};

impl Mapper {
    /// The name of the device that a request means: by uuid if it has one, else by name, else by number.
    ///
    /// # Errors
    /// ENXIO when there is none, or two of the fields are given (`__find_device_hash_cell`).
    pub(super) fn find(&self, id: &DeviceId) -> Result<Text, Fault> {
        let given = usize::from(!id.name.is_empty())
            + usize::from(!id.uuid.is_empty())
            + usize::from(id.dev.is_some());
        if given > 1 {
            return Err(Fault::new(
                Errno::ENXIO,
                "a device is named by its name, its uuid or its number, not by two",
            ));
        }
        if !id.name.is_empty() {
            let missing = || Fault::new(Errno::ENXIO, format!("there is no device \"{}\"", id.name));
            return self.devices.get_key_value(&id.name).map(|(name, _)| name.clone()).ok_or_else(missing);
        }
        if !id.uuid.is_empty() {
            let missing =
                || Fault::new(Errno::ENXIO, format!("there is no device with uuid \"{}\"", id.uuid));
            return self.with_uuid(&id.uuid).map(|device| device.name.clone()).ok_or_else(missing);
        }
        let Some(dev) = id.dev else { return Err(Fault::new(Errno::ENXIO, "no device is named")) };
        let missing = || Fault::new(Errno::ENXIO, format!("there is no device with number {dev}"));
        self.with_number(dev).map(|device| device.name.clone()).ok_or_else(missing)
    }

    /// The device that a request means, to look at.
    pub(super) fn device(&self, id: &DeviceId) -> Result<&Device, Fault> {
        let name = self.find(id)?;
        self.devices.get(&name).ok_or_else(|| Fault::new(Errno::ENXIO, "the device is gone"))
    }

    /// The device that a request means, to change.
    pub(super) fn device_mut(&mut self, id: &DeviceId) -> Result<&mut Device, Fault> {
        let name = self.find(id)?;
        self.changed = true;
        self.devices.get_mut(&name).ok_or_else(|| Fault::new(Errno::ENXIO, "the device is gone"))
    }

    pub(super) fn with_uuid(&self, uuid: &Text) -> Option<&Device> {
        self.devices.values().find(|device| device.uuid == *uuid)
    }

    pub(super) fn with_number(&self, dev: DeviceNumber) -> Option<&Device> {
        self.devices.values().find(|device| device.number() == dev)
    }

    /// How many hold the device open: other devices' tables, and readers and writers of this process.
    pub(super) fn open_count(&self, device: &Device) -> i32 {
        let dev = device.number();
        let held: i32 = self.devices.values().map(|holder| holder.slots.holds(dev)).sum();
        held.saturating_add(device.live.users())
    }

    /// The devices whose tables use this one.
    pub(super) fn holders(&self, dev: DeviceNumber) -> impl Iterator<Item = &Device> {
        self.devices.values().filter(move |holder| holder.slots.holds(dev) > 0)
    }

    /// The lowest minor number that no device has.
    pub(super) fn free_minor(&self) -> Option<u32> {
        let mut taken: Vec<u32> = self.devices.values().map(|device| device.minor).collect();
        taken.sort_unstable();
        let gap = (0..).zip(&taken).find(|(free, minor)| free != *minor).map(|(free, _)| free);
        gap.or_else(|| u32::try_from(taken.len()).ok()).filter(|&minor| minor <= MAX_MINOR)
    }

    /// Checks that `device` may stand on `dev`: not on itself, not in a circle, not too deep.
    pub(super) fn check_stacking(&self, device: &Text, dev: DeviceNumber) -> Result<(), Fault> {
        let under = |lower: &Device| lower.slots.iter().flat_map(|table| table.deps.clone()).collect();
        let over = |upper: &Device| self.holders(upper.number()).map(Device::number).collect();
        let below = self.layers(vec![dev], under);
        if below.iter().flatten().any(|lower| lower.name == *device) {
            return Err(Fault::invalid(format!("\"{device}\" would stand on itself through {dev}")));
        }
        let own = self.devices.get(device).map(Device::number);
        let above = self.layers(own.into_iter().collect(), over);
        if below.len() + above.len() > MAX_STACK_DEPTH {
            return Err(Fault::invalid(format!("devices would be stacked more than {MAX_STACK_DEPTH} deep")));
        }
        Ok(())
    }

    /// The devices among `start`, those one step of `next` from them, and so on: as many layers as the longest way has
    /// devices, or one more than may be stacked.
    pub(super) fn layers(
        &self,
        start: Vec<DeviceNumber>,
        next: impl Fn(&Device) -> Vec<DeviceNumber>,
    ) -> Vec<Vec<&Device>> {
        let mut layers = Vec::new();
        let mut numbers = start;
        while layers.len() <= MAX_STACK_DEPTH {
            numbers.sort_unstable();
            numbers.dedup();
            let ours = numbers.iter().filter(|dev| dev.major == MAJOR);
            let layer: Vec<&Device> = ours.filter_map(|dev| self.with_number(*dev)).collect();
            if layer.is_empty() {
                break;
            }
            numbers = layer.iter().flat_map(|device| next(device)).collect();
            layers.push(layer);
        }
        layers
    }
}
