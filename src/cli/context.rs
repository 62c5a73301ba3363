//! What a command works with: a client that is opened when it is first needed, the nodes that follow, the output.

use super::diagnosis;
use super::failure::Failure;
use super::global::Global;
use super::json::{self, Document};
use super::mangle::Mangling;
use super::output::{Output, complain};
use super::rehearsal::{self, Rehearsal, changes};
use super::screen::{self, When};
use super::sysfs;
use crate::backend::cookie::{Cookie, CookieError};
use crate::backend::nodes::Nodes;
use crate::backend::udev::{Keeper, Udev, UdevOptions};
use crate::backend::{self, Choice, Client, Dialect, TraceStyle};
use crate::dm::{Command, DeviceId, Errno, Flags, Reply, Request, Text};
#[cfg(all(feature = "serve", target_os = "linux"))]
use crate::mapper::StateDir;
use crate::render;
use crate::render::screen::{Paint, Screen};
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The environment's part in a command line.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Called as `dmsetup`.
    classic: bool,
    udev: UdevOptions,
    /// A `DM_UDEV_COOKIE` that is no cookie.
    bad_cookie: bool,
    mangling: Mangling,
    backend: Option<Choice>,
    state: Option<PathBuf>,
}

/// A command's surroundings.
#[derive(Debug)]
pub(crate) struct Context {
    /// Standard output.
    pub(super) out: Output,
    /// What `--json` writes when the command ends; none without it.
    pub(super) json: Option<Document>,
    /// How often `-v` was given.
    pub(super) verbose: u8,
    /// The form of names.
    pub(super) mangling: Mangling,
    /// The form that `--manglename` asks for.
    pub(super) manglename: Option<Mangling>,
    /// Called as `dmsetup`: the kernel answers, and nothing is said that dmsetup does not say.
    pub(super) classic: bool,
    choice: Choice,
    state: Option<PathBuf>,
    trace: Option<TraceStyle>,
    dialect: Option<Dialect>,
    /// What is asked of udev; it counts until udev is first needed.
    pub(super) udev_options: UdevOptions,
    /// Requests are shown, not sent.
    pub(super) rehearsal: Option<Rehearsal>,
    /// When output is for people.
    color: When,
    bad_cookie: bool,
    opened: Option<(Client, Nodes)>,
    udev: Option<Udev>,
    /// Something beside the request itself failed and was reported.
    troubled: bool,
}

impl Environment {
    /// Reads it; `classic` is whether the program was called as `dmsetup`, of which only dmsetup's own variables are.
    pub(super) fn read(classic: bool) -> Result<Self, String> {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if path("DM_DEV_DIR").is_some_and(|dir| !dir.is_absolute()) {
            return Err("Invalid DM_DEV_DIR environment variable value.".into());
        }
        let mangling = env::var("DM_DEFAULT_NAME_MANGLING_MODE").ok();
        let backend = env::var("RDMSETUP_BACKEND").ok().filter(|value| !value.is_empty() && !classic);
        let backend = backend
            .map(|value| value.parse().map_err(|error| format!("rdmsetup: RDMSETUP_BACKEND: {error}")));
        let cookie = env::var("DM_UDEV_COOKIE").ok().filter(|value| !value.is_empty());
        let valid = cookie.as_deref().and_then(Cookie::parse);
        let patience = env::var("RDMSETUP_UDEV_TIMEOUT").ok();
        Ok(Self {
            classic,
            udev: UdevOptions {
                disabled: env::var_os("DM_DISABLE_UDEV").is_some(),
                cookie: valid,
                patience: patience.map(|value| patience_of(&value)).transpose()?,
                ..UdevOptions::default()
            },
            bad_cookie: cookie.is_some() && valid.is_none(),
            mangling: mangling.and_then(|word| Mangling::parse(&word)).unwrap_or_default(),
            backend: backend.transpose()?,
            state: path("RDMSETUP_STATE"),
        })
    }
}

/// How long to wait for udevd.
fn patience_of(value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("rdmsetup: RDMSETUP_UDEV_TIMEOUT: \"{value}\" is not a number of seconds"))
}

