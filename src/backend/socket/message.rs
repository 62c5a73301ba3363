//! What goes over a server's control socket: ioctls as they are, and the I/O of a device that one connection has opened.
//!
//! ```text
//! client  head { kind, argument, at, length } + payload
//! server  head { errno, fault's length, value, payload's length } + fault + payload
//! ```
//!
//! One question at a time, each with one answer, in the byte order of the machine that both run on. A fault is JSON; it
//! is there when the errno is not 0 and more is known than the number.

use crate::block::User;
use crate::dm::limits::MAX_BUFFER;
use crate::dm::{Bytes, DeviceId, DeviceNumber, Errno, Fault, LineField, Text};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// Bytes of a head: two numbers of 32 bits and two of 64.
const HEAD_LEN: usize = 24;

/// The most bytes that one question reads or writes, and so that a payload has beside an ioctl's.
pub(in crate::backend) const MAX_DATA: usize = 4 << 20;

/// The most bytes of a fault.
const MAX_FAULT: usize = 64 << 10;

/// What a client asks for. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(in crate::backend) enum Kind {
    /// An ioctl: its number is the argument, its buffer the payload.
    Ioctl = 1,
    /// To save what was done.
    Commit = 2,
    /// To open the device that the payload names (see [`device_to_bytes`]), with argument 1 for writing too.
    Open = 3,
    /// The opened device's size (value), block size and whether it is read-only (payload, 9 bytes).
    Geometry = 4,
    /// `length` bytes from `at` on.
    Read = 5,
    /// The payload, from `at` on.
    Write = 6,
    /// To discard `length` bytes from `at` on.
    Discard = 7,
    /// To make `length` bytes from `at` on zeros, with argument 1 by a hole too.
    WriteZeroes = 8,
    /// To flush.
    Flush = 9,
    /// Whether what is at `at` is stored: the payload is one byte, 1 for a hole, and the value how far it goes.
    Allocation = 10,
    /// Who has the device open that the payload names: the answer's is JSON (see [`users_to_bytes`]).
    Users = 11,
    /// To tell when anything changes: it is answered at once, and the connection ends then.
    Watch = 12,
    /// To close the device that was opened: it is when this is answered, as it need not be when the client has gone.
    Close = 13,
}

impl Kind {
    fn of(number: u32) -> Option<Self> {
        const ALL: [Kind; 13] = [
            Kind::Ioctl,
            Kind::Commit,
            Kind::Open,
            Kind::Geometry,
            Kind::Read,
            Kind::Write,
            Kind::Discard,
            Kind::WriteZeroes,
            Kind::Flush,
            Kind::Allocation,
            Kind::Users,
            Kind::Watch,
            Kind::Close,
        ];
        ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    /// Whether `length` is that of a payload which follows.
    fn has_payload(self) -> bool {
        matches!(self, Self::Ioctl | Self::Open | Self::Write | Self::Users)
    }
}

/// A question without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Question {
    pub(in crate::backend) kind: Kind,
    pub(in crate::backend) argument: u32,
    pub(in crate::backend) at: Bytes,
    pub(in crate::backend) length: Bytes,
}

/// An answer without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend) struct Answer {
    /// What the driver returned, in the numbers of the ioctl's dialect; 0 when it was done.
    pub(in crate::backend) errno: Errno,
    /// What went wrong, with Linux's number.
    pub(in crate::backend) fault: Option<Fault>,
    /// A number that the kind of question defines.
    pub(in crate::backend) value: u64,
}

/// A fault as JSON has it.
#[derive(Serialize, Deserialize)]
struct Told {
    errno: i32,
    reason: String,
    line: Option<usize>,
    argument: Option<usize>,
    field: Option<u8>,
    hint: Option<String>,
}

/// The fields of a table line, by their places.
const FIELDS: [LineField; 3] = [LineField::Start, LineField::Length, LineField::Target];

impl Question {
    pub(in crate::backend) fn new(kind: Kind) -> Self {
        Self { kind, argument: 0, at: Bytes(0), length: Bytes(0) }
    }

    /// Sends it with its payload.
    pub(in crate::backend) fn send(mut self, to: &mut impl Write, payload: &[u8]) -> io::Result<()> {
        if self.kind.has_payload() {
            self.length = Bytes(payload.len() as u64);
        }
        let head = head(self.kind as u32, self.argument, self.at.0, self.length.0);
        send(to, &[&head, payload])
    }

