//! The saved state: many commands at once, commands that are killed, and directories that are not to be trusted.

use crate::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn start(sandbox: &Sandbox, words: &[&str]) -> Child {
    let mut command = sandbox.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for children that must all succeed.
fn all_succeed(children: Vec<Child>) {
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The names and numbers that `ls` prints.
fn listed(sandbox: &Sandbox) -> Vec<(String, String)> {
    let lines = sandbox.ok(&["ls"]);
    let pair = |line: &str| line.split_once('\t').map(|(name, number)| (name.to_owned(), number.to_owned()));
    lines.lines().filter_map(pair).collect()
}

#[test]
fn fifty_commands_at_once_lose_nothing() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let create = |number: u32| {
        let table = format!("0 8 linear disk {number}");
        start(&sandbox, &["create", &format!("vol{number}"), "--table", &table])
    };
    all_succeed((0..50).map(create).collect());
    let devices = listed(&sandbox);
    assert_eq!(devices.len(), 50);
    assert_eq!(devices.iter().map(|(_, number)| number).collect::<BTreeSet<_>>().len(), 50, "a number twice");

    // And commands of every kind among one another.
    let mixed = (0..50).map(|number| match number % 5 {
        0 => start(&sandbox, &["remove", &format!("vol{number}")]),
        1 => start(&sandbox, &["rename", &format!("vol{number}"), &format!("new{number}")]),
        2 => start(&sandbox, &["suspend", &format!("vol{number}")]),
        3 => start(&sandbox, &["create", &format!("more{number}"), "--table", "0 8 zero"]),
        _ => start(&sandbox, &["table", &format!("vol{number}")]),
    });
    all_succeed(mixed.collect());
    let names: BTreeSet<String> = listed(&sandbox).into_iter().map(|(name, _)| name).collect();
    let expected = (0..50).flat_map(|number| match number % 5 {
        0 => vec![],
        1 => vec![format!("new{number}")],
        3 => vec![format!("vol{number}"), format!("more{number}")],
        _ => vec![format!("vol{number}")],
    });
    assert_eq!(names, expected.collect());
    for number in (2..50).step_by(5) {
        assert!(sandbox.ok(&["info", &format!("vol{number}")]).contains("SUSPENDED"));
    }
}

#[test]
fn a_command_that_is_killed_was_done_or_was_not() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let table: String = (0..2000).map(|line| format!("{line} 1 linear disk {line}\n")).collect();
    fs::write(sandbox.path().join("table"), &table).unwrap();
    sandbox.ok(&["create", "other", "--table", "0 8 linear disk 0"]);
    let begin = Instant::now();
    sandbox.ok(&["create", "vol", "table"]);
    let whole = begin.elapsed();
    let complete = sandbox.ok(&["table", "vol"]);
    let mut seen = BTreeSet::new();
    let mut there = true;
    for instant in 0..150 {
        let words = if there { &["remove", "vol"][..] } else { &["create", "vol", "table"] };
        let mut child = start(&sandbox, words);
        thread::sleep(whole * instant / 120);
        child.kill().unwrap();
        child.wait().unwrap();
        let now = listed(&sandbox).iter().any(|(name, _)| name == "vol");
        if now {
            assert_eq!(sandbox.ok(&["table", "vol"]), complete);
            let info = sandbox.ok(&["info", "vol"]);
            assert!(info.contains("ACTIVE") && info.contains("LIVE\n"), "{info}");
        }
        assert!(sandbox.ok(&["table", "other"]).starts_with("0 8 linear "));
        seen.insert(now != there);
        there = now;
    }
    assert_eq!(seen.len(), 2, "every one of them was in time, or none: the kills missed");
}

#[test]
fn state_that_cannot_be_written_stays_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol", "--table", "0 8 zero"]);
    let state = sandbox.path().join("state/state.json");
    let before = fs::read(&state).unwrap();
    let long = "n".repeat(120);
    // No file may grow past one block of 512 bytes, and two devices need more.
    let mut command = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 1; exec $0 create $1 -u $1 --notable";
    command.args(["-c", script, env!("CARGO_BIN_EXE_rdmsetup"), &long]);
    let place = sandbox.path().join("state");
    let output = command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", place).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write") && stderr.contains("File too large"), "{stderr}");
    assert!(fs::read(&state).unwrap() == before);
    assert_eq!(fs::read_dir(sandbox.path().join("state")).unwrap().count(), 2, "nothing is left lying about");
    assert_eq!(listed(&sandbox).len(), 1);
}

