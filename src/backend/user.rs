//! The mapper in this process: whoever holds the state's lock is the driver.
//!
//! The first request that needs the state takes the lock and loads it; what the command did is saved as a whole when it
//! commits, so that a command that dies has done nothing.

use super::Backend;
use crate::block::BlockDevice;
use crate::dm::{CommandKind, DeviceId, Errno, Fault};
use crate::mapper::{LockedState, Mapper, Progress, StateDir};
use crate::wire::linux;
use std::sync::Arc;

/// The userspace mapper over a directory of state.
#[derive(Debug)]
pub struct User {
    state: StateDir,
    /// The mapper, with the lock that it was loaded under; without one it is empty, and nothing is to be saved.
    session: Option<(Option<LockedState>, Mapper)>,
    fault: Option<Fault>,
}

impl User {
    /// The mapper whose state is in that directory. Nothing is opened yet.
    pub fn new(state: StateDir) -> Self {
        Self { state, session: None, fault: None }
    }

    /// The mapper, loaded for a command: only one that can put something into a mapper makes the directory.
    fn session(&mut self, kind: CommandKind) -> Result<(Option<&LockedState>, &mut Mapper), Fault> {
        let creates = kind == CommandKind::DevCreate;
        let has_lock = self.session.as_ref().is_some_and(|(lock, _)| lock.is_some());
        if !has_lock {
            let lock = if is_stateless(kind) { None } else { self.state.lock(creates)? };
            let mapper = lock.as_ref().map_or_else(|| Ok(Mapper::new()), LockedState::load)?;
            self.session = Some((lock, mapper));
        }
        let session = self.session.as_mut().map(|(lock, mapper)| (lock.as_ref(), mapper));
        session.ok_or_else(|| Fault::new(Errno::EIO, "the state is gone"))
    }

    fn perform(&mut self, number: u32, buffer: &mut [u8]) -> Result<(), Fault> {
        let kind = linux::command_of(number).unwrap_or(CommandKind::Version);
        loop {
            let (lock, mapper) = self.session(kind)?;
            let progress = mapper.ioctl(number, buffer);
            let progress =
                progress.map_err(|errno| mapper.take_fault().unwrap_or_else(|| Fault::new(errno, "")))?;
            if progress == Progress::Done {
                return Ok(());
            }
            // Whoever waits must let others change what it waits for.
            let watch = lock.map(LockedState::watch).transpose()?;
            self.commit()?;
            let watch = watch.ok_or_else(|| Fault::new(Errno::ENXIO, "there is no state to wait for"))?;
            watch.wait()?;
        }
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
        self.session(CommandKind::DevStatus)?.1.volume(device, writable)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        match self.session.take() {
            Some((Some(lock), mapper)) if mapper.is_changed() => lock.save(&mapper),
            _ => Ok(()),
        }
    }
}
