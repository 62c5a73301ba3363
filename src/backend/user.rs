//! The userspace mapper: in this process, or in the server that has the state.
//!
//! The first request that needs the state takes the turn. If a server is the driver the turn is let go of, and everything
//! goes to the server's socket. Else the state is loaded; what the command did is saved as a whole when it commits, so
//! that a command that dies has done nothing.

use super::{Backend, Changes, Holder, Socket};
use crate::block::BlockDevice;
use crate::dm::{CommandKind, DeviceId, Errno, Fault};
use crate::mapper::{Draft, LockedState, Mapper, Progress, StateDir, Waiting};
use crate::wire::{Call, linux, proplib};
use std::io;
use std::sync::Arc;

/// The userspace mapper over a directory of state.
#[derive(Debug)]
pub struct User {
    state: StateDir,
    driver: Driver,
    /// A mapper without its lock, as it was saved: whoever goes on with an unchanged state need not load it again.
    resting: Option<Mapper>,
    fault: Option<Fault>,
}

/// Who is the driver.
#[derive(Debug)]
enum Driver {
    /// It has not been asked since the last commit.
    Unknown,
    /// A server.
    Server(Socket),
    /// This process, with the lock that the mapper was loaded under.
    Here(Box<Session>),
    /// Nobody: there is no state, and a mapper without devices answers.
    Nobody(Box<Mapper>),
}

#[derive(Debug)]
struct Session {
    lock: LockedState,
    mapper: Mapper,
}

/// A refused call: the number as the driver of its dialect returns it, and the reason, with Linux's number.
#[derive(Debug)]
struct Refusal {
    errno: Errno,
    fault: Option<Fault>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { errno: fault.errno, fault: Some(fault) }
    }
}

impl User {
    /// The mapper whose state is in that directory. Nothing is opened yet.
    pub fn new(state: StateDir) -> Self {
        Self { state, driver: Driver::Unknown, resting: None, fault: None }
    }

    /// The driver, found out or become for a command: only one that can put something into a mapper makes the directory.
    fn driver(&mut self, kind: CommandKind) -> Result<&mut Driver, Fault> {
        let known = match &self.driver {
            Driver::Server(_) | Driver::Here(_) => true,
            Driver::Nobody(_) => is_stateless(kind),
            Driver::Unknown => false,
        };
        if !known {
            let lock =
                if is_stateless(kind) { None } else { self.state.lock(kind == CommandKind::DevCreate)? };
            self.driver = match lock {
                None => Driver::Nobody(Box::default()),
                Some(lock) => match server_of(&lock)? {
                    Some(server) => Driver::Server(server),
                    None => {
                        let resting = self.resting.take().filter(|mapper| lock.is_of(mapper));
                        let mapper = resting.map_or_else(|| lock.load(), Ok)?;
                        Driver::Here(Box::new(Session { lock, mapper }))
                    }
                },
            };
        }
        Ok(&mut self.driver)
    }

    fn perform(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
        let kind = kind_of(number, buffer);
        let mut waited = false;
        loop {
            let (lock, mapper) = match self.driver(kind)? {
                Driver::Server(server) => {
                    let Err(errno) = server.ioctl(number, buffer) else { return Ok(()) };
                    return refused(number, buffer, waited, Refusal { errno, fault: server.fault() });
                }
                Driver::Here(session) => (Some(&session.lock), &mut session.mapper),
                Driver::Nobody(mapper) => (None, mapper.as_mut()),
                Driver::Unknown => return Err(Fault::new(Errno::EIO, "no driver was found").into()),
            };
            match mapper.ioctl(number, buffer) {
                Ok(Progress::Done) => return Ok(()),
                Ok(Progress::Waiting(_, Waiting::Event)) => {}
                Ok(Progress::Waiting(dev, Waiting::Idle | Waiting::Flush)) => {
                    // Only this thread reads and writes, and it is here.
                    mapper.cancel_suspend(dev);
                    return Err(Fault::new(Errno::EBUSY, "the device's own I/O is in flight").into());
                }
                Err(errno) => {
                    let refusal = Refusal { errno, fault: mapper.take_fault() };
                    return refused(number, buffer, waited, refusal);
                }
            }
            // Whoever waits must let others change what it waits for.
            let watch = lock.map(LockedState::watch).transpose()?;
            let watch = watch.ok_or_else(|| Fault::new(Errno::ENXIO, "there is no state to wait for"))?;
            self.commit()?;
            waited = true;
            watch.wait()?;
        }
    }
}

