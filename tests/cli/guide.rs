//! What the kernel's guide to device-mapper (its admin-guide/device-mapper) shows for the targets that test storage: the
//! same tables and messages, one command after the other, the files of a directory for disks.

use crate::sandbox::Sandbox;
use std::fs::read;
use std::time::{Duration, Instant};

/// A sandbox with disks `a` and `b` of 2 MiB.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("a", 2 << 20);
    sandbox.disk("b", 2 << 20);
    sandbox
}

/// dm-dust.rst, whose lines of dmesg are the kernel's alone.
#[test]
fn dust() {
    let sandbox = sandbox();
    let message = |words: &[&str]| sandbox.ok(&[&["message", "dust1", "0"], words].concat());
    sandbox.ok(&["create", "dust1", "--table", "0 4096 dust a 0 512"]);
    let path = sandbox.path().canonicalize().unwrap().join("a").display().to_string();
    assert_eq!(sandbox.ok(&["status", "dust1"]), format!("0 4096 dust {path} bypass verbose\n"));
    for block in ["60", "67", "72", "87"] {
        message(&["addbadblock", block]);
    }
    assert_eq!(sandbox.run(&["read", "dust1", "--length", "128"]).stdout.len(), 65536);
    message(&["enable"]);
    let status = format!("0 4096 dust {path} fail_read_on_bad_block verbose\n");
    assert_eq!(sandbox.ok(&["status", "dust1"]), status);
    let stderr = sandbox.fails(&["read", "dust1", "--start", "67", "--length", "1"]);
    assert!(stderr.contains("sector 67: Input/output error"), "{stderr}");
    assert_eq!(message(&["queryblock", "72"]), "dust_query_block: block 72 found in badblocklist\n");
    assert!(sandbox.fails(&["message", "dust1", "0", "addbadblock", "87"]).contains("Invalid argument"));
    assert!(sandbox.fails(&["message", "dust1", "0", "removebadblock", "88"]).contains("Invalid argument"));
    message(&["removebadblock", "87"]);
    assert_eq!(message(&["listbadblocks"]), "60\n67\n72\n");
    assert!(sandbox.run_with(&["write", "dust1"], &[0; 128 * 512]).succeeded);
    assert_eq!(message(&["countbadblocks"]), "countbadblocks: 0 badblock(s) found\n");
    assert_eq!(message(&["clearbadblocks"]), "dust_clear_badblocks: no badblocks found\n");
    message(&["quiet"]);
    assert!(sandbox.ok(&["status", "dust1"]).ends_with(" fail_read_on_bad_block quiet\n"));
    sandbox.ok(&["remove", "dust1"]);
}

/// switch.rst: the mappings stay from command to command.
#[test]
fn switch() {
    let sandbox = sandbox();
    for (name, first) in [("switch0", "0"), ("switch1", "1024"), ("switch2", "2048")] {
        sandbox.ok(&["create", name, "--table", &format!("0 1024 linear a {first}")]);
    }
    let table = "0 1024 switch 3 128 0 /dev/mapper/switch0 0 /dev/mapper/switch1 0 /dev/mapper/switch2 0";
    sandbox.ok(&["create", "switch", "--table", table]);
    let words = ["0:0", ":1", ":2", ":0", ":1", ":2", ":1"];
    sandbox.ok(&[&["message", "switch", "0", "set_region_mappings"][..], &words].concat());
    // R2,10 of the guide, where there is room for it.
    sandbox.ok(&["message", "switch", "0", "set_region_mappings", "2:1", ":2", "R2,4"]);
    assert_eq!(sandbox.ok(&["status", "switch"]), "0 1024 switch \n");
    let paths = [0, 1, 1, 2, 1, 2, 1, 2];
    for (region, path) in paths.iter().enumerate() {
        let start = (region * 128).to_string();
        assert!(
            sandbox
                .run_with(&["write", "switch", "--start", &start], &[u8::try_from(region + 1).unwrap()])
                .succeeded
        );
        let disk = read(sandbox.path().join("a")).unwrap();
        assert_eq!(usize::from(disk[(path * 1024 + region * 128) * 512]), region + 1, "region {region}");
    }
}

