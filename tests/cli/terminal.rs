//! What is said to a person at a terminal, and to nobody else.

use crate::sandbox::Sandbox;
use std::path::Path;
use std::process::Stdio;

#[test]
fn who_is_waited_for_is_told_so() {
    let sandbox = Sandbox::new();
    if !Path::new("/usr/bin/expect").exists() {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no expect here");
        eprintln!("SKIPPED who_is_waited_for_is_told_so: no expect here");
        return;
    }
    let play = format!(
        "set timeout 20\nspawn {} create vol0\nexpect {{the table is read from the terminal}} {{}} timeout {{exit 3}}\n\
         send \"0 1MiB zero\\r\\004\"\nexpect eof\n",
        env!("CARGO_BIN_EXE_rdmsetup")
    );
    let mut command = std::process::Command::new("/usr/bin/expect");
    command.args(["-c", &play]).current_dir(sandbox.path()).stdin(Stdio::null());
    command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", sandbox.path().join("state"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(sandbox.ok(&["table", "vol0"]), "0 2048 zero \n");
    // A pipe is no person.
    let ran = sandbox.run_with(&["create", "vol1"], b"0 8 zero");
    assert!(ran.succeeded && ran.stderr.is_empty(), "{ran:?}");
}
