//! The client's side of an ioctl: request to bytes, more room when the driver wants it, bytes to reply.

use super::{Backend, Changes, Holder};
use crate::block::BlockDevice;
use crate::dm::{
    Command, CommandKind, DeviceId, DeviceNumber, Errno, Fault, Flags, LineField, Reply, Request, Table,
    Text, limits, similar,
};
use crate::mapper::Draft;
use crate::wire::{Dialect, linux, show};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroize;

/// The buffer first offered for a command whose reply may be long, in bytes: libdm's choice.
const FIRST_BUFFER: usize = 16 * 1024;

/// The target types of Linux's own tree: every `struct target_type` of drivers/md (6.16), but those that no table names.
const KERNEL_TYPES: &[&str] = &[
    "cache",
    "clone",
    "crypt",
    "delay",
    "dust",
    "ebs",
    "era",
    "error",
    "flakey",
    "integrity",
    "linear",
    "log-writes",
    "mirror",
    "multipath",
    "raid",
    "snapshot",
    "snapshot-merge",
    "snapshot-origin",
    "striped",
    "switch",
    "thin",
    "thin-pool",
    "unstriped",
    "vdo",
    "verity",
    "writecache",
    "zero",
    "zoned",
];

/// Sends requests to a backend.
#[derive(Debug)]
pub struct Client {
    backend: Box<dyn Backend>,
    dialect: Dialect,
}

/// A request that failed: what dmsetup's line on standard error tells, and the reason that it leaves out.
#[derive(Debug)]
pub struct CallError {
    /// The word for the request in dmsetup's line: `reload`, `table`, ….
    pub verb: &'static str,
    /// The device as it was asked for.
    pub device: DeviceId,
    /// The driver's error number.
    pub errno: Errno,
    /// The reason, where the backend knows one.
    pub fault: Option<Fault>,
    /// What the driver said in its log meanwhile, where [`Client::listen`] was called before.
    pub said: Vec<String>,
    /// The request, for who is to look into it.
    pub request: Option<Box<Request>>,
}

impl CallError {
    /// The request's refusal, with the reason if one is known.
    pub fn new(request: &Request, errno: Errno, fault: Option<Fault>) -> Self {
        Self {
            verb: request.verb(),
            device: request.device.clone(),
            errno,
            fault,
            said: Vec::new(),
            request: None,
        }
    }
}

impl Client {
    /// A client of that backend, which speaks Linux's dialect to it.
    pub fn new(backend: Box<dyn Backend>) -> Self {
        Self::speaking(backend, Dialect::Linux)
    }

    /// A client of that backend, which speaks that dialect to it.
    pub fn speaking(backend: Box<dyn Backend>, dialect: Dialect) -> Self {
        Self { backend, dialect }
    }

    /// Sends a request and waits for its reply.
    ///
    /// The buffer is doubled for as long as the driver says that the reply did not fit, or made as long as our own mapper
    /// says that it takes, up to [`limits::MAX_BUFFER`] bytes.
    ///
    /// # Errors
    /// The driver's error, EOVERFLOW for a reply larger than the limit, or EIO for bytes that are no reply.
    pub fn perform(&mut self, request: &Request) -> Result<Reply, CallError> {
        let kind = request.command.kind();
        let asks_paths =
            self.backend.is_mapper() && matches!(kind, CommandKind::TableStatus | CommandKind::DevWait);
        let sent = asks_paths.then(|| request.clone().with_flags(Flags::PATHS));
        self.exchange(request, sent.as_ref().unwrap_or(request))
    }

    /// The paths of the disks and files under a device of the mapper, which says them in tables alone: the words of its
    /// table that are a number to a client that asks for no paths. Of a kernel's device none.
    ///
    /// # Errors
    /// See [`Client::perform`].
    pub fn paths(&mut self, device: &DeviceId) -> Result<Vec<(DeviceNumber, Text)>, CallError> {
        let request = Request::new(device.clone(), Command::TableStatus)
            .with_flags(Flags::EXISTS | Flags::STATUS_TABLE | Flags::NOFLUSH);
        if !self.is_mapper() {
            return Ok(Vec::new());
        }
        let (named, numbered) = (self.perform(&request)?, self.exchange(&request, &request)?);
        let mut paths = Vec::new();
        for (named, numbered) in named.lines().iter().zip(numbered.lines()) {
            let words = named.params.words().into_iter().zip(numbered.params.words());
            let told = words.filter(|(path, number)| path != number);
            paths.extend(told.filter_map(|(path, number)| Some((DeviceNumber::parse(&number)?, path))));
        }
        Ok(paths)
    }

