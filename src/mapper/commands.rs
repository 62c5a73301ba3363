//! The commands about devices: each one a request to a reply, or a reason.

use super::device::Device;
use super::{Mapper, Outcome, VERSION, Waiting};
use crate::dm::limits::{MAX_MINOR, NAME_LEN, UUID_LEN};
use crate::dm::{
    Command, CommandKind, DeviceId, Errno, Fault, Flags, Geometry, ListedDevice, Reply, ReplyBody, Request,
    TargetVersion, Text,
};
use crate::target::{self, TARGETS};

impl Mapper {
    /// Performs a request.
    ///
    /// # Errors
    /// The number that Linux returns in the same case, with the reason.
    pub fn perform(&mut self, request: &Request) -> Result<Outcome, Fault> {
        let outcome = self.answer_request(request);
        if matches!(outcome, Ok(Outcome::Reply(_))) && tells(&request.command) {
            self.beacon.changed();
        }
        outcome
    }

    fn answer_request(&mut self, request: &Request) -> Result<Outcome, Fault> {
        check_fields(request)?;
        let done = match &request.command {
            Command::Version | Command::DevArmPoll => Ok(echo(request)),
            Command::RemoveAll => Ok(self.remove_all(request)),
            Command::ListDevices => Ok(self.list(request)),
            Command::DevCreate => self.create(request),
            Command::DevRemove => self.remove(request),
            Command::DevRename(new) => self.rename(request, new),
            Command::DevSuspend if request.flags.contains(Flags::SUSPEND) => return self.suspend(request),
            Command::DevSuspend => return self.resume(request),
            Command::DevStatus => self.status(request),
            Command::DevWait => return self.wait(request),
            Command::TableLoad(table) => self.load(request, table),
            Command::TableClear => self.clear(request),
            Command::TableDeps => self.deps(request),
            Command::TableStatus => self.table_status(request),
            Command::ListVersions => Ok(versions(request, TARGETS)),
            Command::TargetMsg { sector, message } => self.message(request, *sector, message),
            Command::DevSetGeometry(text) => self.set_geometry(request, text),
            Command::GetTargetVersion(name) => target::find(name)
                .map(|target| versions(request, &[target]))
                .ok_or_else(|| Fault::invalid(format!("there is no target type \"{name}\""))),
            Command::MpathProbePaths => Err(Fault::new(
                Errno::ENOTTY,
                "paths are probed through a multipath device, not the control node",
            )),
        };
        done.map(Outcome::Reply)
    }

    /// A device's state, by name.
    pub(super) fn reply(&self, name: &Text, request: &Request) -> Result<Reply, Fault> {
        let device = self.device(&DeviceId::by_name(name.clone()))?;
        Ok(device.status(request, self.open_count(device)))
    }

    fn status(&self, request: &Request) -> Result<Reply, Fault> {
        let device = self.device(&request.device)?;
        Ok(device.status(request, self.open_count(device)))
    }

    fn wait(&self, request: &Request) -> Result<Outcome, Fault> {
        let device = self.device(&request.device)?;
        if device.live.event_nr() == request.event_nr {
            return Ok(Outcome::Waiting(device.number(), Waiting::Event));
        }
        self.table_status(request).map(Outcome::Reply)
    }

    fn list(&self, request: &Request) -> Reply {
        // A name or a uuid in the request is the beginning of those that are wanted (`filter_device`).
        let DeviceId { name, uuid, .. } = &request.device;
        let wanted = |device: &&Device| device.name.starts_with(name) && device.uuid.starts_with(uuid);
        let devices = self.devices.values().filter(wanted).map(|device| ListedDevice {
            name: device.name.clone(),
            dev: device.number(),
            event_nr: Some(device.live.event_nr()),
            // Only to those who ask: the uuid came late to this list, and with a flag.
            uuid: request.flags.contains(Flags::UUID).then(|| device.uuid.clone()),
        });
        Reply { body: ReplyBody::Devices(devices.collect()), ..echo(request) }
    }

