//! A client at work: its requests, taken and answered in batches.

use super::bulk::{self, Moved};
use super::cached::{self, Cached, Progress};
use super::in_place::Run;
use super::inbox::{Eye, Inbox};
use super::outbox::Outbox;
use super::pipe::Pipe;
use super::pool::{Job, Pool};
use super::protocol::{Command, FLAG_FUA, REQUEST_LEN, Refusal, Request, done_reply, hole_chunk};
use super::session::Session;
use crate::block::Access;
use crate::dm::Errno;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a client may be silent before the memory of its busy time is given back.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many requests are answered together at most: more, and the client has nothing to do meanwhile.
const BATCH: u32 = 8;

/// How much of a write's data is received at once where it goes through memory.
const AT_ONCE: usize = 64 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Transmission<'a> {
    session: Arc<Session>,
    inbox: Inbox,
    outbox: Outbox,
    pipe: Option<Pipe>,
    cached: Cached,
    pool: Pool,
    stopping: &'a AtomicBool,
    /// Writes that are to be done together.
    together: Vec<Job>,
    /// Requests taken since replies were last sent.
    unsent: u32,
    eye: Eye,
    run: Run,
}

impl<'a> Transmission<'a> {
    pub(super) fn new(session: Session, stopping: &'a AtomicBool) -> Self {
        let session = Arc::new(session);
        let pool = Pool::new(session.clone());
        let (inbox, outbox, cached, together) = Default::default();
        let (pipe, unsent, eye, run) = (None, 0, Eye::default(), Run::default());
        Self { session, inbox, outbox, pipe, cached, pool, stopping, together, unsent, eye, run }
    }

