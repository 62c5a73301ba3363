//! Making the targets of active tables where another process had them at work, or nobody yet.
//!
//! Some targets count on others: what is written to an origin concerns the snapshots of it, whichever devices they are.
//! Those are made together, told that they are at work, and only then does any I/O, or any work of their own, begin.

use super::Mapper;
use super::device::Device;
use super::live_table::LiveTable;
use super::pdevs::Pdevs;
use super::suspend::{begin_work, restore_targets};
use super::tables::Making;
use crate::dm::{DeviceNumber, Fault, Line, Text};
use std::sync::Arc;

/// Tables that are made, with their devices, and not in place yet.
type Group = Vec<(Text, Arc<LiveTable>)>;

impl Mapper {
    /// Makes the targets of a device's active table, of the devices under it, and of those that work together with
    /// them, where they are not made yet.
    pub(super) fn activate(&self, name: &Text) -> Result<(), Fault> {
        self.activate_among(name, &mut Vec::new())
    }

    /// The same, where the devices in `begun` are about to be activated.
    fn activate_among(&self, name: &Text, begun: &mut Vec<Text>) -> Result<(), Fault> {
        let mut group = Group::new();
        self.make(name, &mut group, begun)?;
        let devices = || group.iter().filter_map(|(name, table)| Some((self.devices.get(name)?, table)));
        for (device, table) in devices() {
            restore_targets(table, device.suspended).map_err(|fault| of_device(fault, &device.name, name))?;
        }
        for (device, table) in devices() {
            device.live.attach(table.clone(), device.read_only);
        }
        if self.serves {
            devices().filter(|(device, _)| !device.suspended).for_each(|(_, table)| begin_work(table));
        }
        Ok(())
    }

    fn make(&self, name: &Text, group: &mut Group, begun: &mut Vec<Text>) -> Result<(), Fault> {
        let Some(device) = self.devices.get(name) else { return Ok(()) };
        let Some(table) = device.slots.active.as_ref() else { return Ok(()) };
        if device.live.table().is_some() || begun.contains(name) {
            return Ok(());
        }
        begun.push(name.clone());
        for lower in table.deps.iter().filter_map(|dev| self.with_number(*dev)) {
            self.activate_among(&lower.name, begun)?;
        }
        let live = Arc::new(self.build_stored(name, table)?);
        let upcalls = live.upcalls();
        group.push((name.clone(), live));
        for other in self.unmade(&upcalls) {
            self.make(&other, group, begun).map_err(|fault| of_device(fault, &other, name))?;
        }
        Ok(())
    }

    /// The devices over those disks whose targets are not made yet.
    fn unmade(&self, disks: &[DeviceNumber]) -> Vec<Text> {
        let stands = |deps: &[DeviceNumber]| deps.iter().any(|dev| disks.contains(dev));
        let devices = self.devices.values().filter(|device| device.live.table().is_none());
        let over =
            devices.filter(|device| device.slots.active.as_ref().is_some_and(|table| stands(&table.deps)));
        over.map(|device| device.name.clone()).collect()
    }

    /// Makes a table's targets where those that they work together with are at work; those of a new one also where others
    /// wait in inactive slots.
    pub(super) fn build_among_others(
        &self,
        device: &Text,
        lines: &[Line],
        read_only: bool,
        memory: Option<&[Text]>,
    ) -> Result<(LiveTable, Vec<DeviceNumber>, Pdevs), Fault> {
        let making = Making { read_only, restores: false, memory: memory.unwrap_or_default() };
        let built = self.build(device, lines, making)?;
        let upcalls = built.0.upcalls();
        let others = self.unmade(&upcalls);
        let waiting = if memory.is_none() { self.unmade_inactive(&upcalls) } else { Vec::new() };
        if others.is_empty() && waiting.is_empty() {
            return Ok(built);
        }
        drop(built);
        for other in others {
            self.activate(&other).map_err(|fault| of_device(fault, &other, device))?;
        }
        // One that cannot be made now waits for nothing.
        let _waiting: Vec<_> = waiting.iter().map(|other| self.build_inactive(other)).collect();
        self.build(device, lines, making)
    }

    /// The devices whose inactive tables stand on those disks and are not made, which a server has from their load on.
    fn unmade_inactive(&self, disks: &[DeviceNumber]) -> Vec<Text> {
        let stands = |deps: &[DeviceNumber]| deps.iter().any(|dev| disks.contains(dev));
        let waits = |device: &&Device| {
            device.loaded.is_none() && device.slots.inactive.as_ref().is_some_and(|table| stands(&table.deps))
        };
        let devices = self.devices.values().filter(|_| !self.serves).filter(waits);
        devices.map(|device| device.name.clone()).collect()
    }

    /// Makes the targets of a device's inactive table; `None` when it has none.
    pub(super) fn build_inactive(&self, name: &Text) -> Result<Option<LiveTable>, Fault> {
        let Some(table) = self.devices.get(name).and_then(|device| device.slots.inactive.as_ref()) else {
            return Ok(None);
        };
        let memory = Some(table.memory.as_slice());
        let (live, _, _) = self.build_among_others(name, &table.table.lines, table.read_only, memory)?;
        Ok(Some(live))
    }

    /// Makes those of all inactive tables that others count on, as if they were loaded in this process.
    pub(super) fn build_all_inactive(&mut self) {
        let names: Vec<Text> = self.devices.keys().cloned().collect();
        for name in names {
            // Whose disks are not there is made when it is resumed, or refused then.
            let Ok(Some(live)) = self.build_inactive(&name) else { continue };
            if let Some(device) = self.devices.get_mut(&name)
                && device.loaded.is_none()
            {
                device.loaded = Some(Arc::new(live)).filter(|table| !table.upcalls().is_empty());
            }
        }
    }

    /// Has a server make all targets before their I/O comes; a command makes those that it needs.
    pub(super) fn activate_if_serving(&self, name: &Text) -> Result<(), Fault> {
        if self.serves { self.activate(name) } else { Ok(()) }
    }
}

/// A fault in the table of `device`, met because of `asked`: its place is none of the latter's.
fn of_device(fault: Fault, device: &Text, asked: &Text) -> Fault {
    if device == asked {
        return fault;
    }
    Fault::new(fault.errno, format!("in the table of \"{device}\": {}", fault.reason))
}
