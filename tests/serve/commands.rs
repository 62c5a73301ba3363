//! Commands beside a server: they find it, and it does for them what the kernel would.

use crate::sandbox::Sandbox;
use crate::server::{Server, eventually, wait};
use std::fs;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

/// A line of `info -c`'s: open count, event number, state.
fn info(sandbox: &Sandbox, name: &str) -> String {
    let fields = ["info", "-c", "--noheadings", "-o", "open,events,suspended", name];
    sandbox.ok(&fields).trim().to_owned()
}

fn spawn(sandbox: &Sandbox, words: &[&str]) -> Child {
    sandbox.command(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn commands_find_the_server_and_the_state_outlives_it() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    sandbox.ok(&["create", "before", "--table", "0 8 linear disk 0"]);
    let server = Server::start(&sandbox, &[]);
    assert!(server.ready.ends_with("/state/control.sock"), "{}", server.ready);
    sandbox.ok(&["create", "during", "--table", "0 8 linear disk 8"]);
    assert_eq!(sandbox.ok(&["ls"]), "before\t(240:0)\nduring\t(240:1)\n");
    let socket = format!("socket:{}", sandbox.path().join("state/control.sock").display());
    assert_eq!(sandbox.ok(&["--backend", &socket, "ls"]), sandbox.ok(&["ls"]));
    server.stop();
    assert!(!sandbox.path().join("state/control.sock").exists());
    assert_eq!(sandbox.ok(&["ls"]), "before\t(240:0)\nduring\t(240:1)\n");
    let refused = sandbox.fails(&["--backend", &socket, "ls"]);
    assert!(refused.contains("no server answers at"), "{refused}");
}

#[test]
fn faults_have_their_reasons_through_the_socket_too() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 4096);
    let faulty = ["0 9 linear disk 0x", "0 9 liner disk 0", "0 8 zero\n9 1 zero", "0 9 linear disk 0"];
    let fail = |table: &str| sandbox.fails(&["create", "vol", "--table", table]);
    let alone = faulty.map(fail);
    let _server = Server::start(&sandbox, &[]);
    assert_eq!(faulty.map(fail), alone);
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
}

#[test]
fn a_table_is_checked_against_the_servers_devices() {
    let sandbox = Sandbox::new();
    let _server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "low", "--table", "0 8 zero"]);
    let socket = format!("socket:{}", sandbox.path().join("state/control.sock").display());
    for backend in ["user", &socket] {
        let check = |table: &str| sandbox.run(&["check", "--backend", backend, "--table", table]);
        assert!(check("0 8 linear low 0").succeeded);
        let refused = check("0 9 linear low 0");
        assert!(refused.stderr.contains("too small by 1 sector") && !refused.succeeded, "{refused:?}");
    }
}

#[test]
fn bytes_go_through_the_server() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 16 << 20);
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "vol", "--table", "0 32768 linear disk 0"]);
    let data: Vec<u8> = (0..5_000_000u32).map(|byte| byte.to_le_bytes()[1]).collect();
    assert!(sandbox.run_with(&["write", "vol"], &data).succeeded);
    assert!(fs::read(sandbox.path().join("disk")).unwrap().starts_with(&data));
    let copy = fs::File::create(sandbox.path().join("copy")).unwrap();
    let read = sandbox.command(&["read", "vol"]).stdout(copy).status().unwrap();
    assert!(read.success());
    let copied = fs::read(sandbox.path().join("copy")).unwrap();
    assert!(copied.len() == 16 << 20 && copied.starts_with(&data));
    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(sandbox.path().join("copy")).unwrap());
    assert!(blocks * 512 < 8 << 20, "what is not stored is not stored in the copy: {blocks} blocks");
    server.stop();
}