    /// Receives one, its payload into the buffer; `None` when the client has gone.
    ///
    /// # Errors
    /// The bytes are no question, or it is too long.
    pub(in crate::backend) fn receive(
        from: &mut impl Read,
        payload: &mut Vec<u8>,
    ) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEAD_LEN];
        if from.read(&mut bytes[..1])? == 0 {
            return Ok(None);
        }
        from.read_exact(&mut bytes[1..])?;
        let (kind, argument, at, length) = numbers(&bytes);
        let kind = Kind::of(kind).ok_or_else(|| invalid("an unknown question"))?;
        let limit = if kind == Kind::Ioctl { MAX_BUFFER } else { MAX_DATA };
        let taken = kind.has_payload() || kind == Kind::Read;
        if taken && length > limit as u64 {
            return Err(invalid("a question that is too long"));
        }
        if kind.has_payload() {
            receive_payload(from, length, payload)?;
        }
        Ok(Some(Self { kind, argument, at: Bytes(at), length: Bytes(length) }))
    }
}

impl Answer {
    /// The answer to what was done, with its number.
    pub(in crate::backend) fn done(value: u64) -> Self {
        Self { errno: Errno(0), fault: None, value }
    }

    /// The answer to what failed.
    pub(in crate::backend) fn failed(fault: Fault) -> Self {
        Self { errno: fault.errno, fault: Some(fault), value: 0 }
    }

    /// Whether it was done.
    pub(in crate::backend) fn outcome(self) -> Result<u64, Fault> {
        if self.errno == Errno(0) {
            return Ok(self.value);
        }
        Err(self.fault.unwrap_or_else(|| Fault::new(self.errno, "")))
    }

    /// Sends it with its payload.
    pub(in crate::backend) fn send(&self, to: &mut impl Write, payload: &[u8]) -> io::Result<()> {
        let told = self.fault.as_ref().map(|fault| {
            let Fault { errno, reason, line, argument, field, hint } = fault.clone();
            let field = FIELDS.into_iter().zip(0..).find(|(known, _)| Some(*known) == field);
            let field = field.map(|(_, place)| place);
            serde_json::to_vec(&Told { errno: errno.0, reason, line, argument, field, hint })
                .unwrap_or_default()
        });
        let told = told.filter(|told| told.len() <= MAX_FAULT).unwrap_or_default();
        let errno = self.errno.0.cast_unsigned();
        let length = u32::try_from(told.len()).unwrap_or(0);
        send(to, &[&head(errno, length, self.value, payload.len() as u64), &told, payload])
    }

    /// Receives one; its payload, of at most `limit` bytes, takes the place of what is in the buffer.
    ///
    /// # Errors
    /// The bytes are no answer, or the server has gone.
    pub(in crate::backend) fn receive(
        from: &mut impl Read,
        payload: &mut Vec<u8>,
        limit: usize,
    ) -> io::Result<Self> {
        let mut bytes = [0; HEAD_LEN];
        from.read_exact(&mut bytes)?;
        let (errno, told_len, value, length) = numbers(&bytes);
        if told_len as usize > MAX_FAULT || length > limit as u64 {
            return Err(invalid("an answer that is too long"));
        }
        let mut told = Vec::new();
        receive_payload(from, u64::from(told_len), &mut told)?;
        receive_payload(from, length, payload)?;
        let fault = serde_json::from_slice(&told).ok();
        let fault = fault.map(|Told { errno, reason, line, argument, field, hint }| Fault {
            errno: Errno(errno),
            reason,
            line,
            argument,
            field: field.and_then(|place| FIELDS.get(usize::from(place)).copied()),
            hint,
        });
        Ok(Self { errno: Errno(errno.cast_signed()), fault, value })
    }
}

/// Which device [`Kind::Open`] is about: name, uuid and number, each ended by a NUL, empty where not given.
pub(in crate::backend) fn device_to_bytes(id: &DeviceId) -> Vec<u8> {
    let number = id.dev.map(|dev| dev.to_string()).unwrap_or_default();
    [id.name.as_bytes(), b"\0", id.uuid.as_bytes(), b"\0", number.as_bytes(), b"\0"].concat()
}

/// The device that those bytes name.
pub(in crate::backend) fn device_of_bytes(bytes: &[u8]) -> Option<DeviceId> {
    let mut parts = bytes.strip_suffix(b"\0")?.split(|&byte| byte == 0);
    let (name, uuid, number) = (parts.next()?, parts.next()?, parts.next()?);
    let dev = if number.is_empty() { None } else { Some(DeviceNumber::parse(number)?) };
    parts.next().is_none().then(|| DeviceId { name: Text::from(name), uuid: Text::from(uuid), dev })
}

