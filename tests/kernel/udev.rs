//! With a real udevd: what a command promises when it returns, and that no semaphore is ever left behind.
//!
//! udev's own rules run `/sbin/dmsetup`, which is our binary here; the guest's root is thrown away afterwards.

use crate::guest;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const UDEVD: &str = "/lib/systemd/systemd-udevd";
const OURS: &str = "/usr/sbin/dmsetup";
const THEIRS: &str = "/tmp/dmsetup";
const ZERO: &str = "0 8 zero";

/// Runs the body in a guest with udevd.
fn with_udevd(name: &str, body: impl FnOnce()) {
    guest::run_with(name, &["--env", "DM_DISABLE_UDEV"], &[UDEVD, "udevadm", "lvm", "cryptsetup"], || {
        fs::copy(OURS, THEIRS).unwrap();
        fs::remove_file(OURS).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_rdmsetup"), OURS).unwrap();
        fs::create_dir_all("/run/udev").unwrap();
        let started = Command::new(UDEVD).arg("--daemon").stdout(Stdio::null()).status().unwrap();
        assert!(started.success());
        body();
        assert_eq!(semaphores(), 0, "semaphores at the end");
    });
}

fn command(program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.arg0("dmsetup").args(words).stdin(Stdio::null());
    command
}

fn dmsetup(words: &[&str]) -> Output {
    command(OURS, words).output().unwrap()
}

#[track_caller]
fn ok(words: &[&str]) -> String {
    let output = dmsetup(words);
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(words: &[&str]) -> String {
    let output = dmsetup(words);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// How many semaphores there are, whoever made them.
fn semaphores() -> usize {
    fs::read_to_string("/proc/sysvipc/sem").unwrap().lines().count() - 1
}

fn is_link(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.is_symlink()) && Path::new(path).exists()
}

fn is_node(path: &str) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_block_device())
}

fn udevadm(words: &[&str]) {
    assert!(Command::new("udevadm").args(words).status().unwrap().success());
}

/// Has udevd go on with events that it was told to leave, and waits until they are through. udevd may begin with them at the
/// next message only, however long that takes to come.
fn start_queue() {
    let settle = || Command::new("udevadm").args(["settle", "--timeout=10"]).status().unwrap().success();
    let through = (0..12).any(|_| {
        udevadm(&["control", "--start-exec-queue"]);
        settle()
    });
    assert!(through, "udevd does not go on");
}

#[test]
fn links_are_there_and_gone_when_a_command_returns() {
    with_udevd("udev::links_are_there_and_gone_when_a_command_returns", || {
        let by_id = ["/dev/disk/by-id/dm-uuid-u-0", "/dev/disk/by-id/dm-name-a", "/dev/disk/by-id/dm-name-b"];
        for round in 0..8 {
            ok(&["create", "a", "-u", "u-0", "--table", ZERO]);
            let device =
                format!("/dev/dm-{}", ok(&["info", "-c", "--noheadings", "-o", "minor", "a"]).trim_end());
            let is_its = |path: &str| is_link(path) && fs::canonicalize(path).unwrap() == Path::new(&device);
            assert!(is_its("/dev/mapper/a") && is_its(by_id[0]) && is_its(by_id[1]), "{round}");
            assert_eq!(semaphores(), 0, "{round}");
            ok(&["rename", "a", "b"]);
            assert!(is_its("/dev/mapper/b") && fs::symlink_metadata("/dev/mapper/a").is_err(), "{round}");
            assert!(is_its(by_id[0]) && is_its(by_id[2]), "{round}");
            assert!(fs::symlink_metadata(by_id[1]).is_err(), "{round}");
            assert_eq!(semaphores(), 0, "{round}");
            ok(&["suspend", "b"]);
            ok(&["resume", "b"]);
            ok(&["remove", "b"]);
            assert!(fs::symlink_metadata("/dev/mapper/b").is_err(), "{round}");
            assert!(by_id.iter().all(|path| fs::symlink_metadata(path).is_err()), "{round}");
            assert_eq!(semaphores(), 0, "{round}");
        }
        // The other way round: dmsetup waits, and our binary tells it that the rules are through.
        let theirs =
            |words: &[&str]| assert!(command(THEIRS, words).status().unwrap().success(), "{words:?}");
        theirs(&["create", "c", "--table", ZERO]);
        assert!(is_link("/dev/mapper/c"));
        theirs(&["remove", "c"]);
        assert!(!is_link("/dev/mapper/c"));
    });
}

