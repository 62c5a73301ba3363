//! A multipath device under a server: where a path fails nothing is lost, and requests without a path wait.

use crate::sandbox::Sandbox;
use crate::server::{Server, eventually};
use std::io::Write;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Longer than a request takes that does not wait.
const WHILE: Duration = Duration::from_millis(300);

/// A device over two paths to one disk, each alone in its group.
fn set_up(features: &str) -> (Sandbox, Server) {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    for path in ["one", "two"] {
        sandbox.ok(&["create", path, "--table", "0 2048 linear disk.img 0"]);
    }
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "m", "--table", &table(features)]);
    (sandbox, server)
}

fn table(features: &str) -> String {
    let paths = "2 1 round-robin 0 1 0 /dev/mapper/one service-time 0 1 0 /dev/mapper/two";
    format!("0 2048 multipath {features} 0 {paths}")
}

/// A write that has to wait.
fn waiting_write(sandbox: &Sandbox, fill: u8) -> Child {
    let mut command = sandbox.command(&["write", "m", "--start", "16"]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&[fill; 512]).unwrap();
    sleep(WHILE);
    assert!(child.try_wait().unwrap().is_none(), "it has not waited");
    child
}

/// Without the paths' numbers.
fn status(sandbox: &Sandbox) -> String {
    let status = sandbox.ok(&["status", "m"]);
    let words: Vec<&str> = status.split_whitespace().filter(|word| !word.contains(':')).collect();
    words.join(" ")
}

fn fail_both(sandbox: &Sandbox) {
    for path in ["one", "two"] {
        sandbox.ok(&["message", "m", "0", "fail_path", &format!("/dev/mapper/{path}")]);
    }
}

#[test]
fn a_path_that_fails_is_left_and_comes_back() {
    let (sandbox, server) = set_up("0");
    let written = sandbox.run_with(&["write", "m"], &[1; 4096]);
    assert!(written.succeeded, "{written:?}");
    assert_eq!(status(&sandbox), "0 2048 multipath 2 0 0 0 2 1 A 0 1 0 A 0 E 0 1 2 A 0 0 1");
    sandbox.ok(&["load", "one", "--table", "0 2048 error"]);
    sandbox.ok(&["resume", "one"]);
    assert_eq!(sandbox.run(&["read", "m", "--length", "8"]).stdout, [1; 4096]);
    assert_eq!(status(&sandbox), "0 2048 multipath 2 0 0 0 2 2 E 0 1 0 F 1 A 0 1 2 A 0 0 1");
    let written = sandbox.run_with(&["write", "m"], &[2; 4096]);
    assert!(written.succeeded, "{written:?}");
    assert_eq!(sandbox.run(&["read", "two", "--length", "8"]).stdout, [2; 4096]);
    sandbox.ok(&["message", "m", "0", "fail_path", "/dev/mapper/two"]);
    assert!(!sandbox.run(&["read", "m", "--length", "8"]).succeeded, "no path is left");
    sandbox.ok(&["message", "m", "0", "reinstate_path", "/dev/mapper/two"]);
    assert_eq!(sandbox.run(&["read", "m", "--length", "8"]).stdout, [2; 4096]);
    assert!(sandbox.ok(&["info", "m"]).contains("Event number:      3\n"));
    server.stop();
}

#[test]
fn requests_wait_for_a_path_where_they_are_to() {
    let (sandbox, server) = set_up("1 queue_if_no_path");
    fail_both(&sandbox);
    let mut write = waiting_write(&sandbox, 3);
    sandbox.ok(&["message", "m", "0", "reinstate_path", "/dev/mapper/two"]);
    assert!(write.wait().unwrap().success());
    assert_eq!(sandbox.run(&["read", "two", "--start", "16", "--length", "1"]).stdout, [3; 512]);

    sandbox.ok(&["message", "m", "0", "fail_path", "/dev/mapper/two"]);
    let mut write = waiting_write(&sandbox, 4);
    sandbox.ok(&["message", "m", "0", "fail_if_no_path"]);
    assert!(!write.wait().unwrap().success(), "it is let go of with an error");
    assert!(sandbox.ok(&["table", "m"]).contains("multipath 0 0 2 "));

    sandbox.ok(&["message", "m", "0", "queue_if_no_path"]);
    assert!(sandbox.ok(&["table", "m"]).contains("multipath 1 queue_if_no_path 0 2 "));
    let mut write = waiting_write(&sandbox, 5);
    // A suspend that flushes cannot wait for a path: it ends, and the write with an error. The flush after it waits anew.
    sandbox.ok(&["suspend", "m"]);
    sandbox.ok(&["resume", "m"]);
    assert!(sandbox.ok(&["table", "m"]).contains("multipath 1 queue_if_no_path 0 2 "));
    sandbox.ok(&["message", "m", "0", "fail_if_no_path"]);
    assert!(!write.wait().unwrap().success());
    assert_eq!(sandbox.run(&["read", "two", "--start", "16", "--length", "1"]).stdout, [3; 512]);
    server.stop();
}

#[test]
fn a_request_without_a_path_goes_by_the_next_table() {
    for features in ["1 queue_if_no_path", "3 queue_if_no_path queue_mode bio"] {
        let (sandbox, server) = set_up(features);
        fail_both(&sandbox);
        let mut write = waiting_write(&sandbox, 6);
        sandbox.ok(&["suspend", "--noflush", "m"]);
        sandbox.ok(&["load", "m", "--table", &table(features)]);
        sleep(WHILE);
        assert!(write.try_wait().unwrap().is_none(), "{features}: it waits for the resume");
        sandbox.ok(&["resume", "m"]);
        assert!(write.wait().unwrap().success(), "{features}");
        assert_eq!(sandbox.run(&["read", "one", "--start", "16", "--length", "1"]).stdout, [6; 512]);
        server.stop();
    }
}

#[test]
fn a_server_ends_though_requests_wait() {
    let (sandbox, server) = set_up("1 queue_if_no_path");
    fail_both(&sandbox);
    let mut write = waiting_write(&sandbox, 7);
    server.stop();
    eventually("the write has ended", || write.try_wait().unwrap().is_some_and(|status| !status.success()));
}
