//! What the kernel says of devices that come, change and go: its own broadcast, before udevd has seen to it.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The group of the kernel's own events; udevd sends to another.
const KERNEL_GROUP: u32 = 1;

/// No event is longer (`UEVENT_BUFFER_SIZE`).
const MAX_EVENT: usize = 2048 + 512;

/// Listens to the broadcast.
#[derive(Debug)]
pub struct Uevents(OwnedFd);

impl Uevents {
    /// From now on.
    ///
    /// # Errors
    /// The kernel has no such socket, or this process may not have one.
    pub fn listen() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket =
            socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkKObjectUEvent)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self(socket))
    }

    /// Takes all that has come; whether a mapped device was among it, or may have been.
    pub fn take(&self) -> bool {
        let mut event = [0; MAX_EVENT];
        let mut found = false;
        loop {
            match recv(self.0.as_raw_fd(), &mut event, MsgFlags::empty()) {
                Ok(length) => found |= is_mapped(&event[..length]),
                Err(Errno::EINTR) => {}
                // Some were lost, since more came than there was room for.
                Err(Errno::ENOBUFS) => found = true,
                Err(_) => return found,
            }
        }
    }
}

impl AsFd for Uevents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether an event, `ACTION@DEVPATH` and then variables, is one of a mapped device's.
fn is_mapped(event: &[u8]) -> bool {
    let path = event.split(|&byte| byte == 0).next().unwrap_or_default();
    path.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.starts_with(b"dm-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_by_its_path() {
        assert!(is_mapped(b"change@/devices/virtual/block/dm-0\0ACTION=change\0"));
        assert!(!is_mapped(b"add@/devices/virtual/block/loop0\0DEVNAME=dm-0\0"));
        assert!(!is_mapped(b""));
    }
}