    /// Sends what stands for the request.
    fn exchange(&mut self, request: &Request, sent: &Request) -> Result<Reply, CallError> {
        let kind = request.command.kind();
        let failed = |errno, fault| CallError::new(request, errno, fault);

        let dialect = self.dialect;
        let number = dialect.number(kind);
        let mut size = if linux::has_reply_data(kind) { FIRST_BUFFER } else { linux::HEADER_LEN };
        loop {
            let mut buffer = dialect.send(sent, size).map_err(|fault| failed(fault.errno, Some(fault)))?;
            size = buffer.len();
            let called = self.backend.ioctl(number, &mut buffer);
            // libdevmapper wipes its buffers so, too; the driver has wiped its own.
            let wipe = |mut buffer: Vec<u8>, holds_secret: bool| {
                if holds_secret || sent.flags.contains(Flags::SECURE_DATA) {
                    buffer.zeroize();
                }
            };
            if let Err(errno) = called {
                wipe(buffer, false);
                let fault = self.backend.fault();
                let errno =
                    fault.as_ref().map_or_else(|| dialect.errno_from_wire(kind, errno), |fault| fault.errno);
                return Err(CallError { said: self.backend.said(), ..failed(errno, fault) });
            }
            if let Some(wanted) = dialect.wants_more(&buffer) {
                size = (size * 2).max(wanted);
                wipe(buffer, false);
                if size > limits::MAX_BUFFER {
                    let reason = format!("the reply does not fit in {} bytes", limits::MAX_BUFFER);
                    return Err(failed(Errno::EOVERFLOW, Some(Fault::new(Errno::EOVERFLOW, reason))));
                }
                continue;
            }
            let decoded = dialect.reply(kind, &buffer);
            wipe(buffer, decoded.as_ref().is_ok_and(Reply::holds_secret));
            let mut reply = decoded.map_err(|fault| failed(fault.errno, Some(fault)))?;
            reply.flags = reply.flags.without(Flags::PATHS);
            return Ok(reply);
        }
    }

    /// Has the next request's refusal tell what the driver says of it in its log.
    pub fn listen(&mut self) {
        self.backend.listen();
    }

    /// The request as a dictionary of the protocol that was proposed for NetBSD, as `--trace=plist` shows it.
    pub fn dictionary(&self, request: &Request) -> String {
        let number = self.dialect.number(request.command.kind());
        match self.dialect.send(request, linux::HEADER_LEN) {
            Ok(buffer) => show::ask(number, &buffer).request_dictionary(&buffer),
            Err(fault) => fault.to_string(),
        }
    }

    /// Whether the userspace mapper answers, not a kernel.
    pub fn is_mapper(&self) -> bool {
        self.backend.is_mapper()
    }

    /// Whether others have to wait for as long as a volume is open.
    pub fn is_exclusive(&self) -> bool {
        self.backend.is_exclusive()
    }

    /// The device as something to read and write.
    ///
    /// # Errors
    /// See [`Backend::volume`].
    pub fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
        self.backend.volume(device, writable)
    }

    /// Who has the device open through a server.
    ///
    /// # Errors
    /// See [`Backend::users`].
    pub fn users(&mut self, device: &DeviceId) -> Result<Vec<Holder>, Fault> {
        self.backend.users(device)
    }

    /// Everything that is wrong with a table, as far as can be told without loading it. A kernel is also asked whether it
    /// has the target types that the mapper does not have, which may load their modules.
    ///
    /// # Errors
    /// The backend cannot look.
    pub fn check(&mut self, draft: &Draft<'_>) -> Result<Vec<Fault>, CallError> {
        let asked = |fault: Fault| {
            let request =
                Request::new(DeviceId::by_name(draft.device.clone()), Command::TableLoad(Table::default()));
            CallError::new(&request, fault.errno, Some(fault))
        };
        let mut faults = self.backend.check(draft).map_err(asked)?;
        if !self.is_mapper() {
            let mut known = BTreeMap::new();
            for (index, line) in draft.lines.iter().enumerate() {
                let Some(line) = line else { continue };
                let there = *known.entry(&line.target).or_insert_with(|| self.has_type(&line.target));
                if !there {
                    faults.push(no_type(&line.target).at_line(index));
                }
            }
            faults.sort_by_key(|fault| fault.line);
        }
        Ok(faults)
    }

    /// Whether the driver has that target type, or has not said that it has not.
    fn has_type(&mut self, name: &Text) -> bool {
        let request = Request::global(Command::GetTargetVersion(name.clone()));
        !self.perform(&request).is_err_and(|error| error.errno == Errno::EINVAL)
    }

    /// Something to wait with until any device may have changed; see [`Backend::changes`].
    ///
    /// # Errors
    /// The driver does not tell.
    pub fn changes(&mut self) -> Result<Changes, Fault> {
        self.backend.changes()
    }

    /// Makes what was done last.
    ///
    /// # Errors
    /// See [`Backend::commit`].
    pub fn commit(&mut self) -> Result<(), Fault> {
        self.backend.commit()
    }
}

/// The target type of Linux's that is nearly called so.
pub fn kernel_type_like(name: &Text) -> Option<&'static str> {
    similar(name, KERNEL_TYPES.iter().copied())
}

/// The fault of a type that a kernel does not have.
fn no_type(name: &Text) -> Fault {
    let meant = kernel_type_like(name);
    let hint = meant.map_or_else(
        || "`rdmsetup targets` lists those whose module is loaded".to_owned(),
        |meant| format!("did you mean \"{meant}\"?"),
    );
    let fault = Fault::invalid(format!("the kernel has no target type \"{name}\", and no module for it"));
    fault.at_field(LineField::Target).with_hint(Some(hint))
}

impl fmt::Display for CallError {
    /// dmsetup's line, blanks and all: a field that was not given leaves its blank behind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceId { name, uuid, dev } = &self.device;
        write!(f, "device-mapper: {} ioctl on {name} {uuid}", self.verb)?;
        if let Some(dev) = dev {
            write!(f, "({dev})")?;
        }
        write!(f, " failed: {}", self.errno)
    }
}

impl std::error::Error for CallError {}
