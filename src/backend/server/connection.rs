//! One connection to the control socket: its ioctls, and the I/O of the device that it opened.

use super::super::socket::{Answer, Kind, MAX_DATA, Question, device_of_bytes, users_to_bytes};
use super::Server;
use crate::block::{Allocation, BlockDevice, Peer, User, Via};
use crate::dm::{Bytes, DeviceNumber, Errno, Fault};
use crate::mapper::{Mapper, Progress, Waiting};
use crate::sys::local_socket;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::PipeReader;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use zeroize::Zeroize;

/// See the module.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    server: &'a Server,
    stream: UnixStream,
    peer: local_socket::Peer,
    volume: Option<Arc<dyn BlockDevice>>,
    /// Something was changed since the last commit.
    uncommitted: bool,
    /// The client waits for a change, and asks no more.
    changes: Option<PipeReader>,
}

/// The client has gone while its request waited.
#[derive(Debug)]
struct Gone;

impl<'a> Connection<'a> {
    pub(super) fn new(server: &'a Server, stream: UnixStream, peer: local_socket::Peer) -> Self {
        Self { server, stream, peer, volume: None, uncommitted: false, changes: None }
    }

    fn user(&self) -> User {
        let pid = self.peer.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        User { via: Via::Control, peer: Peer::Process { pid, uid: self.peer.uid.as_raw() } }
    }

    /// Answers questions until the client goes or says what is no question.
    pub(super) fn serve(mut self) {
        let mut payload = Vec::new();
        while let Ok(Some(question)) = Question::receive(&mut self.stream, &mut payload) {
            let Ok(answer) = self.answer(question, &mut payload) else { break };
            let sent = answer.send(&mut self.stream, &payload);
            if question.kind == Kind::Ioctl {
                // A table in it may have had a key.
                payload.zeroize();
            }
            if sent.is_err() {
                break;
            }
            if let Some(changes) = self.changes.take() {
                // Whichever end it is, it is the connection's.
                let _ = self.wait(&changes);
                break;
            }
        }
        if self.uncommitted {
            // Nobody is left to be told that it failed; the next commit tries again, and tells.
            let _ = self.server.commit();
        }
    }

    /// The answer to a question; its payload takes the place of the question's.
    fn answer(&mut self, question: Question, payload: &mut Vec<u8>) -> Result<Answer, Gone> {
        match question.kind {
            Kind::Ioctl => {
                self.uncommitted = true;
                return self.ioctl(question.argument, payload);
            }
            Kind::Commit => {
                self.uncommitted = false;
                payload.clear();
                return Ok(self.server.commit().map_or_else(Answer::failed, |()| Answer::done(0)));
            }
            Kind::Watch => {
                payload.clear();
                return Ok(self.watch());
            }
            Kind::Open => {
                let opened = device_of_bytes(payload).ok_or_else(|| Fault::invalid("no device is named"));
                let writable = question.argument == 1;
                let opened =
                    opened.and_then(|device| self.server.open_device(&device, writable, self.user()));
                payload.clear();
                return Ok(match opened {
                    Err(fault) => Answer::failed(fault),
                    Ok(volume) => {
                        self.volume = Some(volume);
                        Answer::done(0)
                    }
                });
            }
            Kind::Close => {
                self.volume = None;
                payload.clear();
                return Ok(Answer::done(0));
            }
            Kind::Users => {
                let device = device_of_bytes(payload).ok_or_else(|| Fault::invalid("no device is named"));
                let users = device.and_then(|device| self.server.users(&device));
                payload.clear();
                return Ok(users.map_or_else(Answer::failed, |users| {
                    payload.extend(users_to_bytes(&users));
                    Answer::done(0)
                }));
            }
            Kind::Geometry
            | Kind::Read
            | Kind::Write
            | Kind::Discard
            | Kind::WriteZeroes
            | Kind::Flush
            | Kind::Allocation => {}
        }
        let Some(volume) = &self.volume else {
            payload.clear();
            return Ok(Answer::failed(Fault::invalid("no device was opened")));
        };
        Ok(act(volume.as_ref(), question, payload).map_or_else(
            |errno| {
                payload.clear();
                Answer::failed(Fault::new(errno, ""))
            },
            Answer::done,
        ))
    }

    /// Begins to watch all devices.
    fn watch(&mut self) -> Answer {
        let watched = self.server.mapper().watch_all();
        match watched {
            Ok(changes) => {
                self.changes = Some(changes);
                Answer::done(0)
            }
            Err(error) => {
                let errno = Errno::from_io(&error);
                Answer::failed(Fault::new(errno, format!("the devices cannot be watched: {errno}")))
            }
        }
    }

