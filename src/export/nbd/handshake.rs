//! The negotiation with a client, until it goes to work or leaves.

use super::options::{self as opt, Queries, Wanted, reply};
use super::protocol::{
    FLAG_FIXED_NEWSTYLE, FLAG_NO_ZEROES, INIT_MAGIC, MAX_PAYLOAD, OPTION_MAGIC, PREFERRED_BLOCK,
    transmission_flag as flag,
};
use super::socket::Socket;
use super::status;
use crate::block::{BlockDevice, User, VolumeInfo, Volumes};
use crate::dm::{Errno, Text};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a client may take before it goes to work.
const PATIENCE: Duration = Duration::from_secs(300);
/// The most data that an option may have: room for many queries, and for nothing else.
const MAX_DATA: usize = 64 << 10;

/// How a negotiation ends.
#[derive(Debug)]
pub(super) enum Agreed {
    /// The client goes to work on a device.
    Work {
        device: Arc<dyn BlockDevice>,
        name: Text,
        identity: u64,
        structured: bool,
        /// `base:allocation` may be asked for.
        allocation: bool,
    },
    /// The client was told to start TLS: what follows is another negotiation, within it.
    StartTls,
    /// The client leaves.
    Leave,
}

/// Whether the negotiation is in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// There is no TLS.
    None,
    /// TLS must be started first.
    Wanted,
    /// This is within TLS.
    On,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Handshake<'a> {
    pub(super) socket: &'a Socket,
    pub(super) volumes: &'a dyn Volumes,
    /// Who the client is.
    user: &'a User,
    pub(super) cover: Cover,
    deadline: Instant,
    no_zeroes: bool,
    structured: bool,
    /// The export for which `base:allocation` was selected.
    context: Option<Text>,
}

impl<'a> Handshake<'a> {
    pub(super) fn new(socket: &'a Socket, volumes: &'a dyn Volumes, user: &'a User, cover: Cover) -> Self {
        let deadline = Instant::now() + PATIENCE;
        Self { socket, volumes, user, cover, deadline, no_zeroes: false, structured: false, context: None }
    }

    /// Greets the client.
    ///
    /// # Errors
    /// What ends the connection; `InvalidData` when the client does not speak the protocol.
    pub(super) fn greet(&mut self) -> io::Result<()> {
        let flags = FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES;
        self.socket.send(
            &[&INIT_MAGIC.to_be_bytes()[..], &OPTION_MAGIC.to_be_bytes(), &flags.to_be_bytes()].concat(),
        )?;
        let client = u32::from_be_bytes(self.read()?);
        if client & !u32::from(flags) != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.no_zeroes = client & u32::from(FLAG_NO_ZEROES) != 0;
        Ok(())
    }

