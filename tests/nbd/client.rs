//! A client of our own, for what no good client would say.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub(crate) const READ: u16 = 0;
pub(crate) const WRITE: u16 = 1;
pub(crate) const DISCONNECT: u16 = 2;
pub(crate) const FLUSH: u16 = 3;
pub(crate) const TRIM: u16 = 4;
pub(crate) const CACHE: u16 = 5;
pub(crate) const WRITE_ZEROES: u16 = 6;
pub(crate) const BLOCK_STATUS: u16 = 7;

pub(crate) const FUA: u16 = 1;
pub(crate) const NO_HOLE: u16 = 2;
pub(crate) const DF: u16 = 4;
pub(crate) const REQ_ONE: u16 = 8;
pub(crate) const FAST_ZERO: u16 = 16;

/// A connection, at whatever stage it is.
pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    pub(crate) structured: bool,
}

/// What came back for a request: data (a read's, with zeros for holes), or block states, or an error number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Data(Vec<u8>),
    /// Lengths and states.
    Blocks(Vec<(u32, u32)>),
    Failed(u32),
}

impl Client {
    /// Connects and greets.
    pub(crate) fn greet(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Self { stream, structured: false };
        assert_eq!(client.take(18), b"NBDMAGICIHAVEOPT\0\x03");
        client.say(&3u32.to_be_bytes());
        client
    }

    /// Goes to work on an export.
    pub(crate) fn work(socket: &Path, export: &str, structured: bool) -> Self {
        let mut client = Self::greet(socket);
        if structured {
            assert_eq!(client.option(8, b""), [(1, vec![])]);
            let query = [&name(export)[..], &1u32.to_be_bytes(), &name("base:allocation")].concat();
            assert_eq!(client.option(10, &query).len(), 2);
            client.structured = true;
        }
        let replies = client.option(7, &[&name(export)[..], &[0, 0]].concat());
        assert_eq!(replies.last().map(|(kind, _)| *kind), Some(1), "{replies:?}");
        client
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        self.try_take(count).unwrap()
    }

    pub(crate) fn try_take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    /// Sends an option; the kinds and data of all replies to it.
    pub(crate) fn option(&mut self, option: u32, data: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let length = u32::try_from(data.len()).unwrap();
        self.say(&[b"IHAVEOPT", &option.to_be_bytes()[..], &length.to_be_bytes(), data].concat());
        let mut replies = Vec::new();
        loop {
            assert_eq!((self.u64(), self.u32()), (0x0003_e889_0455_65a9, option));
            let (kind, length) = (self.u32(), self.u32());
            replies.push((kind, self.take(length as usize)));
            if kind == 1 || kind >> 31 == 1 {
                return replies;
            }
        }
    }

    /// Sends a request, of which nothing is checked here.
    pub(crate) fn ask(
        &mut self,
        flags: u16,
        command: u16,
        cookie: u64,
        offset: u64,
        length: u32,
        data: &[u8],
    ) {
        self.say(&request(flags, command, cookie, offset, length, data));
    }

    /// The next reply: its cookie, and the answer. `length` is what a read asked for, and where.
    pub(crate) fn answer(&mut self, reads: impl Fn(u64) -> Option<(u64, u32)>) -> (u64, Answer) {
        let mut found: Option<(u64, Answer)> = None;
        loop {
            let (cookie, answer, last) = self.chunk(&reads, found.take());
            if last {
                return (cookie, answer);
            }
            found = Some((cookie, answer));
        }
    }

    fn chunk(
        &mut self,
        reads: &impl Fn(u64) -> Option<(u64, u32)>,
        before: Option<(u64, Answer)>,
    ) -> (u64, Answer, bool) {
        if self.u32() == 0x6744_6698 {
            let (error, cookie) = (self.u32(), self.u64());
            let answer = match (error, reads(cookie)) {
                (0, Some((_, length))) if !self.structured => Answer::Data(self.take(length as usize)),
                (0, None) => Answer::Done,
                (0, Some(_)) => panic!("a simple reply to a read"),
                (error, _) => Answer::Failed(error),
            };
            return (cookie, answer, true);
        }
        assert!(self.structured);
        let (flags, kind, cookie, length) = (self.u16(), self.u16(), self.u64(), self.u32());
        let mut data = match before {
            Some((known, Answer::Data(data))) if known == cookie => data,
            Some(other) => panic!("{other:?} is not at its end"),
            None if kind >> 15 == 1 => Vec::new(),
            None => vec![0xee; reads(cookie).map_or(0, |(_, length)| length as usize)],
        };
        let place = |offset: u64| usize::try_from(offset - reads(cookie).unwrap().0).unwrap();
        let answer = match kind {
            0 => Answer::Data(data),
            1 => {
                let at = place(self.u64());
                let bytes = self.take(length as usize - 8);
                data[at..at + bytes.len()].copy_from_slice(&bytes);
                Answer::Data(data)
            }
            2 => {
                let at = place(self.u64());
                let count = self.u32() as usize;
                data[at..at + count].fill(0);
                Answer::Data(data)
            }
            5 => {
                assert_eq!(self.u32(), 1);
                Answer::Blocks((0..length / 8).map(|_| (self.u32(), self.u32())).collect())
            }
            0x8001 => {
                let error = self.u32();
                let count = self.u16();
                assert_eq!(length, 6 + u32::from(count));
                assert!(count > 0 && String::from_utf8(self.take(count.into())).is_ok());
                Answer::Failed(error)
            }
            kind => panic!("a chunk of kind {kind}"),
        };
        (cookie, answer, flags & 1 == 1)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call(&mut self, flags: u16, command: u16, offset: u64, length: u32, data: &[u8]) -> Answer {
        self.ask(flags, command, 7, offset, length, data);
        let (cookie, answer) = self.answer(|_| (command == READ).then_some((offset, length)));
        assert_eq!(cookie, 7);
        answer
    }

    /// Whether the server has ended the connection.
    pub(crate) fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        matches!(self.stream.read_to_end(&mut rest), Ok(0))
            || matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::ConnectionReset)
    }
}

/// A text with its length before it.
pub(crate) fn name(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// A request's bytes.
pub(crate) fn request(
    flags: u16,
    command: u16,
    cookie: u64,
    offset: u64,
    length: u32,
    data: &[u8],
) -> Vec<u8> {
    let head = [
        0x2560_9513u32.to_be_bytes(),
        [flags.to_be_bytes(), command.to_be_bytes()].concat().try_into().unwrap(),
    ];
    [&head.concat()[..], &cookie.to_be_bytes(), &offset.to_be_bytes(), &length.to_be_bytes(), data].concat()
}
