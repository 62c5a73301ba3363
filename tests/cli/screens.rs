//! What people see: each command at a terminal of 80 and of 120 columns. `golden/screens-80.txt` and `-120.txt` have the
//! text, `golden/screens-colours.txt` the first of them with its colours.
//!
//! `UPDATE=1 cargo test --test cli screens` rewrites them.

use crate::contract::subcommands;
use crate::pty::{at_terminal, plain};
use crate::sandbox::Sandbox;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Command lines in the order in which they are run, quoted as in a shell.
const SCREENS: &[&str] = &[
    "create data -u UUID-0 --table '0 1048576 linear disk.img 0\n1048576 524288 linear spare.img 2048'",
    "create wide --table '0 1048576 striped 2 128 disk.img 0 spare.img 0'",
    "create base --table '0 1572864 snapshot-origin data'",
    "create snap --table '0 1572864 snapshot data store.img P 8'",
    "create faulty --table '0 2048 dust spare.img 0 512'",
    "message faulty 0 addbadblock 60",
    "message faulty 0 listbadblocks",
    "create held -r --table '0 8 zero'",
    "suspend held",
    "create blank -n",
    "load blank --table '0 8 error'",
    "ls",
    "ls --target linear",
    "ls --tree",
    "ls -o devname",
    "info",
    "info snap held",
    "info -c",
    "status",
    "status snap",
    "table",
    "table data",
    "table --concise data",
    "deps",
    "holders",
    "targets",
    "target-version linear",
    "version",
    "help linear",
    "help striped",
    "splitname vg-lv",
    "mangle data",
    "measure data",
    "stats list",
    "setgeometry data 64 255 63 0",
    "check --table '0 100% linear disk.img 512MiB'",
    "check --table '0 8 liner disk.img 0\n8 8x zero\n9 8 linear disk.img 99999999'",
    "create bad --table '0 8 linear disk.img 38x'",
    "explain data",
    "explain '0 2048 striped 2 8 disk.img 0 spare.img 8'",
    "dump",
    "dump --concise data",
    "diff devices.toml",
    "apply --dry-run devices.toml",
    "apply devices.toml",
    "apply devices.toml",
    "create again --table '0 100% linear disk.img 5000B'",
    "create --dry-run new --table '0 8 zero'",
    "crate new",
    "ls --nosuch",
    "read nope",
    "write nope",
    "wait nope",
    "decode nosuch",
    "man nowhere",
    "completions tcsh",
    "remove data",
    "clear blank",
    "wipe_table faulty",
    "rename blank empty",
    "mknodes",
    "resume held",
    "remove snap",
    "remove_all",
    "ls",
    "info",
    "status",
];

/// Commands that have no screen, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("reload", "another name of load"),
    ("serve", "it ends when it is told to; tests/serve has it"),
    ("udevcreatecookie", "a semaphore of the whole system, whose number is another one each time"),
    ("udevreleasecookie", "it is about such a semaphore"),
    ("udevcookies", "it lists the semaphores of the whole system"),
    ("udevcomplete", "udevd calls it, and there is nobody at a terminal"),
    ("udevcomplete_all", "it would end the waiting of others on this system"),
    ("udevflags", "udevd calls it"),
    ("watch", "its plain lines begin with the time; tests/cli/watch.rs has it"),
];

/// A command line taken apart.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(index, part)| if index % 2 == 0 { part.split_whitespace().collect() } else { vec![part] })
        .collect()
}

/// The directory as golden files have it: a name as long as the one that it stands for, or columns would move.
const PLACE: &str = "/tmp/rdmsetup-screen";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name)
}

/// Every screen, with its colours.
fn screens(columns: u16) -> Vec<(&'static str, String)> {
    // A path that has as many characters anywhere and at any time.
    let directory = tempfile::Builder::new().prefix("rdmsetup-").rand_bytes(6).tempdir_in("/tmp").unwrap();
    let sandbox = Sandbox { directory };
    for (disk, bytes) in [("disk.img", 1 << 30), ("spare.img", 1 << 30), ("store.img", 1 << 24)] {
        sandbox.disk(disk, bytes);
    }
    let file = "[[device]]\nname = \"blank\"\ntable = \"0 16 error\"\n\n[[device]]\nname = \"more\"\nuuid = \"UUID-1\"\ntable = \"0 8 zero\"\n";
    std::fs::write(sandbox.path().join("devices.toml"), file).unwrap();
    let shown = |line: &&'static str| {
        let mut command = sandbox.command(&words(line));
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
        let (screen, _) = at_terminal(command, columns, None);
        let screen = screen.replace(sandbox.path().to_str().unwrap(), PLACE);
        (*line, screen.replace(env!("CARGO_BIN_EXE_rdmsetup"), "rdmsetup"))
    };
    SCREENS.iter().map(shown).collect()
}

