//! One device of the mapper: what is known of it, and what a reply says of it.

use super::live::Live;
use super::live_table::LiveTable;
use super::stored::{Slots, StoredTable};
use super::suspend::Suspending;
use super::{MAJOR, VERSION};
use crate::dm::{DeviceId, DeviceNumber, Flags, Geometry, Reply, ReplyBody, Request, Slot, Text};
use std::sync::Arc;

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: Text,
    /// Empty when it has none.
    pub(super) uuid: Text,
    pub(super) minor: u32,
    /// A number that no other device of this process has or had; 0 until the mapper has it.
    pub(super) identity: u64,
    pub(super) slots: Slots,
    /// The inactive table with its targets made, where others count on them already.
    pub(super) loaded: Option<Arc<LiveTable>>,
    /// The device is read-only: its last swap was to a read-only table.
    pub(super) read_only: bool,
    pub(super) suspended: bool,
    /// A suspend, or a swap of tables, has begun and waits for I/O in flight.
    pub(super) suspending: Option<Suspending>,
    /// To be removed when it is closed.
    pub(super) deferred_remove: bool,
    /// A table was loaded once: later ones are checked against their disks' sizes at resume, the first at load.
    pub(super) was_loaded: bool,
    pub(super) geometry: Geometry,
    /// The event counter as it was saved last.
    pub(super) saved_event_nr: u32,
    /// The data path.
    pub(super) live: Arc<Live>,
}

impl Device {
    /// A device without a table.
    pub(super) fn new(name: Text, uuid: Text, minor: u32) -> Self {
        Self {
            name,
            uuid,
            minor,
            identity: 0,
            slots: Slots::default(),
            loaded: None,
            read_only: false,
            suspended: false,
            suspending: None,
            deferred_remove: false,
            was_loaded: false,
            geometry: Geometry::default(),
            saved_event_nr: 0,
            live: Arc::default(),
        }
    }

    /// What the targets of its active table have learned.
    pub(super) fn memory(&self) -> Vec<Text> {
        let stored = || self.slots.active.as_ref().map(|table| table.memory.clone()).unwrap_or_default();
        self.live.table().map_or_else(stored, |table| table.memory())
    }

    /// Whether anything of it differs from what was saved, though no request has changed it: I/O does that too.
    pub(super) fn has_moved(&self) -> bool {
        let learned =
            |saved: &StoredTable| self.live.table().is_some_and(|table| table.memory() != saved.memory);
        self.live.event_nr() != self.saved_event_nr || self.slots.active.as_ref().is_some_and(learned)
    }

    /// Its number.
    pub(super) fn number(&self) -> DeviceNumber {
        DeviceNumber::new(MAJOR, self.minor)
    }

    /// The targets of a table whose arguments may have changed, where they are made: by a message to one at work, or by what
    /// is done to other devices.
    pub(super) fn changing_table(&self, slot: Slot) -> Option<Arc<LiveTable>> {
        let made = match slot {
            Slot::Active => self.live.table(),
            Slot::Inactive => self.loaded.clone(),
        };
        let rewords = self.slots.get(slot).is_some_and(StoredTable::rewords);
        made.filter(|table| rewords || !table.upcalls().is_empty())
    }

    /// The slot that a request asks about.
    pub(super) fn slot_asked(request: &Request) -> Slot {
        if request.flags.contains(Flags::QUERY_INACTIVE_TABLE) { Slot::Inactive } else { Slot::Active }
    }

    /// The reply to `request` about this device, without data.
    ///
    /// Source: `__find_device_hash_cell` and `__dev_status` in the kernel's drivers/md/dm-ioctl.c, for which bits are
    /// cleared, which are set, and which come back as they were sent.
    pub(super) fn status(&self, request: &Request, open_count: i32) -> Reply {
        let slot = Self::slot_asked(request);
        let asked = self.slots.get(slot);
        let read_only = match slot {
            Slot::Active => self.read_only && asked.is_some(),
            Slot::Inactive => asked.is_some_and(|table| table.read_only),
        };
        let flags = request
            .flags
            .without(Flags::INTERNAL_SUSPEND)
            .set(Flags::SUSPEND, self.suspended)
            .set(Flags::READONLY, read_only)
            .set(Flags::ACTIVE_PRESENT, self.slots.active.is_some())
            .set(Flags::INACTIVE_PRESENT, self.slots.inactive.is_some())
            .with(Flags::DEFERRED_REMOVE.when(self.deferred_remove));
        Reply {
            version: VERSION,
            device: DeviceId { name: self.name.clone(), uuid: self.uuid.clone(), dev: Some(self.number()) },
            flags,
            open_count,
            event_nr: self.live.event_nr(),
            target_count: asked.map_or(0, StoredTable::target_count),
            body: ReplyBody::None,
        }
    }
}