/// Who has a device open, as many times as they have, each with its process's name where that is known.
pub(in crate::backend) fn users_to_bytes(users: &[(User, Option<Text>)]) -> Vec<u8> {
    let told: Vec<(&User, Option<String>)> =
        users.iter().map(|(user, name)| (user, name.as_ref().map(Text::to_string))).collect();
    serde_json::to_vec(&told).unwrap_or_default()
}

/// Those whom the bytes tell of.
pub(in crate::backend) fn users_of_bytes(bytes: &[u8]) -> Option<Vec<(User, Option<Text>)>> {
    let told: Vec<(User, Option<String>)> = serde_json::from_slice(bytes).ok()?;
    Some(told.into_iter().map(|(user, name)| (user, name.map(|name| name.as_str().into()))).collect())
}

fn head(first: u32, second: u32, third: u64, fourth: u64) -> [u8; HEAD_LEN] {
    let mut bytes = [0; HEAD_LEN];
    bytes[..4].copy_from_slice(&first.to_ne_bytes());
    bytes[4..8].copy_from_slice(&second.to_ne_bytes());
    bytes[8..16].copy_from_slice(&third.to_ne_bytes());
    bytes[16..].copy_from_slice(&fourth.to_ne_bytes());
    bytes
}

fn numbers(bytes: &[u8; HEAD_LEN]) -> (u32, u32, u64, u64) {
    let [first, second, third, fourth] = [0..4, 4..8, 8..16, 16..24].map(|range: std::ops::Range<usize>| {
        let mut number = [0; 8];
        let bytes = &bytes[range];
        if cfg!(target_endian = "little") {
            number[..bytes.len()].copy_from_slice(bytes);
        } else {
            number[8 - bytes.len()..].copy_from_slice(bytes);
        }
        u64::from_ne_bytes(number)
    });
    let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    (short(first), short(second), third, fourth)
}

fn send(to: &mut impl Write, parts: &[&[u8]]) -> io::Result<()> {
    // One system call for what is short; data that is long is not copied for it.
    const SHORT: usize = 64 << 10;
    if parts.iter().map(|part| part.len()).sum::<usize>() <= SHORT {
        return to.write_all(&parts.concat());
    }
    parts.iter().try_for_each(|part| to.write_all(part))
}

/// Reads a payload of that length. Memory grows with what really comes, whatever was announced.
fn receive_payload(from: &mut impl Read, length: u64, payload: &mut Vec<u8>) -> io::Result<()> {
    payload.clear();
    if from.take(length).read_to_end(payload)? as u64 == length {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Peer, Via};
    use arbtest::arbtest;

    #[test]
    fn what_is_sent_is_received() {
        let mut sent = Vec::new();
        let question = Question { at: Bytes(5), ..Question::new(Kind::Write) };
        question.send(&mut sent, b"data").unwrap();
        let mut payload = vec![1; 9];
        let received = Question::receive(&mut &sent[..], &mut payload).unwrap().unwrap();
        assert_eq!(received, Question { length: Bytes(4), ..question });
        assert_eq!(payload, b"data");

        let mut sent = Vec::new();
        let answer = Answer { value: 7, ..Answer::failed(Fault::invalid("no").at_line(3)) };
        answer.send(&mut sent, b"more").unwrap();
        assert_eq!(Answer::receive(&mut &sent[..], &mut payload, 4).unwrap(), answer);
        assert_eq!(payload, b"more");
        assert!(Answer::receive(&mut &sent[..], &mut payload, 3).is_err(), "too long for its question");
    }

    #[test]
    fn devices_keep_their_names() {
        let all = [DeviceId::by_name("vol 0"), DeviceId::by_number(DeviceNumber::new(240, 3))];
        for id in all {
            assert_eq!(device_of_bytes(&device_to_bytes(&id)), Some(id));
        }
        assert_eq!(device_of_bytes(b"a\0b"), None);
    }

    #[test]
    fn users_keep_who_they_are() {
        let process = Peer::Process { pid: Some(7), uid: 1000 };
        let address = Peer::Address("[::1]:10809".parse().unwrap());
        let users = [
            (User { via: Via::Nbd, peer: process }, Some(Text::from("fio"))),
            (User { via: Via::Fuse, peer: Peer::Process { pid: None, uid: 0 } }, None),
            (User { via: Via::Control, peer: address }, None),
        ];
        assert_eq!(users_of_bytes(&users_to_bytes(&users)).as_deref(), Some(&users[..]));
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let _ = Question::receive(&mut &bytes[..], &mut Vec::new());
            let _ = Answer::receive(&mut &bytes[..], &mut Vec::new(), 100);
            let _ = device_of_bytes(&bytes);
            Ok(())
        });
    }
}
