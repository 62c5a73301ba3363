//! TLS: the certificates, and a pump between a client's socket and one of ours.
//!
//! What serves a client knows of no TLS: it has one end of a pair of sockets, and a thread moves bytes between the
//! other end and the client.

use super::socket::Socket;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files, named as nbdkit's and qemu's are.
const CERTIFICATE: &str = "server-cert.pem";
const KEY: &str = "server-key.pem";
const CLIENTS_CA: &str = "ca-cert.pem";

/// How much is on its way to either side at most.
const IN_TRANSIT: usize = 64 << 10;

/// What a server shows its clients, and what it wants of them.
#[derive(Debug)]
pub struct Tls(Arc<ServerConfig>);

/// Why a directory of certificates cannot be used.
#[derive(Debug)]
pub struct TlsError {
    path: PathBuf,
    reason: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for TlsError {}

impl Tls {
    /// The certificates in a directory: `server-cert.pem` with its chain, `server-key.pem`; with `ca-cert.pem` clients
    /// must show a certificate that it signed.
    ///
    /// # Errors
    /// A file that is missing or holds something else.
    pub fn from_directory(directory: &Path) -> Result<Self, TlsError> {
        let (certificate, key) = (directory.join(CERTIFICATE), directory.join(KEY));
        let chain = certificates(&certificate)?;
        let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| fault(&key, &error))?;
        let provider =
            provider().ok_or_else(|| fault(directory, &"this program was built without encryption"))?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(directory, &error))?;
        let ca = directory.join(CLIENTS_CA);
        let builder = if ca.exists() {
            let mut roots = RootCertStore::empty();
            for root in certificates(&ca)? {
                roots.add(root).map_err(|error| fault(&ca, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| fault(&ca, &error))?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(chain, private).map_err(|error| fault(&certificate, &error))?;
        Ok(Self(Arc::new(config)))
    }

    /// A connection that waits for a client's first message.
    pub(super) fn connection(&self) -> io::Result<ServerConnection> {
        ServerConnection::new(self.0.clone()).map_err(io::Error::other)
    }
}

/// Who does the arithmetic; `None` in a build without.
fn provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "tls")]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(feature = "tls"))]
    None
}

fn fault(path: &Path, reason: &dyn fmt::Display) -> TlsError {
    TlsError { path: path.to_owned(), reason: reason.to_string() }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| fault(path, &error))?.collect();
    match found {
        Ok(found) if found.is_empty() => Err(fault(path, &"there is no certificate in it")),
        result => result.map_err(|error| fault(path, &error)),
    }
}

/// A socket that is read and written without waiting.
struct Now<'a>(&'a Socket);

impl Read for Now<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.receive_now(buffer)
    }
}

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send_now(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Moves bytes between the client, in TLS, and `inner`, in the clear, until either side ends.
///
/// # Errors
/// A broken connection, or one that is no TLS.
pub(super) fn pump(mut tls: ServerConnection, client: &Socket, inner: &Socket) -> io::Result<()> {
    let mut inward: Vec<u8> = Vec::new();
    let mut buffer = vec![0; IN_TRANSIT];
    let mut client_ended = false;
    loop {
        let wait = wait_for(
            client,
            inner,
            [
                (!client_ended && inward.is_empty(), tls.wants_write()),
                (!tls.wants_write() && !tls.is_handshaking(), !inward.is_empty()),
            ],
        )?;
        let [(client_in, client_out), (inner_in, inner_out)] = wait;
        if client_in {
            client_ended = take(&mut tls, client, &mut buffer, &mut inward)?;
        }
        if inner_out || client_in {
            pass(inner, &mut inward)?;
        }
        if client_ended && inward.is_empty() {
            inner.end_sending();
        }
        if inner_in {
            match inner.receive_now(&mut buffer) {
                Ok(0) => {
                    tls.send_close_notify();
                    return finish(&mut tls, client);
                }
                Ok(count) => tls.writer().write_all(buffer.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if client_out || inner_in || client_in {
            send(&mut tls, client)?;
        }
    }
}

type Ready = (bool, bool);

/// Waits until one of two sockets can be read or written, as is wanted of each. An end counts as both.
fn wait_for(client: &Socket, inner: &Socket, wanted: [Ready; 2]) -> io::Result<[Ready; 2]> {
    let flags = wanted.map(|(read, write)| {
        let read = if read { PollFlags::POLLIN } else { PollFlags::empty() };
        read | if write { PollFlags::POLLOUT } else { PollFlags::empty() }
    });
    let mut polled = [PollFd::new(client.as_fd(), flags[0]), PollFd::new(inner.as_fd(), flags[1])];
    match poll(&mut polled, PollTimeout::NONE) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let found = polled.map(|one| one.revents().unwrap_or(PollFlags::empty()));
    // A side that has ended for good is reported whatever is wanted: to go on would be to spin.
    if found.iter().zip(flags).any(|(found, flags)| {
        found.contains(PollFlags::POLLERR) || (flags.is_empty() && found.contains(PollFlags::POLLHUP))
    }) {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    let ended = PollFlags::POLLHUP;
    Ok([0, 1].map(|side| {
        let (read, write) = wanted[side];
        (
            read && found[side].intersects(PollFlags::POLLIN | ended),
            write && found[side].intersects(PollFlags::POLLOUT | ended),
        )
    }))
}

/// Takes what the client has sent; whether it has ended.
fn take(
    tls: &mut ServerConnection,
    client: &Socket,
    buffer: &mut [u8],
    inward: &mut Vec<u8>,
) -> io::Result<bool> {
    let mut ended = match tls.read_tls(&mut Now(client)) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    };
    if let Err(error) = tls.process_new_packets() {
        // The client is told why, if it still listens.
        let _ = tls.write_tls(&mut Now(client));
        return Err(io::Error::other(error));
    }
    loop {
        match tls.reader().read(buffer) {
            Ok(0) => {
                ended = true;
                break;
            }
            Ok(count) => inward.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // An end without a farewell is an end too.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                ended = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}

/// Passes on what is in the clear.
fn pass(inner: &Socket, inward: &mut Vec<u8>) -> io::Result<()> {
    while !inward.is_empty() {
        match inner.send_now(inward) {
            Ok(count) => drop(inward.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends what is ready, as far as the client has room.
fn send(tls: &mut ServerConnection, client: &Socket) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(&mut Now(client)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends what is left; waits for the client.
fn finish(tls: &mut ServerConnection, client: &Socket) -> io::Result<()> {
    let mut rest = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut rest)?;
    }
    client.send(&rest)
}
