//! `watch`: a line for what happens, when it happens, and nothing in between.

use crate::sandbox::Sandbox;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A running `watch`.
struct Watching {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Watching {
    /// Starts it, with a device there: it watches when it has told of that.
    fn start(sandbox: &Sandbox, words: &[&str]) -> Self {
        let watch = sandbox.command(&["watch", "--initial"]);
        // A shell has its background jobs ignore INT, of which these tests may be one, and `watch` would too.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=INT").arg(watch.get_program()).args(watch.get_args());
        command.env_clear().envs(watch.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(sandbox.path()).stdin(Stdio::null());
        let mut child = command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut watching = Self { child, stdout };
        assert_eq!(watching.line(), "first present");
        watching
    }

    /// The next line, without its time.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let (time, rest) = line.split_once(' ').unwrap_or((&line, ""));
        assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z'), "{line}");
        rest.trim_end().to_owned()
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end: its status, and the rest of what it wrote.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.child.wait().unwrap().code(), stdout, stderr)
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "first", "--table", "0 8 zero"]);
    sandbox
}

#[test]
fn each_change_is_a_line() {
    let sandbox = sandbox();
    let mut watching = Watching::start(&sandbox, &[]);
    for (words, lines) in [
        (&["create", "x", "-n"][..], &["x created"][..]),
        (&["load", "x", "--table", "0 8 zero"], &["x table loaded"]),
        (&["clear", "x"], &["x loaded table dropped"]),
        (&["load", "x", "--table", "0 8 error"], &["x table loaded"]),
        (&["resume", "x"], &["x table changed"]),
        (&["suspend", "x"], &["x suspended"]),
        (&["resume", "x"], &["x resumed"]),
        (&["rename", "x", "y"], &["y renamed from x", "y event 1"]),
        (&["rename", "y", "--setuuid", "U"], &["y uuid U", "y event 2"]),
        (&["remove", "y"], &["y removed"]),
    ] {
        sandbox.ok(words);
        for line in lines {
            assert_eq!(watching.line(), *line, "{words:?}");
        }
    }
    watching.signal("-INT");
    assert_eq!(watching.end(), (Some(0), String::new(), String::new()));
}

#[test]
fn names_count_and_time_bound_it() {
    let sandbox = sandbox();
    let watching = Watching::start(&sandbox, &["first", "later", "--count", "2"]);
    sandbox.ok(&["create", "noise", "-n"]);
    sandbox.ok(&["create", "later", "-n"]);
    let (status, stdout, stderr) = watching.end();
    assert!(
        status == Some(0) && stdout.ends_with(" later created\n") && stderr.is_empty(),
        "{stdout}{stderr}"
    );
    assert_eq!(stdout.lines().count(), 1);

    let began = Instant::now();
    assert_eq!(sandbox.ok(&["watch", "--timeout", "0.2"]), "");
    assert!(began.elapsed() >= Duration::from_millis(200));
    let stderr = sandbox.fails(&["watch", "--timeout", "0.1", "--count", "1"]);
    assert!(stderr.contains("watch: 0 lines of 1 in 0.1 seconds"), "{stderr}");
    assert!(sandbox.fails(&["watch", "--count", "0"]).contains("not a number of lines, 1 or more"));
    assert!(sandbox.fails(&["watch", "--timeout", "x"]).contains("\"x\" is not a number of seconds"));
}

#[test]
fn nobody_is_kept_waiting_and_the_processor_is_left_alone() {
    let sandbox = sandbox();
    let watching = Watching::start(&sandbox, &[]);
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", watching.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_millis(500));
    assert!(ticks() - before <= 1, "it is busy while nothing happens");
    watching.signal("-TERM");
    assert_eq!(watching.end().0, Some(0));
}

#[test]
fn json_is_a_document_a_line() {
    let sandbox = sandbox();
    let ran = sandbox.run(&["watch", "--initial", "--json", "--count", "1"]);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(ran.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert_eq!((&document["command"], &document["device"]), (&"watch".into(), &"first".into()));
    assert_eq!((&document["event"], &document["event_number"]), (&"present".into(), &0.into()));
    assert_eq!(document["number"]["major"], 240);
}
