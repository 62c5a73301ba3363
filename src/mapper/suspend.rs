//! Suspending and resuming: holding I/O, and the swap of tables while it is held.
//!
//! ```text
//! suspend: hold new I/O ─▶ what is in flight ends ─▶ disks are flushed ─▶ suspended
//! resume:  (hold, drain) ─▶ inactive table becomes the active one ─▶ I/O goes on
//! ```
//!
//! I/O in flight may take long, and its end may need another command, as where a device below is suspended too. So nothing
//! waits here: a request that has to wait is [`Waiting`], and asked again. What it has begun stands in
//! [`Device::suspending`] meanwhile.

use super::Mapper;
use super::device::Device;
use super::entry::{Outcome, Waiting};
use super::live::Live;
use super::live_table::LiveTable;
use super::stored::StoredTable;
use crate::dm::{DeviceId, DeviceNumber, Errno, Fault, Flags, Request, Text};
use std::io::{self, PipeReader};
use std::sync::Arc;

/// How far the suspending of a device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspending {
    /// I/O is held, and what is in flight has to end.
    Draining,
    /// The disks were flushed since, with that result.
    Flushed(Result<(), Errno>),
}

/// A device whose disks are to be flushed, without the mapper's lock.
#[derive(Debug)]
pub struct Flusher(Arc<Live>);

impl Flusher {
    /// Flushes them.
    ///
    /// # Errors
    /// The first failure.
    pub fn flush(&self) -> Result<(), Errno> {
        self.0.flush_held()
    }
}

impl Mapper {
    pub(super) fn suspend(&mut self, request: &Request) -> Result<Outcome, Fault> {
        let name = self.find(&request.device)?;
        let serves = self.serves;
        let device = self.device(&DeviceId::by_name(name.clone()))?;
        if !device.suspended && device.slots.active.as_ref().is_some_and(StoredTable::rewords) {
            // So that its targets learn of it and the next command's know. Without its disks there is nothing to be flushed.
            let _ = self.activate(&name);
        }
        let device = self.device_mut(&DeviceId::by_name(name.clone()))?;
        if !device.suspended {
            let flush = !request.flags.contains(Flags::NOFLUSH);
            match device.drain(flush)? {
                None => {}
                // A command has nobody else to serve meanwhile.
                Some(Waiting::Flush) if !serves => {
                    device.suspending = Some(Suspending::Flushed(device.live.flush_held()));
                    device.drain(flush)?;
                }
                Some(waiting) => return Ok(Outcome::Waiting(device.number(), waiting)),
            }
            if let Some(table) = device.live.table() {
                postsuspend(&table).map_err(|errno| {
                    device.cancel_suspend();
                    Fault::new(errno, format!("cannot write what a target keeps: {errno}"))
                })?;
            }
            device.suspending = None;
            device.suspended = true;
            device.live.announce();
        }
        self.reply(&name, request).map(Outcome::Reply)
    }

    pub(super) fn resume(&mut self, request: &Request) -> Result<Outcome, Fault> {
        let name = self.find(&request.device)?;
        let id = DeviceId::by_name(name.clone());
        let mut old = None;
        if self.device(&id)?.slots.inactive.is_some() {
            let device = self.device_mut(&id)?;
            let waiting = if device.suspended { None } else { device.drain(false)? };
            if let Some(waiting) = waiting {
                return Ok(Outcome::Waiting(device.number(), waiting));
            }
            old = self.leaving(&name);
            self.swap(&name)?;
        }
        self.activate_if_serving(&name)?;
        let device = self.device_mut(&id)?;
        device.suspending = None;
        if device.suspended {
            if device.slots.active.is_none() {
                return Err(Fault::invalid(format!("\"{name}\" has no table: load one first")));
            }
            if let Some(table) = device.live.table() {
                resume_targets(&table)?;
                if !table.upcalls().is_empty() {
                    device.slots.retell(&table);
                }
                begin_work(&table);
            }
            device.suspended = false;
        }
        device.live.release();
        // After the new one has begun, as in the kernel: its targets may have taken over from the old one's.
        if let Some(old) = old {
            old.retire();
        }
        // Before others, who may have closed it since, have it removed.
        let reply = self.reply(&name, request)?;
        self.settle();
        Ok(Outcome::Reply(reply))
    }

    /// Makes the inactive table the active one. The device is held and idle.
    fn swap(&mut self, name: &Text) -> Result<(), Fault> {
        let id = DeviceId::by_name(name.clone());
        let device = self.device(&id)?;
        let Some(table) = device.slots.inactive.clone() else { return Ok(()) };
        // Its disks may not open now: the table is kept for when they can, and I/O goes on where it did.
        let built = match &device.loaded {
            Some(loaded) => Ok(loaded.clone()),
            None => self
                .build_among_others(name, &table.table.lines, table.read_only, Some(&table.memory))
                .map(|(live, _, _)| Arc::new(live)),
        };
        let device = self.device_mut(&id)?;
        let live = built.inspect_err(|_| device.cancel_suspend())?;
        if let (false, Some(old)) = (device.suspended, device.live.table()) {
            postsuspend(&old).map_err(|errno| {
                device.cancel_suspend();
                Fault::new(errno, format!("cannot write what a target of the active table keeps: {errno}"))
            })?;
        }
        // A table that does not fit its disks is gone, and the device stays suspended (`do_resume`).
        device.suspended = true;
        device.suspending = None;
        device.slots.inactive = None;
        device.loaded = None;
        live.check_limits(&table.table.lines).inspect_err(|_| live.retire())?;
        device.read_only = table.read_only;
        device.live.attach(live, table.read_only);
        device.slots.active = Some(table);
        Ok(())
    }

