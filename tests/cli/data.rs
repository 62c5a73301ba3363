//! `read` and `write`: a device's bytes.

use crate::sandbox::Sandbox;
use std::fs::{File, read};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

/// A sandbox with `vol0`: 100 sectors of `disk.img` from byte 196608 on.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.ok(&["create", "vol0", "--table", "0 100 linear disk.img 384"]);
    sandbox
}

#[test]
fn bytes_go_where_the_table_says_and_no_further() {
    let sandbox = sandbox();
    assert!(sandbox.run_with(&["write", "vol0"], b"hello").succeeded);
    let disk = read(sandbox.path().join("disk.img")).unwrap();
    assert_eq!(&disk[196608..196614], b"hello\0");
    assert_eq!(disk.iter().filter(|byte| **byte != 0).count(), 5);
    let first = sandbox.run(&["read", "vol0", "--length", "1"]).stdout;
    assert_eq!((first.len(), &first[..6]), (512, &b"hello\0"[..]));
    assert!(sandbox.run_with(&["write", "vol0", "--start", "99"], &[7; 512]).succeeded);
    assert_eq!(sandbox.run(&["read", "vol0", "--start", "99"]).stdout, [7; 512]);
    assert_eq!(sandbox.run(&["read", "vol0"]).stdout.len(), 51200);
}

#[test]
fn what_lies_past_the_end_is_refused() {
    let sandbox = sandbox();
    for words in
        [&["read", "vol0", "--start", "101"][..], &["read", "vol0", "--start", "90", "--length", "11"]]
    {
        let stderr = sandbox.fails(words);
        assert!(stderr.contains("past the end of the device, which is at sector 100"), "{stderr}");
    }
    let ran = sandbox.run_with(&["write", "vol0", "--start", "98"], &[1; 1025]);
    let lines = "rdmsetup: vol0: standard input has more bytes than fit before sector 100\nCommand failed.\n";
    assert_eq!((ran.succeeded, ran.stderr.as_str()), (false, lines));

    // The size of a file is known before the first byte is written.
    std::fs::write(sandbox.path().join("input"), [2; 1025]).unwrap();
    let mut command = sandbox.command(&["write", "vol0", "--start", "10", "--length", "2"]);
    let input = File::open(sandbox.path().join("input")).unwrap();
    let output = command.stdin(input).output().unwrap();
    assert!(!output.status.success());
    assert_eq!(sandbox.run(&["read", "vol0", "--start", "10", "--length", "2"]).stdout, [0; 1024]);
}

#[test]
fn a_read_only_device_is_not_written() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.ok(&["create", "ro", "-r", "--table", "0 100 linear disk.img 0"]);
    let stderr = sandbox.fails(&["write", "ro"]);
    assert!(stderr.starts_with("rdmsetup: ro: ") && stderr.contains("read-only"), "{stderr}");
}

#[test]
fn the_sector_at_fault_is_named() {
    let sandbox = sandbox();
    sandbox.ok(&["create", "bad", "--table", "0 9 zero\n9 9 error"]);
    let ran = sandbox.run(&["read", "bad"]);
    assert_eq!(ran.stderr, "rdmsetup: bad: read of sector 9: Input/output error\nCommand failed.\n");
    assert_eq!(ran.stdout, [0; 9 * 512]);
    let ran = sandbox.run_with(&["write", "bad"], &[1; 18 * 512]);
    assert_eq!(ran.stderr, "rdmsetup: bad: write of sector 9: Input/output error\nCommand failed.\n");
}

#[test]
fn holes_stay_holes_in_a_file() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 64 << 20);
    sandbox.ok(&["create", "vol0", "--table", "0 131072 linear disk.img 0"]);
    assert!(sandbox.run_with(&["write", "vol0", "--start", "65536"], b"middle").succeeded);
    let copy = sandbox.path().join("copy");
    let status = sandbox.command(&["read", "vol0"]).stdout(File::create(&copy).unwrap()).status().unwrap();
    assert!(status.success());
    assert_eq!(read(&copy).unwrap(), read(sandbox.path().join("disk.img")).unwrap());
    assert!(copy.metadata().unwrap().blocks() < 4096, "{}", copy.metadata().unwrap().blocks());

    // A file that is added to has no place for holes.
    let appended = File::options().append(true).create(true).open(sandbox.path().join("log")).unwrap();
    assert!(sandbox.command(&["read", "vol0", "--length", "8"]).stdout(appended).status().unwrap().success());
    assert_eq!(read(sandbox.path().join("log")).unwrap(), [0; 4096]);
}

#[test]
fn zeros_are_written_as_holes() {
    let sandbox = Sandbox::new();
    let disk = sandbox.path().join("disk.img");
    std::fs::write(&disk, vec![9; 16 << 20]).unwrap();
    sandbox.ok(&["create", "vol0", "--table", "0 32768 linear disk.img 0"]);
    let mut data = vec![0; 15 << 20];
    data[3 << 20..][..100].fill(1);
    data[(9 << 20) - 7..][..200_000].fill(2);
    let ran = sandbox.run_with(&["write", "vol0", "--start", "3"], &data);
    assert!(ran.succeeded && ran.stderr.is_empty(), "{ran:?}");
    let written = read(&disk).unwrap();
    assert!(written[..1536].iter().chain(&written[1536 + data.len()..]).all(|byte| *byte == 9));
    assert!(written[1536..][..data.len()] == data);
    let blocks = disk.metadata().unwrap().blocks();
    assert!(blocks * 512 < 4 << 20, "{blocks}");
    // A device that has no holes takes them too.
    sandbox.ok(&["create", "slow", "--table", "0 32768 delay disk.img 0 0"]);
    assert!(sandbox.run_with(&["write", "slow"], &data).succeeded);
    assert!(read(&disk).unwrap()[..data.len()] == data);
}

#[test]
fn a_read_can_feed_a_write() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 16 << 20);
    sandbox.ok(&["create", "from", "--table", "0 16384 zero"]);
    sandbox.ok(&["create", "to", "--table", "0 16384 linear disk.img 16384"]);
    std::fs::write(sandbox.path().join("disk.img"), vec![9; 16 << 20]).unwrap();
    let mut reader = sandbox.command(&["read", "from"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut writer = sandbox.command(&["write", "to"]);
    let written = writer.stdin(reader.stdout.take().unwrap()).status().unwrap();
    assert!(written.success() && reader.wait().unwrap().success());
    let disk = read(sandbox.path().join("disk.img")).unwrap();
    assert!(disk[..8 << 20].iter().all(|byte| *byte == 9) && disk[8 << 20..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_reader_that_goes_away_ends_it_in_silence() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol0", "--table", "0 131072 zero"]);
    for words in [&["read", "vol0"][..], &["info"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sandbox.command(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), &b""[..]), "{words:?}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let sandbox = sandbox();
    for words in [&["read", "vol0"][..], &["ls"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = sandbox.command(words).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.starts_with("rdmsetup: standard output: No space left on device\n"), "{stderr}");
    }
}