    /// Answers options until something is agreed on.
    ///
    /// # Errors
    /// As [`Handshake::greet`]; `NotFound` when an export that cannot be had was asked for in the old way, which has no
    /// reply for that.
    pub(super) fn negotiate(&mut self) -> io::Result<Agreed> {
        loop {
            if u64::from_be_bytes(self.read()?) != OPTION_MAGIC {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let option = u32::from_be_bytes(self.read()?);
            let length = u32::from_be_bytes(self.read()?) as usize;
            if length > MAX_DATA {
                self.skip(length)?;
                self.answer(option, opt::ERR_TOO_BIG, b"the option has too much data")?;
                continue;
            }
            let mut data = vec![0; length];
            self.fill(&mut data)?;
            if let Some(agreed) = self.option(option, &data)? {
                return Ok(agreed);
            }
        }
    }

    fn option(&mut self, option: u32, data: &[u8]) -> io::Result<Option<Agreed>> {
        match option {
            opt::ABORT => {
                // A client that does not wait for it is no less welcome to leave.
                let _ = self.answer(option, opt::ACK, b"");
                return Ok(Some(Agreed::Leave));
            }
            opt::STARTTLS => return self.start_tls(data),
            opt::EXPORT_NAME if self.cover == Cover::Wanted => {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            _ if self.cover == Cover::Wanted => {
                self.answer(option, opt::ERR_TLS_REQD, b"this server wants TLS to be started first")?;
            }
            opt::EXPORT_NAME => return self.export_name(data).map(Some),
            opt::LIST | opt::STRUCTURED_REPLY if !data.is_empty() => {
                self.answer(option, opt::ERR_INVALID, b"this option has no data")?;
            }
            opt::LIST => self.list()?,
            opt::STRUCTURED_REPLY => {
                self.structured = true;
                self.answer(option, opt::ACK, b"")?;
            }
            opt::INFO | opt::GO => return self.info(option, data),
            opt::LIST_META_CONTEXT | opt::SET_META_CONTEXT => self.contexts(option, data)?,
            _ => self.answer(option, opt::ERR_UNSUP, b"this option is not known here")?,
        }
        Ok(None)
    }

    fn start_tls(&mut self, data: &[u8]) -> io::Result<Option<Agreed>> {
        let (kind, words) = match self.cover {
            Cover::None => (opt::ERR_POLICY, "this server has no certificate, and so no TLS"),
            Cover::On => (opt::ERR_INVALID, "TLS was started already"),
            Cover::Wanted if !data.is_empty() => (opt::ERR_INVALID, "this option has no data"),
            Cover::Wanted => (opt::ACK, ""),
        };
        self.answer(opt::STARTTLS, kind, words.as_bytes())?;
        Ok((kind == opt::ACK).then_some(Agreed::StartTls))
    }

    fn list(&self) -> io::Result<()> {
        let mut replies = Vec::new();
        for volume in self.volumes.list() {
            let length = u32::try_from(volume.name.len()).unwrap_or(0).to_be_bytes();
            replies.extend(reply(opt::LIST, opt::SERVER, &[&length[..], &volume.name].concat()));
        }
        replies.extend(reply(opt::LIST, opt::ACK, b""));
        self.socket.send(&replies)
    }

    /// The device that a name means: the only one, when it is empty.
    fn find(&self, name: &Text) -> Result<VolumeInfo, String> {
        if !name.is_empty() {
            return self.volumes.find(name).ok_or_else(|| format!("there is no device \"{name}\""));
        }
        let mut all = self.volumes.list();
        match all.len() {
            0 => Err("there is no device".to_owned()),
            1 => Ok(all.remove(0)),
            count => Err(format!("there are {count} devices: name one")),
        }
    }

    /// Goes to work in the old way, which knows no refusal but the end of the connection.
    fn export_name(&mut self, data: &[u8]) -> io::Result<Agreed> {
        let found = self.find(&data.into()).map_err(|_| io::ErrorKind::NotFound)?;
        let agreed = self.open(&found, &data.into()).map_err(|_| io::ErrorKind::NotFound)?;
        let mut answer = found.size.0.to_be_bytes().to_vec();
        answer.extend(self.flags(&found).to_be_bytes());
        if !self.no_zeroes {
            answer.extend([0; 124]);
        }
        self.socket.send(&answer)?;
        Ok(agreed)
    }

    fn info(&mut self, option: u32, data: &[u8]) -> io::Result<Option<Agreed>> {
        let Some(wanted) = Wanted::parse(data) else {
            self.answer(option, opt::ERR_INVALID, b"the option's lengths do not fit its data")?;
            return Ok(None);
        };
        let volume = match self.find(&wanted.name) {
            Ok(volume) => volume,
            Err(words) => {
                self.answer(option, opt::ERR_UNKNOWN, words.as_bytes())?;
                return Ok(None);
            }
        };
        let mut agreed = None;
        if option == opt::GO {
            match self.open(&volume, &wanted.name) {
                Ok(work) => agreed = Some(work),
                Err((kind, words)) => {
                    self.answer(option, kind, words.as_bytes())?;
                    return Ok(None);
                }
            }
        }
        let mut replies = self.describe(option, &volume, &wanted.kinds);
        replies.extend(reply(option, opt::ACK, b""));
        self.socket.send(&replies)?;
        Ok(agreed)
    }

    fn describe(&self, option: u32, volume: &VolumeInfo, kinds: &[u16]) -> Vec<u8> {
        let mut replies = Vec::new();
        let mut tell = |kind: u16, payload: &[u8]| {
            replies.extend(reply(option, opt::REP_INFO, &[&kind.to_be_bytes()[..], payload].concat()));
        };
        let export = [&volume.size.0.to_be_bytes()[..], &self.flags(volume).to_be_bytes()].concat();
        tell(opt::INFO_EXPORT, &export);
        if kinds.contains(&opt::INFO_NAME) {
            tell(opt::INFO_NAME, &volume.name);
        }
        if kinds.contains(&opt::INFO_DESCRIPTION) {
            let words = format!("device-mapper device {}, number {}", volume.name, volume.number);
            tell(opt::INFO_DESCRIPTION, words.as_bytes());
        }
        if kinds.contains(&opt::INFO_BLOCK_SIZE) {
            tell(opt::INFO_BLOCK_SIZE, &[1, PREFERRED_BLOCK, MAX_PAYLOAD].map(u32::to_be_bytes).concat());
        }
        replies
    }

    fn flags(&self, volume: &VolumeInfo) -> u16 {
        let access = if volume.read_only {
            flag::READ_ONLY
        } else {
            flag::SEND_FUA | flag::SEND_TRIM | flag::SEND_WRITE_ZEROES | flag::SEND_FAST_ZERO
        };
        let fragments = if self.structured { flag::SEND_DF } else { 0 };
        let always = flag::HAS_FLAGS | flag::SEND_FLUSH | flag::SEND_CACHE | flag::CAN_MULTI_CONN;
        always | access | fragments
    }

    /// Opens a device for work; a refusal is a kind of reply, and words.
    fn open(&self, volume: &VolumeInfo, asked: &Text) -> Result<Agreed, (u32, String)> {
        let device =
            self.volumes.open(volume.identity, !volume.read_only, self.user.clone()).map_err(|fault| {
                // It may have gone since it was found.
                let kind = if fault.errno == Errno::ENXIO { opt::ERR_UNKNOWN } else { opt::ERR_POLICY };
                (kind, fault.reason)
            })?;
        Ok(Agreed::Work {
            device,
            name: volume.name.clone(),
            identity: volume.identity,
            structured: self.structured,
            allocation: self.context.as_ref() == Some(asked),
        })
    }

    fn contexts(&mut self, option: u32, data: &[u8]) -> io::Result<()> {
        let selects = option == opt::SET_META_CONTEXT;
        if selects {
            self.context = None;
        }
        let Some(Queries { name, queries }) = Queries::parse(data) else {
            return self.answer(option, opt::ERR_INVALID, b"the option's lengths do not fit its data");
        };
        if !self.structured {
            return self.answer(option, opt::ERR_INVALID, b"structured replies must be agreed on first");
        }
        if let Err(words) = self.find(&name) {
            return self.answer(option, opt::ERR_UNKNOWN, words.as_bytes());
        }
        let named = queries.iter().any(|query| query.as_bytes() == status::CONTEXT);
        // To list, no query at all and the bare namespace mean everything; to select, they mean nothing.
        let listed = !selects && (queries.is_empty() || queries.iter().any(|query| *query == "base:"));
        let mut replies = Vec::new();
        if named || listed {
            let id = if selects { status::CONTEXT_ID } else { 0 };
            replies = reply(option, opt::META_CONTEXT, &[&id.to_be_bytes()[..], status::CONTEXT].concat());
            if selects {
                self.context = Some(name);
            }
        }
        replies.extend(reply(option, opt::ACK, b""));
        self.socket.send(&replies)
    }

    fn answer(&self, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
        self.socket.send(&reply(option, kind, data))
    }

    fn read<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&self, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_patience(Some(left));
            match self.socket.receive(buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => buffer = buffer.get_mut(count..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    fn skip(&self, mut length: usize) -> io::Result<()> {
        let mut bytes = [0; 4096];
        while length > 0 {
            let now = length.min(bytes.len());
            self.fill(bytes.get_mut(..now).unwrap_or_default())?;
            length -= now;
        }
        Ok(())
    }
}
