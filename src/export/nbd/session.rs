//! What was agreed on with a client, and what all threads of its connection use.

use super::protocol::{
    Command, DataHead, FLAG_DF, FLAG_FAST_ZERO, FLAG_FUA, FLAG_NO_HOLE, FLAG_REQ_ONE, MAX_PAYLOAD, Refusal,
    Request, refusal_reply,
};
use super::socket::Socket;
use crate::block::BlockDevice;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A client at work on a device.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) device: Arc<dyn BlockDevice>,
    pub(super) socket: Arc<Socket>,
    /// What the socket takes as a whole: see [`Socket::whole`].
    pub(super) whole: usize,
    /// Replies come in chunks with their lengths.
    pub(super) structured: bool,
    /// The client may ask which blocks are stored.
    pub(super) allocation: bool,
    /// Held while whole messages are sent: once for a batch, not for each of them.
    pub(super) sending: Mutex<()>,
}

impl Session {
    /// Sends whole messages.
    pub(super) fn send(&self, messages: &[u8]) -> io::Result<()> {
        let _alone = self.send_alone();
        self.socket.send(messages)
    }

    /// Keeps other threads of the connection from sending, until it is dropped.
    pub(super) fn send_alone(&self) -> MutexGuard<'_, ()> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands before the data of a read that is answered at once.
    pub(super) fn head(&self, read: &Request) -> DataHead {
        if self.structured {
            DataHead::chunk(read.cookie, read.offset, read.length, true)
        } else {
            DataHead::simple(read.cookie)
        }
    }

    /// The reply that says why a request fails.
    pub(super) fn refuse(&self, request: &Request, refusal: Refusal) -> Vec<u8> {
        refusal_reply(request.cookie, self.structured, refusal)
    }

    /// Refuses what no device could do. The size and whether it is read-only are the device's of this moment: a table
    /// may have been swapped since the client was told.
    pub(super) fn check(&self, request: &Request) -> Result<(), Refusal> {
        let &Request { flags, command, offset, length, .. } = request;
        let known = match command {
            Command::Read if self.structured => FLAG_DF,
            Command::WriteZeroes => FLAG_NO_HOLE | FLAG_FAST_ZERO,
            Command::BlockStatus => FLAG_REQ_ONE,
            Command::Read
            | Command::Write
            | Command::Disconnect
            | Command::Flush
            | Command::Trim
            | Command::Cache
            | Command::Unknown => 0,
        };
        // FUA is permitted on every command.
        if flags & !(known | FLAG_FUA) != 0 {
            return Err(Refusal::EINVAL);
        }
        let (writes, limited) = match command {
            Command::Flush | Command::Disconnect => return Ok(()),
            Command::Unknown => return Err(Refusal::EINVAL),
            Command::BlockStatus if !self.allocation || length == 0 => return Err(Refusal::EINVAL),
            Command::Read => (false, true),
            Command::Cache | Command::BlockStatus => (false, false),
            Command::Write => (true, true),
            Command::Trim | Command::WriteZeroes => (true, false),
        };
        if writes && self.device.is_read_only() {
            return Err(Refusal::EPERM);
        }
        if limited && length > MAX_PAYLOAD {
            return Err(Refusal::EINVAL);
        }
        let end = offset.checked_add(length.into());
        if end.is_none_or(|end| end > self.device.size().0) {
            // As a disk does that is too small for it.
            let grows = matches!(command, Command::Write | Command::WriteZeroes);
            return Err(if grows { Refusal::ENOSPC } else { Refusal::EINVAL });
        }
        Ok(())
    }
}
