//! `serve --fuse DIR --passthrough`: the kernel reads whole-file devices by itself, and commands know it.
//!
//! Passthrough is the kernel's and root's. Where it cannot be had the tests hold the program to saying so.

use crate::mounted::{Mounted, can_run};
use crate::server::eventually;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Its bit in a set of capabilities (linux/capability.h).
const CAP_SYS_ADMIN: u32 = 21;

const WHOLE: &str = "0 131072 linear disk 0";
const TWO: &str = "0 65536 linear disk 0\n65536 65536 linear disk 65536";

/// A server that passes through, if this process may have one; else it was refused, for the right reason.
fn passing(test: &str, devices: &[(&str, &str)]) -> Option<Mounted> {
    if !can_run(test, &[]) {
        return None;
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map_while(|word| word.parse::<u32>().ok());
    let is_new = (numbers.next(), numbers.next()) >= (Some(6), Some(9));
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:\t")).unwrap();
    let is_admin = u64::from_str_radix(capabilities, 16).unwrap() & (1 << CAP_SYS_ADMIN) != 0;
    if is_new && is_admin && map.contains("4294967295") {
        return Some(Mounted::with(&["--passthrough"], devices));
    }
    let mounted = Mounted::start(devices);
    fs::create_dir(mounted.sandbox.path().join("other")).unwrap();
    let said = mounted.sandbox.fails(&["serve", "--fuse", "other", "--passthrough"]);
    assert!(said.starts_with("rdmsetup: cannot pass files through: "), "{said}");
    eprintln!("fuse::{test}: no passthrough here, which the program said");
    None
}

/// Whether the file is read without the server's help.
fn is_passed(mounted: &Mounted, file: &File) -> bool {
    mounted.stand_still();
    thread::scope(|scope| {
        let reading = scope.spawn(|| file.read_at(&mut [0; 4096], 4096).unwrap());
        let end = Instant::now() + Duration::from_millis(300);
        while !reading.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        let is_passed = reading.is_finished();
        mounted.signal("-CONT");
        reading.join().unwrap();
        is_passed
    })
}

fn busy(mounted: &Mounted, command: &[&str]) {
    let said = mounted.sandbox.fails(command);
    assert!(said.contains("Device or resource busy"), "{command:?}: {said}");
    assert!(said.contains("\"vol\" is open for passthrough"), "{command:?}: {said}");
}

fn closed(mounted: &Mounted, name: &str) {
    let count = || mounted.sandbox.ok(&["info", "-c", "--noheadings", "-o", "open", name]);
    eventually("it is closed", || count().trim() == "0");
}

#[test]
fn whole_files_are_read_by_the_kernel_and_others_are_served() {
    let test = "whole_files_are_read_by_the_kernel_and_others_are_served";
    let devices =
        [("vol", WHOLE), ("two", TWO), ("part", "0 131064 linear disk 8"), ("short", "0 8 linear disk 0")];
    let Some(mut mounted) = passing(test, &devices) else { return };
    let data: Vec<u8> = (0..64_u32 << 18).flat_map(|at| at.wrapping_mul(0x9e37_79b9).to_ne_bytes()).collect();
    fs::write(mounted.disk(), &data).unwrap();
    for (name, passed) in [("vol", true), ("two", false), ("part", false), ("short", false)] {
        let file = File::open(mounted.file(name)).unwrap();
        assert_eq!(is_passed(&mounted, &file), passed, "{name}");
        let from = if name == "part" { 4096 } else { 0 };
        let until = if name == "short" { 4096 } else { data.len() };
        assert!(fs::read(mounted.file(name)).unwrap() == data[from..until], "{name}");
    }
    let direct = OpenOptions::new().read(true).custom_flags(nix::libc::O_DIRECT).open(mounted.file("vol"));
    drop(direct.unwrap());
    mounted.stop();
}

#[test]
fn what_is_written_is_served_and_read_at_once() {
    let Some(mut mounted) = passing("what_is_written_is_served_and_read_at_once", &[("vol", WHOLE)]) else {
        return;
    };
    let reader = File::open(mounted.file("vol")).unwrap();
    let writer = OpenOptions::new().read(true).write(true).truncate(true).open(mounted.file("vol")).unwrap();
    assert!(is_passed(&mounted, &reader) && !is_passed(&mounted, &writer));
    for round in 0_u8..50 {
        writer.write_all_at(&[round; 10_000], u64::from(round) * 4000).unwrap();
        let mut found = [0; 10_000];
        reader.read_exact_at(&mut found, u64::from(round) * 4000).unwrap();
        assert_eq!(found, [round; 10_000]);
    }
    let end = writer.write_at(b"behind the end", 64 << 20).unwrap_err();
    assert_eq!(end.raw_os_error(), Some(nix::libc::ENOSPC));
    assert_eq!(fs::metadata(mounted.disk()).unwrap().len(), 64 << 20);
    assert_eq!(reader.read_at(&mut [0; 8], 64 << 20).unwrap(), 0);
    mounted.stop();
}

#[test]
fn it_keeps_its_table_for_as_long_as_it_is_open() {
    let Some(mut mounted) = passing("it_keeps_its_table_for_as_long_as_it_is_open", &[("vol", WHOLE)]) else {
        return;
    };
    let ok = |command: &[&str]| mounted.sandbox.ok(command);
    let (one, two) = (File::open(mounted.file("vol")).unwrap(), File::open(mounted.file("vol")).unwrap());
    busy(&mounted, &["suspend", "vol"]);
    busy(&mounted, &["suspend", "--noflush", "vol"]);
    ok(&["load", "vol", "--table", "0 8 zero"]);
    busy(&mounted, &["resume", "vol"]);
    ok(&["rename", "vol", "new"]);
    ok(&["rename", "new", "vol"]);
    drop(one);
    busy(&mounted, &["suspend", "vol"]);
    assert!(is_passed(&mounted, &two));
    drop(two);
    closed(&mounted, "vol");
    ok(&["resume", "vol"]);
    assert_eq!(ok(&["table", "vol"]), "0 8 zero \n");
    ok(&["load", "vol", "--table", WHOLE]);
    ok(&["suspend", "vol"]);
    // While it is suspended nothing is lent, and who opened it then keeps others from it.
    let served = File::open(mounted.file("vol")).unwrap();
    ok(&["resume", "vol"]);
    let too = File::open(mounted.file("vol")).unwrap();
    assert!(!is_passed(&mounted, &served) && !is_passed(&mounted, &too));
    ok(&["suspend", "vol"]);
    ok(&["resume", "vol"]);
    drop((served, too));
    closed(&mounted, "vol");
    let passed = File::open(mounted.file("vol")).unwrap();
    assert!(is_passed(&mounted, &passed));
    ok(&["remove", "--deferred", "vol"]);
    drop(passed);
    eventually("it goes with its last user", || mounted.names().is_empty());
    mounted.stop();
}

#[test]
fn opening_and_suspending_at_once_fail_for_nobody_but_the_suspend() {
    let test = "opening_and_suspending_at_once_fail_for_nobody_but_the_suspend";
    let Some(mut mounted) = passing(test, &[("vol", WHOLE)]) else { return };
    let stop = AtomicBool::new(false);
    let (mut suspended, mut refused) = (0, 0);
    thread::scope(|scope| {
        for writes in [false, false, true, true] {
            let (mounted, stop) = (&mounted, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let file = OpenOptions::new().read(true).write(writes).open(mounted.file("vol")).unwrap();
                    assert_eq!(file.read_at(&mut [0; 4096], 8192).unwrap(), 4096);
                    drop(file);
                    thread::sleep(Duration::from_millis(2));
                }
            });
        }
        for _ in 0..2000 {
            if mounted.sandbox.run(&["suspend", "vol"]).succeeded {
                mounted.sandbox.ok(&["resume", "vol"]);
                suspended += 1;
            } else {
                refused += 1;
            }
            if suspended >= 5 && refused >= 5 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(suspended >= 5 && refused >= 5, "{suspended} and {refused}");
    closed(&mounted, "vol");
    mounted.stop();
}

#[test]
fn who_may_not_have_it_is_told_so_and_nothing_is_mounted() {
    if !can_run("who_may_not_have_it_is_told_so_and_nothing_is_mounted", &["unshare"]) {
        return;
    }
    let mounted = Mounted::start(&[]);
    fs::create_dir(mounted.sandbox.path().join("other")).unwrap();
    let allowed = Command::new("unshare").args(["-Urm", "true"]).status().unwrap();
    assert!(
        allowed.success() || std::env::var_os("CI").is_none(),
        "cannot run in CI: no user namespaces here"
    );
    if allowed.success() {
        let program = env!("CARGO_BIN_EXE_rdmsetup");
        let words = ["unshare", "-Urm", "env", "RDMSETUP_BACKEND=user", "RDMSETUP_STATE=elsewhere", program];
        let said = mounted.fails(&[&words[..], &["serve", "--fuse", "other", "--passthrough"]].concat());
        assert!(said.starts_with("rdmsetup: cannot pass files through: that "), "{said}");
        assert_eq!(fs::read_dir(mounted.sandbox.path().join("other")).unwrap().count(), 0);
    } else {
        eprintln!(
            "SKIPPED fuse::who_may_not_have_it_is_told_so_and_nothing_is_mounted: no user namespaces here"
        );
    }
    let said = mounted.sandbox.fails(&["serve", "--passthrough"]);
    assert!(said.contains("Usage: rdmsetup serve"), "{said}");
}
