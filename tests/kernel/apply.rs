//! `apply`, `dump`, `diff` and `watch` on the real kernel, with dmsetup to tell what is there.

use crate::guest::{self, DISK_A, DISK_B};
use rdmsetup::backend::{Client, Kernel};
use rdmsetup::dm::{Command as Asked, DeviceId, Flags, Request};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Runs our program on a file of devices, which is written first.
fn ours(words: &[&str], file: &str) -> Output {
    fs::write("/dev/shm/devices", file).unwrap();
    Command::new(env!("CARGO_BIN_EXE_rdmsetup")).args(words).output().unwrap()
}

/// The same, which must go well; what it wrote.
#[track_caller]
fn ok(words: &[&str], file: &str) -> String {
    let output = ours(words, file);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.is_empty(), "{words:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

const APPLY: &[&str] = &["apply", "/dev/shm/devices"];

/// What dmsetup says.
#[track_caller]
fn dmsetup(words: &str) -> String {
    let output = Command::new("dmsetup").args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "dmsetup {words}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All of it that matters here.
fn look() -> String {
    dmsetup("info -c --noheadings -o name,uuid,minor,attr,suspended --sort name")
        + &dmsetup("table --showkeys")
}

#[test]
fn a_file_is_made_so_dumped_and_compared() {
    guest::run("apply::a_file_is_made_so_dumped_and_compared", || {
        // A path that leads to the node, as LVM's do.
        fs::create_dir_all("/dev/vg").unwrap();
        std::os::unix::fs::symlink("/dev/mapper/low", "/dev/vg/low").unwrap();
        let file = format!(
            "[[device]]\nname = 'top'\nreadonly = true\ntable = ['0 64 linear /dev/mapper/mid 0', '64 8 error']\n\
             [[device]]\nname = 'mid'\nuuid = 'U-mid'\ntable = '0 64 striped 2 8 {DISK_B} 0 254:9 8'\n\
             [[device]]\nname = 'low'\nminor = 9\ntable = '0 1MiB linear {DISK_A} 16'\n\
             [[device]]\nname = 'side'\nuuid = 'U-side'\ntable = '0 8 linear /dev/mapper/low 8'\n"
        );
        let file = file.replace("254:", &format!("{}:", guest::kernel_major())).replace("1MiB", "1024KiB");
        assert_eq!(ok(APPLY, &file), "created low\ncreated mid\ncreated top\ncreated side\n");
        let made = look();
        assert!(made.contains("low::9:L--w:Active") && made.contains("top::"), "{made}");
        assert!(made.contains("0 2048 linear 98:0 16"), "{made}");
        assert_eq!(ok(APPLY, &file), "nothing to do\n");
        assert_eq!(
            ok(APPLY, &file.replace("'0 8 linear /dev/mapper/low", "'0 8 linear /dev/vg/low")),
            "nothing to do\n"
        );
        assert_eq!(ok(&["diff", "/dev/shm/devices"], &file), "");
        for form in [&["dump"][..], &["dump", "--concise"]] {
            let dumped = ok(form, "");
            assert_eq!(ok(APPLY, &dumped), "nothing to do\n", "{dumped}");
            dmsetup("remove top mid side low");
            assert_eq!(ok(APPLY, &dumped).lines().count(), 4, "{dumped}");
            assert_eq!(look(), made, "{dumped}");
        }
        // What dmsetup made and changed.
        dmsetup("suspend mid");
        dmsetup("rename side aside");
        let output = ours(&["diff", "/dev/shm/devices"], &file);
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(told, "~ mid\n-   suspended\n~ side\n-   name aside\n+   name side\n");
        assert_eq!(ok(APPLY, &file), "resumed mid\nrenamed aside to side\n");
        assert_eq!(look(), made);
        let prune = &["apply", "--prune", "U-", "/dev/shm/devices"];
        let fewer = format!("low,,,,0 2048 linear {DISK_A} 16");
        let output = ours(prune, &fewer);
        // mid is held by top, which has no uuid.
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains("rdmsetup: stopped at \"mid\", which is as it was\n"),
            "{stderr}"
        );
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "removed side\n");
    });
}

