//! The control socket: taking in connections, and ending them.

use super::Server;
use super::connection::Connection;
use crate::dm::{Errno, Fault};
use crate::sys::local_socket::{self, Peer};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Uid;
use std::collections::HashMap;
use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Connections at once; more are turned away.
const MAX_CONNECTIONS: usize = 1000;

/// Bytes of a connection's stack: it keeps its data elsewhere.
const STACK: usize = 256 << 10;

/// How long connections have to end after they were shut.
const PATIENCE: Duration = Duration::from_secs(5);

/// A control socket that nobody takes connections from yet.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    /// The path to remove at the end; `None` where who handed the socket over does.
    path: Option<PathBuf>,
}

/// A control socket at work.
#[derive(Debug)]
pub struct Listening {
    connections: Arc<Connections>,
    /// Dropped to end the thread.
    end: PipeWriter,
    thread: JoinHandle<()>,
    path: Option<PathBuf>,
}

/// Those that are connected, by number.
#[derive(Debug, Default)]
struct Connections {
    streams: Mutex<HashMap<u64, UnixStream>>,
    ended: Condvar,
}

impl Listener {
    /// Listens at that path, unless a socket that listens was handed over.
    pub(super) fn new(path: PathBuf, inherited: Option<UnixListener>) -> Result<Self, Fault> {
        if let Some(socket) = inherited {
            let address = socket.local_addr().ok();
            let handed = address.as_ref().and_then(|address| address.as_pathname());
            if handed.is_none_or(|handed| !is_same_file(handed, &path)) {
                // Commands would look for it in vain.
                let what = format!("the control socket that was handed over is not \"{}\"", path.display());
                return Err(Fault::invalid(what));
            }
            return Ok(Self { socket, path: None });
        }
        let socket = local_socket::listen(&path).map_err(|error| {
            let errno = Errno::from_io(&error);
            Fault::new(errno, format!("cannot listen at \"{}\": {errno}", path.display()))
        })?;
        Ok(Self { socket, path: Some(path) })
    }

    /// Takes in connections from now on, on a thread of its own.
    ///
    /// # Errors
    /// A thread or a pipe cannot be had.
    pub fn run(self, server: Arc<Server>) -> io::Result<Listening> {
        let (stopped, end) = io::pipe()?;
        let connections = Arc::new(Connections::default());
        let (socket, shared) = (self.socket, connections.clone());
        socket.set_nonblocking(true)?;
        let thread = thread::Builder::new().name("control".into()).spawn(move || {
            accept_all(&socket, &stopped, &server, &shared);
        })?;
        Ok(Listening { connections, end, thread, path: self.path })
    }
}

impl Listening {
    /// Takes in no more connections, and ends those that there are. What they asked for last is answered if it is done
    /// soon.
    pub fn stop(self) {
        if let Some(path) = &self.path {
            // Whoever looks for a server now waits for the state instead.
            let _ = fs::remove_file(path);
        }
        drop(self.end);
        // The thread does nothing that could panic.
        let _ = self.thread.join();
        let streams = self.connections.lock();
        streams.values().for_each(|stream| drop(stream.shutdown(Shutdown::Read)));
        let left =
            self.connections.ended.wait_timeout_while(streams, PATIENCE, |streams| !streams.is_empty());
        let (streams, _) = left.unwrap_or_else(PoisonError::into_inner);
        streams.values().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((file(one), file(other)), (Ok(one), Ok(other)) if one == other)
}

fn accept_all(
    socket: &UnixListener,
    stopped: &PipeReader,
    server: &Arc<Server>,
    connections: &Arc<Connections>,
) {
    for number in 0.. {
        let mut ready =
            [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            Err(_) => return,
            Ok(_) if ready[1].any().unwrap_or(true) => return,
            Ok(_) => {}
        }
        match socket.accept() {
            Ok((stream, _)) => connections.take_in(number, stream, server),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(50));
            }
            Err(_) => {}
        }
    }
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, UnixStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a connection on a thread of its own, if it is the state's owner's or root's. Others are hung up on.
    fn take_in(self: &Arc<Self>, number: u64, stream: UnixStream, server: &Arc<Server>) {
        let (Ok(own), Ok(peer)) = (stream.try_clone(), Peer::of(&stream)) else { return };
        let allowed = peer.uid.is_root() || peer.uid == Uid::effective();
        let mut streams = self.lock();
        if !allowed || stream.set_nonblocking(false).is_err() || streams.len() >= MAX_CONNECTIONS {
            return;
        }
        streams.insert(number, own);
        drop(streams);
        let (connections, server) = (self.clone(), server.clone());
        let thread = thread::Builder::new().name("control".into()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            Connection::new(&server, stream, peer).serve();
            connections.remove(number);
        });
        if spawned.is_err() {
            self.remove(number);
        }
    }

    fn remove(&self, number: u64) {
        self.lock().remove(&number);
        self.ended.notify_all();
    }
}
