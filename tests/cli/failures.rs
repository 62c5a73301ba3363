//! Ways to fail, and what is said of each: `golden/failures.txt` has them all, to be read by people.
//!
//! `UPDATE=1 cargo test --test cli failures` rewrites it.

use crate::sandbox::Sandbox;
use std::fmt::Write;
use std::path::Path;

/// A command line, quoted as in a shell, and what comes on standard input behind ` << `.
const WAYS: &[&str] = &[
    // The command line itself.
    "crate vol1",
    "help lz",
    "frobnicate",
    "create --tabel '0 8 zero' vol1",
    "create --table",
    "create --no vol1",
    "ls -q",
    "ls --nosuch",
    "ls --tree=yes",
    "ls vol0",
    "create a b c",
    "rename",
    "create --table '0 8 zero' --notable vol1",
    "ls --backend kernal",
    "ls --trace=hexx",
    "ls -o nmae",
    "info -c -o nmae",
    "info -c -S 'name=~('",
    // Names.
    "create",
    "remove",
    "load",
    "wait",
    "remove vo0",
    "suspend nope",
    "table -u UUID-x",
    "info -j 240 -m 77",
    "info vol",
    "status nope",
    "create a/b --table '0 8 zero'",
    "create /dev/mapper/b --table '0 8 zero'",
    "create LONG -n",
    "info ./vol0/x",
    "create vol0 -n",
    "create vol1 -u UUID-0 -n",
    "rename vol0 top",
    "rename vol0 ''",
    "rename vol0 a/b",
    "rename vol0 --setuuid UUID-1",
    "remove vol0",
    // Tables.
    "create vol1 --table '0 100 linear disk.img 38x'",
    "create vol1 --table '0 100 liner disk.img 0'",
    "create vol1 --table '0 100 nonesuch disk.img 0'",
    "create vol1 --table '0 100 linear disk.img'",
    "create vol1 --table '0 100 linear disk.im 0'",
    "create vol1 --table '0 100 linear /nowhere 0'",
    "create vol1 --table '0 100 linear . 0'",
    "create vol1 --table '0 100 linear 7:200 0'",
    "create vol1 --table '0 3000 linear disk.img 0'",
    "create vol1 --table '0 8 linear disk.img 2044'",
    "create vol1 --table '0 8 linear disk.img 9999'",
    "create vol1 --table '8 8 zero'",
    "create vol1 << 0 8 zero\n7 8 zero",
    "create vol1 << 0 8 zero\n9 8 zero",
    "create vol1 --table '0 0 zero'",
    "create vol1 --table '0 8'",
    "create vol1 --table '0 8x zero'",
    "create vol1 --table '0 8 a-name-of-16-bytes'",
    "create vol1 --table '0 18446744073709551615 zero'",
    "create vol1 --table '0 9 striped 2 8 disk.img 0 disk.img 0'",
    "create vol1 nosuch-file",
    "create vol1 .",
    "create --concise 'vol1,,,,0 8 zero;vol2'",
    "create --concise 'vol1,,,rx,0 8 zero'",
    "load vol0 --table '0 8 linear top 0'",
    "load vol0 --notable",
    // Files of devices.
    "apply nosuch-file",
    "apply - << vol1,,,,0 8 zero;vol2",
    "apply - << [[device]]\nname = 'vol1'\ntabel = '0 8 zero'",
    "apply - << [[device]]\nname = 'vol1\ntable = '0 8 zero'",
    "apply - << [[device]]\ntable = '0 8 zero'",
    "apply - << [[device]]\nname = 'vol1'\nminor = '7'",
    "apply - << [[device]]\nname = 'vol1'\n[[device]]\nname = 'vol1'",
    "apply - << [[device]]\nname = 'vol1'\ntable = '0 8 linear vol2 0'\n[[device]]\nname = 'vol2'\ntable = '0 8 linear vol1 0'",
    "apply - << [[device]]\nname = 'vol0'\nuuid = 'UUID-1'\ntable = '0 100 linear disk.im 0'",
    "apply - << [[device]]\nname = 'vol1'\nuuid = 'UUID-0'\n[[device]]\nname = 'vol0'",
    "apply - << [[device]]\nname = 'top'\nuuid = 'UUID-0'",
    "apply - << [[device]]\nname = 'vol0'\nminor = 9\ntable = '0 100 linear disk.img 0'",
    "apply - << [[device]]\nname = 'vol1'\nminor = 0",
    "apply - << [[device]]\nname = 'top'",
    "apply --prune '' -",
    "diff - << [[device]]\nname = 'vol1'\ntable = '0 8x zero'",
    "dump nope",
    "watch --count 1 --timeout 0",
    "watch --timeout soon",
    // What a device cannot do.
    "message vol0 0 hello",
    "message vol0 0 @stats_list",
    "message vol0 x hello",
    "setgeometry vol0 1 2 3 x",
    "target-version stiped",
    "read held",
    "write vol0 --start 99 --length 2 << x",
    // Drivers and state.
    "targets --backend kernel",
    "ls --state disk.img",
    "ls --dialect linus",
    "decode nosuch",
    "decode << <dict>",
    "man nowhere",
];