    /// Performs an ioctl. One that waits lets others have the mapper meanwhile, and ends with its client.
    fn ioctl(&self, number: u32, buffer: &mut Vec<u8>) -> Result<Answer, Gone> {
        let mut watch: Option<PipeReader> = None;
        let mut waited = false;
        loop {
            let mut mapper = self.server.mapper();
            let (dev, waiting) = match mapper.ioctl(number, buffer) {
                Ok(Progress::Done) => {
                    self.server.publish(&mut mapper);
                    return Ok(Answer::done(0));
                }
                Ok(Progress::Waiting(dev, waiting)) => (dev, waiting),
                Err(errno) => {
                    let fault = mapper.take_fault();
                    self.server.publish(&mut mapper);
                    let linux_errno = fault.as_ref().map_or(errno, |fault| fault.errno);
                    if waited && linux_errno == Errno::ENXIO {
                        let answered = Mapper::answer_removed(number, buffer);
                        return Ok(answered.map_or_else(Answer::failed, |()| Answer::done(0)));
                    }
                    return Ok(Answer { errno, fault, value: 0 });
                }
            };
            match (waiting, watch.take()) {
                (Waiting::Flush, _) => {
                    let flusher = mapper.flusher(dev);
                    drop(mapper);
                    let flushed = flusher.map_or(Ok(()), |flusher| flusher.flush());
                    self.server.mapper().flushed(dev, flushed);
                }
                // What it waits for may come before it is watched: it asks once more when it is.
                (Waiting::Event | Waiting::Idle, None) => match mapper.watch(dev) {
                    Ok(made) => watch = Some(made),
                    Err(fault) => {
                        mapper.cancel_suspend(dev);
                        return Ok(Answer::failed(fault));
                    }
                },
                (Waiting::Event | Waiting::Idle, Some(watch)) => {
                    drop(mapper);
                    self.wait(&watch).map_err(|gone| self.cancel(dev, waiting, gone))?;
                    waited = waiting == Waiting::Event;
                }
            }
        }
    }

    /// Takes back what a request that ends too soon has begun.
    fn cancel(&self, dev: DeviceNumber, waiting: Waiting, gone: Gone) -> Gone {
        if waiting != Waiting::Event {
            self.server.mapper().cancel_suspend(dev);
        }
        gone
    }

    /// Waits until the device changes.
    fn wait(&self, watch: &PipeReader) -> Result<(), Gone> {
        // A client that waits says nothing: what can be read is its end.
        let mut ready = [
            PollFd::new(self.stream.as_fd(), PollFlags::POLLIN),
            PollFd::new(watch.as_fd(), PollFlags::POLLIN),
        ];
        loop {
            match poll(&mut ready, PollTimeout::NONE) {
                Err(nix::Error::EINTR) => {}
                Ok(_) if !ready[0].any().unwrap_or(true) => return Ok(()),
                Ok(_) | Err(_) => return Err(Gone),
            }
        }
    }
}

/// The opened device's part of a question: the answer's value.
fn act(volume: &dyn BlockDevice, question: Question, payload: &mut Vec<u8>) -> Result<u64, Errno> {
    let Question { kind, argument, at, length } = question;
    if !matches!(kind, Kind::Geometry | Kind::Flush) {
        check_range(volume, at, length)?;
    }
    match kind {
        Kind::Geometry => {
            payload.clear();
            payload.extend(volume.block_size().0.to_ne_bytes());
            payload.push(u8::from(volume.is_read_only()));
            return Ok(volume.size().0);
        }
        Kind::Read => {
            payload.clear();
            payload.resize(usize::try_from(length.0).unwrap_or(MAX_DATA).min(MAX_DATA), 0);
            volume.read_at(payload, at)?;
            return Ok(0);
        }
        Kind::Write => volume.write_at(payload, at)?,
        Kind::Discard => volume.discard(at, length)?,
        Kind::WriteZeroes => volume.write_zeroes(at, length, argument == 1)?,
        Kind::Flush => volume.flush()?,
        Kind::Allocation => {
            let run = volume.allocation(at, length)?;
            payload.clear();
            payload.push(u8::from(matches!(run, Allocation::Hole(_))));
            return Ok(run.length().0);
        }
        Kind::Ioctl | Kind::Commit | Kind::Open | Kind::Close | Kind::Users | Kind::Watch => {}
    }
    payload.clear();
    Ok(0)
}

/// Devices are given ranges within their size and of some length alone.
fn check_range(volume: &dyn BlockDevice, at: Bytes, length: Bytes) -> Result<(), Errno> {
    let end = at.0.checked_add(length.0).ok_or(Errno::EINVAL)?;
    if length.0 == 0 || end > volume.size().0 { Err(Errno::EINVAL) } else { Ok(()) }
}
