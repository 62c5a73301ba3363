//! The commands about tables: load, clear, suspend, resume, status, dependencies, messages.

use super::Mapper;
use super::device::Device;
use super::live::Live;
use super::live_table::{LiveLine, LiveTable};
use super::pdevs::{Opener, Pdevs};
use super::stored::StoredTable;
use super::volume::Volume;
use crate::block::{Pdev, PdevSource};
use crate::dm::limits::MAX_TABLE_LINES;
use crate::dm::{
    DeviceId, DeviceNumber, Errno, Fault, Flags, Line, Reply, ReplyBody, Request, Sectors, Slot, StatusLine,
    Table, Text,
};
use crate::target::{self, Events, Init, Target};
use std::sync::{Arc, Weak};

/// What a line is made a target with.
struct Making<'a> {
    memory: Option<&'a Text>,
    read_only: bool,
    pdevs: &'a mut dyn PdevSource,
    events: &'a Weak<dyn Events>,
}

impl Mapper {
    pub(super) fn load(&mut self, request: &Request, table: &Table) -> Result<Reply, Fault> {
        let name = self.find(&request.device)?;
        let read_only = request.flags.contains(Flags::READONLY);
        let (live, deps, pdevs) = self.build_among_others(&name, &table.lines, read_only)?;
        let (live, deps, pdevs) = self.build(&name, &table.lines, read_only, &[])?;
        let device = self.device_mut(&DeviceId::by_name(name.clone()))?;
        if !device.was_loaded {
            live.check_limits()?;
        }
        let lines = table.lines.iter().zip(&live.lines).map(|(line, live)| Line {
            start: line.start,
            length: line.length,
            target: line.target.clone(),
            params: live.target.params(&|pdev: &Pdev| pdev.number().to_string().into()),
        });
        device.slots.inactive =
            Some(StoredTable { table: Table { lines: lines.collect() }, read_only, deps });
        device.loaded = Some(Arc::new(live)).filter(|table| !table.upcalls().is_empty());
        let table = Table { lines: lines.collect() };
        let replaced =
            device.slots.inactive.replace(StoredTable { table, read_only, deps, memory: live.memory() });
        device.was_loaded = true;
        self.pdevs = pdevs;
        self.retire_stored(&name, replaced.as_ref());
        self.settle();
        self.reply(&name, request)
    }

    pub(super) fn clear(&mut self, request: &Request) -> Result<Reply, Fault> {
        let device = self.device_mut(&request.device)?;
        device.slots.inactive = None;
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

    /// Makes the targets of a device's active table, and of the devices under it, where they are not made yet.
    pub(super) fn activate(&self, name: &Text) -> Result<(), Fault> {
        let Some(device) = self.devices.get(name) else { return Ok(()) };
        let Some(table) = device.slots.active.as_ref() else { return Ok(()) };
        for lower in table.deps.iter().filter_map(|dev| self.with_number(*dev)) {
            self.activate(&lower.name)?;
        }
        if device.live.table().is_none() {
            let live = Arc::new(self.build_stored(name, table)?);
            if !device.suspended {
                resume_targets(&live)?;
            }
            device.live.attach(live, device.read_only);
        }
        Ok(())
    }

    /// Has a server make all targets before their I/O comes; a command makes those that it needs.
    pub(super) fn activate_if_serving(&self, name: &Text) -> Result<(), Fault> {
        if self.serves { self.activate(name) } else { Ok(()) }
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
        match made {
            Some(made) => Ok(made),
            None => Ok(Arc::new(self.build(&device.name, &table.table.lines, table.read_only, true)?.0)),
            None => Ok(Arc::new(self.build_stored(&device.name, table)?)),
        }
    }

    /// A table that was loaded before, with its targets made.
    pub(super) fn build_stored(&self, device: &Text, table: &StoredTable) -> Result<LiveTable, Fault> {
        self.build(device, &table.table.lines, table.read_only, &table.memory).map(|(live, _, _)| live)
    }

    /// Makes a table's targets: the checks that each line must pass, in the kernel's order (`dm_table_add_target`), then
    /// the target's own; `restores` says that the table was at work before. Gives the disks under it and the numbers of all disks, the new ones with them.
    pub(super) fn build(
        &self,
        device: &Text,
        lines: &[Line],
        read_only: bool,
        restores: bool,
        memory: &[Text],
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
        let mut opener = Opener::new(self, device);
        let mut built = Vec::with_capacity(lines.len());
        let mut end = Sectors::ZERO;
        for (index, line) in lines.iter().enumerate() {
            let target = self
                .make_target(line, end, read_only, &mut opener, &events, restores)
                .map_err(|fault| fault.at_line(index))?;
            let made = Making { memory: memory.get(index), read_only, pdevs: &mut opener, events: &events };
            let target = self.make_target(line, end, made).map_err(|fault| fault.at_line(index))?;
            end = Sectors(line.start.0 + line.length.0);
            built.push(LiveLine { start: line.start, length: line.length, target });
        }
        let (deps, pdevs) = opener.finish();
        Ok((LiveTable::new(built), deps, pdevs))
    }

    /// One line's target, if the line follows the one that ends at `end`.
    fn make_target(
        &self,
        line: &Line,
        end: Sectors,
        read_only: bool,
        pdevs: &mut dyn PdevSource,
        events: &Weak<dyn Events>,
        restores: bool,
    ) -> Result<Box<dyn Target>, Fault> {
    fn make_target(&self, line: &Line, end: Sectors, making: Making<'_>) -> Result<Box<dyn Target>, Fault> {
        let Line { start, length, target, params } = line;
        if *length == Sectors::ZERO {
            return Err(Fault::invalid("the line maps no sectors: its length is 0"));
        }
        let found = target::find(target);
        let found = found.ok_or_else(|| Fault::invalid(format!("there is no target type \"{target}\"")))?;
        if *start != end {
            let what = if *start > end { "a gap" } else { "an overlap" };
            return Err(Fault::invalid(format!(
                "{what} in the table: the line starts at {start}, not at {end}"
            )));
        }
        if start.checked_add(*length).and_then(Sectors::to_bytes).is_none() {
            return Err(Fault::invalid(format!(
                "{length} sectors from {start} are more than a device can have"
            )));
        }
        let arguments = params.words();
        let nothing = Text::new();
        let mut init = Init {
            target: found,
            start: *start,
            length: *length,
            arguments: &arguments,
            read_only,
            pdevs,
            shared: &self.shared,
            restores,
            events: events.clone(),
            memory: &Text::new(),
            read_only: making.read_only,
            pdevs: making.pdevs,
            events: making.events.clone(),
            memory: making.memory.unwrap_or(&nothing),
            serves: self.serves,
        };
        (found.init)(&mut init)
    }
}
