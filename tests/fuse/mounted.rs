//! A server that shows its devices in a directory, and what tests do with it.

use crate::sandbox::Sandbox;
use crate::server::{Server, eventually};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why a directory cannot be mounted here, if it cannot.
fn missing(programs: &[&str]) -> Option<String> {
    if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
        return Some(format!("/dev/fuse: {error}"));
    }
    let has = |program: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
        std::env::split_paths(&path).chain(sbin).any(|directory| directory.join(program).exists())
    };
    let absent = programs.iter().find(|program| !has(program))?;
    Some(format!("no {absent} here"))
}

/// Whether the test can go on: without FUSE or those programs it says so, and fails where that must not be.
#[must_use]
pub(crate) fn can_run(test: &str, programs: &[&str]) -> bool {
    let Some(missing) = missing(programs) else { return true };
    assert!(std::env::var_os("CI").is_none(), "cannot run in CI: {missing}");
    eprintln!("SKIPPED fuse::{test}: {missing}");
    false
}

/// A directory that is unmounted whatever a test did.
pub(crate) struct Unmounted(pub(crate) PathBuf);

impl Drop for Unmounted {
    fn drop(&mut self) {
        for command in [&["umount", "-l"][..], &["fusermount3", "-u", "-z"]] {
            let mut command = Command::new(command[0]).args(&command[1..]).arg(&self.0).quiet();
            if command.status().is_ok_and(|status| status.success()) {
                return;
            }
        }
    }
}

trait Quiet {
    fn quiet(&mut self) -> Command;
}

impl Quiet for Command {
    fn quiet(&mut self) -> Command {
        let mut quiet = Command::new(self.get_program());
        quiet.args(self.get_args()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet
    }
}

/// A server with a directory of devices.
pub(crate) struct Mounted {
    /// `None` once it has ended.
    server: Option<Server>,
    /// Of its command line, besides the directory.
    options: &'static [&'static str],
    directory: Unmounted,
    pub(crate) sandbox: Sandbox,
}

impl Mounted {
    /// A server with devices of those names and tables; `disk` is a file of 64 MiB.
    #[track_caller]
    pub(crate) fn start(devices: &[(&str, &str)]) -> Self {
        Self::start_in(Sandbox::new(), &[], devices)
    }

    /// The same, of a server with more options.
    #[track_caller]
    pub(crate) fn with(options: &'static [&'static str], devices: &[(&str, &str)]) -> Self {
        Self::start_in(Sandbox::new(), options, devices)
    }

    /// One with its files in memory.
    #[track_caller]
    pub(crate) fn in_memory(devices: &[(&str, &str)]) -> Self {
        Self::start_in(Sandbox::in_memory(), &[], devices)
    }

    /// One with its files on a disk, and then one with its files in memory, which go to clients in other ways.
    pub(crate) fn both(devices: &[(&str, &str)]) -> impl Iterator<Item = Self> {
        [Sandbox::new, Sandbox::in_memory].into_iter().map(|place| Self::start_in(place(), &[], devices))
    }

    #[track_caller]
    fn start_in(sandbox: Sandbox, options: &'static [&'static str], devices: &[(&str, &str)]) -> Self {
        sandbox.disk("disk", 64 << 20);
        fs::create_dir(sandbox.path().join("mnt")).unwrap();
        for (name, table) in devices {
            sandbox.ok(&["create", name, "--table", table]);
        }
        let directory = Unmounted(sandbox.path().join("mnt"));
        let mut mounted = Self { server: None, options, directory, sandbox };
        mounted.serve();
        mounted
    }

    /// Starts the server.
    #[track_caller]
    pub(crate) fn serve(&mut self) {
        self.server = Some(Server::start(&self.sandbox, &[&["--fuse", "mnt"], self.options].concat()));
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.directory.0
    }

    /// A device's file.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.sandbox.path().join("disk")
    }

    /// The names in the directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Runs a program in the sandbox.
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        let sbin = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
        let mut ran = Command::new(command[0]);
        ran.args(&command[1..]).current_dir(self.sandbox.path()).env("PATH", sbin).env("LC_ALL", "C");
        ran.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a program that must succeed; its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, command: &[&str]) -> String {
        let ran = self.run(command);
        assert!(ran.status.success(), "{command:?}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Runs a program that must fail; its standard error.
    #[track_caller]
    pub(crate) fn fails(&self, command: &[&str]) -> String {
        let ran = self.run(command);
        assert!(!ran.status.success(), "{command:?}: {ran:?}");
        String::from_utf8(ran.stderr).unwrap()
    }

    /// Ends the server as its users do.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.server.take().unwrap().stop();
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().pid()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        self.server.as_ref().unwrap().signal(name);
    }

    /// Has it do nothing until it is told to go on (`-CONT`): all of its threads have stopped when this returns.
    pub(crate) fn stand_still(&self) {
        self.signal("-STOP");
        let tasks = format!("/proc/{}/task", self.pid());
        let is_stopped = |task: fs::DirEntry| {
            // It may have ended since it was listed.
            let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { return true };
            stat.rsplit(") ").next().unwrap().starts_with('T')
        };
        eventually("it stands still", || fs::read_dir(&tasks).unwrap().all(|task| is_stopped(task.unwrap())));
    }

    /// Kills it.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.server.take().unwrap().end("-KILL");
    }
}