impl Context {
    /// For the command of that name with those options.
    pub(super) fn new(command: &'static str, global: Global, environment: Environment) -> Self {
        let classic = environment.classic;
        let chosen = global.backend.or(environment.backend).unwrap_or(Choice::Auto);
        Self {
            out: Output::new(global.json),
            json: global.json.then(|| Document::new(command)),
            verbose: global.verbose,
            mangling: global.manglename.unwrap_or(environment.mangling),
            manglename: global.manglename,
            classic,
            choice: if classic { Choice::Kernel } else { chosen },
            state: global.state.or(environment.state),
            trace: global.trace,
            dialect: global.dialect.filter(|_| !classic),
            udev_options: environment.udev,
            rehearsal: None,
            color: global.color.unwrap_or_default(),
            bad_cookie: environment.bad_cookie,
            opened: None,
            udev: None,
            troubled: false,
        }
    }

    /// The client and the nodes, opened if they are not yet.
    pub(super) fn open(&mut self) -> Result<&mut (Client, Nodes), Failure> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => {
                let opened = backend::open(&self.choice, self.state.as_deref(), self.trace, self.dialect)?;
                if let Some(notice) = &opened.notice {
                    complain(notice);
                }
                (opened.client, Nodes::new(&backend::dev_dir()))
            }
        };
        Ok(self.opened.insert(opened))
    }

    /// The state of the mapper in userspace.
    #[cfg(all(feature = "serve", target_os = "linux"))]
    pub(super) fn mapper_state(&self) -> Result<StateDir, Failure> {
        if matches!(self.choice, Choice::Kernel | Choice::Socket(_)) {
            let what = format!("it serves the mapper in userspace, not --backend {}", self.choice);
            return Err(Failure::Ours(what));
        }
        StateDir::new(self.state.as_deref()).map_err(|fault| Failure::Ours(fault.to_string()))
    }

    /// The client alone.
    pub(super) fn client(&mut self) -> Result<&mut Client, Failure> {
        Ok(&mut self.open()?.0)
    }

    /// Makes what was done last and lets others have the driver: before waiting for any of them.
    pub(super) fn yield_driver(&mut self) -> Result<(), Failure> {
        self.client()?.commit().map_err(|fault| Failure::Ours(fault.to_string()))
    }

    /// udev's part; for commands that need no driver it is that of the kernel's devices.
    pub(super) fn udev(&mut self) -> &mut Udev {
        let udev = self.udev.take().unwrap_or_else(|| {
            if self.bad_cookie {
                complain("Incorrect cookie value.");
            }
            let is_mapper = self.opened.as_ref().is_some_and(|(client, _)| client.is_mapper());
            let udev = Udev::new(self.udev_options.clone(), &backend::dev_dir(), is_mapper);
            if let Some(notice) = udev.notice() {
                complain(notice);
            }
            udev
        });
        self.udev.insert(udev)
    }

    /// Makes what the requests to come need in order to be waited for, before anything is done that would have to be
    /// undone without it.
    pub(super) fn prepare_udev(&mut self) -> Result<(), Failure> {
        self.open()?;
        if self.rehearsal.is_some() {
            return Ok(());
        }
        Ok(self.udev().prepare()?)
    }

    /// Sends a request with what libdevmapper adds to each, waits for udev if the request makes a uevent, and lets the
    /// nodes follow.
    pub(super) fn perform(&mut self, request: Request) -> Result<Reply, Failure> {
        let secret = Flags::SECURE_DATA.when(request.holds_secret());
        let persistent = Flags::PERSISTENT_DEV.when(request.device.dev.is_some());
        let request = request.with_flags(Flags::EXISTS | secret | persistent);
        if self.classic {
            return self.send(&request);
        }
        if changes(&request.command) && self.is_kernels() {
            self.client()?.listen();
        }
        self.send(&request).map_err(|failure| {
            failure.map_call(|mut error| {
                error.request = Some(Box::new(request));
                Failure::Call(error)
            })
        })
    }

    /// Whether a kernel's driver answers.
    pub(super) fn is_kernels(&mut self) -> bool {
        self.client().is_ok_and(|client| !client.is_mapper())
    }

    fn send(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.open()?;
        if let Some(rehearsed) = rehearsal::rehearse(self, request) {
            return rehearsed;
        }
        let resumes = request.command == Command::DevSuspend && !request.flags.contains(Flags::SUSPEND);
        if resumes || matches!(request.command, Command::DevRemove | Command::DevRename(_)) {
            return self.perform_with_uevent(request);
        }
        let reply = self.client()?.perform(request)?;
        json::device::note(self, request, &reply);
        if request.command == Command::DevCreate {
            let keeper = self.udev().keeper();
            self.follow(request, &reply, keeper);
        }
        Ok(reply)
    }

    fn perform_with_uevent(&mut self, request: &Request) -> Result<Reply, Failure> {
        let announced = self.udev().announce()?;
        let request = request.clone().with_event_nr(announced.event_nr);
        let outcome = self.client()?.perform(&request);
        let made_uevent = outcome.as_ref().is_ok_and(|reply| reply.flags.contains(Flags::UEVENT_GENERATED));
        if !made_uevent {
            self.udev().retract(announced);
        }
        let reply = outcome?;
        json::device::note(self, &request, &reply);
        let udev = self.udev();
        let mut keeper = udev.keeper();
        if let Err(error) = udev.settle() {
            if matches!(error, CookieError::TimedOut { .. }) && keeper == Keeper::Udevd {
                // Others than udevd's links can be had all the same.
                keeper = Keeper::Watched;
            }
            self.trouble(&error.into());
        }
        self.follow(&request, &reply, keeper);
        Ok(reply)
    }

    fn follow(&mut self, request: &Request, reply: &Reply, keeper: Keeper) {
        let Some((_, nodes)) = &self.opened else { return };
        match nodes.follow(request, reply, keeper) {
            Ok(notice) => notice.iter().for_each(|notice| complain(notice)),
            Err(error) => self.trouble(&error.into()),
        }
    }

    /// The device's state; `Device does not exist.` where there is no such device.
    pub(super) fn perform_if_exists(&mut self, request: Request) -> Result<Reply, Failure> {
        self.perform(request).map_err(|failure| {
            let is_missing = failure.is(Errno::ENXIO);
            failure.map_call(|error| if is_missing { Failure::NoDevice(error) } else { Failure::Call(error) })
        })
    }

    /// Makes or removes the node of that name, by what the driver says; nothing where devices have no nodes.
    pub(super) fn settle_node(&mut self, name: &Text) -> Result<(), Failure> {
        if self.client()?.is_mapper() {
            return Ok(());
        }
        let asked = self.perform(Request::new(DeviceId::by_name(name.clone()), Command::DevStatus));
        let (_, nodes) = self.open()?;
        let settled = match asked {
            Ok(reply) => reply.device.dev.map_or(Ok(None), |dev| nodes.add(&reply.device.name, dev)),
            Err(failure) if failure.is(Errno::ENXIO) => nodes.remove(name),
            Err(Failure::Call(mut error)) => {
                error.verb = "mknodes";
                return Err(Failure::Call(error));
            }
            Err(other) => return Err(other),
        };
        if let Err(error) = settled {
            self.trouble(&error.into());
        }
        Ok(())
    }

    /// Settles the nodes of every device, and of every name that has one; the devices that there are.
    pub(super) fn settle_all_nodes(&mut self) -> Result<Reply, Failure> {
        // Before the devices: what is made meanwhile keeps its node.
        let names = self.open()?.1.names().unwrap_or_default();
        let listed = self.perform(Request::global(Command::ListDevices))?;
        let (client, nodes) = self.open()?;
        if client.is_mapper() {
            return Ok(listed);
        }
        let devices = listed.devices();
        let is_gone = |name: &&Text| devices.iter().all(|device| device.name != **name);
        let mut faults: Vec<_> =
            names.iter().filter(is_gone).filter_map(|name| nodes.remove(name).err()).collect();
        faults.extend(devices.iter().filter_map(|device| nodes.add(&device.name, device.dev).err()));
        faults.into_iter().for_each(|error| self.trouble(&error.into()));
        Ok(listed)
    }

    /// Tells of something beside the request itself that failed: the command goes on, and fails.
    pub(super) fn trouble(&mut self, failure: &Failure) {
        self.report(failure);
        self.troubled = true;
    }

    /// The directory of nodes.
    pub(super) fn node_directory(&mut self) -> Result<&Path, Failure> {
        Ok(self.open()?.1.directory())
    }

    /// A device's name as people write it.
    pub(super) fn shown_name(&self, name: &Text) -> Text {
        self.mangling.unmangle(name)
    }

    /// The terminal that output is to be drawn for; `None` where it is to be dmsetup's lines: for scripts, and with `-v`,
    /// whose blocks are dmsetup's.
    pub(super) fn screen(&self) -> Option<Screen> {
        if self.classic || self.verbose > 0 || self.json.is_some() {
            None
        } else {
            screen::of_output(self.color)
        }
    }

    /// Prints the block of `info`.
    pub(super) fn print_info(&mut self, reply: &Reply) {
        let read_ahead = self.read_ahead(reply);
        let (name, uuid) = (self.shown_name(&reply.device.name), self.shown_name(&reply.device.uuid));
        self.out.print(render::info(reply, &name, &uuid, read_ahead));
    }

    /// The sectors that the kernel reads ahead on its device.
    pub(super) fn read_ahead(&self, reply: &Reply) -> Option<u64> {
        let from_kernel = self.opened.as_ref().is_some_and(|(client, _)| !client.is_mapper());
        reply.device.dev.filter(|_| from_kernel).and_then(sysfs::read_ahead)
    }

    /// Prints the block of `info` if `-v` asks for it.
    pub(super) fn print_info_if_verbose(&mut self, reply: &Reply) {
        if self.verbose > 0 && self.rehearsal.is_none() {
            self.print_info(reply);
        }
    }

    /// Says on standard error why something failed.
    pub(super) fn report(&mut self, failure: &Failure) {
        let explained =
            failure.call().filter(|_| !self.classic).and_then(|error| diagnosis::explain(self, error));
        if let Some(document) = &mut self.json {
            document.told.extend(json::failure::error(failure, explained.as_ref()));
        }
        failure.lines(self.classic, explained).iter().for_each(|line| self.show(line));
    }

    /// Tells of something that is wrong, of which there are only words.
    pub(super) fn complain(&mut self, lines: &str) {
        if let Some(document) = &mut self.json {
            document.told.push(json::failure::of_lines(&[lines.to_owned()]));
        }
        self.show(lines);
    }

    /// Writes a failure's lines to standard error, in colours where somebody looks.
    fn show(&self, lines: &str) {
        let paint = if self.classic { Paint::Plain } else { screen::of_failures(self.color) };
        complain(&paint.failure(lines));
    }

    /// Has the list in the document, be it empty.
    pub(super) fn tell_list(&mut self, name: &'static str) {
        if let Some(document) = &mut self.json {
            document.list(name);
        }
    }

    /// Writes the document as it is, for a command that goes on to another one.
    pub(super) fn write_document(&mut self) {
        let text = self.json.as_mut().and_then(|document| document.take(true));
        text.iter().for_each(|text| self.out.add(&**text));
        self.out.flush();
    }

    /// Ends the command: makes what was done last, tells of the failure, writes the output. Whether all went well.
    pub(super) fn finish(mut self, mut outcome: Result<(), Failure>) -> bool {
        if let Err(failure) = &outcome {
            self.report(failure);
            if let Some(document) = self.json.as_mut().filter(|_| !matches!(failure, Failure::Reported)) {
                document.error = document.told.pop();
            }
        }
        if let Some((client, _)) = &mut self.opened
            && let Err(fault) = client.commit()
        {
            let failure = Failure::Ours(fault.to_string());
            self.report(&failure);
            outcome = Err(failure);
        }
        if self.troubled {
            outcome = outcome.and(Err(Failure::Reported));
        }
        if outcome.as_ref().is_err_and(|failure| !matches!(failure, Failure::Silent | Failure::Refused(_))) {
            complain("Command failed.");
        }
        let text = self.json.as_mut().and_then(|document| document.take(outcome.is_ok()));
        text.iter().for_each(|text| self.out.add(&**text));
        self.out.finish() && outcome.is_ok()
    }
}
