//! NetBSD's or DragonFly's own device-mapper, through its control node.
//!
//! ```text
//! request ─ care: what must not be sent ─ lookups before ─▶ one ioctl ─▶ signs: what became of it ─ lookups after ─▶ reply
//! ```
//!
//! It makes an honest driver of one that is not: what failed there fails here, with the error that it was, and what would
//! crash the kernel, or lose a device or a table, is refused. The request and the reply are dictionaries of the dialect that
//! shipped; a major number beside the minor is added here, since the drivers have none.

mod care;

use super::{Backend, kernel};
use crate::block::BlockDevice;
use crate::dm::{Command, CommandKind, DeviceId, Errno, Fault, Flags, Reply, Request, Text};
use crate::sys::devt;
use crate::sys::plistref::{PlistIoctl, exchange};
use crate::wire::proplib::{self, Dict, Outcome, SHIPPED, Value};
use crate::wire::{Call, Dialect};
use nix::unistd::Uid;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whose driver it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// NetBSD: every failure looks like a success; `rename` is there, `remove_all` and `message` are not.
    NetBsd,
    /// DragonFly: errors are returned; `remove_all` and `message` are there, `rename` is not.
    DragonFly,
}

/// What the requests depend on beside the driver.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Whose driver it is.
    pub system: System,
    /// Whether the caller is the superuser.
    pub superuser: bool,
    /// The major number of the driver's devices.
    pub major: u32,
    /// Whether there is a disk at a path.
    pub is_disk: fn(&[u8]) -> bool,
}

/// The driver.
#[derive(Debug)]
pub struct Bsd {
    node: Box<dyn PlistIoctl>,
    around: Surroundings,
    dev_dir: PathBuf,
    fault: Option<Fault>,
}

impl Bsd {
    /// Opens the control node below `dev_dir`. Its major number is that of the devices, too, where the system cannot be
    /// asked for it: NetBSD's conf/majors gives the driver the same for both kinds.
    ///
    /// # Errors
    /// The node cannot be opened.
    pub fn open(dev_dir: &Path) -> io::Result<Self> {
        let path = dev_dir.join("mapper/control");
        let node = OpenOptions::new().read(true).write(true).open(&path)?;
        let (control_major, _) = devt::split(node.metadata()?.rdev());
        let is_disk = |path: &[u8]| {
            let disk = fs::metadata(OsStr::from_bytes(path));
            // DragonFly has no block devices: there a disk is a character device.
            disk.is_ok_and(|disk| disk.file_type().is_block_device() || disk.file_type().is_char_device())
        };
        let around = Surroundings {
            system: if cfg!(target_os = "dragonfly") { System::DragonFly } else { System::NetBsd },
            superuser: Uid::effective().is_root(),
            major: devt::block_major(c"dm").unwrap_or(control_major),
            is_disk,
        };
        Ok(Self::over(Box::new(node), around, dev_dir))
    }

    /// The driver behind that node, whatever it is.
    pub fn over(node: Box<dyn PlistIoctl>, around: Surroundings, dev_dir: &Path) -> Self {
        Self { node, around, dev_dir: dev_dir.to_path_buf(), fault: None }
    }

    /// Performs a request, with what must be asked before and after; the dictionary that came back.
    fn perform(&mut self, request: &Request) -> Result<Dict, Fault> {
        care::check(request, &self.around)?;
        match &request.command {
            Command::DevSuspend if !request.flags.contains(Flags::SUSPEND) => {
                let (state, dict) = self.state(&request.device)?;
                if !state.flags.contains(Flags::INACTIVE_PRESENT) {
                    return without_table(&request.device, state.flags).map(|()| dict);
                }
            }
            Command::DevRename(new) => {
                if self.exists(&DeviceId::by_name(new.clone()))? {
                    return Err(Fault::new(Errno::EBUSY, format!("there is a device \"{new}\" already")));
                }
            }
            Command::TableLoad(table) => {
                let mut types: Vec<&Text> = table.lines.iter().map(|line| &line.target).collect();
                types.dedup();
                self.check_types(&types)?;
            }
            Command::Version
            | Command::RemoveAll
            | Command::ListDevices
            | Command::DevCreate
            | Command::DevRemove
            | Command::DevSuspend
            | Command::DevStatus
            | Command::DevWait
            | Command::TableClear
            | Command::TableDeps
            | Command::TableStatus
            | Command::ListVersions
            | Command::TargetMsg { .. }
            | Command::DevSetGeometry(_)
            | Command::DevArmPoll
            | Command::GetTargetVersion(_)
            | Command::MpathProbePaths => {}
        }
        let (outcome, dict) = self.send(request)?;
        if outcome == Outcome::Unclear && self.around.system == System::NetBsd {
            self.check_gone(request)?;
        }
        Ok(dict)
    }