/// The end of a call that the driver refused: for who waited and whose device is gone, its last event.
fn refused(number: u32, buffer: &mut Vec<u8>, waited: bool, refusal: Refusal) -> Result<(), Refusal> {
    let linux_errno = refusal.fault.as_ref().map_or(refusal.errno, |fault| fault.errno);
    if waited && linux_errno == Errno::ENXIO {
        return Ok(Mapper::answer_removed(number, buffer)?);
    }
    Err(refusal)
}

/// The server that has the state, connected to; `None` when there is none.
fn server_of(lock: &LockedState) -> Result<Option<Socket>, Fault> {
    while lock.is_served()? {
        let path = lock.socket_path();
        match Socket::connect(&path) {
            Ok(socket) => return Ok(Some(socket)),
            // It is about to end, and lets go of the state when it has saved it.
            Err(error) if is_gone(&error) => lock.outlast_server()?,
            Err(error) => {
                let errno = Errno::from_io(&error);
                let what = format!("cannot reach the server at \"{}\": {errno}", path.display());
                return Err(Fault::new(errno, what));
            }
        }
    }
    Ok(None)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The command that a call is of; that of a call which nobody understands does not matter.
fn kind_of(number: u32, buffer: &[u8]) -> CommandKind {
    // A table of Linux's may be long, and its number tells.
    if proplib::plist_number(number).is_none() {
        return linux::command_of(number).unwrap_or(CommandKind::Version);
    }
    Call::read(number, buffer).map_or(CommandKind::Version, |call| call.request.command.kind())
}

/// Whether a command's answer is the same whatever the state.
fn is_stateless(kind: CommandKind) -> bool {
    matches!(kind, CommandKind::Version | CommandKind::ListVersions | CommandKind::GetTargetVersion)
}

impl Backend for User {
    fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno> {
        self.perform(number, buffer).map_err(|refusal| {
            self.fault = refusal.fault.filter(|fault| !fault.reason.is_empty());
            refusal.errno
        })
    }

    fn fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn is_mapper(&self) -> bool {
        true
    }

    fn is_exclusive(&self) -> bool {
        !matches!(self.driver, Driver::Server(_))
    }

    fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
        let mapper = match self.driver(CommandKind::DevStatus)? {
            Driver::Server(server) => return server.volume(device, writable),
            Driver::Here(session) => &mut session.mapper,
            Driver::Nobody(mapper) => mapper.as_mut(),
            Driver::Unknown => return Err(Fault::new(Errno::EIO, "no driver was found")),
        };
        if mapper.is_suspended(device)? {
            // Nobody could resume it while this process has the lock.
            return Err(Fault::new(
                Errno::EAGAIN,
                format!("\"{}\" is suspended: resume it first", device.name),
            ));
        }
        Ok(Arc::new(mapper.volume(device, writable)?))
    }

    fn users(&mut self, device: &DeviceId) -> Result<Vec<Holder>, Fault> {
        match self.driver(CommandKind::DevStatus)? {
            Driver::Server(server) => server.users(device),
            // This process alone, which asks.
            Driver::Here(_) | Driver::Nobody(_) | Driver::Unknown => Ok(Vec::new()),
        }
    }

    fn check(&mut self, draft: &Draft<'_>) -> Result<Vec<Fault>, Fault> {
        match self.driver(CommandKind::DevStatus)? {
            Driver::Here(session) => Ok(session.mapper.check(draft)),
            Driver::Nobody(mapper) => Ok(mapper.check(draft)),
            Driver::Server(server) => server.check(draft),
            Driver::Unknown => Err(Fault::new(Errno::EIO, "no driver was found")),
        }
    }

    fn changes(&mut self) -> Result<Changes, Fault> {
        let mut asked = false;
        loop {
            // A directory that is not there yet is made: something may come to be in it.
            match self.driver(CommandKind::DevCreate)? {
                Driver::Here(session) => return session.lock.watch()?.into_descriptor().map(Changes::of),
                Driver::Server(server) => match server.changes() {
                    // The server may have ended since it was found: whoever is the driver now tells.
                    Err(_) if !asked => {
                        asked = true;
                        self.driver = Driver::Unknown;
                    }
                    changes => return changes,
                },
                Driver::Nobody(_) | Driver::Unknown => {
                    return Err(Fault::new(Errno::EIO, "no driver was found"));
                }
            }
        }
    }

    fn commit(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.driver, Driver::Unknown) {
            Driver::Unknown | Driver::Nobody(_) => Ok(()),
            Driver::Here(session) => {
                let Session { lock, mapper } = *session;
                if mapper.is_changed() {
                    return lock.save(&mapper);
                }
                self.resting = Some(mapper);
                Ok(())
            }
            Driver::Server(mut server) => {
                let committed = server.commit();
                self.driver = Driver::Server(server);
                committed
            }
        }
    }
}
