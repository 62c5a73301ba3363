//! Keys on a real crypt target: as dmsetup hides them, and in no trace.

use crate::compare::run;
use crate::guest;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn a_key_is_shown_only_where_it_is_asked_for() {
    guest::run("secrets::a_key_is_shown_only_where_it_is_asked_for", || {
        let ours = |line: &str| run(env!("CARGO_BIN_EXE_rdmsetup"), "rdmsetup", line);
        let theirs = |line: &str| run("/usr/sbin/dmsetup", "dmsetup", line);
        let create =
            format!("--trace=hex create c --table \"0 8 crypt aes-xts-plain64 {KEY} 0 /dev/ubda 0\"");
        let made = ours(&create);
        assert_eq!(made.status, Some(0), "{made:?}");
        for line in
            ["table c", "table", "table --showkeys c", "table --concise", "table --concise --showkeys c"]
        {
            let (ours, theirs) = (ours(line), theirs(line));
            assert_eq!(ours, theirs, "{line}");
            assert_eq!(ours.stdout.contains(KEY), line.contains("showkeys"), "{line}: {ours:?}");
        }
        for line in ["--trace=hex table c", "--trace=hex table --showkeys c", "--trace table c"] {
            let trace = traced(line);
            assert!(!trace.contains(KEY) && trace.contains("<hidden>"), "{trace}");
            // As hex_dump would have it, in bytes.
            assert!(!trace.contains("30 30 31 31 32 32"), "{trace}");
        }
        assert!(traced("--trace table --showkeys c").contains("SECURE_DATA"));
        let reload = format!("--trace reload c --table \"0 8 crypt aes-xts-plain64 {KEY} 0 /dev/ubda 8\"");
        let trace = traced(&reload);
        assert!(
            trace.contains("DM_TABLE_LOAD") && trace.contains("SECURE_DATA") && !trace.contains(KEY),
            "{trace}"
        );
        assert_eq!(ours("remove c").status, Some(0));
    });
}

/// What a command line has on standard error.
fn traced(line: &str) -> String {
    let words = line.split('"').enumerate().flat_map(|(index, part)| {
        if index % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
    });
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rdmsetup"));
    let output = command.args(words).env("RDMSETUP_BACKEND", "kernel").output().unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}
