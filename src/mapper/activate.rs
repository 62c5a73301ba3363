//! Making the targets of active tables where another process had them at work, or nobody yet.
//!
//! Some targets count on others: what is written to an origin concerns the snapshots of it, whichever devices they are.
//! Those are made together, told that they are at work, and only then does any I/O, or any work of their own, begin.

use super::Mapper;
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

    /// Makes a table's targets where those that they work together with are at work.
    pub(super) fn build_among_others(
        &self,
        device: &Text,
        lines: &[Line],
        read_only: bool,
        memory: &[Text],
    ) -> Result<(LiveTable, Vec<DeviceNumber>, Pdevs), Fault> {
        let making = Making { read_only, restores: false, memory };
        let built = self.build(device, lines, making)?;
        let others = self.unmade(&built.0.upcalls());
        if others.is_empty() {
            return Ok(built);
        }
        drop(built);
        for other in others {
            self.activate(&other).map_err(|fault| of_device(fault, &other, device))?;
        }
        self.build(device, lines, making)
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
