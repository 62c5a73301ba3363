//! How often the driver is asked: never more often than dmsetup asks for the same command line.

use crate::guest;
use std::fs;
use std::process::{Command, Stdio};

/// Command lines, run one after the other by both programs; words are split at blanks, `_` stands for one in a word
/// and `!` for `_`.
const LINES: &[&str] = &[
    "version",
    "ls",
    "info",
    "table",
    "status",
    "deps",
    "targets",
    "create a --table 0_64_linear_/dev/ubda_0",
    "create b --notable",
    "create c -u U --table 0_8_zero",
    "ls",
    "ls --target linear",
    "ls -o blkdevname",
    "info",
    "info a",
    "info -u U",
    "table",
    "table a b",
    "table --inactive",
    "status",
    "status --target zero",
    "deps",
    "deps -o devname a",
    "info -c",
    "info -c -o name,devnos!used",
    "info -c -o name,devs!used,read!ahead,blkdevs!used",
    "info -c -S devs!used=a",
    "table -S name=a",
    "ls --tree",
    "splitname vg-lv",
    "targets",
    "target-version linear zero",
    "load b --table 0_8_linear_/dev/mapper/a_0",
    "resume b",
    "suspend a",
    "resume a",
    "rename c d",
    "rename b --setuuid V",
    "message a 0 hello",
    "setgeometry a 1 1 1 0",
    "wait d 0",
    "wipe_table d",
    "clear a",
    "mknodes",
    "mknodes a",
    "remove a",
    "remove b",
    "remove -f a",
    "remove_all",
    "remove nope",
];

/// How many of the driver's ioctls a command line takes.
fn asked(program: &str, line: &str) -> usize {
    let log = "/dev/shm/ioctls";
    let words = line.split(' ').map(|word| word.replace('_', " "));
    // Underscores that belong to the command's own name.
    let words = words.map(|word| match word.replace('!', "_").as_str() {
        "remove all" => "remove_all".into(),
        "wipe table" => "wipe_table".into(),
        word => word.to_owned(),
    });
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", "trace=ioctl", "-o", log, "--", program]).args(words);
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    strace.status().unwrap();
    fs::read_to_string(log).unwrap().lines().filter(|line| line.contains("DM_")).count()
}

#[test]
fn the_driver_is_asked_no_more_often_than_by_dmsetup() {
    guest::run("ioctls::the_driver_is_asked_no_more_often_than_by_dmsetup", || {
        let play = |program: &str| -> Vec<usize> { LINES.iter().map(|line| asked(program, line)).collect() };
        let theirs = play("/usr/sbin/dmsetup");
        let ours = play(env!("CARGO_BIN_EXE_rdmsetup"));
        assert!(theirs.iter().sum::<usize>() > LINES.len(), "the ioctls were not seen: {theirs:?}");
        let counts = LINES.iter().zip(theirs).zip(ours);
        let more: Vec<String> = counts
            .filter(|((_, theirs), ours)| ours > theirs)
            .map(|((line, theirs), ours)| format!("{line}: {ours}, and dmsetup {theirs}"))
            .collect();
        assert!(more.is_empty(), "{}", more.join("\n"));
    });
}