#[test]
fn udevs_own_rules_run_this_program() {
    with_udevd("udev::udevs_own_rules_run_this_program", || {
        // Between udev and the program stands one that notes what it is asked.
        fs::create_dir("/tmp/ours").unwrap();
        fs::rename(OURS, "/tmp/ours/dmsetup").unwrap();
        let between = "#!/bin/sh\necho \"$1\" >>/tmp/asked\nexec /tmp/ours/dmsetup \"$@\"\n";
        fs::write(OURS, between).unwrap();
        fs::set_permissions(OURS, fs::Permissions::from_mode(0o755)).unwrap();
        let asked = |words: &[&str]| {
            let _ = fs::remove_file("/tmp/asked");
            let output = command("/tmp/ours/dmsetup", words).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
            fs::read_to_string("/tmp/asked").unwrap_or_default()
        };
        for words in
            [&["create", "vg-lv", "-u", "LVM-x", "--table", ZERO][..], &["rename", "vg-lv", "vg-new"]]
        {
            let asked = asked(words);
            // 55-dm.rules takes the flags out of the cookie, 56-lvm.rules a name apart, 95-dm-notify.rules ends the wait.
            for command in ["udevflags", "splitname", "udevcomplete"] {
                assert!(asked.lines().any(|line| line == command), "{words:?}: {asked}");
            }
        }
        let properties =
            Command::new("udevadm").args(["info", "-q", "property", "/dev/mapper/vg-new"]).output();
        let properties = String::from_utf8(properties.unwrap().stdout).unwrap();
        for property in ["DM_NAME=vg-new", "DM_UUID=LVM-x", "DM_VG_NAME=vg", "DM_LV_NAME=new"] {
            assert!(properties.lines().any(|line| line == property), "{property}: {properties}");
        }
        assert!(asked(&["remove", "vg-new"]).contains("udevcomplete\n"));
        assert!(fs::symlink_metadata("/dev/mapper/vg-new").is_err());
    });
}

#[test]
fn a_failure_leaves_no_semaphore() {
    with_udevd("udev::a_failure_leaves_no_semaphore", || {
        ok(&["create", "a", "--table", ZERO]);
        ok(&["create", "top", "--table", "0 8 linear /dev/mapper/a 0"]);
        for words in [
            &["create", "a", "--table", ZERO][..],
            &["create", "b", "--table", "0 8 linear"],
            &["create", "b", "--table", "nonsense"],
            &["remove", "a"],
            &["rename", "a", "top"],
            &["rename", "nope", "b"],
            &["resume", "nope"],
            &["remove", "nope"],
            &["create", "c", "--table", ZERO, "--udevcookie", "0xd4d0001"],
        ] {
            fails(words);
            assert_eq!(semaphores(), 0, "{words:?}");
        }
        // Requests that succeed and make no uevent.
        ok(&["resume", "a"]);
        ok(&["remove", "--deferred", "a"]);
        ok(&["create", "empty", "-n"]);
        assert_eq!(semaphores(), 0);
        ok(&["remove", "top"]);
        ok(&["remove", "empty"]);
        ok(&["create", "wiped", "--table", ZERO]);
        ok(&["wipe_table", "wiped"]);
        ok(&["remove", "-f", "wiped"]);
        ok(&["remove_all"]);
    });
}

#[test]
fn one_cookie_serves_several_commands() {
    with_udevd("udev::one_cookie_serves_several_commands", || {
        let cookie = ok(&["udevcreatecookie"]).trim_end().to_owned();
        assert!(cookie.starts_with("0x0D4D") && cookie.len() == 10, "{cookie}");
        ok(&["create", "a", "--table", ZERO, "--udevcookie", &cookie]);
        let made = command(OURS, &["create", "b", "--table", ZERO]).env("DM_UDEV_COOKIE", &cookie).status();
        assert!(made.unwrap().success());
        assert_eq!(semaphores(), 1);
        let listed = ok(&["udevcookies"]);
        assert!(
            listed.lines().nth(1).unwrap().starts_with(&cookie.replace("0x0D4D", "0xd4d").to_lowercase())
        );
        ok(&["udevreleasecookie", &cookie]);
        assert!(is_link("/dev/mapper/a") && is_link("/dev/mapper/b"));
        assert_eq!(semaphores(), 0);
        assert!(fails(&["udevreleasecookie", &cookie]).starts_with("Could not find notification semaphore"));
        ok(&["udevcreatecookie"]);
        let line = "1 semaphores with keys prefixed by 3405 (0xd4d) destroyed. 0 skipped.\n";
        assert_eq!(ok(&["udevcomplete_all", "-y"]), line);
    });
}

