//! A server that runs for as long as a test needs it.

use crate::sandbox::Sandbox;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `rdmsetup serve`.
pub(crate) struct Server {
    child: Child,
    /// What it said when it was ready.
    pub(crate) ready: String,
}

impl Server {
    /// Starts one and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        let mut command = sandbox.command(&["serve"]);
        Self::spawn(command.args(options))
    }

    /// Starts that command, which is a server's.
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut ready).unwrap();
        if !ready.starts_with("ready: ") {
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            panic!("the server is not ready: {ready:?}, {stderr}");
        }
        Self { child, ready: ready.trim_end().to_owned() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(killed.unwrap().success());
    }

    /// Ends it with that signal; its status and what it had to say on standard error.
    #[track_caller]
    pub(crate) fn end(mut self, signal: &str) -> (ExitStatus, String) {
        self.signal(signal);
        let status = wait(&mut self.child);
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status, stderr)
    }

    /// Ends it as its users do: it must say nothing, and succeed.
    #[track_caller]
    pub(crate) fn stop(self) {
        let (status, stderr) = self.end("-TERM");
        assert!(status.success() && stderr.is_empty(), "{status}: {stderr}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Of a test that failed; a server that has ended is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of a process that has to end.
#[track_caller]
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "process {} does not end", child.id());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "never came about: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
