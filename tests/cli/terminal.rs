//! What is said to a person at a terminal, and to nobody else.

use crate::pty::at_terminal;
use crate::sandbox::Sandbox;
use std::path::Path;
use std::process::Stdio;

/// Whether there can be a terminal.
fn can_run(test: &str) -> bool {
    let has = Path::new("/usr/bin/expect").exists();
    if !has {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no expect here");
        eprintln!("SKIPPED {test}: no expect here");
    }
    has
}

/// What a shell's command line shows on a terminal of 80 columns; it must succeed.
fn shown(sandbox: &Sandbox, line: &str) -> String {
    let program = env!("CARGO_BIN_EXE_rdmsetup");
    let play = format!(
        "set timeout 60\nset stty_init {{rows 24 columns 80}}\nspawn -noecho sh -c {{{}}}\n\
         expect eof {{}} timeout {{exit 3}}\nlassign [wait] pid id os status\nexit $status\n",
        line.replace("rdmsetup", program)
    );
    let mut command = std::process::Command::new("/usr/bin/expect");
    command.args(["-c", &play]).current_dir(sandbox.path()).stdin(Stdio::null());
    command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", sandbox.path().join("state"));
    let output = command.env("TERM", "xterm").output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{line}: {shown}");
    shown
}

#[test]
fn what_takes_long_shows_how_far_it_has_come() {
    if !can_run("what_takes_long_shows_how_far_it_has_come") {
        return;
    }
    let sandbox = Sandbox::new();
    // Four pieces of a second each, and one of none.
    sandbox.disk("disk.img", 4 << 20);
    std::fs::write(sandbox.path().join("input"), vec![7; 4 << 20]).unwrap();
    sandbox.ok(&["create", "slow", "--table", "0 8192 delay disk.img 0 600"]);
    sandbox.ok(&["create", "quick", "--table", "0 8192 linear disk.img 0"]);
    let written = shown(&sandbox, "rdmsetup write slow <input");
    assert!(written.contains("2.00 MiB of 4.00 MiB") && written.contains("50% [====="), "{written:?}");
    let typed = shown(&sandbox, "cat input | rdmsetup write slow");
    assert!(typed.contains("2.00 MiB, ") && !typed.contains("%"), "{typed:?}");
    let read = shown(&sandbox, "rdmsetup read slow >copy");
    assert!(read.contains("3.00 MiB of 4.00 MiB"), "{read:?}");
    assert_eq!(std::fs::read(sandbox.path().join("copy")).unwrap(), [7; 4 << 20]);
    // It is gone at the end, whatever the end is.
    for shown in [&written, &typed, &read] {
        assert!(shown.trim_end_matches(['\r', '\n']).ends_with("\x1b[2K"), "{shown:?}");
    }
    // What is quick, what goes into a pipe, and what nobody looks at has none.
    for line in [
        "rdmsetup write quick <input",
        "rdmsetup read slow | cat >copy",
        "rdmsetup write slow <input 2>told; cat told",
        "rdmsetup read slow >copy 2>told; cat told",
    ] {
        assert_eq!(shown(&sandbox, line), "", "{line}");
    }
}

#[test]
fn who_is_waited_for_is_told_so() {
    let sandbox = Sandbox::new();
    let typed = ("the table is read from the terminal", "0 1MiB zero\r\x04");
    let (screen, succeeded) = at_terminal(sandbox.command(&["create", "vol0"]), 80, Some(typed));
    assert!(succeeded, "{screen}");
    assert_eq!(sandbox.ok(&["table", "vol0"]), "0 2048 zero \n");
    // A pipe is no person.
    let ran = sandbox.run_with(&["create", "vol1"], b"0 8 zero");
    assert!(ran.succeeded && ran.stderr.is_empty(), "{ran:?}");
}
