//! Commands beside open files: what they change is seen at once, and waits where it must.

use crate::mounted::{Mounted, can_run};
use crate::server::eventually;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const LINEAR: &str = "0 131072 linear disk 0";

fn open(mounted: &Mounted, name: &str) -> File {
    File::options().read(true).write(true).open(mounted.file(name)).unwrap()
}

fn open_count(mounted: &Mounted, name: &str) -> String {
    mounted.sandbox.ok(&["info", "-c", "--noheadings", "-o", "open", name]).trim().to_owned()
}

#[test]
fn commands_are_seen_at_once() {
    if !can_run("commands_are_seen_at_once", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[]);
    assert_eq!(mounted.names(), [""; 0]);
    for _ in 0..5 {
        mounted.sandbox.ok(&["create", "vol", "--table", "0 8 zero"]);
        assert_eq!(fs::metadata(mounted.file("vol")).unwrap().len(), 4096);
        let file = open(&mounted, "vol");
        mounted.sandbox.ok(&["load", "vol", "--table", "0 16 zero"]);
        mounted.sandbox.ok(&["resume", "vol"]);
        assert_eq!(fs::metadata(mounted.file("vol")).unwrap().len(), 8192);
        assert_eq!(file.metadata().unwrap().len(), 8192);
        assert_eq!(file.read_at(&mut [0; 9000], 0).unwrap(), 8192);
        mounted.sandbox.ok(&["rename", "vol", "new"]);
        assert_eq!(mounted.names(), ["new"]);
        // It agrees with the devices before, and after.
        assert_eq!(mounted.sandbox.ok(&["mknodes"]), "");
        assert_eq!(mounted.names(), ["new"]);
        assert!(!mounted.file("vol").exists() && mounted.file("new").exists());
        assert_eq!(file.read_at(&mut [0; 9000], 0).unwrap(), 8192, "an open file follows its device");
        drop(file);
        eventually("it is closed", || open_count(&mounted, "new") == "0");
        mounted.sandbox.ok(&["remove", "new"]);
        assert!(mounted.names().is_empty() && !mounted.file("new").exists());
    }
    mounted.stop();
}

