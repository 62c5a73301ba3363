//! Options as getopt_long has them, and what is said of a command line that is none.

use crate::contract::fails_classically;
use crate::sandbox::Sandbox;

#[track_caller]
fn refused(words: &[&str], line: &str) {
    let stderr = fails_classically(&Sandbox::new(), words);
    assert_eq!(stderr, format!("{line}\nCouldn't process command line.\n"), "{words:?}");
}

#[test]
fn faults_are_glibcs_to_the_byte() {
    let program = env!("CARGO_BIN_EXE_rdmsetup");
    refused(&["ls", "-j"], &format!("{program}: option requires an argument -- 'j'"));
    refused(&["--table"], &format!("{program}: option '--table' requires an argument"));
    refused(
        &["create", "x", "--notable=1"],
        &format!("{program}: option '--notable' doesn't allow an argument"),
    );
    let stderr = Sandbox::new().fails(&["ls", "--no"]);
    assert!(
        stderr.starts_with(&format!("{program}: option '--no' is ambiguous; possibilities: '--no")),
        "{stderr}"
    );
}

#[test]
fn values_that_are_none_are_refused() {
    refused(&["ls", "-o", "foo"], "Option not recognised: foo.");
    refused(&["ls", "-m", "1"], "Please specify both major number and minor number.");
    refused(&["create", "x", "-n", "--table", "0 1 zero"], "--table and --notable are incompatible.");
}

#[test]
fn options_stand_anywhere_and_may_be_cut_short() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["--tabl", "0 8 zero", "create", "-ruUUID-1", "vol0"]);
    assert_eq!(sandbox.ok(&["--inact", "table", "vol0", "--noop"]), "\n");
    let info = sandbox.ok(&["info", "-uUUID-1"]);
    assert!(info.contains("State:             ACTIVE (READ-ONLY)\n"), "{info}");
    assert!(info.ends_with("UUID: UUID-1\n\n"), "{info}");
    sandbox.ok(&["create", "-n", "--", "-odd"]);
    assert_eq!(sandbox.ok(&["remove", "--", "-odd"]), "");
}

#[test]
fn without_a_command_there_is_usage() {
    let sandbox = Sandbox::new();
    assert!(sandbox.fails(&[]).starts_with("Usage:\n"));
    assert!(
        sandbox
            .fails(&["nosuch"])
            .starts_with("Unknown command.\nrdmsetup: there is no command \"nosuch\"\n")
    );
    for words in [&["--help"][..], &["-h"], &["help"], &["nosuch", "-h"]] {
        let ran = sandbox.run(words);
        assert!(ran.succeeded && ran.stdout.is_empty() && ran.stderr.starts_with("Usage:\n"), "{words:?}");
    }
}

#[test]
fn the_version_is_told_without_a_driver() {
    let sandbox = Sandbox::new();
    let version = sandbox.ok(&["version"]);
    assert!(version.starts_with("Library version:   1.02."), "{version}");
    assert!(
        version.lines().nth(1).is_some_and(|line| line.starts_with("Driver version:    4.")),
        "{version}"
    );
    let nowhere = sandbox.path().join("dev");
    let mut command = sandbox.command(&["--version", "--backend", "kernel"]);
    let output = command.env("DM_DEV_DIR", &nowhere).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version.lines().next().unwrap().to_owned() + "\n");
}

#[test]
fn a_directory_of_devices_must_be_absolute() {
    let output = Sandbox::new().command(&["ls"]).env("DM_DEV_DIR", "dev").output().unwrap();
    assert_eq!(output.stderr, b"Invalid DM_DEV_DIR environment variable value.\n");
    assert_eq!(output.status.code(), Some(1));
}
