//! `check`: all that is wrong with a table, at once, and nothing done.

use crate::sandbox::Sandbox;
use serde_json::Value;

/// A table that is wrong in every line.
const FAULTY: &str = "0 100 liner disk.img 0\n99 0 zero x\n# a comment\n99 3000 linear disk.img 38\n\
                      3100 8 linear nope 38x\n8x 9y striped 2\n3109 8 striped 2 4 disk.img 0\n3117 8 linear nope 0\n8\n";

/// What `check` says, without the lines that it quotes: the place, the reason, the hint.
fn told(stderr: &str) -> Vec<&str> {
    let lines = stderr.lines();
    let wanted = |line: &&str| line.starts_with("rdmsetup: ") || line.starts_with("  hint: ");
    lines.filter(wanted).map(|line| line.trim_start_matches("rdmsetup: standard input, ")).collect()
}

#[test]
fn every_fault_is_told_at_once_and_where_it_stands() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let ran = sandbox.run_with(&["check"], FAULTY.as_bytes());
    assert!(!ran.succeeded && ran.stdout.is_empty());
    let path = std::fs::canonicalize(sandbox.path().join("disk.img")).unwrap();
    let path = path.display();
    let small =
        format!("line 4, column 16: \"{path}\" has 2048 sectors, and the line uses it from 38 to 3038");
    assert_eq!(
        told(&ran.stderr),
        [
            "line 1, column 7: there is no target type \"liner\"",
            "  hint: did you mean \"linear\"?",
            "line 2, column 1: an overlap in the table: the line starts at 99, not at 100",
            "  hint: start it at 100: the 1 sector from 99 on would be mapped twice",
            "line 2, column 4: the line maps no sectors: its length is 0",
            "line 2, column 11: zero takes no arguments, not 1",
            &small,
            "  hint: it is too small by 990 sectors: from there on it has 2010",
            "line 5, column 1: a gap in the table: the line starts at 3100, not at 3099",
            "  hint: start it at 3099, or map the 1 sector between with a line of type \"error\" or \"zero\"",
            "line 5, column 20: linear: \"38x\" is not a number of sectors",
            "line 6, column 1: \"8x\" is not a number of sectors, nor a size with its unit",
            "  hint: as in 2048, 1MiB, 64KiB or 10GB",
            "line 6, column 4: \"9y\" is not a number of sectors, nor a size with its unit",
            "  hint: as in 2048, 1MiB, 64KiB or 10GB",
            "line 7, column 30: striped: the number of stripes, 2, calls for 4 arguments DEVICE SECTOR..., not 2",
            "line 8, column 15: linear: there is no disk or file \"nope\"",
            "line 9, column 2: the line ends before the length, a number of sectors",
        ]
    );
    assert!(ran.stderr.ends_with("\n  8\n   ^\nCommand failed.\n"), "{}", ran.stderr);
    // Nothing was made for it, not even the state's directory.
    assert!(!sandbox.path().join("state").exists());
}

#[test]
fn a_table_without_fault_comes_from_anywhere() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let table = "0 8 zero\n8 100 linear disk.img 0\n";
    std::fs::write(sandbox.path().join("table"), table).unwrap();
    assert_eq!(sandbox.ok(&["check", "--table", table]), "table: 2 lines, 108 sectors, no fault\n");
    assert_eq!(sandbox.ok(&["check", "table"]), "table: 2 lines, 108 sectors, no fault\n");
    for words in [&["check"][..], &["check", "-"]] {
        let ran = sandbox.run_with(words, b"0 1 error");
        assert_eq!(ran.stdout, b"standard input: 1 line, 1 sector, no fault\n");
        assert!(ran.succeeded && ran.stderr.is_empty());
    }
    assert!(sandbox.fails(&["check", "table", "--table", table]).contains("--table or a file, not both"));
    assert!(sandbox.fails(&["check", "nosuch"]).starts_with("Couldn't open 'nosuch' for reading.\n"));
    assert_eq!(
        sandbox.fails(&["check", "--table", ""]),
        "rdmsetup: the table has no lines\nCommand failed.\n"
    );
}

