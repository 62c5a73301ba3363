//! The protocol's numbers, and its messages of fixed size.

use crate::dm::Errno;

/// Sent first by the server: `NBDMAGIC`, then `IHAVEOPT`.
pub(super) const INIT_MAGIC: u64 = 0x4e42_444d_4147_4943;
pub(super) const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
pub(super) const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

/// Handshake flags, the server's and the client's.
pub(super) const FLAG_FIXED_NEWSTYLE: u16 = 1;
pub(super) const FLAG_NO_ZEROES: u16 = 2;

/// Bytes of a request without its payload, of a simple reply, and of a reply chunk without its payload.
pub(super) const REQUEST_LEN: usize = 28;
pub(super) const SIMPLE_LEN: usize = 16;
pub(super) const CHUNK_LEN: usize = 20;
/// Bytes before the data of a chunk of read data.
pub(super) const DATA_CHUNK_LEN: usize = CHUNK_LEN + 8;

/// The most that one read or write may ask for; advertised, and enforced.
pub(super) const MAX_PAYLOAD: u32 = 32 << 20;
/// Requests of this size and position are the cheapest.
pub(super) const PREFERRED_BLOCK: u32 = 4096;

const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;

/// What an export can (`NBD_FLAG_*`).
pub(super) mod transmission_flag {
    pub(in super::super) const HAS_FLAGS: u16 = 1;
    pub(in super::super) const READ_ONLY: u16 = 1 << 1;
    pub(in super::super) const SEND_FLUSH: u16 = 1 << 2;
    pub(in super::super) const SEND_FUA: u16 = 1 << 3;
    pub(in super::super) const SEND_TRIM: u16 = 1 << 5;
    pub(in super::super) const SEND_WRITE_ZEROES: u16 = 1 << 6;
    pub(in super::super) const SEND_DF: u16 = 1 << 7;
    pub(in super::super) const CAN_MULTI_CONN: u16 = 1 << 8;
    pub(in super::super) const SEND_CACHE: u16 = 1 << 10;
    pub(in super::super) const SEND_FAST_ZERO: u16 = 1 << 11;
}

/// Modes of one request (`NBD_CMD_FLAG_*`).
pub(super) const FLAG_FUA: u16 = 1;
pub(super) const FLAG_NO_HOLE: u16 = 1 << 1;
pub(super) const FLAG_DF: u16 = 1 << 2;
pub(super) const FLAG_REQ_ONE: u16 = 1 << 3;
pub(super) const FLAG_FAST_ZERO: u16 = 1 << 4;

/// Kinds of reply chunks.
pub(super) const CHUNK_NONE: u16 = 0;
pub(super) const CHUNK_DATA: u16 = 1;
pub(super) const CHUNK_HOLE: u16 = 2;
pub(super) const CHUNK_BLOCK_STATUS: u16 = 5;
pub(super) const CHUNK_ERROR: u16 = 0x8001;
/// The last chunk of a reply.
pub(super) const CHUNK_DONE: u16 = 1;

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Read,
    Write,
    Disconnect,
    Flush,
    Trim,
    Cache,
    WriteZeroes,
    BlockStatus,
    Unknown,
}

/// A request, without the data that follows a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) flags: u16,
    pub(super) command: Command,
    /// What the client knows it by.
    pub(super) cookie: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Request {
    /// `None` when it does not begin as a request does: what follows cannot be told then.
    pub(super) fn parse(bytes: &[u8; REQUEST_LEN]) -> Option<Self> {
        let [m0, m1, m2, m3, f0, f1, t0, t1, rest @ ..] = *bytes;
        let (cookie, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        (u32::from_be_bytes([m0, m1, m2, m3]) == REQUEST_MAGIC).then(|| Self {
            flags: u16::from_be_bytes([f0, f1]),
            command: match u16::from_be_bytes([t0, t1]) {
                0 => Command::Read,
                1 => Command::Write,
                2 => Command::Disconnect,
                3 => Command::Flush,
                4 => Command::Trim,
                5 => Command::Cache,
                6 => Command::WriteZeroes,
                7 => Command::BlockStatus,
                _ => Command::Unknown,
            },
            cookie: u64::from_be_bytes(*cookie),
            offset: u64::from_be_bytes(*offset),
            length: u32::from_be_bytes(*length),
        })
    }

    /// Whether it has that mode.
    pub(super) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The length as memory has it.
    pub(super) fn bytes(&self) -> usize {
        self.length as usize
    }
}

/// Why a request fails, as the protocol numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u32);

impl Refusal {
    pub(super) const EPERM: Self = Self(1);
    pub(super) const EIO: Self = Self(5);
    pub(super) const EINVAL: Self = Self(22);
    pub(super) const ENOSPC: Self = Self(28);
    pub(super) const ENOTSUP: Self = Self(95);

    /// Words for a person.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::EPERM => "the device is read-only",
            Self::EINVAL => "the request is outside the device, too long, or not known",
            Self::ENOSPC => "no space left, or outside the device",
            Self::ENOTSUP => "zeroing would not be faster than writing",
            _ => "the device failed the request",
        }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EPERM | Errno::EROFS | Errno::EACCES => Self::EPERM,
            Errno::ENOSPC | Errno(nix::libc::EDQUOT | nix::libc::EFBIG) => Self::ENOSPC,
            Errno::ENOMEM => Self(12),
            Errno::EINVAL => Self::EINVAL,
            _ => Self::EIO,
        }
    }
}

