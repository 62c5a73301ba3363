//! The commands about tables: load, clear, suspend, resume, status, dependencies, messages.

use super::Mapper;
use super::check::{check_end, check_length, check_start, known_type};
use super::device::Device;
use super::live::Live;
use super::live_table::{LiveLine, LiveTable};
use super::pdevs::{Opener, Pdevs};
use super::stored::StoredTable;
use super::volume::Volume;
use crate::block::Pdev;
use crate::dm::limits::MAX_TABLE_LINES;
use crate::dm::{
    DeviceId, DeviceNumber, Errno, Fault, Flags, Line, Reply, ReplyBody, Request, Sectors, Slot, StatusLine,
    Table, Text,
};
use crate::target::{Events, Init, TargetType};
use std::sync::{Arc, Weak};

/// How a table's targets are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Making<'a> {
    pub(super) read_only: bool,
    /// The table was at work before, in another process maybe.
    pub(super) restores: bool,
    /// What each line's target had learned; empty when none had.
    pub(super) memory: &'a [Text],
}

impl Mapper {
    pub(super) fn load(&mut self, request: &Request, table: &Table) -> Result<Reply, Fault> {
        let name = self.find(&request.device)?;
        let read_only = request.flags.contains(Flags::READONLY);
        let (live, deps, pdevs) = self.build_among_others(&name, &table.lines, read_only, None)?;
        let device = self.device_mut(&DeviceId::by_name(name.clone()))?;
        if !device.was_loaded {
            live.check_limits(&table.lines)?;
        }
        let lines = table.lines.iter().zip(&live.lines).map(|(line, live)| Line {
            start: line.start,
            length: line.length,
            target: line.target.clone(),
            params: live.target.params(&|pdev: &Pdev| pdev.number().to_string().into()),
        });
        let table = Table { lines: lines.collect() };
        let replaced =
            device.slots.inactive.replace(StoredTable { table, read_only, deps, memory: live.memory() });
        device.loaded = Some(Arc::new(live)).filter(|table| !table.upcalls().is_empty());
        device.was_loaded = true;
        self.pdevs = pdevs;
        self.retire_stored(&name, replaced.as_ref());
        let reply = self.reply(&name, request)?;
        self.settle();
        Ok(reply)
    }

    pub(super) fn clear(&mut self, request: &Request) -> Result<Reply, Fault> {
        let device = self.device_mut(&request.device)?;
        device.loaded = None;
        let cleared = device.slots.inactive.take();
        let name = device.name.clone();
        self.retire_stored(&name, cleared.as_ref());
        // The reply counts what is open while the old table still is, as the kernel's does; only its own device is told.
        let reply = self.reply(&name, request)?;
        self.settle();
        Ok(reply)
    }

    pub(super) fn deps(&self, request: &Request) -> Result<Reply, Fault> {
        let device = self.device(&request.device)?;
        let table = device.slots.get(Device::slot_asked(request));
        let deps = table.map(|table| table.deps.clone()).unwrap_or_default();
        Ok(Reply { body: ReplyBody::Deps(deps), ..device.status(request, self.open_count(device)) })
    }

    pub(super) fn table_status(&self, request: &Request) -> Result<Reply, Fault> {
        let device = self.device(&request.device)?;
        let reply = device.status(request, self.open_count(device));
        let slot = Device::slot_asked(request);
        let Some(table) = device.slots.get(slot) else {
            return Ok(Reply { body: ReplyBody::Lines(Vec::new()), ..reply });
        };
        let by_path = request.flags.contains(Flags::PATHS);
        let name = |dev: DeviceNumber| self.pdevs.path(dev).filter(|_| by_path).cloned();
        let line = |line: &Line, params: Text| StatusLine {
            start: line.start,
            length: line.length,
            target: line.target.clone(),
            status: 0,
            params,
        };
        if slot == Slot::Active && table.rewords() {
            // Without its disks it says what it was loaded with.
            let _ = self.activate(&device.name);
        }
        let shown = |pdev: &Pdev| name(pdev.number()).unwrap_or_else(|| pdev.number().to_string().into());
        let lines = if !request.flags.contains(Flags::STATUS_TABLE) {
            let live = self.live_table(device, slot, table)?;
            let lines = table.table.lines.iter().zip(&live.lines);
            lines.map(|(text, live)| line(text, live.target.status(&shown))).collect()
        } else if let Some(live) = device.changing_table(slot) {
            let lines = table.table.lines.iter().zip(&live.lines);
            lines.map(|(text, live)| line(text, live.target.params(&shown))).collect()
        } else {
            table.table.lines.iter().map(|text| line(text, table.params(text, &name))).collect()
        };
        Ok(Reply { body: ReplyBody::Lines(lines), ..reply })
    }