#[test]
fn an_open_file_is_a_user_of_its_device() {
    if !can_run("an_open_file_is_a_user_of_its_device", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", LINEAR)]);
    let (one, two) = (open(&mounted, "vol"), open(&mounted, "vol"));
    assert_eq!(open_count(&mounted, "vol"), "2");
    let busy = mounted.sandbox.fails(&["remove", "vol"]);
    assert!(busy.contains("Device or resource busy"), "{busy}");
    mounted.sandbox.ok(&["remove", "--deferred", "vol"]);
    drop(one);
    two.write_all_at(b"still", 0).unwrap();
    drop(two);
    eventually("it goes with its last user", || mounted.names().is_empty());
    mounted.stop();
}

#[test]
fn a_device_can_go_as_soon_as_its_file_is_closed() {
    if !can_run("a_device_can_go_as_soon_as_its_file_is_closed", &["dd"]) {
        return;
    }
    let mut mounted = Mounted::start(&[]);
    for _ in 0..20 {
        mounted.sandbox.ok(&["create", "vol", "--table", LINEAR]);
        mounted.ok(&["dd", "if=/dev/zero", "of=mnt/vol", "bs=64k", "count=1", "status=none"]);
        mounted.sandbox.ok(&["remove", "vol"]);
    }
    mounted.stop();
}

#[test]
fn a_suspended_device_keeps_nobody_else_waiting() {
    if !can_run("a_suspended_device_keeps_nobody_else_waiting", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[
        ("held", LINEAR),
        ("upper", "0 131072 linear held 0"),
        ("free", "0 2048 linear disk 0"),
    ]);
    mounted.sandbox.ok(&["suspend", "held"]);
    // Far more than there are threads to begin with; half of them through a device that is not suspended itself.
    let waiting: Vec<_> = (0..64)
        .map(|number| {
            let file = open(&mounted, if number % 2 == 0 { "held" } else { "upper" });
            thread::spawn(move || {
                if number % 3 == 0 { file.sync_all() } else { file.write_all_at(&[7; 4096], number * 4096) }
            })
        })
        .collect();
    let free = open(&mounted, "free");
    let begun = Instant::now();
    for _ in 0..200 {
        free.read_exact_at(&mut [0; 4096], 0).unwrap();
        assert_eq!(mounted.names().len(), 3);
        assert_eq!(fs::metadata(mounted.file("held")).unwrap().len(), 64 << 20);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(waiting.iter().all(|thread| !thread.is_finished()));
    mounted.sandbox.ok(&["resume", "held"]);
    for thread in waiting {
        thread.join().unwrap().unwrap();
    }
    drop(free);
    mounted.stop();
}

#[test]
fn tables_are_swapped_under_load() {
    if !can_run("tables_are_swapped_under_load", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", LINEAR)]);
    let other = "0 65536 linear disk 0\n65536 65536 linear disk 65536";
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..4u8 {
            let (file, done) = (open(&mounted, "vol"), &done);
            scope.spawn(move || {
                let at = u64::from(client) * (16 << 20);
                for round in (0..u8::MAX).cycle() {
                    let data = vec![round ^ client; if round % 2 == 0 { 256 << 10 } else { 4096 }];
                    let mut read = vec![0; data.len()];
                    file.write_all_at(&data, at).unwrap();
                    file.read_exact_at(&mut read, at).unwrap();
                    assert!(read == data);
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for round in 0..20 {
            mounted.sandbox.ok(&["suspend", "vol"]);
            mounted.sandbox.ok(&["load", "vol", "--table", if round % 2 == 0 { other } else { LINEAR }]);
            mounted.sandbox.ok(&["resume", "vol"]);
        }
        done.store(true, Ordering::Relaxed);
    });
    mounted.stop();
}

#[test]
fn the_server_ends_though_files_are_open_and_held() {
    if !can_run("the_server_ends_though_files_are_open_and_held", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", LINEAR), ("held", LINEAR)]);
    let (file, held) = (open(&mounted, "vol"), open(&mounted, "held"));
    file.write_all_at(b"kept", 0).unwrap();
    mounted.sandbox.ok(&["suspend", "held"]);
    let waiting = thread::spawn(move || held.read_at(&mut [0; 512], 0).unwrap_err().raw_os_error());
    eventually("it is open", || open_count(&mounted, "held") == "1");
    thread::sleep(Duration::from_millis(50));
    mounted.stop();
    assert_eq!(waiting.join().unwrap(), Some(nix::libc::EIO));
    let gone = file.read_at(&mut [0; 512], 0).unwrap_err();
    assert_eq!(gone.raw_os_error(), Some(nix::libc::ENOTCONN));
    assert!(mounted.names().is_empty(), "it is unmounted");
    assert!(fs::read(mounted.disk()).unwrap().starts_with(b"kept"));
    mounted.serve();
    assert_eq!(mounted.names().len(), 2, "and can be mounted again");
    mounted.stop();
}

#[test]
fn a_read_that_fails_half_way_is_had_from_another_path() {
    if !can_run("a_read_that_fails_half_way_is_had_from_another_path", &[]) {
        return;
    }
    let paths = "2 1 round-robin 0 1 0 /dev/mapper/half round-robin 0 1 0 /dev/mapper/whole";
    let multipath = format!("0 2048 multipath 0 0 {paths}");
    let mut mounted = Mounted::start(&[
        ("half", "0 512 linear disk 0\n512 1536 error"),
        ("whole", "0 2048 linear disk 0"),
        ("m", &multipath),
    ]);
    let data: Vec<u8> = (0..1u32 << 20).map(|byte| byte.to_le_bytes()[1] ^ byte.to_le_bytes()[2]).collect();
    open(&mounted, "whole").write_all_at(&data, 0).unwrap();
    let file = open(&mounted, "m");
    // In the first the part that is good is as long as the other: twice the one would pass for both.
    for (at, length) in [(0, 512 << 10), (128 << 10, 192 << 10), (0, 1 << 20)] {
        mounted.sandbox.ok(&["message", "m", "0", "reinstate_path", "/dev/mapper/half"]);
        mounted.sandbox.ok(&["message", "m", "0", "switch_group", "1"]);
        let mut read = vec![0; length];
        file.read_exact_at(&mut read, at).unwrap();
        assert!(read == data[usize::try_from(at).unwrap()..][..length], "{length} bytes at {at}");
        assert!(mounted.sandbox.ok(&["status", "m"]).contains(" F "), "the path was not tried");
    }
    drop(file);
    mounted.stop();
}
