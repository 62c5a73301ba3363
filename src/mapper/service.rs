//! What a mapper does for a server: beginning to serve, what follows from a device's closing, and ending.

use super::suspend::postsuspend;
use super::{Device, Mapper};
use crate::dm::{DeviceNumber, Fault, Text};

impl Mapper {
    /// This process serves the devices' data from now on, for as long as it runs. Gives what is wrong with each device that
    /// cannot be: its I/O fails until its table is replaced.
    pub fn serve(&mut self) -> Vec<(Text, Fault)> {
        self.serves = true;
        let activated = self.devices.keys().map(|name| (name, self.activate(name)));
        let broken = activated.filter_map(|(name, outcome)| Some((name.clone(), outcome.err()?))).collect();
        self.build_all_inactive();
        broken
    }

    /// Whether a device waits to be removed when it is closed.
    pub fn has_deferred(&self) -> bool {
        self.devices.values().any(|device| device.deferred_remove)
    }

    /// After a device was closed: removes those that waited for it.
    pub fn closed(&mut self) {
        let before = self.devices.len();
        self.settle();
        if self.devices.len() != before {
            self.changed = true;
            self.beacon.changed();
        }
    }

    /// Fails the I/O that suspended devices and targets hold, which nobody would let go of: the process is about to end.
    pub fn fail_held(&self) {
        for device in self.devices.values() {
            if device.suspended {
                device.live.shut();
            } else if let Some(table) = device.live.table() {
                table.lines.iter().for_each(|line| line.target.presuspend(false));
            }
        }
    }

    /// Ends the service: brings what targets keep, and what was written, to stable storage; devices that stand on others
    /// first. Gives what went wrong.
    pub fn retire(&mut self) -> Vec<(Text, Fault)> {
        let mut devices: Vec<&Device> = self.devices.values().collect();
        devices.sort_by_key(|device| std::cmp::Reverse(self.depth(device.number())));
        let mut failed = Vec::new();
        for device in devices {
            let Some(table) = device.live.table() else { continue };
            if !device.suspended {
                table.lines.iter().for_each(|line| line.target.presuspend(false));
            }
            device.live.shut();
            // What targets keep until a client flushes has no later.
            table.lines.iter().for_each(|line| line.target.leave());
            let kept = if device.suspended { Ok(()) } else { postsuspend(&table) };
            if let Err(errno) = device.live.flush_held().and(kept) {
                failed.push((device.name.clone(), Fault::new(errno, format!("cannot flush it: {errno}"))));
            }
        }
        failed
    }

    /// How many devices stand on one another below that one, itself among them.
    fn depth(&self, dev: DeviceNumber) -> usize {
        let under = |lower: &Device| lower.slots.iter().flat_map(|table| table.deps.clone()).collect();
        self.layers(vec![dev], under).len()
    }
}