    fn create(&mut self, request: &Request) -> Result<Reply, Fault> {
        let DeviceId { name, uuid, dev } = &request.device;
        check_name(name)?;
        let minor = if request.flags.contains(Flags::PERSISTENT_DEV) {
            let minor = dev.map_or(0, |dev| dev.minor);
            if minor > MAX_MINOR {
                return Err(Fault::new(Errno::ENXIO, format!("minor number {minor} is above {MAX_MINOR}")));
            }
            if let Some(other) = self.devices.values().find(|device| device.minor == minor) {
                return Err(Fault::new(
                    Errno::ENXIO,
                    format!("minor number {minor} is \"{}\"'s", other.name),
                ));
            }
            minor
        } else {
            self.free_minor().ok_or_else(|| Fault::new(Errno::ENXIO, "every minor number is taken"))?
        };
        self.check_free(name, &Text::new())?;
        self.check_free(&Text::new(), uuid)?;
        self.insert(Device::new(name.clone(), uuid.clone(), minor));
        self.changed = true;
        self.reply(name, request)
    }

    /// That no device has the name or the uuid, where they are given.
    fn check_free(&self, name: &Text, uuid: &Text) -> Result<(), Fault> {
        if self.devices.contains_key(name) {
            return Err(Fault::new(Errno::EBUSY, format!("there is a device \"{name}\" already")));
        }
        let taken = Some(uuid).filter(|uuid| !uuid.is_empty()).and_then(|uuid| self.with_uuid(uuid));
        taken.map_or(Ok(()), |other| {
            Err(Fault::new(Errno::EBUSY, format!("uuid \"{uuid}\" is that of device \"{}\"", other.name)))
        })
    }

    fn remove(&mut self, request: &Request) -> Result<Reply, Fault> {
        let device = self.device(&request.device)?;
        let (name, number, opens) = (device.name.clone(), device.number(), self.open_count(device));
        let mut reply = echo(request);
        reply.device = DeviceId { name: name.clone(), uuid: device.uuid.clone(), dev: request.device.dev };
        reply.flags = reply.flags.set(Flags::INACTIVE_PRESENT, device.slots.inactive.is_some());
        if opens == 0 {
            self.forget(&name);
            reply.flags = reply.flags.without(Flags::DEFERRED_REMOVE);
            return Ok(reply);
        }
        if request.flags.contains(Flags::DEFERRED_REMOVE) {
            self.device_mut(&request.device)?.deferred_remove = true;
            return Ok(reply);
        }
        let holders: Vec<String> = self.holders(number).map(|upper| format!("\"{}\"", upper.name)).collect();
        let users = if holders.is_empty() { "a reader or writer".to_owned() } else { holders.join(", ") };
        Err(Fault::new(Errno::EBUSY, format!("\"{name}\" is in use by {users}")))
    }

    fn remove_all(&mut self, request: &Request) -> Reply {
        // What stands on others goes first, so as long as something went there may be more that can.
        loop {
            let Some(name) = self.unused().next() else { break };
            self.forget(&name);
        }
        if request.flags.contains(Flags::DEFERRED_REMOVE) {
            self.changed |= !self.devices.is_empty();
            self.devices.values_mut().for_each(|device| device.deferred_remove = true);
        }
        echo(request)
    }

    /// The devices that nothing holds open.
    fn unused(&self) -> impl Iterator<Item = Text> {
        self.devices.values().filter(|device| self.open_count(device) == 0).map(|device| device.name.clone())
    }

    /// Takes a device away, with its tables, and what stood under it only until it was closed.
    fn forget(&mut self, name: &Text) {
        self.retire_all(name);
        if let Some(device) = self.devices.remove(name) {
            device.live.detach();
        }
        self.changed = true;
        self.settle();
    }

    /// After tables went away: disks that no table names lose their numbers, and devices that were to be removed when
    /// closed are.
    pub(super) fn settle(&mut self) {
        loop {
            // Few wait for it, and to count who holds a device takes a look at all others.
            let due = self.devices.values().filter(|device| device.deferred_remove);
            let closed =
                due.filter(|device| self.open_count(device) == 0).map(|device| device.name.clone()).next();
            let Some(name) = closed else { break };
            self.retire_all(&name);
            if let Some(device) = self.devices.remove(&name) {
                device.live.detach();
            }
        }
        let named = |dev| self.devices.values().any(|device| device.slots.holds(dev) > 0);
        self.pdevs.keep(named);
    }

