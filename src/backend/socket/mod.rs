//! The mapper of a running server, through its control socket.

mod message;
mod volume;

pub(super) use message::{Answer, Kind, MAX_DATA, Question, device_of_bytes, users_to_bytes};

use super::{Backend, Changes, Holder};
use crate::block::{BlockDevice, User};
use crate::dm::limits::MAX_BUFFER;
use crate::dm::{DeviceId, Errno, Fault, Text};
use crate::mapper::{Draft, StateDir};
use crate::sys::local_socket;
use message::{device_to_bytes, users_of_bytes};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use volume::RemoteVolume;

/// A server's mapper.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    stream: UnixStream,
    fault: Option<Fault>,
    /// Something was asked that a server has to save.
    uncommitted: bool,
}

impl Socket {
    /// Connects to the server that listens at that path.
    ///
    /// # Errors
    /// connect's: ENOENT and ECONNREFUSED when there is none.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let stream = local_socket::connect(path)?;
        Ok(Self { path: path.to_path_buf(), stream, fault: None, uncommitted: false })
    }

    fn lost(&self, error: &io::Error) -> Fault {
        lost(&self.path, error)
    }

    /// Asks, with a payload that the answer's takes the place of.
    fn ask(&mut self, question: Question, payload: &mut Vec<u8>, limit: usize) -> Result<Answer, Fault> {
        let asked = question.send(&mut self.stream, payload);
        let answer = asked.and_then(|()| Answer::receive(&mut self.stream, payload, limit));
        answer.map_err(|error| self.lost(&error))
    }
}

fn lost(path: &Path, error: &io::Error) -> Fault {
    // An end without a number is EIO.
    let errno = Errno::from_io(error);
    Fault::new(errno, format!("the server at \"{}\" has gone: {errno}", path.display()))
}

impl Backend for Socket {
    fn ioctl(&mut self, number: u32, buffer: &mut Vec<u8>) -> Result<(), Errno> {
        self.fault = None;
        self.uncommitted = true;
        let question = Question { argument: number, ..Question::new(Kind::Ioctl) };
        let answer = self.ask(question, buffer, MAX_BUFFER).unwrap_or_else(Answer::failed);
        self.fault = answer.fault.filter(|fault| !fault.reason.is_empty());
        if answer.errno == Errno(0) { Ok(()) } else { Err(answer.errno) }
    }

    fn fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    fn is_mapper(&self) -> bool {
        true
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    fn volume(&mut self, device: &DeviceId, writable: bool) -> Result<Arc<dyn BlockDevice>, Fault> {
        let stream = local_socket::connect(&self.path).map_err(|error| self.lost(&error))?;
        RemoteVolume::open(&self.path, stream, device, writable).map(|volume| Arc::new(volume) as _)
    }

    fn users(&mut self, device: &DeviceId) -> Result<Vec<Holder>, Fault> {
        let mut payload = device_to_bytes(device);
        self.ask(Question::new(Kind::Users), &mut payload, MAX_DATA)?.outcome()?;
        let odd = || self.lost(&io::ErrorKind::InvalidData.into());
        let mut users = users_of_bytes(&payload).ok_or_else(odd)?;
        users.sort();
        let each = users.chunk_by(|one, other| one == other);
        let holder = |same: &[(User, Option<Text>)]| {
            let (user, name) = same.first()?.clone();
            Some(Holder::User(user, name, same.len()))
        };
        Ok(each.filter_map(holder).collect())
    }

    fn check(&mut self, draft: &Draft<'_>) -> Result<Vec<Fault>, Fault> {
        self.commit()?;
        // What the server has saved, beside its socket, tells all that a check needs to know.
        let state = StateDir::new(self.path.parent())?;
        let lock = state.lock(false)?.ok_or_else(|| {
            let path = self.path.display();
            Fault::new(
                Errno::EOPNOTSUPP,
                format!("the state of the server is not beside its socket \"{path}\""),
            )
            .with_hint(Some("--state names its directory".into()))
        })?;
        Ok(lock.load()?.check(draft))
    }

    fn changes(&mut self) -> Result<Changes, Fault> {
        let mut stream = local_socket::connect(&self.path).map_err(|error| self.lost(&error))?;
        let asked = Question::new(Kind::Watch).send(&mut stream, &[]);
        let answer = asked.and_then(|()| Answer::receive(&mut stream, &mut Vec::new(), 0));
        answer.map_err(|error| self.lost(&error))?.outcome()?;
        Ok(Changes::of(stream))
    }

    fn commit(&mut self) -> Result<(), Fault> {
        if !std::mem::take(&mut self.uncommitted) {
            return Ok(());
        }
        let answer = self.ask(Question::new(Kind::Commit), &mut Vec::new(), 0)?;
        answer.outcome().map(drop)
    }
}
