//! Disks that are full, cut short or not to be written: who asked for the impossible is told, and nobody else notices.

use crate::nbd_client::*;
use crate::sandbox::Sandbox;
use crate::server::Server;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;
/// What NBD calls those errors; EROFS has no number of its own there.
const EPERM: u32 = 1;
const EIO: u32 = 5;
const ENOSPC: u32 = 28;

/// A server in a mount namespace of its own, where `small` is a file system with room for so much.
struct Confined {
    server: Server,
    sandbox: Sandbox,
}

impl Confined {
    /// Starts it, after those commands of a shell; `None`, and it is said, where that cannot be.
    fn start(test: &str, before: &str) -> Option<Self> {
        let allowed = Command::new("unshare").args(["-Urm", "true"]).stderr(Stdio::null()).status();
        let fuse = File::options().read(true).write(true).open("/dev/fuse");
        if !allowed.is_ok_and(|status| status.success()) || fuse.is_err() {
            assert!(std::env::var_os("CI").is_none(), "{test} needs user namespaces and /dev/fuse");
            eprintln!("SKIPPED {test}: no user namespaces or no /dev/fuse here");
            return None;
        }
        let sandbox = Sandbox::new();
        for directory in ["small", "mnt"] {
            fs::create_dir(sandbox.path().join(directory)).unwrap();
        }
        sandbox.disk("disk", 16 * MIB);
        let plain = sandbox.command(&[]);
        let script = format!("{before}\nexec \"$0\" serve --nbd unix:nbd.sock --fuse mnt");
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-ec", &script]).arg(plain.get_program()).current_dir(sandbox.path());
        command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", sandbox.path().join("state"));
        let server = Server::spawn(command.stdin(Stdio::null()));
        sandbox.ok(&["create", "other", "--table", "0 32768 linear disk 0"]);
        Some(Self { server, sandbox })
    }

    /// A path as the server sees it.
    fn path(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.server.pid()));
        root.join(self.sandbox.path().strip_prefix("/").unwrap()).join(path)
    }

    fn client(&self, export: &str) -> Client {
        Client::work(&self.sandbox.path().join("nbd.sock"), export, true)
    }

    fn file(&self, device: &str) -> File {
        File::options().read(true).write(true).open(self.path("mnt").join(device)).unwrap()
    }

    /// That the other device is read and written as ever, by who was there before and by who comes.
    #[track_caller]
    fn others_are_served(&self, client: &mut Client, file: &File) {
        for client in [client, &mut self.client("other")] {
            for length in [4096, 256 << 10] {
                let data = vec![0x77; length as usize];
                assert_eq!(client.call(FUA, WRITE, 0, length, &data), Answer::Done);
                assert!(client.call(0, READ, 0, length, b"") == Answer::Data(data));
            }
            assert_eq!(client.call(0, FLUSH, 0, 0, b""), Answer::Done);
        }
        file.write_all_at(&[0x78; 4096], 0).unwrap();
        file.sync_all().unwrap();
    }
}

fn errno(outcome: io::Result<usize>) -> Option<i32> {
    outcome.unwrap_err().raw_os_error()
}

#[test]
fn a_full_disk_is_its_writers_alone() {
    let before = "mount -t tmpfs -o size=4M none small; truncate -s 16M small/disk";
    let Some(confined) = Confined::start("a_full_disk_is_its_writers_alone", before) else { return };
    confined.sandbox.ok(&["create", "vol", "--table", "0 32768 linear small/disk 0"]);
    let (mut other, other_file) = (confined.client("other"), confined.file("other"));
    let (mut client, mut neighbour) = (confined.client("vol"), confined.client("vol"));
    let file = confined.file("vol");
    assert_eq!(neighbour.call(0, WRITE, 0, 4096, &[1; 4096]), Answer::Done);
    // The first 4 MiB have room for all of them but for what is there already.
    let mut failed = 0;
    for at in (0..8).map(|piece| piece * MIB) {
        let answer = client.call(0, WRITE, at + 4096, 1 << 20, &vec![2; 1 << 20]);
        if answer == Answer::Done {
            assert_eq!(failed, 0, "there was room at {at}");
        } else {
            assert_eq!(answer, Answer::Failed(ENOSPC), "{at}");
            failed += 1;
        }
    }
    assert!((4..=6).contains(&failed), "{failed}");
    for (flags, command, length) in
        [(0, WRITE, 4096), (FUA, WRITE, 100), (0, WRITE, 64 << 10), (NO_HOLE, WRITE_ZEROES, 64 << 10)]
    {
        let data = vec![3; if command == WRITE { length as usize } else { 0 }];
        let answer = client.call(flags, command, 12 * MIB, length, &data);
        assert_eq!(answer, Answer::Failed(ENOSPC), "{command} of {length}");
    }
    let run = (0..8).map(|at| request(0, WRITE, at, 12 * MIB + at * 4096, 4096, &[3; 4096]));
    client.say(&run.collect::<Vec<_>>().concat());
    for _ in 0..8 {
        assert_eq!(client.answer(|_| None).1, Answer::Failed(ENOSPC), "of a run");
    }
    assert_eq!(errno(file.write_at(&[4; 4096], 13 * MIB)), Some(nix::libc::ENOSPC));
    assert_eq!(errno(file.write_at(&[4; 1 << 20], 13 * MIB)), Some(nix::libc::ENOSPC));

    // What has room goes on, for the same clients and for others, and no flush fails for a write that was refused.
    assert_eq!(client.call(FUA, WRITE, 8192, 4096, &[5; 4096]), Answer::Done);
    assert_eq!(neighbour.call(0, READ, 8192, 4096, b""), Answer::Data(vec![5; 4096]));
    for client in [&mut client, &mut neighbour] {
        assert_eq!(client.call(0, FLUSH, 0, 0, b""), Answer::Done);
    }
    file.write_all_at(&[6; 4096], 0).unwrap();
    file.sync_all().unwrap();
    confined.others_are_served(&mut other, &other_file);

    programs_are_told(&confined);
    // Where there is room again, it is used.
    assert_eq!(client.call(0, TRIM, MIB, 1 << 20, b""), Answer::Done);
    assert_eq!(client.call(0, WRITE, 12 * MIB, 64 << 10, &[7; 64 << 10]), Answer::Done);
    drop((file, other_file));
    confined.server.stop();
}