/// A command line taken apart: words, and standard input.
fn words(way: &str) -> (Vec<String>, &str) {
    let (line, input) = way.split_once(" << ").unwrap_or((way, ""));
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    let long = "n".repeat(128);
    (words.into_iter().map(|word| word.replace("LONG", &long)).collect(), input)
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.ok(&["create", "vol0", "-u", "UUID-0", "--table", "0 100 linear disk.img 0"]);
    sandbox.ok(&["create", "top", "--table", "0 8 linear vol0 0"]);
    sandbox.ok(&["create", "held", "--table", "0 8 zero"]);
    sandbox.ok(&["suspend", "held"]);
    sandbox.ok(&["create", "blank", "-n"]);
    // A control node that no driver is behind, on any machine.
    std::fs::create_dir_all(sandbox.path().join("dev/mapper")).unwrap();
    std::fs::write(sandbox.path().join("dev/mapper/control"), "").unwrap();
    sandbox
}

#[test]
fn each_way_to_fail_is_told_so_that_it_can_be_mended() {
    let sandbox = sandbox();
    let directory = std::fs::canonicalize(sandbox.path()).unwrap();
    let (info, table) = (sandbox.ok(&["info"]), sandbox.ok(&["table"]));
    let mut told = String::from(
        "Ways to fail, and what standard error says. There are vol0 (100 sectors of disk.img, which has 2048; its uuid UUID-0),\n\
         top (on vol0), held (suspended) and blank (without a table).\n",
    );
    for way in WAYS {
        let (words, input) = words(way);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = sandbox.command(&words);
        command.env("DM_DEV_DIR", directory.join("dev"));
        let ran = Sandbox::finish(command, &words, input.as_bytes());
        assert!(!ran.succeeded || std::env::var_os("UPDATE").is_some(), "{way}: {ran:?}");
        assert!(ran.stdout.is_empty() || way.starts_with("read"), "{way}: {ran:?}");
        let stderr = ran.stderr.replace(env!("CARGO_BIN_EXE_rdmsetup"), "rdmsetup");
        let stderr = stderr.replace(directory.to_str().unwrap(), "DIR").replace(&"n".repeat(128), "LONG");
        let input = way.split_once(" << ").map_or(String::new(), |(_, input)| format!(" <<< {input:?}"));
        let line = way.split(" << ").next().unwrap();
        writeln!(told, "\n$ rdmsetup {line}{input}\n{}", stderr.trim_end()).unwrap();
    }
    assert!(WAYS.len() >= 60);
    assert_eq!(
        (sandbox.ok(&["info"]), sandbox.ok(&["table"])),
        (info, table),
        "something was done all the same"
    );
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden/failures.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&golden, &told).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    for (found, expected) in told.split("\n$ ").zip(expected.split("\n$ ")) {
        assert_eq!(found, expected);
    }
    assert_eq!(told, expected);
}

#[test]
fn each_way_names_a_cause_of_its_own() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden/failures.txt");
    let told = std::fs::read_to_string(golden).unwrap();
    for way in told.split("\n$ ").skip(1) {
        let ours = |line: &str| line.starts_with("rdmsetup: ") || line.starts_with("  hint: ");
        // These two kinds of line are reasons in themselves.
        let reason = [" is not a ", " are incompatible."].iter().any(|words| way.contains(words));
        assert!(reason || way.lines().skip(1).any(ours), "nothing but the classic line: {way}");
    }
}