#[test]
fn a_suspended_device_holds_io_until_it_is_resumed() {
    let sandbox = Sandbox::new();
    for disk in ["one", "two"] {
        fs::write(sandbox.path().join(disk), disk.repeat(1024)).unwrap();
    }
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "vol", "--table", "0 4 linear one 0"]);
    sandbox.ok(&["suspend", "vol"]);
    sandbox.ok(&["load", "vol", "--table", "0 4 linear two 0"]);
    let mut reader =
        sandbox.command(&["read", "vol", "--length", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    eventually("the reader has it open", || info(&sandbox, "vol") == "1:0:Suspended");
    thread::sleep(Duration::from_millis(50));
    assert!(reader.try_wait().unwrap().is_none(), "the read waits");
    sandbox.ok(&["resume", "vol"]);
    let read = reader.wait_with_output().unwrap();
    assert!(read.status.success() && read.stdout.starts_with(b"twotwo"), "it sees the table of its time");
    assert_eq!(info(&sandbox, "vol"), "0:0:Active");
    server.stop();
}

#[test]
fn a_device_in_use_is_busy_and_goes_when_it_is_closed_if_that_was_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "vol", "--table", "0 8 linear disk 0"]);
    sandbox.ok(&["suspend", "vol"]);
    let mut reader = spawn(&sandbox, &["read", "vol"]);
    eventually("the reader has it open", || info(&sandbox, "vol").starts_with("1:"));
    let busy = sandbox.fails(&["remove", "vol"]);
    assert!(busy.contains("Device or resource busy"), "{busy}");
    sandbox.ok(&["remove", "--deferred", "vol"]);
    sandbox.ok(&["resume", "vol"]);
    assert!(wait(&mut reader).success());
    eventually("it is gone", || sandbox.ok(&["ls"]) == "No devices found\n");
    server.stop();
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n", "in the saved state too");
}

#[test]
fn who_waits_hears_of_events_and_removal() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "vol", "--table", "0 8 linear disk 0"]);
    let mut waiting = spawn(&sandbox, &["wait", "vol"]);
    thread::sleep(Duration::from_millis(100));
    assert!(waiting.try_wait().unwrap().is_none());
    sandbox.ok(&["rename", "vol", "new"]);
    assert!(wait(&mut waiting).success());
    let mut waiting = spawn(&sandbox, &["wait", "new", "1"]);
    thread::sleep(Duration::from_millis(100));
    assert!(waiting.try_wait().unwrap().is_none());
    sandbox.ok(&["remove", "new"]);
    assert!(wait(&mut waiting).success());
    server.stop();
}

#[test]
fn a_wait_that_began_without_a_server_goes_on_with_it() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    sandbox.ok(&["create", "vol", "--table", "0 8 linear disk 0"]);
    let mut waiting = spawn(&sandbox, &["wait", "vol"]);
    thread::sleep(Duration::from_millis(100));
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["rename", "vol", "new"]);
    assert!(wait(&mut waiting).success());
    server.stop();
}

#[test]
fn fifty_commands_at_once_all_happen() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let server = Server::start(&sandbox, &[]);
    let children: Vec<Child> = (0..50)
        .map(|number| spawn(&sandbox, &["create", &format!("vol{number}"), "--table", "0 8 linear disk 0"]))
        .collect();
    for mut child in children {
        assert!(wait(&mut child).success());
    }
    assert_eq!(sandbox.ok(&["ls"]).lines().count(), 50);
    server.stop();
    assert_eq!(sandbox.ok(&["ls"]).lines().count(), 50);
}

#[test]
fn a_client_that_is_killed_while_its_suspend_waits_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "lower", "--table", "0 8 linear disk 0"]);
    sandbox.ok(&["create", "upper", "--table", "0 8 linear lower 0"]);
    sandbox.ok(&["suspend", "lower"]);
    // It is in flight in the upper device, and held in the lower.
    let mut reader = spawn(&sandbox, &["read", "upper"]);
    eventually("the reader has it open", || info(&sandbox, "upper").starts_with("1:"));
    thread::sleep(Duration::from_millis(100));
    let mut suspending = spawn(&sandbox, &["suspend", "upper"]);
    thread::sleep(Duration::from_millis(100));
    assert!(suspending.try_wait().unwrap().is_none(), "what is in flight has to end first");
    assert_eq!(info(&sandbox, "upper"), "1:0:Active", "others are answered meanwhile");
    suspending.kill().unwrap();
    suspending.wait().unwrap();
    sandbox.ok(&["resume", "lower"]);
    assert!(wait(&mut reader).success());
    assert_eq!(info(&sandbox, "upper"), "0:0:Active");
    sandbox.ok(&["read", "upper"]);
    server.stop();
}

#[test]
fn what_is_no_question_ends_its_connection_alone() {
    use std::io::{Read, Write};
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let socket = sandbox.path().join("state/control.sock");
    for bytes in [
        vec![0xff; 4096],
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        [1u32, 0, 0, 0, u32::MAX, 7].map(u32::to_ne_bytes).concat(),
    ] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // The server may hang up before it has all.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
    server.stop();
}
