//! The mapper in this process: whoever holds the state's lock is the driver.
//!
//! The first request that needs the state takes the lock and loads it; what the command did is saved as a whole when it
//! commits, so that a command that dies has done nothing.

use super::Backend;
use crate::block::BlockDevice;
use crate::dm::{CommandKind, DeviceId, Errno, Fault, Reply, ReplyBody, Request};
use crate::mapper::{self, LockedState, Mapper, Progress, StateDir, Waiting};
use crate::wire::{Call, linux, proplib};
use std::sync::Arc;

/// The userspace mapper over a directory of state.
#[derive(Debug)]
pub struct User {
    state: StateDir,
    session: Option<Session>,
    /// A mapper without its lock, as it was saved: whoever goes on with an unchanged state need not load it again.
    resting: Option<Mapper>,
    fault: Option<Fault>,
}

/// A mapper that requests are performed on, with the lock that it was loaded under. Without a lock it is empty, and
/// stays so.
#[derive(Debug)]
struct Session {
    lock: Option<LockedState>,
    mapper: Mapper,
}

impl User {
    /// The mapper whose state is in that directory. Nothing is opened yet.
    pub fn new(state: StateDir) -> Self {
        Self { state, session: None, resting: None, fault: None }
    }

    /// The mapper, loaded for a command: only one that can put something into a mapper makes the directory.
    fn session(&mut self, kind: CommandKind) -> Result<&mut Session, Fault> {
        let session = match self.session.take() {
            Some(session) if session.lock.is_some() => session,
            _ if is_stateless(kind) => Session { lock: None, mapper: Mapper::new() },
            _ => {
                let lock = self.state.lock(kind == CommandKind::DevCreate)?;
                let mapper = match (&lock, self.resting.take()) {
                    (None, _) => Mapper::new(),
                    (Some(lock), Some(mapper)) if lock.is_of(&mapper) => mapper,
                    (Some(lock), _) => lock.load()?,
                };
                Session { lock, mapper }
            }
        };
        Ok(self.session.insert(session))
    }

    fn perform(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), (Errno, Fault)> {
        let plain = |fault: Fault| (fault.errno, fault);
        let kind = kind_of(number, buffer);
        let mut waiting: Option<Call> = None;
        loop {
            let Session { lock, mapper } = self.session(kind).map_err(plain)?;
            let dev = match mapper.ioctl(number, buffer) {
                Ok(Progress::Done) => return Ok(()),
                Ok(Progress::Waiting(dev, Waiting::Event)) => dev,
                Ok(Progress::Waiting(dev, Waiting::Idle | Waiting::Flush)) => {
                    // Only this thread reads and writes, and it is here.
                    mapper.cancel_suspend(dev);
                    return Err(plain(Fault::new(Errno::EBUSY, "the device's own I/O is in flight")));
                }
                Err(errno) => {
                    let fault = mapper.take_fault().unwrap_or_else(|| Fault::new(errno, ""));
                    return match waiting {
                        Some(call) if fault.errno == Errno::ENXIO => {
                            let reply = removed(&call.request);
                            call.answer(&reply, buffer).map_err(plain)
                        }
                        _ => Err((errno, fault)),
                    };
                }
            };
            // Whoever waits must let others change what it waits for.
            let watch = lock.as_ref().map(LockedState::watch).transpose().map_err(plain)?;
            self.commit().map_err(plain)?;
            let mut call = Call::read(number, buffer).map_err(plain)?;
            call.ask_by_number(dev, buffer).map_err(plain)?;
            waiting = Some(call);
            let watch =
                watch.ok_or_else(|| plain(Fault::new(Errno::ENXIO, "there is no state to wait for")))?;
            watch.wait().map_err(plain)?;
        }
    }
}

/// The command that a call is of; that of a call which nobody understands does not matter.
fn kind_of(number: u32, buffer: &[u8]) -> CommandKind {
    // A table of Linux's may be long, and its number tells.
    if proplib::plist_number(number).is_none() {
        return linux::command_of(number).unwrap_or(CommandKind::Version);
    }
    Call::read(number, buffer).map_or(CommandKind::Version, |call| call.request.command.kind())
}

/// The end of a wait for a device that is gone: its removal was its last event.
fn removed(request: &Request) -> Reply {
    Reply {
        version: mapper::VERSION,
        device: request.device.clone(),
        flags: request.flags,
        open_count: 0,
        event_nr: request.event_nr.wrapping_add(1),
        target_count: 0,
        body: ReplyBody::Lines(Vec::new()),
    }
}

/// Whether a command's answer is the same whatever the state.
fn is_stateless(kind: CommandKind) -> bool {
    matches!(kind, CommandKind::Version | CommandKind::ListVersions | CommandKind::GetTargetVersion)
}

impl Backend for User {
    fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno> {
        self.perform(number, buffer).map_err(|(errno, fault)| {
            self.fault = Some(fault).filter(|fault| !fault.reason.is_empty());
            errno
        })
    }

    fn fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn is_mapper(&self) -> bool {
        true
    }

    fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
        let mapper = &mut self.session(CommandKind::DevStatus)?.mapper;
        if mapper.is_suspended(device)? {
            // Nobody could resume it while this process has the lock.
            return Err(Fault::new(
                Errno::EAGAIN,
                format!("\"{}\" is suspended: resume it first", device.name),
            ));
        }
        Ok(Arc::new(mapper.volume(device, writable)?))
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let Some(Session { lock: Some(lock), mapper }) = self.session.take() else { return Ok(()) };
        if mapper.is_changed() {
            return lock.save(&mapper);
        }
        self.resting = Some(mapper);
        Ok(())
    }
}