#[test]
fn the_state_is_its_owners_alone() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol", "--notable"]);
    let mode = |path: &str| fs::symlink_metadata(sandbox.path().join(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("state"), mode("state/lock"), mode("state/state.json")), (0o700, 0o600, 0o600));

    let state = sandbox.path().join("state");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o770)).unwrap();
    let stderr = sandbox.fails(&["ls"]);
    assert!(stderr.contains("others may write in the state directory"), "{stderr}");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();

    for file in ["state.json", "lock"] {
        let (here, there) = (state.join(file), sandbox.path().join(file));
        fs::rename(&here, &there).unwrap();
        symlink(&there, &here).unwrap();
        let stderr = sandbox.fails(&["ls"]);
        assert!(stderr.contains("Too many levels of symbolic links"), "{file}: {stderr}");
        fs::remove_file(&here).unwrap();
        fs::rename(&there, &here).unwrap();
    }
    // What would be written first is not written through a link either.
    let victim = sandbox.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, state.join("state.json.new")).unwrap();
    let stderr = sandbox.fails(&["remove", "vol"]);
    assert!(stderr.contains("cannot write"), "{stderr}");
    assert_eq!(fs::read(&victim).unwrap(), b"untouched");
    sandbox.ok(&["remove", "vol"]);

    fs::rename(&state, sandbox.path().join("real")).unwrap();
    symlink(sandbox.path().join("real"), &state).unwrap();
    assert!(sandbox.fails(&["ls"]).contains("cannot use the state directory"));
}

#[test]
fn damaged_state_is_named_and_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol", "--notable"]);
    let state = sandbox.path().join("state/state.json");
    let whole = fs::read_to_string(&state).unwrap();
    let later = whole.replace("\"form\":1", "\"form\":2");
    assert_ne!(later, whole);
    for damaged in [&whole[..whole.len() / 2], "", "[]", &later] {
        fs::write(&state, damaged).unwrap();
        for words in [&["ls"][..], &["remove", "vol"], &["create", "new", "--notable"]] {
            let stderr = sandbox.fails(words);
            assert!(stderr.contains("state.json\" is damaged: "), "{words:?}: {stderr}");
            assert_eq!(fs::read_to_string(&state).unwrap(), damaged);
        }
    }
}

#[test]
fn a_wait_ends_with_the_event_and_holds_nobody_up() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol", "--table", "0 8 zero"]);
    let waiting = start(&sandbox, &["wait", "vol"]);
    thread::sleep(Duration::from_millis(100));
    sandbox.ok(&["create", "other", "--notable"]);
    sandbox.ok(&["rename", "vol", "new"]);
    // It waits for the device, not for the name.
    all_succeed(vec![waiting]);

    let mut waiting = start(&sandbox, &["wait", "-u", "U", "1"]);
    assert_eq!(waiting.wait().unwrap().code(), Some(1), "no device has that uuid");
    sandbox.ok(&["rename", "new", "--setuuid", "U"]);
    let mut waiting = start(&sandbox, &["wait", "-u", "U", "2"]);
    thread::sleep(Duration::from_millis(100));
    assert!(waiting.try_wait().unwrap().is_none(), "it is to wait");
    sandbox.ok(&["create", "another", "--notable"]);
    assert!(waiting.try_wait().unwrap().is_none(), "that was no event of the device");
    sandbox.ok(&["rename", "new", "newer"]);
    all_succeed(vec![waiting]);

    let waiting = start(&sandbox, &["wait", "newer", "3"]);
    thread::sleep(Duration::from_millis(100));
    sandbox.ok(&["remove", "newer"]);
    // As in Linux: to be removed is an event.
    all_succeed(vec![waiting]);
}

#[test]
fn looking_makes_nothing() {
    let sandbox = Sandbox::new();
    for words in [&["ls"][..], &["info"], &["table"], &["targets"], &["version"], &["remove_all"]] {
        sandbox.ok(words);
    }
    assert!(!sandbox.path().join("state").exists());
}