/// unstriped.rst. Its `0 1 unstriped` is refused by today's kernels too, since a line has whole chunks; its length is
/// that of a member here.
#[test]
fn unstriped() {
    const MEMBER: usize = 1 << 19;
    let sandbox = Sandbox::new();
    let members = [0, 1, 2, 3].map(|member| format!("member-{member}"));
    members.iter().for_each(|member| sandbox.disk(member, MEMBER as u64));
    let disks: Vec<String> = members.iter().map(|member| format!(" {member} 0")).collect();
    let raid = format!("0 {} striped 4 256{}", 4 * MEMBER / 512, disks.concat());
    sandbox.ok(&["create", "raid0", "--table", &raid]);
    let refused = sandbox.fails(&["create", "set-0", "--table", "0 1 unstriped 4 256 0 /dev/mapper/raid0 0"]);
    assert!(refused.contains("not whole chunks of 256 sectors"), "{refused}");
    for (number, member) in members.iter().enumerate() {
        let name = format!("set-{number}");
        let table = format!("0 1024 unstriped 4 256 {number} /dev/mapper/raid0 0");
        sandbox.ok(&["create", &name, "--table", &table]);
        let data: Vec<u8> = (0..MEMBER).map(|at| (at / 512 + number * 37).to_le_bytes()[0]).collect();
        assert!(sandbox.run_with(&["write", &name], &data).succeeded);
        assert!(read(sandbox.path().join(member)).unwrap() == data, "{member}");
        assert!(sandbox.run(&["read", &name]).stdout == data, "{name}");
    }
}

/// delay.rst: all requests half a second late, and then only those that write.
#[test]
fn delay() {
    let sandbox = sandbox();
    let timed = |words: &[&str], input: &[u8]| {
        let start = Instant::now();
        assert!(sandbox.run_with(words, input).succeeded, "{words:?}");
        start.elapsed()
    };
    let late = Duration::from_millis(500);
    sandbox.ok(&["create", "delayed", "--table", "0 4096 delay a 0 500"]);
    assert_eq!(sandbox.ok(&["status", "delayed"]), "0 4096 delay 0 0 0\n");
    assert!(timed(&["read", "delayed", "--length", "8"], b"") >= late);
    sandbox.ok(&["remove", "delayed"]);
    sandbox.ok(&["create", "delayed", "--table", "0 4096 delay a 0 0 b 0 500"]);
    // The flush behind the write is late as well.
    assert!(timed(&["write", "delayed"], b"late") >= 2 * late);
    assert_eq!(&read(sandbox.path().join("b")).unwrap()[..4], b"late");
}

/// dm-flakey.rst: seconds count from the loading of the table, whichever command looks.
#[test]
fn flakey() {
    let sandbox = sandbox();
    sandbox.ok(&["create", "flakey", "--table", "0 4096 flakey a 0 0 60 5 corrupt_bio_byte 32 r 1 0"]);
    let read = sandbox.run(&["read", "flakey", "--length", "8"]).stdout;
    assert_eq!((read[31], read.iter().filter(|byte| **byte != 0).count()), (1, 1));
    assert!(sandbox.ok(&["table", "flakey"]).ends_with(" 0 0 60 5 corrupt_bio_byte 32 r 1 0 \n"));
    sandbox.ok(&["remove", "flakey"]);
    let start = Instant::now();
    sandbox.ok(&["create", "flakey", "--table", "0 4096 flakey a 0 1 60"]);
    if sandbox.run(&["read", "flakey", "--length", "8"]).succeeded {
        assert!(start.elapsed() < Duration::from_secs(2), "up for too long");
    }
    std::thread::sleep(Duration::from_secs(1));
    let stderr = sandbox.fails(&["read", "flakey", "--length", "8"]);
    assert!(stderr.contains("Input/output error"), "{stderr}");
}

/// The numbers of an entry of a log, and its text or data.
fn entry(log: &[u8], sector: &mut usize) -> ([u64; 4], Vec<u8>) {
    let at = *sector * 512;
    let number = |index: usize| log[at + index * 8..][..8].try_into().map(u64::from_le_bytes).unwrap();
    let numbers = [0, 1, 2, 3].map(number);
    let sectors = usize::try_from(numbers[1]).unwrap();
    let text = log[at + 32..][..usize::try_from(numbers[3]).unwrap()].to_vec();
    *sector += 1 + sectors;
    (numbers, if sectors > 0 { log[at + 512..][..sectors * 512].to_vec() } else { text })
}

