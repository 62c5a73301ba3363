//! A directory with a state of its own, and the program run in it.

#[path = "schema.rs"]
pub(crate) mod schema;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A test's own place.
pub(crate) struct Sandbox {
    pub(crate) directory: TempDir,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) succeeded: bool,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// The same in memory: what is on tmpfs is moved in other ways.
    #[allow(dead_code, reason = "only tests of exports care where files are")]
    pub(crate) fn in_memory() -> Self {
        Self { directory: tempfile::tempdir_in("/dev/shm").unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file of that many bytes, all zeros.
    pub(crate) fn disk(&self, name: &str, bytes: u64) {
        std::fs::File::create(self.path().join(name)).unwrap().set_len(bytes).unwrap();
    }

    /// The program, to be run with those words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rdmsetup"));
        command.args(words).current_dir(self.path()).env_clear();
        command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", self.path().join("state"));
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.run_with(words, b"")
    }

    /// Runs with that on standard input.
    pub(crate) fn run_with(&self, words: &[&str], input: &[u8]) -> Ran {
        Self::finish(self.command(words), words, input)
    }

    /// Runs a command to its end, with that on standard input. What it writes with --json is held against the schema.
    pub(crate) fn finish(mut command: Command, words: &[&str], input: &[u8]) -> Ran {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that does not read is free to end first.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        if words.contains(&"--json") {
            schema::documents(&output.stdout);
        }
        Ran {
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
            succeeded: match output.status.code() {
                Some(0) => true,
                Some(1) => false,
                code => panic!("{words:?} ended with {code:?}"),
            },
        }
    }

    /// Runs what must succeed in silence on standard error; its standard output.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert!(ran.succeeded && ran.stderr.is_empty(), "{words:?}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Runs what must fail, and write nothing; its standard error.
    #[track_caller]
    pub(crate) fn fails(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert!(!ran.succeeded && ran.stdout.is_empty(), "{words:?}: {ran:?}");
        ran.stderr
    }
}