    pub(super) fn message(
        &mut self,
        request: &Request,
        sector: Sectors,
        message: &Text,
    ) -> Result<Reply, Fault> {
        let words = message.words();
        let device = self.device_mut(&request.device)?;
        let name = device.name.clone();
        let Some(first) = words.first() else { return Err(Fault::invalid("the message is empty")) };
        let mut answer = None;
        if first.eq_ignore_ascii_case(b"@cancel_deferred_remove") && words.len() == 1 {
            device.deferred_remove = false;
        } else if first.to_ascii_lowercase().starts_with(b"@stats_") {
            let why = "the mapper in userspace counts no I/O: statistics are the kernel's alone";
            return Err(Fault::invalid(why));
        } else if first.starts_with(b"@") {
            return Err(Fault::invalid(format!("the driver knows no message \"{first}\"")));
        } else {
            self.activate(&name)?;
            let device = self.device(&request.device)?;
            let table = device
                .live
                .table()
                .ok_or_else(|| Fault::invalid(format!("\"{name}\" has no active table")))?;
            let line = table.at(sector).ok_or_else(|| {
                Fault::invalid(format!(
                    "sector {sector} is not in \"{name}\", which has {} sectors",
                    table.size()
                ))
            })?;
            answer = line.target.message(&words)?;
        }
        let mut reply = self.reply(&name, request)?;
        reply.flags = reply.flags.set(Flags::DATA_OUT, answer.is_some());
        Ok(Reply { body: ReplyBody::Message(answer), ..reply })
    }

    /// The device as something to read and write, in use until the value is dropped. I/O waits while it is suspended.
    ///
    /// # Errors
    /// ENXIO when there is no such device; EROFS when it is to be written and read-only; or what its disks give when they
    /// are opened.
    pub fn volume(&mut self, id: &DeviceId, writable: bool) -> Result<Volume, Fault> {
        let name = self.find(id)?;
        self.activate(&name)?;
        let device = self.device(&DeviceId::by_name(name.clone()))?;
        if writable && device.read_only {
            return Err(Fault::new(Errno::EROFS, format!("\"{name}\" is read-only")));
        }
        Ok(Volume::new(device.live.clone()))
    }

    /// Whether the device's I/O waits.
    ///
    /// # Errors
    /// ENXIO when there is no such device.
    pub fn is_suspended(&self, id: &DeviceId) -> Result<bool, Fault> {
        self.device(id).map(|device| device.suspended)
    }

    /// A table of the device with its targets made; those of the active one stay, for the next to ask.
    fn live_table(&self, device: &Device, slot: Slot, table: &StoredTable) -> Result<Arc<LiveTable>, Fault> {
        let mut made = None;
        if slot == Slot::Active {
            self.activate(&device.name)?;
            made = device.live.table();
        }
        if slot == Slot::Inactive {
            made.clone_from(&device.loaded);
        }
        if let (None, Slot::Inactive) = (&made, slot) {
            made = self.build_inactive(&device.name)?.map(Arc::new);
        }
        match made {
            Some(made) => Ok(made),
            None => Ok(Arc::new(self.build_stored(&device.name, table)?)),
        }
    }

    /// A table that was loaded before, with its targets made.
    pub(super) fn build_stored(&self, device: &Text, table: &StoredTable) -> Result<LiveTable, Fault> {
        let making = Making { read_only: table.read_only, restores: true, memory: &table.memory };
        self.build(device, &table.table.lines, making).map(|(live, _, _)| live)
    }

    /// Makes a table's targets: the checks that each line must pass, in the kernel's order (`dm_table_add_target`), then
    /// the target's own. Gives the disks under it and the numbers of all disks, the new ones with them.
    pub(super) fn build(
        &self,
        device: &Text,
        lines: &[Line],
        making: Making<'_>,
    ) -> Result<(LiveTable, Vec<DeviceNumber>, Pdevs), Fault> {
        if lines.is_empty() {
            return Err(Fault::invalid("the table has no lines"));
        }
        if lines.len() > MAX_TABLE_LINES {
            return Err(Fault::invalid(format!(
                "the table has {} lines, above {MAX_TABLE_LINES}",
                lines.len()
            )));
        }
        let events: Weak<dyn Events> = match self.devices.get(device) {
            Some(device) => Arc::downgrade(&device.live) as _,
            None => Weak::<Live>::new() as _,
        };
        let nothing = Text::new();
        let mut opener = Opener::new(self, device);
        let mut built = Vec::with_capacity(lines.len());
        let mut end = Sectors::ZERO;
        for (index, line) in lines.iter().enumerate() {
            let arguments = line.params.words();
            let mut init = Init {
                target: placed_type(line, end).map_err(|fault| fault.at_line(index))?,
                start: line.start,
                length: line.length,
                arguments: &arguments,
                read_only: making.read_only,
                pdevs: &mut opener,
                shared: &self.shared,
                restores: making.restores,
                events: events.clone(),
                memory: making.memory.get(index).unwrap_or(&nothing),
                serves: self.serves,
            };
            let target = (init.target.init)(&mut init).map_err(|fault| fault.at_line(index))?;
            end = Sectors(line.start.0 + line.length.0);
            built.push(LiveLine { start: line.start, length: line.length, target });
        }
        let (deps, pdevs) = opener.finish();
        Ok((LiveTable::new(built), deps, pdevs))
    }
}

/// The type of a line's target, if the line follows the one that ends at `end`.
fn placed_type(line: &Line, end: Sectors) -> Result<&'static TargetType, Fault> {
    check_length(line)?;
    let found = known_type(line)?;
    check_start(line, end)?;
    check_end(line)?;
    Ok(found)
}