#[test]
fn nodes_are_ours_where_udev_is_kept_from_them() {
    with_udevd("udev::nodes_are_ours_where_udev_is_kept_from_them", || {
        ok(&["create", "a", "--table", ZERO, "--noudevrules"]);
        assert!(is_node("/dev/mapper/a"));
        ok(&["rename", "a", "b"]);
        assert!(is_node("/dev/mapper/b") && !is_node("/dev/mapper/a"));
        ok(&["remove", "b"]);
        assert!(!is_node("/dev/mapper/b"));
        let disabled =
            command(OURS, &["create", "c", "--table", ZERO]).env("DM_DISABLE_UDEV", "1").output().unwrap();
        assert!(
            disabled.status.success() && disabled.stderr.starts_with(b"Udev is running and DM_DISABLE_UDEV")
        );
        assert!(is_node("/dev/mapper/c"));
        ok(&["remove", "c"]);
        assert!(!is_node("/dev/mapper/c"));
        ok(&["create", "d", "--table", ZERO, "--verifyudev"]);
        assert!(is_link("/dev/mapper/d"));
        // A rule that makes no link, as a broken one does.
        let rule = "KERNEL==\"dm-*\", SYMLINK=\"nowhere\"\n";
        fs::create_dir_all("/run/udev/rules.d").unwrap();
        fs::write("/run/udev/rules.d/94-none.rules", rule).unwrap();
        udevadm(&["control", "--reload"]);
        let output = dmsetup(&["create", "e", "--table", ZERO, "--verifyudev"]);
        let line = b"/dev/mapper/e not set up by udev: Falling back to direct node creation.\n";
        assert!(output.status.success() && output.stderr == line, "{output:?}");
        assert!(is_node("/dev/mapper/e"));
        ok(&["remove", "d", "e"]);
    });
}

#[test]
fn a_wait_ends_after_its_time_and_at_a_signal() {
    with_udevd("udev::a_wait_ends_after_its_time_and_at_a_signal", || {
        ok(&["create", "a", "--table", ZERO]);
        udevadm(&["control", "--stop-exec-queue"]);
        let began = Instant::now();
        let mut late = command(OURS, &["create", "b", "--table", ZERO]);
        let output = late.env("RDMSETUP_UDEV_TIMEOUT", "0.5").output().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(500));
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("1 uevent(s) not completed by udevd after 0.5 seconds"), "{stderr}");
        assert!(is_node("/dev/mapper/b"), "it can be used all the same");
        assert_eq!(semaphores(), 0);

        let mut waiting = command(OURS, &["rename", "a", "c"]).spawn().unwrap();
        while semaphores() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = waiting.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(waiting.wait().unwrap().signal(), Some(15));
        assert_eq!(semaphores(), 0);
        start_queue();
        ok(&["remove", "b", "c"]);
        assert!(!Path::new("/dev/mapper/b").exists());
    });
}

#[test]
fn lvm_volumes_come_and_go() {
    with_udevd("udev::lvm_volumes_come_and_go", || {
        let lvm = |line: &str| {
            let output = Command::new("lvm").args(line.split(' ')).output().unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
        };
        fs::File::create("/dev/shm/disk").unwrap().set_len(64 << 20).unwrap();
        let attached = Command::new("losetup").args(["/dev/loop0", "/dev/shm/disk"]).status().unwrap();
        assert!(attached.success());
        lvm("pvcreate -q /dev/loop0");
        lvm("vgcreate -q vg /dev/loop0");
        // lvm's own rules ask the program at dmsetup's path which volume a device is.
        for volume in ["one", "two-with-dashes"] {
            lvm(&format!("lvcreate -qy -L 8M -n {volume} vg"));
            assert!(is_link(&format!("/dev/vg/{volume}")), "{volume}");
        }
        lvm("lvextend -q -L +4M vg/one");
        lvm("lvcreate -qy -s -L 4M -n snap vg/one");
        assert!(is_link("/dev/vg/snap"));
        assert_eq!(semaphores(), 0);
        lvm("lvremove -qy vg/snap vg/one");
        assert!(!Path::new("/dev/vg/one").exists() && !Path::new("/dev/vg/snap").exists());
        lvm("vgremove -qyf vg");
        assert_eq!(semaphores(), 0);
    });
}

#[test]
fn cryptsetup_opens_and_closes() {
    with_udevd("udev::cryptsetup_opens_and_closes", || {
        fs::write("/tmp/key", "pass").unwrap();
        let cryptsetup = |words: &[&str]| {
            let output = Command::new("cryptsetup").args(words).output().unwrap();
            assert!(output.status.success(), "{words:?}: {output:?}");
        };
        let quick = ["--pbkdf-force-iterations", "1000", "--key-file", "/tmp/key"];
        cryptsetup(&[&["-q", "luksFormat", "--type", "luks1"], &quick[..], &[guest::DISK_A]].concat());
        for _ in 0..3 {
            cryptsetup(&["open", "--key-file", "/tmp/key", guest::DISK_A, "sec"]);
            assert!(is_link("/dev/mapper/sec"));
            let table = ok(&["table", "sec"]);
            let key = table.split(' ').nth(4).unwrap();
            assert!(key.starts_with(':') || key.bytes().all(|byte| byte == b'0'), "{table}");
            cryptsetup(&["close", "sec"]);
            assert!(!is_link("/dev/mapper/sec"));
            assert_eq!(semaphores(), 0);
        }
    });
}
