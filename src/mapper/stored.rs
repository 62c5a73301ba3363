//! A table as it is kept: checked once, in the kernel's canonical text, without an open file.

use super::live_table::LiveTable;
use crate::block::Pdev;
use crate::dm::{DeviceNumber, Line, Sectors, Slot, Table, Text};
use crate::target;

/// A table in a slot.
///
/// Its text names disks by number, as the kernel's does, so that it can be saved, printed and built again: what a
/// target prints as its parameters is what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredTable {
    pub(super) table: Table,
    /// Loaded read-only: its disks are opened so, and a device that goes through it is.
    pub(super) read_only: bool,
    /// The disks under it, in the order in which the driver tells them.
    pub(super) deps: Vec<DeviceNumber>,
    /// What each line's target has learned, as it was last told; empty when none has.
    pub(super) memory: Vec<Text>,
}

impl StoredTable {
    /// How many sectors it maps.
    pub(super) fn size(&self) -> Sectors {
        self.table.lines.last().map_or(Sectors::ZERO, |last| Sectors(last.start.0 + last.length.0))
    }

    /// How many lines it has; no more than fit the protocol's field.
    pub(super) fn target_count(&self) -> u32 {
        u32::try_from(self.table.lines.len()).unwrap_or(u32::MAX)
    }

    /// Whether what its targets have learned may have changed their words.
    pub(super) fn rewords(&self) -> bool {
        let rewords = |line: &Line| target::find(&line.target).is_some_and(|found| found.rewords);
        self.table.lines.iter().any(rewords)
    }

    /// A line's parameters with each disk of this table as `name` has it.
    pub(super) fn params(&self, line: &Line, name: &dyn Fn(DeviceNumber) -> Option<Text>) -> Text {
        let words = line.params.split(|&byte| byte == b' ').map(|word| {
            let dep = DeviceNumber::parse(word).filter(|dev| self.deps.contains(dev));
            dep.and_then(name).map_or_else(|| word.to_vec(), Text::into_bytes)
        });
        words.collect::<Vec<_>>().join(&b' ').into()
    }
}

/// A device's two tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) active: Option<StoredTable>,
    pub(super) inactive: Option<StoredTable>,
}

impl Slots {
    pub(super) fn get(&self, slot: Slot) -> Option<&StoredTable> {
        match slot {
            Slot::Active => self.active.as_ref(),
            Slot::Inactive => self.inactive.as_ref(),
        }
    }

    /// Has the active table say what its targets say by now.
    pub(super) fn retell(&mut self, live: &LiveTable) {
        let lines = self.active.iter_mut().flat_map(|table| &mut table.table.lines);
        for (line, live) in lines.zip(&live.lines) {
            line.params = live.target.params(&|pdev: &Pdev| pdev.number().to_string().into());
        }
    }

    /// Both tables, where they are.
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoredTable> {
        self.active.iter().chain(&self.inactive)
    }

    /// How many times the device itself holds `dev` open: once for reading and writing, once for reading alone,
    /// however many of its lines and slots use it (the kernel's `table_devices`).
    pub(super) fn holds(&self, dev: DeviceNumber) -> i32 {
        let held =
            |read_only| self.iter().any(|table| table.read_only == read_only && table.deps.contains(&dev));
        i32::from(held(false)) + i32::from(held(true))
    }
}
