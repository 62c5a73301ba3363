//! A connected socket, of whatever family.

use crate::sys::mapped::{self, Part};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    MsgFlags, Shutdown, UnixAddr, getsockname, getsockopt, recv, send, setsockopt, shutdown, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Waits for bytes; 0 is the end. `WouldBlock` when the time for it is over.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(self.0.as_raw_fd(), buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Takes what is there; `WouldBlock` when it is nothing.
    pub(super) fn receive_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EINTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Sends all of it.
    pub(super) fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Sends pieces of memory, each with a part of a mapped file behind it, if there is room for all of them now; whether
    /// it did. Nothing was sent if not. There must be no more of it than [`Socket::whole`].
    ///
    /// # Errors
    /// What ends the connection.
    pub(super) fn send_mapped(&self, pieces: &[(&[u8], Part<'_>)]) -> io::Result<bool> {
        let wanted: usize = pieces.iter().map(|(head, part)| head.len() + part.length()).sum();
        match mapped::send(self.0.as_fd(), pieces) {
            Ok(sent) if sent == wanted => Ok(true),
            // The client could not be told what became of the rest: no socket does that to what it takes as a whole.
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            // No room, or a file that was cut short.
            Err(error)
                if [libc::EAGAIN, libc::EFAULT, libc::EINTR].map(Some).contains(&error.raw_os_error()) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// How many bytes it takes as a whole or not at all: 0 but for one of this machine's own (AF_UNIX), whose system puts so
    /// many into one buffer, and fills it before anybody sees it.
    pub(super) fn whole(&self) -> usize {
        // Half of the socket's room, and a little less; a page's head and 32 KiB (`unix_stream_sendmsg` in net/unix/af_unix.c).
        let room = getsockopt(&self.0, sockopt::SndBuf).unwrap_or(0) / 2;
        let is_local = getsockname::<UnixAddr>(self.0.as_raw_fd()).is_ok();
        if is_local { room.saturating_sub(64).min(35 << 10) } else { 0 }
    }

    /// Sends what the other side has room for at once.
    pub(super) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)?)
    }

    /// How long [`Socket::receive`] waits; `None` for ever.
    pub(super) fn set_patience(&self, patience: Option<Duration>) {
        // Less than a millisecond would be 0, which is for ever.
        let millis = patience.map_or(0, |patience| i64::try_from(patience.as_millis().max(1)).unwrap_or(0));
        // Without the timeout the wait is longer, and nothing else.
        let _ = setsockopt(&self.0, sockopt::ReceiveTimeout, &TimeVal::milliseconds(millis));
    }

    /// Has small messages leave at once, where the family would hold them back.
    pub(super) fn set_prompt(&self) {
        let _ = setsockopt(&self.0, sockopt::TcpNoDelay, &true);
    }

    /// Receives no more than has come; what is sent still goes out.
    pub(super) fn end_receiving(&self) {
        self.shut(Shutdown::Read);
    }

    /// Says that nothing more will be sent.
    pub(super) fn end_sending(&self) {
        self.shut(Shutdown::Write);
    }

    /// Ends the connection: whoever waits in it wakes.
    pub(super) fn cut(&self) {
        self.shut(Shutdown::Both);
    }

    fn shut(&self, how: Shutdown) {
        // One that the other side ended already is as it should be.
        let _ = shutdown(self.0.as_raw_fd(), how);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
