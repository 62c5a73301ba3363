//! The end of tables: targets that have something to do then are told, though nobody needed them in this process yet.

use super::Mapper;
use super::live_table::LiveTable;
use super::stored::StoredTable;
use crate::dm::Text;
use std::sync::Arc;

impl Mapper {
    /// The table that a device is about to lose, with its targets made: where they are already, or have learned
    /// something.
    ///
    /// Disks that cannot be opened any more are no reason to keep a table, so a failure is none here.
    pub(super) fn leaving(&self, name: &Text) -> Option<Arc<LiveTable>> {
        let device = self.devices.get(name)?;
        if !device.slots.active.as_ref()?.memory.is_empty() {
            self.activate(name).ok();
        }
        device.live.table()
    }

    /// Tells the targets of a table that was loaded and never used.
    pub(super) fn retire_stored(&self, name: &Text, table: Option<&StoredTable>) {
        let learned = table.filter(|table| !table.memory.is_empty());
        if let Some(Ok(live)) = learned.map(|table| self.build_stored(name, table)) {
            live.retire();
        }
    }

    /// Tells the targets of a device that is about to be removed.
    pub(super) fn retire_all(&self, name: &Text) {
        let inactive = self.devices.get(name).and_then(|device| device.slots.inactive.as_ref());
        self.retire_stored(name, inactive);
        if let Some(active) = self.leaving(name) {
            active.retire();
        }
    }
}
