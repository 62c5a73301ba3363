//! Ways to fail on the real kernel, and what is said of each: its own log's words, our checks, and who holds a device.
//!
//! `golden/failures.txt` has them all. The kernel's errno comes first, as dmsetup has it.

use crate::guest;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Output};

/// Lines for a shell, `rdmsetup` among its programs.
const WAYS: &[&str] = &[
    "rdmsetup create vol1 --table '0 8 linear /dev/ubda 38x'",
    "rdmsetup create vol1 --table '0 8 linear /dev/ubda'",
    "rdmsetup create vol1 --table '0 8 linear /dev/ubdx 0'",
    "rdmsetup create vol1 --table '0 8 linear /etc/passwd 0'",
    "rdmsetup create vol1 --table '0 9000 linear /dev/ubda 0'",
    "rdmsetup create vol1 --table '0 8 liner /dev/ubda 0'",
    "rdmsetup create vol1 --table '0 8 crpyt /dev/ubda 0'",
    "rdmsetup create vol1 --table '0 8 crypt aes 00 0 /dev/ubda 0'",
    "rdmsetup create vol1 --table '8 8 zero'",
    "rdmsetup create vol0 -n",
    "rdmsetup remove vo0",
    "rdmsetup remove vol0",
    "rdmsetup remove mounted",
    "rdmsetup rename vol0 top",
    "rdmsetup message vol0 0 hello",
    "rdmsetup info nope",
    "rdmsetup target-version crpyt",
    "su -s /bin/sh nobody -c 'rdmsetup --backend kernel ls'",
    "dmsetup create vol1 --table '0 8 linear /dev/ubda 38x'",
    "dmsetup create vol1 --table '0 1MiB zero'",
];

fn shell(line: &str) -> Output {
    Command::new("sh").args(["-c", line]).output().unwrap()
}

#[test]
fn the_kernels_refusals_are_explained() {
    guest::run_with("failures::the_kernels_refusals_are_explained", &[], &["mkfs.ext4"], || {
        let setup = format!(
            "set -e; mkdir /dev/shm/bin; ln -s {program} /dev/shm/bin/rdmsetup; ln -s {program} /dev/shm/bin/dmsetup\n\
             export PATH=/dev/shm/bin:$PATH\n\
             rdmsetup create vol0 --table '0 100 linear /dev/ubda 0'\n\
             rdmsetup create top --table '0 8 linear /dev/mapper/vol0 0'\n\
             rdmsetup create mounted --table '0 8192 linear /dev/ubdb 0'\n\
             mkfs.ext4 -q /dev/mapper/mounted; mkdir /tmp/place; mount /dev/mapper/mounted /tmp/place",
            program = env!("CARGO_BIN_EXE_rdmsetup")
        );
        let output = shell(&setup);
        assert!(output.status.success(), "{output:?}");
        let mut told = String::from(
            "Ways to fail on the kernel's driver (Linux 6.1), and what standard error says. There are vol0 (100 sectors of\n\
             /dev/ubda, which has 8192), top (on vol0) and mounted (a file system).\n",
        );
        for way in WAYS {
            let output = shell(&format!("PATH=/dev/shm/bin:$PATH; {way}"));
            assert!(!output.status.success(), "{way}: {output:?}");
            let stderr = String::from_utf8(output.stderr).unwrap();
            writeln!(told, "\n$ {way}\n{}", stderr.trim_end()).unwrap();
        }
        let holders =
            shell("PATH=/dev/shm/bin:$PATH; exec 3</dev/mapper/top; rdmsetup holders vol0 mounted top; true");
        let holders = String::from_utf8(holders.stdout).unwrap();
        let expected = "vol0: open once\n  device \"top\"\nmounted: open once\n  the file system mounted at /tmp/place\n\
                        top: open once\n  process ";
        assert!(holders.starts_with(expected) && holders.ends_with(" (sh)\n"), "{holders}");
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/golden/failures.txt");
        let expected = std::fs::read_to_string(golden).unwrap_or_default();
        // The guest's writes are lost: whoever updates the file takes it from here.
        assert_eq!(told, expected, "---\n{told}---");
    });
}