    /// Takes back a suspend or a resume that waits for I/O in flight: I/O goes on as before it.
    pub fn cancel_suspend(&mut self, dev: DeviceNumber) {
        if let Some(device) = self.devices.values_mut().find(|device| device.number() == dev) {
            device.cancel_suspend();
        }
    }

    /// What a request of that device which [`Waiting::Flush`] is about waits for; its result goes to
    /// [`Mapper::flushed`].
    pub fn flusher(&self, dev: DeviceNumber) -> Option<Flusher> {
        self.with_number(dev).map(|device| Flusher(device.live.clone()))
    }

    /// Learns what the flush of a device that is being suspended gave.
    pub fn flushed(&mut self, dev: DeviceNumber, result: Result<(), Errno>) {
        let device = self.devices.values_mut().find(|device| device.number() == dev);
        if let Some(device) = device.filter(|device| device.suspending.is_some()) {
            device.suspending = Some(Suspending::Flushed(result));
        }
    }

    /// Something whose end is reached when that device changes: its next event, its removal, the end of its I/O in flight.
    ///
    /// # Errors
    /// ENXIO when there is no such device; EMFILE when this process can open no more.
    pub fn watch(&self, dev: DeviceNumber) -> Result<PipeReader, Fault> {
        let missing = || Fault::new(Errno::ENXIO, format!("there is no device with number {dev}"));
        let failed = |error: io::Error| {
            let errno = Errno::from_io(&error);
            Fault::new(errno, format!("cannot watch {dev}: {errno}"))
        };
        self.with_number(dev).ok_or_else(missing)?.live.watch().map_err(failed)
    }
}

impl Device {
    /// Holds I/O, and says what is still to be waited for until none is in flight, and with `flush` the disks are
    /// flushed.
    fn drain(&mut self, flush: bool) -> Result<Option<Waiting>, Fault> {
        if self.suspending.is_none() {
            // Held first: what a target lets go of, and wants to be asked for again, waits then.
            self.live.hold().map_err(|errno| {
                let reason = format!(
                    "\"{}\" is open for passthrough, so that I/O goes to its file by itself",
                    self.name
                );
                let hint =
                    format!("who has it open has to close it: `rdmsetup holders {}` names them", self.name);
                Fault::new(errno, reason).with_hint(Some(hint))
            })?;
            if let Some(table) = self.live.table() {
                table.lines.iter().for_each(|line| line.target.presuspend(!flush));
            }
            self.suspending = Some(Suspending::Draining);
        }
        if self.live.is_busy() {
            return Ok(Some(Waiting::Idle));
        }
        match self.suspending {
            Some(Suspending::Flushed(Err(errno))) if flush => {
                self.cancel_suspend();
                Err(Fault::new(errno, format!("cannot flush the disks: {errno}")))
            }
            Some(Suspending::Flushed(_)) => Ok(None),
            None | Some(Suspending::Draining) => Ok(flush.then_some(Waiting::Flush)),
        }
    }

    fn cancel_suspend(&mut self) {
        if self.suspending.take().is_some() {
            if let Some(table) = self.live.table() {
                // They ran before, and go on as they were.
                let _ = resume_targets(&table);
                begin_work(&table);
            }
            self.live.release();
        }
    }
}

pub(super) fn postsuspend(table: &LiveTable) -> Result<(), Errno> {
    table.lines.iter().map(|line| line.target.postsuspend()).fold(Ok(()), Result::and)
}

/// Tells each target that I/O comes from now on.
pub(super) fn resume_targets(table: &LiveTable) -> Result<(), Fault> {
    for (index, line) in table.lines.iter().enumerate() {
        line.target.resume().map_err(|fault| fault.at_line(index))?;
    }
    Ok(())
}

/// Lets each target begin with what it does of its own.
pub(super) fn begin_work(table: &LiveTable) {
    table.lines.iter().for_each(|line| line.target.work());
}

/// The same as [`resume_targets`] for a table that was the active one of another process before, and may have been suspended there.
pub(super) fn restore_targets(table: &LiveTable, suspended: bool) -> Result<(), Fault> {
    if suspended && table.upcalls().is_empty() {
        return Ok(());
    }
    for (index, line) in table.lines.iter().enumerate() {
        line.target.restore().map_err(|fault| fault.at_line(index))?;
    }
    if suspended {
        // Others count on what a target was before it was suspended.
        table.lines.iter().for_each(|line| line.target.presuspend(true));
        let failed = |errno| Fault::new(errno, format!("cannot write what a target keeps: {errno}"));
        postsuspend(table).map_err(failed)?;
    }
    Ok(())
}