/// A simple reply without data.
pub(super) fn simple_reply(cookie: u64, refusal: Option<Refusal>) -> [u8; SIMPLE_LEN] {
    let mut bytes = [0; SIMPLE_LEN];
    bytes[..4].copy_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
    bytes[4..8].copy_from_slice(&refusal.map_or(0, |refusal| refusal.0).to_be_bytes());
    bytes[8..].copy_from_slice(&cookie.to_be_bytes());
    bytes
}

/// The head of a reply chunk.
pub(super) fn chunk_head(cookie: u64, flags: u16, kind: u16, length: u32) -> [u8; CHUNK_LEN] {
    let mut bytes = [0; CHUNK_LEN];
    bytes[..4].copy_from_slice(&STRUCTURED_REPLY_MAGIC.to_be_bytes());
    bytes[4..6].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&kind.to_be_bytes());
    bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
    bytes[16..].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// What stands before read data.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataHead {
    bytes: [u8; DATA_CHUNK_LEN],
    length: usize,
}

impl DataHead {
    /// How long the heads of a connection are.
    pub(super) fn length(structured: bool) -> usize {
        if structured { DATA_CHUNK_LEN } else { SIMPLE_LEN }
    }

    /// The head of a simple reply.
    pub(super) fn simple(cookie: u64) -> Self {
        let mut bytes = [0; DATA_CHUNK_LEN];
        bytes[..SIMPLE_LEN].copy_from_slice(&simple_reply(cookie, None));
        Self { bytes, length: SIMPLE_LEN }
    }

    /// The head of a chunk with `length` bytes (at most `MAX_PAYLOAD`) that are at `offset`.
    pub(super) fn chunk(cookie: u64, offset: u64, length: u32, is_last: bool) -> Self {
        let mut bytes = [0; DATA_CHUNK_LEN];
        let flags = if is_last { CHUNK_DONE } else { 0 };
        bytes[..CHUNK_LEN].copy_from_slice(&chunk_head(cookie, flags, CHUNK_DATA, length.saturating_add(8)));
        bytes[CHUNK_LEN..].copy_from_slice(&offset.to_be_bytes());
        Self { bytes, length: DATA_CHUNK_LEN }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A whole reply chunk that says that the range is a hole, the last of its reply.
pub(super) fn hole_chunk(cookie: u64, offset: u64, length: u32) -> Vec<u8> {
    let head = chunk_head(cookie, CHUNK_DONE, CHUNK_HOLE, 12);
    [&head[..], &offset.to_be_bytes(), &length.to_be_bytes()].concat()
}

/// A whole reply that says why a request failed.
pub(super) fn refusal_reply(cookie: u64, structured: bool, refusal: Refusal) -> Vec<u8> {
    if !structured {
        return simple_reply(cookie, Some(refusal)).to_vec();
    }
    let words = refusal.words().as_bytes();
    let count = u16::try_from(words.len()).unwrap_or(0);
    let head = chunk_head(cookie, CHUNK_DONE, CHUNK_ERROR, 6 + u32::from(count));
    [&head[..], &refusal.0.to_be_bytes(), &count.to_be_bytes(), &words[..usize::from(count)]].concat()
}

/// A whole reply that says that a request without data in its reply is done.
pub(super) fn done_reply(cookie: u64) -> [u8; SIMPLE_LEN] {
    // Permitted where structured replies were agreed on too, and shorter.
    simple_reply(cookie, None)
}
