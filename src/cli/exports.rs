//! What `serve` shows the devices through: its options, starting what they ask for, and ending it.

use super::failure::Failure;
use super::output::complain;
use crate::backend::server::Server;
use crate::export::fuse::{self, Mount};
use crate::export::nbd::{self, Address, Listener, Tls};
use clap::Args;
use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// Which exports there are.
#[derive(Args, Debug)]
pub(super) struct ExportOptions {
    /// Serve each device by its name over the NBD protocol, at a local socket or a TCP port. Sockets
    /// that systemd hands over are served too
    #[arg(long, value_name = "unix:PATH|tcp:ADDRESS:PORT")]
    nbd: Vec<Address>,

    /// Encrypt NBD, which its clients then must too: DIR holds `server-cert.pem` and `server-key.pem`,
    /// and with `ca-cert.pem` clients have to have a certificate of that authority
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,

    /// Let NBD clients of other machines in without --tls
    #[arg(long)]
    insecure: bool,

    /// Show each device as a file in DIR, an empty directory, for any program to read and write
    #[arg(long, value_name = "DIR")]
    fuse: Vec<PathBuf>,

    /// Let the kernel read a `linear` device that is a whole file by itself, as fast as the file, for
    /// programs that open it under --fuse to read. Such a device cannot be suspended, nor get another
    /// table, until they close it. Root's alone, on Linux 6.9
    #[arg(long, requires = "fuse")]
    passthrough: bool,
}

/// What shows the devices to other programs, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Exports {
    /// What each is, for people.
    pub(super) shown: Vec<String>,
    nbd: Option<nbd::Server>,
    mounts: Vec<Mount>,
}

impl Exports {
    /// Starts what was asked for, NBD at the sockets that were handed over too; if one cannot be had, none is left.
    pub(super) fn start(
        asked: ExportOptions,
        handed_over: Vec<OwnedFd>,
        server: &Arc<Server>,
    ) -> Result<Self, Failure> {
        let tls = asked.tls.as_deref().map(Tls::from_directory).transpose().map_err(ours)?.map(Arc::new);
        let mut exports = Self::default();
        let mut listeners = Vec::new();
        for address in &asked.nbd {
            listeners.push(Listener::bind(address, tls.clone(), asked.insecure).map_err(ours)?);
        }
        for socket in handed_over {
            listeners.push(Listener::from_fd(socket, tls.clone(), asked.insecure).map_err(ours)?);
        }
        if !listeners.is_empty() {
            // The port that was chosen, where 0 asked for any.
            let at = listeners.iter().map(|listener| match listener.address() {
                Some(address) => format!("nbd {address}"),
                None => "nbd at a socket without a name".into(),
            });
            exports.shown.extend(at);
            let started = nbd::Server::start(listeners, server.clone(), nbd::Options::default());
            exports.nbd = Some(started.map_err(ours)?);
        }
        let options = fuse::Options { passthrough: asked.passthrough, ..fuse::Options::default() };
        for directory in asked.fuse {
            let mount = Mount::start(&directory, server.clone(), options).map_err(ours)?;
            exports.shown.push(format!("fuse {}", directory.display()));
            exports.mounts.push(mount);
        }
        Ok(exports)
    }

    /// Ends them, when what is in flight has ended. Whether all went well; what did not is told.
    pub(super) fn stop(self) -> bool {
        let mut well = true;
        for mut mount in self.mounts {
            if let Err(error) = mount.stop() {
                complain(&format!("rdmsetup: {error}"));
                well = false;
            }
        }
        let left = self.nbd.map_or(0, |server| server.stop());
        if left > 0 {
            complain(&format!("rdmsetup: {left} NBD connections were cut off: their devices do not answer"));
            well = false;
        }
        well
    }
}

fn ours(what: impl Display) -> Failure {
    Failure::Ours(what.to_string())
}