    /// Serves until the client leaves or the server stops; all that was asked for is then answered.
    ///
    /// # Errors
    /// What ended the connection; `InvalidData` when the client does not speak the protocol.
    pub(super) fn run(mut self) -> io::Result<()> {
        self.session.socket.set_patience(Some(PATIENCE));
        let served = self.serve();
        let rest = self.pool.submit_together(&mut self.together);
        self.pool.finish();
        served.and(rest)
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            let Some(bytes) = self.inbox.request() else {
                if !self.receive(REQUEST_LEN)? {
                    return Ok(());
                }
                continue;
            };
            let request = Request::parse(bytes).ok_or(io::ErrorKind::InvalidData)?;
            if self.do_in_place()? {
                continue;
            }
            self.inbox.consume(REQUEST_LEN);
            self.unsent += 1;
            if self.unsent > BATCH {
                self.send()?;
            }
            self.inbox.single = request.command == Command::Write && request.length >= bulk::LEAST_WRITE;
            if request.command == Command::Disconnect {
                return self.send();
            }
            match (self.session.check(&request), request.command) {
                (Ok(()), Command::Read) if request.length > 0 => self.read(request)?,
                (Ok(()), Command::Write) if request.length > 0 => self.write(request)?,
                (Ok(()), _) => self.pool.submit(request, Vec::new())?,
                (Err(refusal), command) => {
                    if command == Command::Write {
                        self.skip(request.length)?;
                    }
                    self.refuse(&request, refusal)?;
                }
            }
        }
    }

    /// Does the next requests at once, if their data is in mapped files; whether there were any.
    fn do_in_place(&mut self) -> io::Result<bool> {
        let done = match self.run.gather(&self.session, self.inbox.bytes()) {
            Some(Access::Read) => {
                self.send()?;
                self.run.read(&self.session)?
            }
            Some(Access::Write) => self.run.write(&self.session, self.inbox.bytes()),
            None => 0,
        };
        for index in 0..done {
            let Some(&request) = self.run.request(index) else { break };
            self.inbox.consume(REQUEST_LEN);
            if request.command == Command::Write {
                self.inbox.consume(request.bytes());
                self.reply(&done_reply(request.cookie))?;
                self.unsent += 1;
            }
        }
        if self.unsent >= BATCH {
            self.send()?;
        }
        Ok(done > 0)
    }

    /// Sends what is ready, then waits until `wanted` bytes are here; `false` when no more will come.
    fn receive(&mut self, wanted: usize) -> io::Result<bool> {
        self.send()?;
        self.pool.submit_together(&mut self.together)?;
        while self.inbox.bytes().len() < wanted {
            match self.inbox.receive(&self.session.socket, wanted, &mut self.eye) {
                Ok(0) if self.inbox.bytes().is_empty() => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.outbox.shrink();
                    self.pipe = None;
                    if self.stopping.load(Ordering::Relaxed) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn send(&mut self) -> io::Result<()> {
        if !self.outbox.bytes().is_empty() {
            self.session.send(self.outbox.bytes())?;
            self.outbox.clear();
            self.unsent = 0;
        }
        Ok(())
    }

    fn reply(&mut self, reply: &[u8]) -> io::Result<()> {
        if !self.outbox.has_room(reply.len()) {
            self.send()?;
        }
        self.outbox.push(reply);
        Ok(())
    }

    fn refuse(&mut self, request: &Request, refusal: Refusal) -> io::Result<()> {
        self.reply(&self.session.refuse(request, refusal))
    }

    fn read(&mut self, request: Request) -> io::Result<()> {
        if request.length >= bulk::LEAST_READ {
            return self.read_bulk(request);
        }
        let head = self.session.head(&request);
        let count = head.as_bytes().len() + request.bytes();
        if !self.outbox.has_room(count) {
            self.send()?;
        }
        let (front, data) = self.outbox.add(count).split_at_mut(head.as_bytes().len());
        front.copy_from_slice(head.as_bytes());
        match self.cached.read(self.session.device.as_ref(), data, request.offset) {
            Progress::Done(Ok(())) => Ok(()),
            Progress::Done(Err(errno)) => {
                self.outbox.take_back(count);
                self.refuse(&request, errno.into())
            }
            Progress::MayWait { .. } => {
                self.outbox.take_back(count);
                self.pool.submit(request, Vec::new())
            }
        }
    }

    fn read_bulk(&mut self, request: Request) -> io::Result<()> {
        self.send()?;
        match bulk::read(&self.session, &mut self.pipe, &mut self.cached, request)? {
            Moved::All => Ok(()),
            Moved::Hole => self.reply(&hole_chunk(request.cookie, request.offset, request.length)),
            Moved::Rest(rest) => self.pool.submit(rest, Vec::new()),
            Moved::Failed(errno) => self.refuse(&request, errno.into()),
        }
    }

    fn write(&mut self, request: Request) -> io::Result<()> {
        if request.length >= bulk::LEAST_WRITE {
            return self.write_bulk(request);
        }
        let count = request.bytes();
        if self.inbox.bytes().len() < count && !self.receive(count)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let data = self.inbox.bytes().get(..count).unwrap_or_default();
        let done = if request.has(FLAG_FUA) {
            // It waits for the disk.
            Progress::MayWait { together: false }
        } else {
            cached::write(self.session.device.as_ref(), data, request.offset)
        };
        match done {
            Progress::Done(result) => {
                self.inbox.consume(count);
                self.written(request, result)
            }
            Progress::MayWait { together } => {
                let data = data.to_vec();
                self.inbox.consume(count);
                if together {
                    self.together.push((request, data));
                    Ok(())
                } else {
                    self.pool.submit(request, data)
                }
            }
        }
    }

    fn written(&mut self, request: Request, result: Result<(), Errno>) -> io::Result<()> {
        match result {
            Ok(()) => self.reply(&done_reply(request.cookie)),
            Err(errno) => self.refuse(&request, errno.into()),
        }
    }

    fn write_bulk(&mut self, request: Request) -> io::Result<()> {
        let device = self.session.device.clone();
        match bulk::is_movable(device.as_ref(), request.offset, request.length) {
            Ok(true) if !request.has(FLAG_FUA) => {}
            Ok(_) => {
                let data = self.take(request.bytes())?;
                return self.pool.submit(request, data);
            }
            Err(errno) => {
                self.skip(request.length)?;
                return self.refuse(&request, errno.into());
            }
        }
        self.send()?;
        self.pool.submit_together(&mut self.together)?;
        let here = self.inbox.bytes().len().min(request.bytes());
        let head = self.inbox.bytes().get(..here).unwrap_or_default();
        let mut result = Ok(());
        if here > 0 {
            result = device.write_at(head, crate::dm::Bytes(request.offset));
            self.inbox.consume(here);
        }
        let (at, left) =
            (request.offset + here as u64, request.length - u32::try_from(here).unwrap_or(request.length));
        if result.is_ok() {
            let socket = self.session.socket.clone();
            result = bulk::write(device.as_ref(), &socket, &mut self.pipe, at, left)?;
        } else {
            self.skip(left)?;
        }
        self.written(request, result)
    }

    /// The next bytes of the client, as a write's data.
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.send()?;
        // By way of memory, so as much at once as there is.
        self.inbox.single = false;
        let mut data = Vec::with_capacity(count);
        while data.len() < count {
            let here = self.inbox.bytes();
            let here = here.get(..here.len().min(count - data.len())).unwrap_or_default();
            data.extend_from_slice(here);
            let consumed = here.len();
            self.inbox.consume(consumed);
            if data.len() < count && !self.receive((count - data.len()).min(AT_ONCE))? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(data)
    }

    /// Passes over the data of a write that is refused.
    fn skip(&mut self, length: u32) -> io::Result<()> {
        self.inbox.single = false;
        let mut left = length as usize;
        loop {
            let here = self.inbox.bytes().len().min(left);
            self.inbox.consume(here);
            left -= here;
            if left == 0 {
                return Ok(());
            }
            if !self.receive(left.min(AT_ONCE))? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
