//! The server: a thread for each listener, and one for each client.

use super::handshake::{Agreed, Cover, Handshake};
use super::listener::Listener;
use super::pool::STACK;
use super::session::Session;
use super::socket::Socket;
use super::tls::{Tls, pump};
use super::transmission::Transmission;
use crate::block::{Peer, User, Via, Volumes};
use crate::dm::Text;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long to leave a listener alone that cannot accept: when there are no descriptors, for one.
const PAUSE: Duration = Duration::from_millis(100);
/// How long clients that were cut off may take to be noticed.
const CUT_PATIENCE: Duration = Duration::from_secs(2);

/// How a server behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many clients may be connected at once; more are turned away.
    pub max_clients: usize,
    /// How long a stopping server waits for clients that do not read their replies.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_clients: 1024, grace: Duration::from_secs(10) }
    }
}

/// A client at work on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientInfo {
    /// Who it is.
    pub peer: Peer,
    /// The device's name when the client opened it.
    pub export: Text,
    /// Which device it is: see [`crate::block::VolumeInfo::identity`].
    pub identity: u64,
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    acceptors: Mutex<Vec<JoinHandle<()>>>,
    /// Closing it wakes the acceptors.
    alive: Mutex<Option<PipeWriter>>,
}

#[derive(Debug)]
struct Shared {
    volumes: Arc<dyn Volumes>,
    options: Options,
    stopping: AtomicBool,
    clients: Mutex<Clients>,
    /// A client has gone.
    gone: Condvar,
}

#[derive(Debug, Default)]
struct Clients {
    last: u64,
    connected: BTreeMap<u64, Client>,
}

#[derive(Debug)]
struct Client {
    peer: Peer,
    /// The one its thread reads requests from; then, within TLS, the client's own.
    sockets: Vec<Arc<Socket>>,
    work: Option<(Text, u64)>,
}

impl Server {
    /// Serves the volumes to whoever connects to the listeners, in threads of its own.
    ///
    /// # Errors
    /// The system's refusal of a thread or a pipe.
    pub fn start(listeners: Vec<Listener>, volumes: Arc<dyn Volumes>, options: Options) -> io::Result<Self> {
        let (end, alive) = io::pipe()?;
        let end = Arc::new(end);
        let (stopping, clients, gone) = Default::default();
        let shared = Arc::new(Shared { volumes, options, stopping, clients, gone });
        let server =
            Self { shared: shared.clone(), acceptors: Mutex::default(), alive: Mutex::new(Some(alive)) };
        for listener in listeners {
            listener.set_nonblocking()?;
            let (shared, end) = (shared.clone(), end.clone());
            let acceptor = thread::Builder::new()
                .name("nbd-accept".to_owned())
                .stack_size(STACK)
                .spawn(move || shared.accept(&listener, &end))?;
            lock(&server.acceptors).push(acceptor);
        }
        Ok(server)
    }

    /// The clients at work.
    pub fn clients(&self) -> Vec<ClientInfo> {
        let clients = lock(&self.shared.clients);
        let at_work = clients.connected.values().filter_map(|client| {
            let (export, identity) = client.work.clone()?;
            Some(ClientInfo { peer: client.peer.clone(), export, identity })
        });
        at_work.collect()
    }