    fn rename(&mut self, request: &Request, new: &Text) -> Result<Reply, Fault> {
        let sets_uuid = request.flags.contains(Flags::UUID);
        let limit = if sets_uuid { UUID_LEN } else { NAME_LEN };
        if new.is_empty() || new.len() >= limit {
            return Err(Fault::invalid(format!(
                "the new name has {} bytes, not 1 to {}",
                new.len(),
                limit - 1
            )));
        }
        if sets_uuid {
            self.check_free(&Text::new(), new)?;
        } else {
            check_name(new)?;
            self.check_free(new, &Text::new())?;
        }
        // The old device is looked up by name alone (`dm_hash_rename`).
        let old = &request.device.name;
        let missing = || Fault::new(Errno::ENXIO, format!("there is no device \"{old}\""));
        let device = self.devices.get_mut(old).ok_or_else(missing)?;
        if sets_uuid {
            if !device.uuid.is_empty() {
                return Err(Fault::invalid(format!("\"{old}\" has the uuid \"{}\" for good", device.uuid)));
            }
            device.uuid = new.clone();
        }
        if device.slots.active.is_some() {
            device.live.signal_event();
        }
        self.changed = true;
        // The reply tells the new state under the old name, as the request had it.
        let mut reply = self.reply(old, request)?;
        reply.device = DeviceId { dev: reply.device.dev, ..request.device.clone() };
        reply.flags =
            reply.flags.set(Flags::INACTIVE_PRESENT, request.flags.contains(Flags::INACTIVE_PRESENT));
        if !sets_uuid && let Some(mut device) = self.devices.remove(old) {
            device.name = new.clone();
            self.devices.insert(new.clone(), device);
        }
        Ok(reply)
    }

    fn set_geometry(&mut self, request: &Request, text: &Text) -> Result<Reply, Fault> {
        let device = self.device_mut(&request.device)?;
        let geometry = Geometry::parse(text).ok_or_else(|| {
            Fault::invalid(format!(
                "\"{text}\" is not CYLINDERS HEADS SECTORS START, with at most 65535, 255 and 255 of the first three"
            ))
        })?;
        let size = geometry.cylinders * geometry.heads * geometry.sectors;
        if geometry.start > size {
            let Geometry { start, .. } = geometry;
            return Err(Fault::invalid(format!(
                "start sector {start} is behind the geometry's {size} sectors"
            )));
        }
        device.geometry = geometry;
        Ok(echo(request))
    }
}

/// Whether others may see what the command did.
fn tells(command: &Command) -> bool {
    match command.kind() {
        CommandKind::RemoveAll
        | CommandKind::DevCreate
        | CommandKind::DevRemove
        | CommandKind::DevRename
        | CommandKind::DevSuspend
        | CommandKind::TableLoad
        | CommandKind::TableClear
        | CommandKind::TargetMsg => true,
        CommandKind::Version
        | CommandKind::ListDevices
        | CommandKind::DevStatus
        | CommandKind::DevWait
        | CommandKind::TableDeps
        | CommandKind::TableStatus
        | CommandKind::ListVersions
        | CommandKind::DevSetGeometry
        | CommandKind::DevArmPoll
        | CommandKind::GetTargetVersion
        | CommandKind::MpathProbePaths => false,
    }
}

/// A reply that says no more than the request did.
pub(super) fn echo(request: &Request) -> Reply {
    Reply {
        version: VERSION,
        device: request.device.clone(),
        flags: request.flags,
        open_count: 0,
        event_nr: request.event_nr,
        target_count: 0,
        body: ReplyBody::None,
    }
}

fn versions(request: &Request, targets: &[&'static target::TargetType]) -> Reply {
    let version =
        |target: &&target::TargetType| TargetVersion { name: target.name.into(), version: target.version };
    Reply { body: ReplyBody::Versions(targets.iter().map(version).collect()), ..echo(request) }
}

/// What the driver checks of every request before it looks at the command (`validate_params`).
fn check_fields(request: &Request) -> Result<(), Fault> {
    let kind = request.command.kind();
    let DeviceId { name, uuid, .. } = &request.device;
    if kind == CommandKind::DevCreate && name.is_empty() {
        return Err(Fault::invalid("a device needs a name"));
    }
    let takes_both = matches!(
        kind,
        CommandKind::RemoveAll
            | CommandKind::ListDevices
            | CommandKind::ListVersions
            | CommandKind::Version
            | CommandKind::DevCreate
    );
    if !takes_both && !name.is_empty() && !uuid.is_empty() {
        return Err(Fault::invalid("a device is named by its name or its uuid, not by both"));
    }
    Ok(())
}

fn check_name(name: &Text) -> Result<(), Fault> {
    if name.contains(&b'/') {
        return Err(Fault::invalid(format!("the name \"{name}\" has a \"/\" in it")));
    }
    Ok(())
}