/// log-writes.rst: the log is replayed up to a mark, as replay-log does it.
#[test]
fn log_writes() {
    let sandbox = sandbox();
    sandbox.ok(&["create", "log", "--table", "0 4096 log-writes a b"]);
    assert!(sandbox.run_with(&["write", "log", "--start", "8"], &[1; 4096]).succeeded);
    sandbox.ok(&["message", "log", "0", "mark", "fsync"]);
    let at_the_mark = read(sandbox.path().join("a")).unwrap();
    assert!(sandbox.run_with(&["write", "log", "--start", "12"], &[2; 2048]).succeeded);
    // A write of 8 sectors, its flush, the mark; a write of 4 and its flush.
    assert_eq!(sandbox.ok(&["status", "log"]), "0 4096 log-writes 5 17\n");
    sandbox.ok(&["remove", "log"]);

    let log = read(sandbox.path().join("b")).unwrap();
    assert_eq!(log[..28], *b"rhswfsj\0\x01\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0\0\x02\0\0");
    let (mut replayed, mut sector, mut marks) = (vec![0; 2 << 20], 1, Vec::new());
    for _ in 0..6 {
        let ([at, sectors, flags, _], data) = entry(&log, &mut sector);
        if flags == 8 {
            marks.push(String::from_utf8(data).unwrap());
            assert!(marks.len() != 1 || replayed == at_the_mark);
        } else if sectors > 0 {
            replayed[usize::try_from(at).unwrap() * 512..][..data.len()].copy_from_slice(&data);
        }
    }
    assert_eq!(marks, ["fsync", "dm-log-writes-end"]);
    assert!(replayed == read(sandbox.path().join("a")).unwrap());
}

/// What a kernel's multipath learns for as long as its table lives is kept from command to command.
#[test]
fn a_multipaths_paths_are_remembered() {
    let sandbox = sandbox();
    for (path, disk) in [("one", "a"), ("two", "b")] {
        sandbox.ok(&["create", path, "--table", &format!("0 4096 linear {disk} 0")]);
    }
    let table =
        "0 4096 multipath 0 0 2 1 round-robin 0 1 0 /dev/mapper/one round-robin 0 1 0 /dev/mapper/two";
    sandbox.ok(&["create", "m", "--table", table]);
    let message = |words: &str| {
        sandbox.ok(&[&["message", "m", "0"][..], &words.split(' ').collect::<Vec<_>>()].concat())
    };
    let status = || sandbox.ok(&["status", "m"]).replace("240:0", "one").replace("240:1", "two");
    let write = |byte: u8| sandbox.run_with(&["write", "m"], &[byte; 512]).succeeded;
    assert!(status().contains(" multipath 2 1 0 0 2 1 E 0 1 0 one A 0 E 0 1 0 two A 0"), "{}", status());
    assert!(write(1));
    assert_eq!(
        (read(sandbox.path().join("a")).unwrap()[0], read(sandbox.path().join("b")).unwrap()[0]),
        (1, 0)
    );
    message("fail_path /dev/mapper/one");
    assert!(write(2));
    assert_eq!(
        (read(sandbox.path().join("a")).unwrap()[0], read(sandbox.path().join("b")).unwrap()[0]),
        (1, 2)
    );
    assert!(status().contains(" multipath 2 0 0 0 2 2 E 0 1 0 one F 1 A 0 1 0 two A 0"), "{}", status());
    message("fail_path /dev/mapper/two");
    assert!(!write(3), "no path is left");
    message("queue_if_no_path");
    assert!(sandbox.ok(&["table", "m"]).contains(" multipath 1 queue_if_no_path 0 2 "));
    message("fail_if_no_path");
    assert!(sandbox.ok(&["table", "m"]).contains(" multipath 0 0 2 "));
    message("reinstate_path /dev/mapper/two");
    message("reinstate_path /dev/mapper/one");
    message("disable_group 2");
    message("switch_group 1");
    sandbox.ok(&["suspend", "m"]);
    let refused = sandbox.fails(&["message", "m", "0", "switch_group", "2"]);
    assert!(refused.contains("the device is suspended"), "{refused}");
    sandbox.ok(&["resume", "m"]);
    assert!(write(4));
    assert_eq!(read(sandbox.path().join("a")).unwrap()[0], 4);
    assert!(sandbox.ok(&["info", "m"]).contains("Event number:      6\n"));
    // Another table has learned nothing yet.
    sandbox.ok(&["load", "m", "--table", table]);
    sandbox.ok(&["resume", "m"]);
    assert!(status().contains(" multipath 2 1 0 0 2 1 E 0 1 0 one A 0 E 0 1 0 two A 0"), "{}", status());
}