#[test]
fn devices_in_the_concise_form_may_stand_on_earlier_ones() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let good = "a,,,,0 8 linear disk.img 0,8 8 zero;b,,,,0 16 linear /dev/mapper/a 0;c,,,,0 8 linear b 8";
    let told = sandbox.ok(&["check", "--concise", good]);
    assert_eq!(told.lines().last(), Some("table of c: 1 line, 8 sectors, no fault"));
    let bad = "a,,,,0 8 zero;b,,,,0 9 linear a 0;c,,,,0 8 linear d 0";
    let stderr = sandbox.run(&["check", "--concise", bad]).stderr;
    assert!(stderr.contains("table of b, line 1, column 12: \"a\" has 8 sectors"), "{stderr}");
    assert!(
        stderr.contains("table of c, line 1, column 12: linear: there is no disk or file \"d\""),
        "{stderr}"
    );
    assert!(stderr.contains("it is too small by 1 sector: from there on it has 8"), "{stderr}");
}

#[test]
fn devices_that_are_there_count_and_are_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.ok(&["create", "low", "--table", "0 16 linear disk.img 0"]);
    let before = sandbox.ok(&["info"]);
    assert!(sandbox.ok(&["check", "--table", "0 16 linear low 0"]).ends_with("no fault\n"));
    assert!(sandbox.fails(&["check", "--table", "0 17 linear low 0"]).contains("too small by 1 sector"));
    assert_eq!(sandbox.ok(&["info"]), before);
}

#[test]
fn what_a_target_would_write_when_it_is_loaded_is_not_written() {
    let sandbox = Sandbox::new();
    sandbox.disk("origin", 1 << 20);
    std::fs::write(sandbox.path().join("store"), vec![b'x'; 1 << 20]).unwrap();
    let table = "0 2048 snapshot origin store P 8";
    // Some other data is no store, and is told as such; zeros become one.
    let foreign = sandbox.run(&["check", "--table", table]);
    assert_eq!(std::fs::read(sandbox.path().join("store")).unwrap(), vec![b'x'; 1 << 20], "{foreign:?}");
    sandbox.disk("store", 1 << 20);
    assert!(sandbox.ok(&["check", "--table", table]).ends_with("no fault\n"));
    assert_eq!(std::fs::read(sandbox.path().join("store")).unwrap(), vec![0; 1 << 20]);
}

#[test]
fn a_file_that_may_not_be_written_is_for_read_only_tables() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let path = sandbox.path().join("disk.img");
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    let table = "0 8 linear disk.img 0";
    assert!(sandbox.ok(&["check", "-r", "--table", table]).ends_with("no fault\n"));
    let ran = sandbox.run(&["check", "--table", table]);
    // Root may write to it all the same, and so may its load.
    let may_write = std::fs::OpenOptions::new().write(true).open(&path).is_ok();
    assert_eq!(ran.succeeded, may_write, "{ran:?}");
    assert!(may_write || ran.stderr.contains("for writing: Permission denied\n"), "{ran:?}");
}