    /// Sends one request, and judges what came back.
    fn send(&mut self, request: &Request) -> Result<(Outcome, Dict), Fault> {
        let sent = care::dictionary(request, &self.around)?;
        let mut text = proplib::document(&sent);
        text.push(0);
        if text.len() > proplib::MAX_REQUEST {
            let (length, most) = (text.len(), proplib::MAX_REQUEST);
            let reason = format!("the request is {length} bytes long, the driver takes {most} at most");
            return Err(Fault::new(Errno::EOVERFLOW, reason));
        }
        let kind = request.command.kind();
        let mapped = exchange(self.node.as_mut(), proplib::shipped_number(), &text).map_err(|error| {
            let errno = Errno::from_io(&error);
            let errno = proplib::errno_from_wire(kind, errno);
            Fault::new(errno, format!("the driver refused {}: {errno}", request.verb()))
        })?;
        let got = proplib::parse(mapped.as_bytes(), proplib::MAX_REPLY)
            .map_err(|error| Fault::new(Errno::EIO, format!("the driver's reply makes no sense: {error}")))?;
        let outcome = match self.around.system {
            System::NetBsd => proplib::outcome(&sent, &got, self.around.superuser),
            // Here an error was returned; a refused version alone was not.
            System::DragonFly if proplib::outcome(&sent, &got, true) == Outcome::Version => Outcome::Version,
            System::DragonFly => Outcome::Done,
        };
        outcome.fault(&request.device).map_or(Ok((outcome, got)), Err)
    }

    /// The state of a device, and the dictionary that tells it.
    fn state(&mut self, device: &DeviceId) -> Result<(Reply, Dict), Fault> {
        let (_, dict) = self.send(&Request::new(device.clone(), Command::DevStatus))?;
        proplib::decode_reply(&SHIPPED, CommandKind::DevStatus, &dict).map(|reply| (reply, dict))
    }

    fn exists(&mut self, device: &DeviceId) -> Result<bool, Fault> {
        match self.state(device) {
            Ok(_) => Ok(true),
            Err(fault) if fault.errno == Errno::ENXIO => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// That the driver has these target types now: it would look for a module of any other, and modules of that name have
    /// stopped kernels.
    fn check_types(&mut self, types: &[&Text]) -> Result<(), Fault> {
        let (_, dict) = self.send(&Request::global(Command::ListVersions))?;
        let reply = proplib::decode_reply(&SHIPPED, CommandKind::ListVersions, &dict)?;
        let lacking =
            types.iter().find(|&&target| !reply.versions().iter().any(|known| known.name == *target));
        let reason = |target: &&Text| {
            Fault::invalid(format!(
                "the driver has no target type \"{target}\" (see targets); load its module first"
            ))
        };
        lacking.map_or(Ok(()), |target| Err(reason(target)))
    }

    /// After `remove` and `clear`, whose failures NetBSD does not show: that what was to go is gone.
    fn check_gone(&mut self, request: &Request) -> Result<(), Fault> {
        let name = if request.device.name.is_empty() { &request.device.uuid } else { &request.device.name };
        let busy =
            |what: &str| Err(Fault::new(Errno::EBUSY, format!("{what} \"{name}\" is still there: in use")));
        match (request.command.kind(), self.state(&request.device)) {
            (CommandKind::DevRemove, Ok(_)) => busy("the device"),
            (CommandKind::TableClear, Ok((state, _))) if state.flags.contains(Flags::INACTIVE_PRESENT) => {
                busy("the inactive table of")
            }
            (CommandKind::DevRemove, Err(fault)) if fault.errno == Errno::ENXIO => Ok(()),
            (_, Err(fault)) => Err(fault),
            (_, Ok(_)) => Ok(()),
        }
    }

    fn answer(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), (Errno, Fault)> {
        let plain = |fault: Fault| (fault.errno, fault);
        let call = Call::read(number, buffer).map_err(plain)?;
        if call.dialect != Dialect::Netbsd {
            let reason = format!("ioctl {number:#x} is not one of this driver");
            return Err(plain(Fault::new(Errno::ENOTTY, reason)));
        }
        let kind = call.request.command.kind();
        let mut dict = self
            .perform(&call.request)
            .map_err(|fault| (Dialect::Netbsd.errno_to_wire(kind, fault.errno), fault))?;
        self.add_major(&mut dict);
        let mut text = proplib::document(&dict);
        text.push(0);
        *buffer = text;
        Ok(())
    }

    /// Puts the major number beside each minor.
    fn add_major(&self, dict: &mut Dict) {
        let major = || Value::unsigned(self.around.major);
        let data = proplib::decode_reply(&SHIPPED, CommandKind::ListDevices, dict);
        if dict.u32("minor").is_some_and(|minor| minor > 0) {
            dict.set("major", major());
        }
        if dict.text("command").is_some_and(|word| *word == "names") && data.is_ok() {
            let listed = dict.get("cmd_data").and_then(Value::as_array).unwrap_or_default();
            let with_major = |value: &Value| {
                let mut device = value.as_dict().cloned().unwrap_or_default();
                device.set("major", major());
                Value::Dict(device)
            };
            let listed = listed.iter().map(with_major).collect();
            dict.set("cmd_data", Value::Array(listed));
        }
    }
}

/// What a `resume` comes to when no table is loaded: the driver would swap the slots all the same, and the device would
/// lose the table that it has.
fn without_table(device: &DeviceId, state: Flags) -> Result<(), Fault> {
    let name = if device.name.is_empty() { &device.uuid } else { &device.name };
    if !state.contains(Flags::ACTIVE_PRESENT) {
        return Err(Fault::invalid(format!("\"{name}\" has no table: load one first")));
    }
    if state.contains(Flags::SUSPEND) {
        let reason = "this driver would take its table away; load the table again, then resume";
        return Err(Fault::invalid(format!("\"{name}\" is suspended with no table loaded: {reason}")));
    }
    Ok(())
}

impl Backend for Bsd {
    fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno> {
        self.fault = None;
        self.answer(number, buffer).map_err(|(errno, fault)| {
            self.fault = Some(fault);
            errno
        })
    }

    fn fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn is_mapper(&self) -> bool {
        false
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
        kernel::open_node(&self.dev_dir, device, writable)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
