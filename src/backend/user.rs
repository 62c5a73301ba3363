//! The mapper in this process: whoever holds the state's lock is the driver.
//!
//! The first request that needs the state takes the lock and loads it; what the command did is saved as a whole when it
//! commits, so that a command that dies has done nothing.

use super::Backend;
use crate::block::BlockDevice;
use crate::dm::{CommandKind, DeviceId, DeviceNumber, Errno, Fault, Reply, ReplyBody, Request};
use crate::mapper::{self, LockedState, Mapper, Progress, StateDir};
use crate::wire::linux;
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

    fn perform(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let kind = linux::command_of(number).unwrap_or(CommandKind::Version);
        let mut waiting: Option<Request> = None;
        loop {
            let Session { lock, mapper } = self.session(kind)?;
            let dev = match (mapper.ioctl(number, buffer), &waiting) {
                (Ok(Progress::Done), _) => return Ok(()),
                (Ok(Progress::Waiting(dev)), _) => dev,
                (Err(Errno::ENXIO), Some(request)) => {
                    linux::encode_reply(kind, &removed(request), buffer);
                    return Ok(());
                }
                (Err(errno), _) => return Err(mapper.take_fault().unwrap_or_else(|| Fault::new(errno, ""))),
            };
            // Whoever waits must let others change what it waits for.
            let watch = lock.as_ref().map(LockedState::watch).transpose()?;
            self.commit()?;
            waiting = Some(ask_by_number(buffer, dev)?);
            let watch = watch.ok_or_else(|| Fault::new(Errno::ENXIO, "there is no state to wait for"))?;
            watch.wait()?;
        }
    }
}

/// Rewrites a waiting request so that it means the same device still when that has another name.
fn ask_by_number(buffer: &mut Vec<u8>, dev: DeviceNumber) -> Result<Request, Fault> {
    let refused = |error: linux::WireError| Fault::new(error.errno(), error.to_string());
    let request = linux::decode_request(CommandKind::DevWait, buffer).map_err(refused)?;
    let request = Request { device: dev.into(), version: CommandKind::DevWait.needs(), ..request };
    *buffer = linux::encode_request(&request, buffer.len()).map_err(refused)?;
    Ok(request)
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
        self.perform(number, buffer).map_err(|fault| {
            let errno = fault.errno;
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
        self.session(CommandKind::DevStatus)?.mapper.volume(device, writable)
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
