//! Tables swapped under load: fio writes and verifies through an export while the device is suspended, loaded and resumed.
//!
//! Played in full, for a minute each, with what came of it on standard error:
//!
//! ```text
//! RDMSETUP_SWAP_SECONDS=60 cargo test --test serve swaps -- --nocapture --test-threads=1
//! ```
//!
//! `RDMSETUP_SWAP_SECONDS` says for how long (10 seconds without it), and there are 200 swaps under load at the least: where
//! the time is not enough for them there is more of it.

use crate::sandbox::Sandbox;
use crate::server::Server;
use rdmsetup::backend::{Client, Socket};
use rdmsetup::dm::{Command as Asked, DeviceId, Request, Sectors, SourceTable, Table, Text};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SWAPS: u32 = 200;
/// Bytes of the device: 4 clients have a quarter each.
const SIZE: u64 = 64 << 20;

/// Tables with the same data: the disk at once; in three pieces of which one goes through another device; by one of two
/// paths to it, and as two legs that are both it, where what moves without a copy cannot stay so.
const TABLES: [&str; 4] = [
    "0 131072 linear disk 0",
    "0 1000 linear disk 0\n1000 100000 linear lower 0\n101000 30072 linear disk 101000",
    "0 131072 multipath 1 queue_if_no_path 0 1 1 round-robin 0 2 0 /dev/mapper/whole /dev/mapper/same",
    "0 131072 mirror core 2 1024 nosync 2 whole 0 same 0 1 handle_errors",
];
/// Which of them has paths.
const MULTIPATH: usize = 2;

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

fn with_device(sandbox: Sandbox) -> Sandbox {
    sandbox.disk("disk", SIZE);
    sandbox.ok(&["create", "lower", "--table", "0 100000 linear disk 1000"]);
    for path in ["whole", "same"] {
        sandbox.ok(&["create", path, "--table", TABLES[0]]);
    }
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

/// Swaps the tables under a load of that long, and another if there were not enough swaps. None must meet an error.
#[track_caller]
fn swap_under(sandbox: &Sandbox, load: impl Fn() -> Child, seconds: u64) {
    let (begun, pace) = (Instant::now(), Duration::from_secs(seconds) / (SWAPS + SWAPS / 4));
    let (mut swaps, mut told) = (0, String::new());
    let mut swapper = Swapper::new(sandbox);
    while swaps < SWAPS {
        let load = load();
        let watcher = thread::spawn(move || load.wait_with_output().unwrap());
        // Until it has connected and is at work.
        crate::server::eventually("the load has it open", || {
            watcher.is_finished() || open_count(sandbox, "vol") > 0
        });
        while !watcher.is_finished() {
            swapper.swap((swaps as usize + 1) % TABLES.len());
            swaps += 1;
            thread::sleep((pace * swaps).saturating_sub(begun.elapsed()));
        }
        let load = watcher.join().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&load.stdout), String::from_utf8_lossy(&load.stderr));
        assert!(load.status.success() && stdout.contains("err= 0"), "after {swaps} swaps: {stdout}{stderr}");
        assert!(stdout.contains("READ:") && stdout.contains("WRITE:"), "{stdout}");
        told.extend(stdout.lines().filter(|line| line.contains("READ:") || line.contains("WRITE:")));
    }
    eprintln!("{swaps} swaps in {:?}: {told}", begun.elapsed());
}

/// Who swaps: a client of the control socket, as each command is one, but for longer.
struct Swapper {
    client: Client,
    tables: Vec<Table>,
}

impl Swapper {
    fn new(sandbox: &Sandbox) -> Self {
        let socket = Socket::connect(&sandbox.path().join("state/control.sock")).unwrap();
        let disk = format!(" {} ", sandbox.path().join("disk").display());
        let parse = |text: &&str| SourceTable::parse(text.replace(" disk ", &disk).as_bytes()).unwrap().table;
        Self { client: Client::new(Box::new(socket)), tables: TABLES.iter().map(parse).collect() }
    }

    fn ask(&mut self, request: &Request) {
        let asked = self.client.perform(request);
        assert!(asked.is_ok(), "{request:?}: {asked:?}");
    }

    /// Puts that table in place of the one before.
    fn swap(&mut self, table: usize) {
        let vol = || DeviceId::by_name("vol");
        self.ask(&Request::new(vol(), Asked::TableLoad(self.tables[table].clone())));
        self.ask(&Request::suspend(vol()));
        self.ask(&Request::resume(vol()));
        if table == MULTIPATH {
            // What finds no path waits, and is asked for again.
            for message in [
                "fail_path /dev/mapper/whole",
                "fail_path /dev/mapper/same",
                "reinstate_path /dev/mapper/same",
            ] {
                let message = Text::from(message);
                self.ask(&Request::new(vol(), Asked::TargetMsg { sector: Sectors::ZERO, message }));
            }
        }
    }
}

fn open_count(sandbox: &Sandbox, name: &str) -> u32 {
    sandbox.ok(&["info", "-c", "--noheadings", "-o", "open", name]).trim().parse().unwrap()
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
    let sandbox = with_device(Sandbox::in_memory());
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    swap_under(&sandbox, || fio(&sandbox, &nbd_engine(&sandbox, "vol"), seconds()), seconds());
    server.stop();
}

/// Four clients that are to be killed: they read what is being swapped, or write what nobody else does.
fn victim(sandbox: &Sandbox, round: u64) -> Child {
    if round.is_multiple_of(2) {
        return fio(sandbox, &nbd_engine(sandbox, "other"), 60);
    }
    let mut command = Command::new("fio");
    command.args(["--name=victim", "--rw=randread", "--bs=4k-64k", "--numjobs=4", "--thread", "--size=64m"]);
    command.args(["--time_based", "--runtime=60"]).args(nbd_engine(sandbox, "vol"));
    command.current_dir(sandbox.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn nbd_clients_that_are_killed_disturb_no_other() {
    if !has("fio", "nbd_clients_that_are_killed_disturb_no_other") {
        return;
    }
    let sandbox = with_device(Sandbox::new());
    sandbox.disk("other", SIZE);
    sandbox.ok(&["create", "other", "--table", "0 131072 linear ./other 0"]);
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            for round in 0..20 {
                let mut victim = victim(&sandbox, round);
                thread::sleep(Duration::from_millis(seconds() * 50 + round * 3));
                // With its requests in flight.
                victim.kill().unwrap();
                victim.wait().unwrap();
            }
        });
        swap_under(&sandbox, || fio(&sandbox, &nbd_engine(&sandbox, "vol"), seconds()), seconds());
        killer.join().unwrap();
    });
    for name in ["vol", "other"] {
        crate::server::eventually("their devices are closed", || open_count(&sandbox, name) == 0);
    }
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
    let sandbox = with_device(Sandbox::in_memory());
    std::fs::create_dir(sandbox.path().join("devices")).unwrap();
    let server = Server::start(&sandbox, &["--fuse", "devices"]);
    let engine = ["--ioengine=psync", "--filename=devices/vol"].map(String::from);
    swap_under(&sandbox, || fio(&sandbox, &engine, seconds()), seconds());
    server.stop();
}