#[test]
fn the_json_document_has_each_fault_with_its_place() {
    let sandbox = Sandbox::new();
    let table = "0 8 crypt aes 0123 0 disk 0x\n0 8 zero";
    let ran = sandbox.run_with(&["check", "--json"], table.as_bytes());
    assert!(!ran.succeeded);
    assert_eq!(ran.stderr, "Command failed.\n");
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["rdmsetup"], 1);
    assert_eq!(document["ok"], false);
    let faults = document["tables"][0]["faults"].as_array().unwrap();
    assert_eq!(faults[0]["text"], "0 8 crypt aes 0000 0 disk 0x", "a key is not shown");
    let last = faults.last().unwrap();
    assert_eq!((&last["line"], &last["column"], &last["width"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(last["errno"], "EINVAL");
    let ran = sandbox.run_with(&["check", "--json"], b"0 8 zero");
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(
        (&document["ok"], document["tables"][0]["size_bytes"].as_u64()),
        (&Value::Bool(true), Some(4096))
    );
}

/// A line of each type's arguments, and which of them may be any word.
const WORDS: &[(&str, &str, &[usize])] = &[
    ("linear", "a 0", &[]),
    ("striped", "2 8 a 0 b 32", &[]),
    ("unstriped", "2 8 1 a 0", &[]),
    ("switch", "2 8 0 a 0 b 8", &[]),
    ("delay", "a 0 5", &[]),
    ("delay", "a 0 5 b 8 10", &[]),
    ("delay", "a 0 5 b 8 10 c 16 15", &[]),
    ("flakey", "a 0 1 2", &[]),
    ("flakey", "a 0 1 2 1 drop_writes", &[]),
    ("flakey", "a 0 1 2 6 error_writes corrupt_bio_byte 32 r 1 0", &[]),
    ("dust", "a 8 512", &[]),
    ("log-writes", "a b", &[]),
    ("mirror", "core 1 8 2 a 0 b 0", &[]),
    ("mirror", "core 2 8 nosync 3 a 0 b 0 c 0 1 handle_errors", &[]),
    ("mirror", "disk 3 c 8 sync 2 a 0 b 100 2 handle_errors keep_log", &[]),
    ("multipath", "0 0 1 1 queue-length 0 2 1 a 1 b 1", &[]),
    // A hardware handler is the kernel's; here there is none, and its name is kept.
    ("multipath", "3 queue_if_no_path pg_init_retries 5 1 alua 1 1 round-robin 0 1 1 a 1", &[5]),
    ("multipath", "2 queue_mode bio 0 2 1 round-robin 0 1 1 a 1 service-time 0 1 2 b 1 7", &[]),
    ("multipath", "4 pg_init_delay_msecs 5 queue_mode mq 0 1 1 round-robin 0 1 0 a", &[]),
    ("snapshot-origin", "a", &[]),
    ("snapshot", "a b P 8", &[]),
    ("snapshot", "a b N 8 2 discard_zeroes_cow discard_passdown_origin", &[]),
    ("snapshot-merge", "a b PO 8", &[]),
    ("zero", "", &[]),
    ("error", "any words", &[0, 1]),
];

/// Each word of each is spoilt in turn, one is left out, and one is too many.
#[test]
fn a_bad_argument_is_told_of_where_it_stands_whatever_the_target() {
    let sandbox = Sandbox::new();
    ["a", "b", "c"].iter().for_each(|disk| sandbox.disk(disk, 1 << 20));
    let column_told = |table: &str| {
        let ran = sandbox.run(&["check", "--table", table]);
        let stderr = ran.stderr;
        let place = stderr.split_once("line 1, column ").and_then(|(_, rest)| rest.split_once(": "));
        place.map(|(column, reason)| (column.parse::<usize>().unwrap(), reason.to_owned()))
    };
    let mut faults = Vec::new();
    for target in rdmsetup::target::TARGETS {
        assert!(WORDS.iter().any(|(name, ..)| *name == target.name), "{} has no line here", target.name);
    }
    for (target, arguments, free) in WORDS {
        let good = format!("0 64 {target} {arguments}").trim_end().to_owned();
        assert_eq!(column_told(&good), None, "{good}");
        let words: Vec<&str> = good.split(' ').collect();
        let column = |index: usize| words[..index].iter().map(|word| word.len() + 1).sum::<usize>() + 1;
        let mut expect = |spoilt: &str, wanted: usize| match column_told(spoilt) {
            Some((column, reason)) if column == wanted && reason.starts_with(target) => {}
            other => faults.push(format!("{spoilt:?}: {other:?}, not column {wanted}")),
        };
        for index in (3..words.len()).filter(|index| !free.contains(&(index - 3))) {
            let is_number = words[index].bytes().all(|byte| byte.is_ascii_digit());
            for wrong in ["?!", "99999999999999999999"] {
                if wrong == "?!" || is_number {
                    let mut spoilt = words.clone();
                    spoilt[index] = wrong;
                    expect(&spoilt.join(" "), column(index));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
}
