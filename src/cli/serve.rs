//! `serve`: the mapper in userspace as a running program.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::output::complain;
use crate::backend::server::{Server, Started};
use crate::dm::Fault;
use clap::Args;
use listenfd::ListenFd;
use nix::sys::signal::{SigSet, Signal};
use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::net::UnixListener;

/// Run the mapper in userspace, for as long as other programs use its devices
///
/// Other commands find the server and go through it. It ends at SIGTERM or SIGINT, when what is being read and written
/// is done and flushed; the devices are there again when it is started anew. A line on standard output says when it is
/// ready, and so does sd_notify; its control socket, `control.sock` in the state directory, may be handed over by
/// systemd.
#[derive(Args, Debug)]
pub(super) struct Serve {}

impl Run for Serve {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let state = ctx.mapper_state()?;
        // Before there are threads, which must leave these signals to this one.
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().map_err(|errno| ours(format_args!("signals: {errno}")))?;
        let Started { server, listener, broken } = Server::start(&state, handed_over()?).map_err(ours)?;
        tell(&broken, "cannot be read or written: ");
        let listening = listener.run(server.clone()).map_err(ours)?;

        ctx.out.print(format!("ready: {}\n", server.socket_path().display()));
        ctx.out.flush();
        // Nobody may have asked for it, and nobody need hear it.
        let _ = sd_notify::notify(false, &[NotifyState::Ready]);
        let ended = signals.wait();

        let _ = sd_notify::notify(false, &[NotifyState::Stopping]);
        server.fail_held();
        listening.stop();
        let failed = server.retire();
        tell(&failed, "");
        ended.map_err(|errno| ours(format_args!("signals: {errno}")))?;
        if failed.is_empty() { Ok(()) } else { Err(Failure::Reported) }
    }
}

/// The control socket, if whoever started the program has it open already (systemd's LISTEN_FDS).
fn handed_over() -> Result<Option<UnixListener>, Failure> {
    let mut handed = ListenFd::from_env();
    let mut control = None;
    for index in 0..handed.len() {
        let socket = handed.take_unix_listener(index).map_err(|error| {
            ours(format_args!("socket {index} that was handed over: {error}"))
        })?;
        let Some(socket) = socket else { continue };
        let address = socket.local_addr().ok();
        let path = address.as_ref().and_then(|address| address.as_pathname());
        if path.and_then(|path| path.file_name()) != Some(OsStr::new("control.sock")) {
            let what = format!("socket {index} that was handed over is not one named control.sock");
            return Err(ours(what));
        }
        control = Some(socket);
    }
    Ok(control)
}

/// Says what is wrong with each device.
fn tell(faults: &[(crate::dm::Text, Fault)], what: &str) {
    for (name, fault) in faults {
        let device = if name.is_empty() { String::new() } else { format!("{name}: ") };
        complain(&format!("rdmsetup: {device}{what}{fault}"));
    }
}

fn ours(what: impl Display) -> Failure {
    Failure::Ours(what.to_string())
}
