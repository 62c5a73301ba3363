//! `serve`: the mapper in userspace as a running program.

use super::Run;
use super::context::Context;
use super::exports::{ExportOptions, Exports};
use super::failure::Failure;
use super::output::complain;
use crate::backend::server::{Server, Started};
use crate::dm::{Fault, Text};
use clap::Args;
use listenfd::ListenFd;
use nix::sys::signal::{SigSet, Signal};
use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::fmt::Display;
use std::iter;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

/// Run the mapper in userspace, for as long as other programs use its devices
///
/// Other commands find the server and go through it. It ends at SIGTERM or SIGINT, when what is being read and written
/// is done and flushed; the devices are there again when it is started anew. A line on standard output says when it is
/// ready, and so does sd_notify; its control socket, `control.sock` in the state directory, may be handed over by
/// systemd.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    exports: ExportOptions,
}

/// The sockets that whoever started the program has open already (systemd's LISTEN_FDS).
#[derive(Default)]
struct HandedOver {
    /// A local socket named `control.sock`.
    control: Option<UnixListener>,
    /// All others are NBD's.
    nbd: Vec<OwnedFd>,
}

impl Run for Serve {
    const NO_DOCUMENT: Option<&'static str> =
        Some("it says that it is ready by sd_notify, and by a line for people");

    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let state = ctx.mapper_state()?;
        // Before there are threads, which must leave these signals to this one.
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().map_err(|errno| ours(format_args!("signals: {errno}")))?;
        let HandedOver { control, nbd } = HandedOver::take()?;
        let Started { server, listener, broken } = Server::start(&state, control).map_err(ours)?;
        tell(&broken, "cannot be read or written: ");
        let exports = Exports::start(self.exports, nbd, &server)?;
        let listening = listener.run(server.clone()).map_err(ours)?;

        let control = server.socket_path().display().to_string();
        let shown: Vec<String> = iter::once(control).chain(exports.shown.iter().cloned()).collect();
        ctx.out.print(format!("ready: {}\n", shown.join(", ")));
        ctx.out.flush();
        // Nobody may have asked for it, and nobody need hear it.
        let _ = sd_notify::notify(false, &[NotifyState::Ready]);
        let ended = signals.wait();

        let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
        server.fail_held();
        let stopped = exports.stop();
        listening.stop();
        let failed = server.retire();
        tell(&failed, "");
        ended.map_err(|errno| ours(format_args!("signals: {errno}")))?;
        if stopped && failed.is_empty() { Ok(()) } else { Err(Failure::Reported) }
    }
}

impl HandedOver {
    fn take() -> Result<Self, Failure> {
        let mut handed = ListenFd::from_env();
        let mut taken = Self::default();
        for index in 0..handed.len() {
            let unusable =
                |error| ours(format_args!("the socket {index} that was handed over cannot be used: {error}"));
            let local = handed.take_unix_listener(index);
            let Ok(Some(local)) = local else {
                let remote = handed.take_tcp_listener(index).map_err(unusable)?;
                taken.nbd.extend(remote.map(OwnedFd::from));
                continue;
            };
            let address = local.local_addr().ok();
            let path = address.as_ref().and_then(|address| address.as_pathname());
            if path.and_then(|path| path.file_name()) == Some(OsStr::new("control.sock")) {
                taken.control = Some(local);
            } else {
                taken.nbd.push(local.into());
            }
        }
        Ok(taken)
    }
}

/// Says what is wrong with each device.
fn tell(faults: &[(Text, Fault)], what: &str) {
    for (name, fault) in faults {
        let device = if name.is_empty() { String::new() } else { format!("{name}: ") };
        complain(&format!("rdmsetup: {device}{what}{fault}"));
    }
}

fn ours(what: impl Display) -> Failure {
    Failure::Ours(what.to_string())
}
