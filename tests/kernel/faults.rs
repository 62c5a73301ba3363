//! A disk that fails under a server: a device of the guest's own device-mapper, part of which gives errors.

use crate::guest::{self, DISK_A, DISK_B};
use crate::nbd_client::*;
use crate::server::Server;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const STATE: &str = "/dev/shm/state";
const SOCKET: &str = "/dev/shm/nbd.sock";
const MOUNTPOINT: &str = "/dev/shm/mnt";
/// Where the bad part begins, in bytes: as large as a page.
const BAD: u64 = 1 << 20;
const PAGE: u32 = 4096;
const EIO: u32 = 5;

/// The disk of the kernel's: 4096 sectors of which 8 cannot be read or written.
const DISK: &str = "0 2048 linear /dev/ubda 0\n2048 8 error\n2056 2040 linear /dev/ubda 2056";

fn run(program: &str, words: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", STATE).stdin(Stdio::null());
    command.args(words).output().unwrap()
}

#[track_caller]
fn ok(program: &str, words: &[&str]) -> String {
    let output = run(program, words);
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn ours(words: &[&str]) -> String {
    ok(env!("CARGO_BIN_EXE_rdmsetup"), words)
}

fn client(export: &str) -> Client {
    Client::work(Path::new(SOCKET), export, true)
}

fn file(device: &str) -> File {
    File::options().read(true).write(true).open(Path::new(MOUNTPOINT).join(device)).unwrap()
}

/// The kernel's disk `bad`, and a server with `vol` on it and `other` beside it.
fn start() -> Server {
    ok("dmsetup", &["create", "bad", "--table", DISK]);
    fs::create_dir(MOUNTPOINT).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rdmsetup"));
    command.args(["serve", "--nbd", &format!("unix:{SOCKET}"), "--fuse", MOUNTPOINT]);
    command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", STATE).stdin(Stdio::null());
    let server = Server::spawn(&mut command);
    ours(&["create", "vol", "--table", "0 4096 linear /dev/mapper/bad 0"]);
    ours(&["create", "other", "--table", &format!("0 4096 linear {DISK_B} 0")]);
    server
}

#[track_caller]
fn fails_once(what: &str, mut flush: impl FnMut() -> bool) {
    assert!(!flush(), "{what} is not told of the failure");
    for _ in 0..3 {
        assert!(flush(), "{what} is told twice");
    }
}

fn flush(client: &mut Client) -> bool {
    let answer = client.call(0, FLUSH, 0, 0, b"");
    assert!(matches!(answer, Answer::Done | Answer::Failed(EIO)), "{answer:?}");
    answer == Answer::Done
}

fn sync(file: &File) -> bool {
    match file.sync_all() {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(nix::libc::EIO));
            false
        }
    }
}

#[test]
fn what_cannot_be_read_or_written_fails_for_who_asked() {
    guest::run("faults::what_cannot_be_read_or_written_fails_for_who_asked", || {
        let server = start();
        let (mut one, mut two, mut other) = (client("vol"), client("vol"), client("other"));
        let (first, second) = (file("vol"), file("vol"));
        for length in [PAGE, 128 << 10] {
            assert_eq!(one.call(0, READ, BAD, length, b""), Answer::Failed(EIO));
            assert!(first.read_at(&mut vec![0; length as usize], BAD).is_err());
        }
        for place in [BAD - 8192, BAD + u64::from(PAGE)] {
            assert_eq!(two.call(0, READ, place, PAGE, b""), Answer::Data(vec![0; PAGE as usize]));
            second.read_exact_at(&mut [0; PAGE as usize], place).unwrap();
        }
        let page = [7; PAGE as usize];
        assert_eq!(one.call(FUA, WRITE, BAD, PAGE, &page), Answer::Failed(EIO));
        // Everyone else who had it open before hears of it when he flushes, and nobody twice.
        assert!(flush(&mut one), "it was told when it wrote");
        fails_once("another client", || flush(&mut two));
        fails_once("a program", || sync(&first));
        fails_once("another program", || sync(&second));

        // What is only written goes to memory, and the flush tells.
        assert_eq!(two.call(0, WRITE, 0, PAGE, &page), Answer::Done);
        first.write_all_at(&page, BAD).unwrap();
        fails_once("who has written elsewhere", || flush(&mut two));
        fails_once("who has written it", || sync(&first));
        // A suspend flushes too: it fails, and what it learned is not lost for them.
        assert_eq!(one.call(0, WRITE, BAD, PAGE, &page), Answer::Done);
        let suspended = run(env!("CARGO_BIN_EXE_rdmsetup"), &["suspend", "vol"]);
        let said = String::from_utf8(suspended.stderr).unwrap();
        assert!(said.contains("cannot flush the disks: Input/output error"), "{said}");
        fails_once("who has written it", || flush(&mut one));
        fails_once("another program", || sync(&second));

        // Who comes later has lost nothing; who uses another disk notices nothing.
        assert!(flush(&mut client("vol")) && sync(&file("vol")));
        assert_eq!(other.call(FUA, WRITE, BAD, PAGE, &page), Answer::Done);
        assert!(flush(&mut other) && sync(&file("other")));
        drop((first, second));
        // Its last flush is nobody's to hear but its own.
        for device in ["vol", "other"] {
            ours(&["suspend", "--noflush", device]);
        }
        let _ = server.end("-TERM");
    });
}

#[test]
fn a_disk_that_goes_away_takes_no_other_with_it() {
    guest::run("faults::a_disk_that_goes_away_takes_no_other_with_it", || {
        let server = start();
        let (mut one, mut other) = (client("vol"), client("other"));
        let file = file("vol");
        assert_eq!(one.call(FUA, WRITE, 0, PAGE, &[1; PAGE as usize]), Answer::Done);
        let swap = |table: &str| {
            ok("dmsetup", &["load", "bad", "--table", table]);
            ok("dmsetup", &["resume", "bad"]);
        };
        swap("0 4096 error");
        for (place, length) in [(512 << 10, PAGE), (600 << 10, 128 << 10)] {
            assert_eq!(one.call(0, READ, place, length, b""), Answer::Failed(EIO));
            assert!(file.read_at(&mut vec![0; length as usize], place).is_err());
            assert_eq!(other.call(0, READ, place, length, b""), Answer::Data(vec![0; length as usize]));
        }
        assert_eq!(one.call(FUA, WRITE, 512 << 10, PAGE, &[2; PAGE as usize]), Answer::Failed(EIO));
        assert_eq!(other.call(FUA, WRITE, 0, PAGE, &[3; PAGE as usize]), Answer::Done);
        swap(&format!("0 4096 linear {DISK_A} 0"));
        assert_eq!(
            one.call(0, READ, 700 << 10, PAGE, b""),
            Answer::Data(vec![0; PAGE as usize]),
            "it is back"
        );
        assert_eq!(one.call(FUA, WRITE, 512 << 10, PAGE, &[4; PAGE as usize]), Answer::Done);
        fails_once("a program", || sync(&file));
        drop(file);
        server.stop();
    });
}