    /// Takes no new clients, answers what those that there are have asked for, and ends. Those that do not read their
    /// replies in time are cut off. How many threads are left: those whose device does not answer, as one that is
    /// suspended.
    pub fn stop(&self) -> usize {
        self.shared.stopping.store(true, Ordering::SeqCst);
        drop(lock(&self.alive).take());
        let acceptors = std::mem::take(&mut *lock(&self.acceptors));
        for acceptor in acceptors {
            // One that panicked has nothing more to say.
            let _ = acceptor.join();
        }
        let left = self.shared.end(self.shared.options.grace, |client| {
            client.sockets.first().into_iter().for_each(|socket| socket.end_receiving());
        });
        if left == 0 {
            return 0;
        }
        self.shared.end(CUT_PATIENCE, |client| client.sockets.iter().for_each(|socket| socket.cut()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Does something to all clients and waits for them to go; how many have not gone in that time.
    fn end(&self, patience: Duration, how: impl Fn(&Client)) -> usize {
        let deadline = Instant::now() + patience;
        let mut clients = lock(&self.clients);
        clients.connected.values().for_each(how);
        while !clients.connected.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            clients = self.gone.wait_timeout(clients, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        clients.connected.len()
    }

    /// Takes clients until the other end of `end` is closed.
    fn accept(self: &Arc<Self>, listener: &Listener, end: &PipeReader) {
        loop {
            let wanted = PollFlags::POLLIN;
            let mut polled = [PollFd::new(listener.as_fd(), wanted), PollFd::new(end.as_fd(), wanted)];
            if poll(&mut polled, PollTimeout::NONE).is_err() {
                continue;
            }
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            match listener.accept() {
                Ok((socket, peer)) => self.take(socket, peer, listener.tls.clone()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Serves a client in a thread of its own.
    fn take(self: &Arc<Self>, socket: OwnedFd, peer: Peer, tls: Option<Arc<Tls>>) {
        let socket = Arc::new(Socket::new(socket));
        let Some(presence) = self.enter(socket.clone(), peer) else { return };
        // Without a thread the client is turned away: the closure is dropped, and the socket with it.
        let _ = thread::Builder::new().name("nbd".to_owned()).stack_size(STACK).spawn(move || {
            // A client that breaks off, or is cut off, is nobody's failure.
            let _ = presence.serve(&socket, tls.as_deref());
        });
    }

    fn enter(self: &Arc<Self>, socket: Arc<Socket>, peer: Peer) -> Option<Presence> {
        let mut clients = lock(&self.clients);
        if clients.connected.len() >= self.options.max_clients {
            return None;
        }
        clients.last += 1;
        let number = clients.last;
        let user = User { via: Via::Nbd, peer: peer.clone() };
        clients.connected.insert(number, Client { peer, sockets: vec![socket], work: None });
        Some(Presence { shared: self.clone(), number, user })
    }
}

/// A client's place among the clients, until this is dropped.
struct Presence {
    shared: Arc<Shared>,
    number: u64,
    user: User,
}

impl Drop for Presence {
    fn drop(&mut self) {
        lock(&self.shared.clients).connected.remove(&self.number);
        self.shared.gone.notify_all();
    }
}

impl Presence {
    fn serve(&self, socket: &Arc<Socket>, tls: Option<&Tls>) -> io::Result<()> {
        socket.set_prompt();
        let cover = if tls.is_some() { Cover::Wanted } else { Cover::None };
        let mut handshake = Handshake::new(socket, self.shared.volumes.as_ref(), &self.user, cover);
        handshake.greet()?;
        match (handshake.negotiate()?, tls) {
            (Agreed::StartTls, Some(tls)) => self.serve_in_tls(socket, tls),
            (agreed, _) => self.work(socket, agreed),
        }
    }

    /// Serves through TLS: this thread moves the bytes, another serves.
    fn serve_in_tls(&self, socket: &Arc<Socket>, tls: &Tls) -> io::Result<()> {
        let (inner, served) = UnixStream::pair()?;
        let (inner, served) = (Socket::new(inner.into()), Arc::new(Socket::new(served.into())));
        self.change(|client| client.sockets.insert(0, served.clone()));
        if self.shared.stopping.load(Ordering::SeqCst) {
            served.end_receiving();
        }
        thread::scope(|scope| {
            let serving = thread::Builder::new().name("nbd".to_owned()).stack_size(STACK).spawn_scoped(
                scope,
                || {
                    // Whatever ends it, the pump learns of it by the end of its socket.
                    let _ends = Ends(&served);
                    let volumes = self.shared.volumes.as_ref();
                    let handshake = Handshake::new(&served, volumes, &self.user, Cover::On).negotiate();
                    handshake.and_then(|agreed| self.work(&served, agreed))
                },
            )?;
            let pumped = pump(tls.connection()?, socket, &inner);
            inner.cut();
            socket.cut();
            let _ = serving.join();
            pumped
        })
    }

    fn work(&self, socket: &Arc<Socket>, agreed: Agreed) -> io::Result<()> {
        let Agreed::Work { device, name, identity, structured, allocation } = agreed else { return Ok(()) };
        self.change(|client| client.work = Some((name, identity)));
        let (socket, sending, whole) = (socket.clone(), Mutex::default(), socket.whole());
        let session = Session { device, socket, whole, structured, allocation, sending };
        let served = Transmission::new(session, &self.shared.stopping).run();
        self.change(|client| client.work = None);
        served
    }

    fn change(&self, how: impl FnOnce(&mut Client)) {
        if let Some(client) = lock(&self.shared.clients).connected.get_mut(&self.number) {
            how(client);
        }
    }
}

/// Ends a socket when dropped.
struct Ends<'a>(&'a Socket);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.cut();
    }
}