#[test]
fn a_swap_that_the_kernel_refuses_is_undone() {
    guest::run("apply::a_swap_that_the_kernel_refuses_is_undone", || {
        let losetup = "truncate -s 1M /dev/shm/disk && losetup -b 4096 /dev/loop0 /dev/shm/disk";
        assert!(Command::new("sh").args(["-c", losetup]).status().unwrap().success());
        let file = |sector: u32, length: u32| {
            format!(
                "[[device]]\nname = 'first'\ntable = '0 {length} zero'\n\
                 [[device]]\nname = 'c'\ntable = '0 64 crypt aes-xts-plain64 {KEY} 0 /dev/loop0 {sector}'\n\
                 [[device]]\nname = 'last'\ntable = '0 {length} zero'\n"
            )
        };
        assert_eq!(ok(APPLY, &file(8, 8)).lines().count(), 3);
        let made = dmsetup("table --showkeys c") + &dmsetup("info c");
        // What no check of ours can see: the kernel takes the table, and finds that it cuts blocks when it is to be used.
        let output = ours(APPLY, &file(4, 16));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "reloaded first\n");
        assert!(
            stderr.starts_with("device-mapper: resume ioctl on c  failed: Invalid argument\n"),
            "{stderr}"
        );
        let rest = "rdmsetup: stopped at \"c\", which is as it was\n  done: reloaded first\n  not done: \"last\"\nCommand failed.\n";
        assert!(stderr.ends_with(rest), "{stderr}");
        assert!(!stderr.contains(KEY), "{stderr}");
        assert_eq!(dmsetup("table --showkeys c") + &dmsetup("info c"), made, "it is as it was");
        assert!(
            made.contains("State:             ACTIVE\n") && made.contains("Tables present:    LIVE\n"),
            "{made}"
        );
        assert_eq!(ok(APPLY, &file(16, 16)), "reloaded c\nreloaded last\n");

        // A key that is hidden is the one that there is, and none to load.
        let hidden = ok(&["dump", "c"], "");
        assert!(hidden.contains("# its key is hidden") && !hidden.contains(KEY), "{hidden}");
        assert_eq!(ok(APPLY, &hidden), "nothing to do\n");
        let shown = ok(&["dump", "--showkeys", "c"], "");
        assert!(shown.contains("# its key is in the table") && shown.contains(KEY), "{shown}");
        let other = shown.replace("ccddeeff\"", "ccddee00\"").replace("ccddeeff 0", "ccddee00 0");
        let output = ours(&["diff", "/dev/shm/devices"], &other);
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(
            told.starts_with("~ c\n-   0 64 crypt aes-xts-plain64 0000") && !told.contains("0011"),
            "{told}"
        );
        dmsetup("remove c");
        let output = ours(APPLY, &hidden);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success()
                && stderr.contains("has zeros for the key of crypt: it was hidden\n  hint: "),
            "{stderr}"
        );
        assert_eq!(ok(APPLY, &shown), "created c\n");
        assert!(dmsetup("table --showkeys c").contains(KEY));
    });
}

#[test]
fn what_was_killed_halfway_is_done_when_it_is_given_again() {
    guest::run("apply::what_was_killed_halfway_is_done_when_it_is_given_again", || {
        let file = |disk: &str| -> String {
            let device = |at| format!("[[device]]\nname = 'd{at}'\ntable = '0 64 linear {disk} {at}'\n");
            (0..12).map(device).collect()
        };
        assert_eq!(ok(APPLY, &file(DISK_B)).lines().count(), 12);
        let mut client = Client::new(Box::new(Kernel::open(Path::new("/dev"), true).unwrap()));
        let mut stands_on = |device: u32, disk: &str| {
            let table = Request::new(DeviceId::by_name(format!("d{device}")), Asked::TableStatus);
            let reply = client.perform(&table.with_flags(Flags::STATUS_TABLE | Flags::NOFLUSH)).unwrap();
            reply.lines()[0].params.starts_with(format!("{disk} ").as_bytes())
        };
        let mut halfway = 0;
        for round in 0..8 {
            let file = file(if round % 2 == 0 { DISK_A } else { DISK_B });
            fs::write("/dev/shm/devices", &file).unwrap();
            let number = if round % 2 == 0 { "98:0" } else { "98:16" };
            let mut command = Command::new(env!("CARGO_BIN_EXE_rdmsetup"));
            let mut applying = command.args(APPLY).stdout(Stdio::null()).spawn().unwrap();
            // When some are done, and in the midst of the next.
            while applying.try_wait().unwrap().is_none() && !stands_on(round, number) {
                std::thread::yield_now();
            }
            applying.kill().unwrap();
            let killed = applying.wait().unwrap();
            let left = ok(APPLY, &file);
            halfway += usize::from(!killed.success() && (1..12).contains(&left.matches("reloaded ").count()));
            let state = look();
            assert_eq!(state.matches(":L--w:Active").count(), 12, "{state}");
            assert_eq!(state.matches(&format!("linear {number} ")).count(), 12, "{state}");
        }
        assert!(halfway > 0, "none was killed halfway");
    });
}

/// A running `watch`.
struct Watching(Child, BufReader<ChildStdout>);

impl Watching {
    /// Reads on until that line comes.
    fn until(&mut self, wanted: &str) {
        let mut line = String::new();
        while line.split_once(' ').is_none_or(|(_, line)| line.trim_end() != wanted) {
            line.clear();
            assert!(self.1.read_line(&mut line).unwrap() > 0, "it ended before \"{wanted}\"");
        }
    }
}

#[test]
fn the_kernels_events_are_told_as_they_come() {
    guest::run("apply::the_kernels_events_are_told_as_they_come", || {
        dmsetup("create first --notable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rdmsetup"));
        let mut child = command.args(["watch", "--initial"]).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut watching = Watching(child, stdout);
        watching.until("first present");
        dmsetup("create x --notable");
        watching.until("x created");
        let load = Command::new("dmsetup").args(["load", "x", "--table", "0 64 zero"]).status();
        assert!(load.unwrap().success());
        dmsetup("resume x");
        watching.until("x table changed");
        dmsetup("rename x y");
        watching.until("y renamed from x");
        // A target's own event, of which the control node alone tells.
        let table = format!("0 64 multipath 0 0 1 1 round-robin 0 1 1 {DISK_A} 1000");
        let create = Command::new("dmsetup").args(["create", "m", "--table", &table]).status();
        assert!(create.unwrap().success());
        watching.until("m created");
        dmsetup("message m 0 fail_path 98:0");
        watching.until("m event 1");
        dmsetup("suspend y");
        dmsetup("resume y");
        dmsetup("remove y");
        watching.until("y removed");
        let pid = watching.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(watching.0.wait().unwrap().code(), Some(0));
    });
}