/// Programs that others wrote hear of it in words.
fn programs_are_told(confined: &Confined) {
    fs::write(confined.sandbox.path().join("input"), vec![1; 8 << 20]).unwrap();
    let uri = format!("nbd+unix:///vol?socket={}", confined.sandbox.path().join("nbd.sock").display());
    for (program, words) in [
        ("qemu-io", &["-f", "raw", &uri, "-c", "write 10M 1M"][..]),
        ("nbdcopy", &["input", &uri]),
        ("dd", &["if=/dev/zero", "of=mnt/vol", "bs=1M", "seek=10", "count=1", "conv=notrunc"]),
    ] {
        if !crate::swaps::has(program, "a_full_disk_is_its_writers_alone") {
            continue;
        }
        let mut command = Command::new(program);
        let output = command.args(words).current_dir(confined.path("")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("No space left on device"), "{program}: {said}");
    }
}

#[test]
fn a_disk_that_was_cut_short_gives_errors_where_it_is_not() {
    let before = "mount -t tmpfs none small; truncate -s 16M small/disk";
    let Some(confined) = Confined::start("a_disk_that_was_cut_short", before) else { return };
    confined.sandbox.ok(&["create", "vol", "--table", "0 32768 linear small/disk 0"]);
    let (mut other, other_file) = (confined.client("other"), confined.file("other"));
    let (mut client, file) = (confined.client("vol"), confined.file("vol"));
    for at in [0, 8 * MIB] {
        assert_eq!(client.call(0, WRITE, at, 1 << 20, &vec![9; 1 << 20]), Answer::Done);
    }
    let disk = File::options().write(true).open(confined.path("small/disk")).unwrap();
    disk.set_len(4 * MIB).unwrap();
    for (at, length) in
        [(8 * MIB, 4096), (4 * MIB, 1 << 20), (4 * MIB - 2048, 4096), (4 * MIB - 2048, 1 << 20)]
    {
        assert_eq!(client.call(0, READ, at, length, b""), Answer::Failed(EIO), "{length} at {at}");
        let mut buffer = vec![0; length as usize];
        assert_eq!(errno(file.read_at(&mut buffer, at)), Some(nix::libc::EIO), "{length} at {at}");
    }
    assert!(client.call(0, READ, 0, 1 << 20, b"") == Answer::Data(vec![9; 1 << 20]));
    let mut buffer = [0; 4096];
    file.read_exact_at(&mut buffer, 4096).unwrap();
    assert_eq!(buffer, [9; 4096]);
    confined.others_are_served(&mut other, &other_file);
    // What is written there makes the file long again, as it does a file that a loop device is over.
    assert_eq!(client.call(0, WRITE, 15 * MIB, 4096, &[8; 4096]), Answer::Done);
    assert_eq!(client.call(0, READ, 8 * MIB, 4096, b""), Answer::Data(vec![0; 4096]));
    drop((file, other_file));
    confined.server.stop();
}

#[test]
fn a_disk_that_is_not_to_be_written_is_read() {
    let before = "mount -t tmpfs none small; truncate -s 1M small/disk; mount -o remount,ro small";
    let Some(confined) = Confined::start("a_disk_that_is_not_to_be_written_is_read", before) else { return };
    let (mut other, other_file) = (confined.client("other"), confined.file("other"));
    let table = ["--table", "0 2048 linear small/disk 0"];
    let refused = confined.sandbox.fails(&[&["create", "vol"][..], &table].concat());
    assert!(refused.contains("Read-only file system") && refused.contains("--readonly"), "{refused}");
    confined.sandbox.ok(&[&["create", "vol", "--readonly"][..], &table].concat());
    let mut client = confined.client("vol");
    for (command, length) in [(WRITE, 4096), (WRITE, 256 << 10), (TRIM, 4096), (WRITE_ZEROES, 4096)] {
        let data = vec![1; if command == WRITE { length as usize } else { 0 }];
        assert_eq!(client.call(0, command, 0, length, &data), Answer::Failed(EPERM), "{command}");
    }
    assert_eq!(client.call(0, READ, 0, 4096, b""), Answer::Data(vec![0; 4096]));
    assert_eq!(client.call(0, FLUSH, 0, 0, b""), Answer::Done);
    let path = confined.path("mnt/vol");
    let refused = File::options().write(true).open(&path).unwrap_err();
    assert!(matches!(refused.raw_os_error(), Some(nix::libc::EROFS | nix::libc::EACCES)), "{refused}");
    assert_eq!(fs::read(&path).unwrap().len(), 1 << 20);
    confined.others_are_served(&mut other, &other_file);
    drop(other_file);
    confined.server.stop();
}