/// Compares with a golden file, or rewrites it.
fn compare(name: &str, head: &str, screens: &[(&str, String)]) {
    let mut told = format!("{head}\n");
    for (line, screen) in screens {
        let line = line.replace('\n', "\\n");
        write!(told, "\n$ rdmsetup {line}\n{screen}").unwrap();
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(golden(name), &told).unwrap();
    }
    let expected = std::fs::read_to_string(golden(name)).unwrap_or_default();
    for (found, expected) in told.split("\n$ ").zip(expected.split("\n$ ")) {
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(told, expected, "{name}");
}

#[test]
fn each_command_looks_as_its_golden_screen() {
    for columns in [80, 120] {
        let coloured = screens(columns);
        let texts: Vec<(&str, String)> =
            coloured.iter().map(|(line, screen)| (*line, plain(screen))).collect();
        // What is drawn fits; dmsetup's lines, with -c among them, are as long as they are.
        let drawn = ["ls", "info", "status", "table", "deps", "holders", "targets"];
        for (line, screen) in &texts {
            let is_drawn = drawn.contains(&words(line)[0]) && !line.contains(" -c");
            let is_wide = |row: &str| row.chars().count() > columns.into();
            assert!(
                !is_drawn || line.contains("--concise") || !screen.lines().any(is_wide),
                "{line}: {screen}"
            );
        }
        compare(
            &format!("screens-{columns}.txt"),
            &format!("What stands on a terminal of {columns} columns, without its colours."),
            &texts,
        );
        if columns == 80 {
            let shown: Vec<(&str, String)> =
                coloured.into_iter().map(|(line, screen)| (line, screen.replace('\x1b', "\\e"))).collect();
            compare(
                "screens-colours.txt",
                "What stands on a terminal of 80 columns, with its colours.",
                &shown,
            );
        }
    }
}

#[test]
fn every_command_has_a_screen_or_a_reason() {
    for name in subcommands(&Sandbox::new()) {
        let is_shown = SCREENS.iter().any(|line| words(line)[0] == name);
        let has_reason = WITHOUT.iter().any(|(command, _)| *command == name);
        assert!(is_shown != has_reason, "{name}: it has a golden screen, or else a reason not to have one");
    }
}

/// Output of a run in a pipe.
fn piped(sandbox: &Sandbox, words: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = sandbox.command(words);
    command.envs(environment.iter().copied());
    String::from_utf8(Sandbox::finish(command, words, b"").stdout).unwrap()
}

#[test]
fn a_pipe_gets_dmsetups_lines_unless_it_asks() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol0", "--table", "0 8 zero"]);
    for words in [&["ls"][..], &["info"], &["status"], &["table"], &["deps"], &["targets"], &["holders"]] {
        let plain = sandbox.ok(words);
        assert!(!plain.contains('\x1b') && !plain.contains("NAME"), "{plain}");
        for when in ["auto", "never"] {
            assert_eq!(sandbox.ok(&[words, &["--color", when]].concat()), plain, "{words:?}");
        }
        let asked = piped(&sandbox, &[words, &["--color=always"]].concat(), &[("NO_COLOR", "1")]);
        assert!(asked.contains("\x1b[") && asked != plain, "{words:?}: {asked}");
    }
    assert_eq!(sandbox.ok(&["ls"]), "vol0\t(240:0)\n");
    let wide = piped(&sandbox, &["targets", "--color=always"], &[("COLUMNS", "200")]);
    let narrow = piped(&sandbox, &["targets", "--color=always"], &[("COLUMNS", "60")]);
    assert!(wide.lines().count() < narrow.lines().count(), "{wide}{narrow}");
    let stderr = sandbox.run(&["ls", "--color", "sometimes"]).stderr;
    assert!(stderr.contains("\"sometimes\" is not a time for colours: auto, always or never"), "{stderr}");
}

#[test]
fn a_terminal_may_have_no_colours() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol0", "--table", "0 8 zero"]);
    let shown = |words: &[&str], environment: &[(&str, &str)]| {
        let mut command = sandbox.command(words);
        command.envs(environment.iter().copied());
        at_terminal(command, 80, None).0
    };
    let coloured = shown(&["ls"], &[]);
    assert!(coloured.contains('\x1b'), "{coloured:?}");
    for (words, environment) in [
        (&["ls"][..], ("NO_COLOR", "1")),
        (&["ls"], ("TERM", "dumb")),
        (&["ls", "--color=never"], ("LANG", "C")),
    ] {
        assert_eq!(shown(words, &[environment]), plain(&coloured), "{words:?} {environment:?}");
    }
    assert_eq!(shown(&["ls"], &[("NO_COLOR", "")]), coloured);
    // Failures too.
    assert!(shown(&["remove", "vol1"], &[]).contains("hint:\x1b["));
    assert!(!shown(&["remove", "vol1"], &[("NO_COLOR", "1")]).contains('\x1b'));
}

#[test]
fn nothing_of_this_shows_in_dmsetup() {
    let sandbox = Sandbox::new();
    let link = sandbox.path().join("dmsetup");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rdmsetup"), &link).unwrap();
    for words in
        [&["splitname", "vg-lv"][..], &["ls", "--nosuch"], &["remove"], &["info", "--col", "-o", "help"]]
    {
        let mut command = std::process::Command::new(&link);
        command.args(words).env_clear().env("TERM", "xterm");
        let (screen, _) = at_terminal(command, 80, None);
        assert!(!screen.contains('\x1b') && !screen.contains("rdmsetup:"), "{words:?}: {screen}");
        assert!(!screen.contains("ambiguous"), "{words:?}: {screen}");
    }
}
