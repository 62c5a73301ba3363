//! Tables swapped under load: fio writes and verifies through an export while the device is suspended, loaded and resumed.
//!
//! `RDMSETUP_SWAP_SECONDS` says for how long (10 seconds without it), and there are 200 swaps at the least.

use crate::sandbox::Sandbox;
use crate::server::Server;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const SWAPS: u32 = 200;
/// Bytes of the device: 4 clients have a quarter each.
const SIZE: u64 = 64 << 20;

/// Two tables with the same data: the disk at once, and in three pieces of which one goes through another device.
const TABLES: [&str; 2] = [
    "0 131072 linear disk 0",
    "0 1000 linear disk 0\n1000 100000 linear lower 0\n101000 30072 linear disk 101000",
];

fn seconds() -> u64 {
    std::env::var("RDMSETUP_SWAP_SECONDS").ok().map_or(10, |seconds| seconds.parse().unwrap())
}

/// Whether the program is there; under CI it must be.
pub(crate) fn has(program: &str, test: &str) -> bool {
    let found =
        ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from).map(|dir| dir.join(program).exists());
    if !found.contains(&true) {
        assert!(std::env::var_os("CI").is_none(), "{test} needs {program}");
        eprintln!("SKIPPED {test}: no {program} here");
        return false;
    }
    true
}

fn sandbox_with_device() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", SIZE);
    sandbox.ok(&["create", "lower", "--table", "0 100000 linear disk 1000"]);
    sandbox.ok(&["create", "vol", "--table", TABLES[0]]);
    sandbox
}

/// fio, with 4 jobs that write and verify parts of their own through what `engine` says.
fn fio(sandbox: &Sandbox, engine: &[String], seconds: u64) -> Child {
    let mut command = Command::new("fio");
    command.args(["--name=verify", "--rw=randrw", "--bs=4k-64k", "--numjobs=4", "--thread"]);
    command.args(["--size=16m", "--offset_increment=16m", "--verify=crc32c", "--verify_fatal=1"]);
    command.args(["--verify_backlog=256", "--time_based", "--group_reporting", "--exitall_on_error=1"]);
    command.arg(format!("--runtime={seconds}")).args(engine).current_dir(sandbox.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Swaps the tables until the load has ended, which must be without an error.
#[track_caller]
fn swap_under(sandbox: &Sandbox, load: Child, seconds: u64) {
    let watcher = thread::spawn(move || load.wait_with_output().unwrap());
    let pause = Duration::from_millis(seconds * 1000 / u64::from(SWAPS)) / 2;
    let mut swaps = 0;
    while !watcher.is_finished() || swaps < SWAPS {
        sandbox.ok(&["load", "vol", "--table", TABLES[(swaps as usize + 1) % 2]]);
        sandbox.ok(&["suspend", "vol"]);
        assert!(!watcher.is_finished() || swaps > 0, "the load ended before it began");
        sandbox.ok(&["resume", "vol"]);
        thread::sleep(pause);
        swaps += 1;
    }
    let load = watcher.join().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&load.stdout), String::from_utf8_lossy(&load.stderr));
    assert!(load.status.success() && stdout.contains("err= 0"), "after {swaps} swaps: {stdout}{stderr}");
    assert!(stdout.contains("READ:") && stdout.contains("WRITE:"), "{stdout}");
}

fn nbd_engine(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let socket = sandbox.path().join("nbd.sock");
    let uri = format!("--uri=nbd+unix:///{name}?socket={}", socket.display());
    vec!["--ioengine=nbd".into(), "--iodepth=16".into(), uri]
}

#[test]
fn nbd_clients_notice_no_swap() {
    if !has("fio", "nbd_clients_notice_no_swap") {
        return;
    }
    let sandbox = sandbox_with_device();
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    let load = fio(&sandbox, &nbd_engine(&sandbox, "vol"), seconds());
    swap_under(&sandbox, load, seconds());
    server.stop();
}

#[test]
fn nbd_clients_that_are_killed_disturb_no_other() {
    if !has("fio", "nbd_clients_that_are_killed_disturb_no_other") {
        return;
    }
    let sandbox = sandbox_with_device();
    sandbox.disk("other", SIZE);
    sandbox.ok(&["create", "other", "--table", "0 131072 linear ./other 0"]);
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    let load = fio(&sandbox, &nbd_engine(&sandbox, "vol"), seconds());
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            for round in 0..20 {
                let mut victim = fio(&sandbox, &nbd_engine(&sandbox, "other"), 60);
                thread::sleep(Duration::from_millis(seconds() * 50 + round * 3));
                // With its requests in flight.
                victim.kill().unwrap();
                victim.wait().unwrap();
            }
        });
        swap_under(&sandbox, load, seconds());
        killer.join().unwrap();
    });
    let open = || sandbox.ok(&["info", "-c", "--noheadings", "-o", "open", "other"]);
    crate::server::eventually("their devices are closed", || open().trim() == "0");
    server.stop();
}

#[test]
fn programs_with_a_file_open_notice_no_swap() {
    let name = "programs_with_a_file_open_notice_no_swap";
    if !has("fio", name) || !std::path::Path::new("/dev/fuse").exists() {
        assert!(std::env::var_os("CI").is_none(), "{name} needs fio and /dev/fuse");
        eprintln!("SKIPPED {name}: no fio or no /dev/fuse here");
        return;
    }
    let sandbox = sandbox_with_device();
    std::fs::create_dir(sandbox.path().join("devices")).unwrap();
    let server = Server::start(&sandbox, &["--fuse", "devices"]);
    let engine = ["--ioengine=psync", "--filename=devices/vol"].map(String::from);
    let load = fio(&sandbox, &engine, seconds());
    swap_under(&sandbox, load, seconds());
    server.stop();
}
