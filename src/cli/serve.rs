//! `serve`: the mapper in userspace as a running program.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::output::complain;
use crate::backend::server::{Server, Started};
use crate::dm::Fault;
#[cfg(target_os = "linux")]
use crate::export::fuse::{self, Mount};
use clap::Args;
use listenfd::ListenFd;
use nix::sys::signal::{SigSet, Signal};
use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::fmt::Display;
use std::iter;
use std::os::unix::net::UnixListener;
#[cfg(target_os = "linux")]
use std::path::PathBuf;
use std::sync::Arc;

/// Run the mapper in userspace, for as long as other programs use its devices
///
/// Other commands find the server and go through it. It ends at SIGTERM or SIGINT, when what is being read and written
/// is done and flushed; the devices are there again when it is started anew. A line on standard output says when it is
/// ready, and so does sd_notify; its control socket, `control.sock` in the state directory, may be handed over by
/// systemd.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Show each device as a file in DIR, an empty directory, for any program to read and write
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "DIR")]
    fuse: Vec<PathBuf>,
}

/// What shows the devices to other programs, until it is dropped.
#[derive(Debug, Default)]
struct Exports {
    /// What each is, for people.
    shown: Vec<String>,
    #[cfg(target_os = "linux")]
    mounts: Vec<Mount>,
}

impl Run for Serve {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let state = ctx.mapper_state()?;
        // Before there are threads, which must leave these signals to this one.
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().map_err(|errno| ours(format_args!("signals: {errno}")))?;
        let Started { server, listener, broken } = Server::start(&state, handed_over()?).map_err(ours)?;
        tell(&broken, "cannot be read or written: ");
        let exports = Exports::start(self, &server)?;
        let listening = listener.run(server.clone()).map_err(ours)?;

        let shown = iter::once(server.socket_path().display().to_string()).chain(exports.shown.iter().cloned());
        ctx.out.print(format!("ready: {}\n", shown.collect::<Vec<_>>().join(", ")));
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

impl Exports {
    /// Starts what was asked for; if one cannot be had, none is left.
    fn start(asked: Serve, server: &Arc<Server>) -> Result<Self, Failure> {
        let mut exports = Self::default();
        #[cfg(target_os = "linux")]
        for directory in asked.fuse {
            let mount = Mount::start(&directory, server.clone(), fuse::Options::default()).map_err(ours)?;
            exports.shown.push(format!("fuse {}", directory.display()));
            exports.mounts.push(mount);
        }
        Ok(exports)
    }

    /// Ends them, when what is in flight has ended. Whether all went well; what did not is told.
    fn stop(mut self) -> bool {
        let mut well = true;
        #[cfg(target_os = "linux")]
        for mount in &mut self.mounts {
            if let Err(error) = mount.stop() {
                complain(&format!("rdmsetup: {error}"));
                well = false;
            }
        }
        well
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
