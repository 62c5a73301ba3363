//! Devices from `create` to `remove`, and what is shown of them in between.

use crate::contract::fails_classically;
use crate::sandbox::Sandbox;

#[test]
fn no_devices_is_said_and_no_failure() {
    let sandbox = Sandbox::new();
    for words in [&["ls"][..], &["info"], &["table"], &["status"], &["deps"], &["ls", "--target", "zero"]] {
        assert_eq!(sandbox.ok(words), "No devices found\n", "{words:?}");
    }
    assert_eq!(sandbox.ok(&["remove_all"]), "");
}

#[test]
fn a_device_is_created_shown_and_removed() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    assert_eq!(sandbox.ok(&["create", "vol0", "--table", "0 100 linear disk.img 384"]), "");
    let listed = sandbox.ok(&["ls"]);
    let number = listed.strip_prefix("vol0\t(").unwrap().strip_suffix(")\n").unwrap();
    let (major, minor) = number.split_once(':').unwrap();
    let disk = sandbox.path().join("disk.img");
    let disk = disk.display();
    assert_eq!(sandbox.ok(&["table"]), format!("vol0: 0 100 linear {disk} 384\n"));
    assert_eq!(sandbox.ok(&["table", "vol0"]), format!("0 100 linear {disk} 384\n"));
    assert_eq!(sandbox.ok(&["status", "-j", major, "-m", minor]), "0 100 linear \n");
    assert_eq!(sandbox.ok(&["deps"]), "vol0: 1 dependencies\t: (7, 0)\n");
    assert_eq!(sandbox.ok(&["ls", "--target", "linear"]), format!("vol0\t({major}, {minor})\n"));
    assert_eq!(sandbox.ok(&["ls", "--target", "zero"]), "");
    assert_eq!(
        sandbox.ok(&["info", "/dev/mapper/vol0"]),
        format!(
            "Name:              vol0\nState:             ACTIVE\nTables present:    LIVE\nOpen count:        0\n\
             Event number:      0\nMajor, minor:      {major}, {minor}\nNumber of targets: 1\n\n"
        )
    );
    assert_eq!(sandbox.ok(&["remove", "vol0"]), "");
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
}

#[test]
fn several_devices_are_told_apart_and_the_first_fault_ends_it() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "a", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "b", "-n"]);
    assert_eq!(sandbox.ok(&["table"]), "a: 0 8 zero \nb: \n");
    assert_eq!(sandbox.ok(&["table", "b", "a"]), "b: \na: 0 8 zero \n");
    assert_eq!(sandbox.ok(&["table", "b"]), "\n");
    assert_eq!(sandbox.ok(&["table", "--target", "zero"]), "a: 0 8 zero \n");
    let ran = sandbox.run(&["table", "a", "nope", "b"]);
    assert_eq!((ran.succeeded, ran.stdout.as_slice()), (false, &b"a: 0 8 zero \n"[..]));
    let verbose = sandbox.ok(&["table", "-v"]);
    assert!(
        verbose.starts_with("Name:              a\n") && verbose.contains("\n\n0 8 zero \n\n"),
        "{verbose}"
    );
}

#[test]
fn a_table_takes_effect_at_resume() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol0", "--table", "0 8 zero"]);
    sandbox.ok(&["load", "vol0", "--table", "0 16 error"]);
    assert_eq!(sandbox.ok(&["table", "vol0"]), "0 8 zero \n");
    assert_eq!(sandbox.ok(&["table", "--inactive", "vol0"]), "0 16 error \n");
    assert!(sandbox.ok(&["suspend", "vol0", "-v"]).contains("State:             SUSPENDED\n"));
    assert!(sandbox.ok(&["resume", "-v", "vol0"]).contains("Tables present:    LIVE\n"));
    assert_eq!(sandbox.ok(&["table", "vol0"]), "0 16 error \n");
    sandbox.ok(&["reload", "vol0", "--table", "0 24 zero"]);
    sandbox.ok(&["clear", "vol0"]);
    assert_eq!(sandbox.ok(&["table", "--inactive", "vol0"]), "\n");
    sandbox.ok(&["wipe_table", "vol0"]);
    assert_eq!(sandbox.ok(&["table", "vol0"]), "0 16 error \n");
}

#[test]
fn names_and_uuids_change() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "old", "-n"]);
    sandbox.ok(&["rename", "old", "new"]);
    sandbox.ok(&["rename", "new", "--setuuid", "U-1"]);
    assert!(sandbox.ok(&["info", "-u", "U-1"]).starts_with("Name:              new\n"));
    let bad = |name: &str| fails_classically(&sandbox, &["rename", "new", name]);
    assert_eq!(bad("a/b"), "Name \"a/b\" invalid. It contains \"/\".\nCommand failed.\n");
    assert_eq!(bad(""), "Non empty new name is required.\nCommand failed.\n");
    let long = "x".repeat(128);
    assert_eq!(bad(&long), format!("Name \"{long}\" too long\nCommand failed.\n"));
    assert_eq!(
        fails_classically(&sandbox, &["create", &long, "-n"]),
        format!("Name \"{long}\" too long.\nCommand failed.\n")
    );
    assert_eq!(fails_classically(&sandbox, &["info", "a/b/c"]), "Device a/b/c not found\nCommand failed.\n");
}

#[test]
fn an_odd_name_is_shown_as_it_was_given() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "a b", "-n"]);
    assert!(sandbox.ok(&["ls"]).starts_with("a b\t("));
    assert_eq!(sandbox.ok(&["table", "a b", "a\\x20b"]), "a b: \na\\x20b: \n");
    assert_eq!(sandbox.ok(&["table"]), "a b: \n");
    sandbox.ok(&["remove", "a b"]);
    let stderr = sandbox.fails(&["create", "a b\\x20", "-n"]);
    assert!(
        stderr.starts_with("The name \"a b\\x20\" contains mixed mangled and unmangled characters"),
        "{stderr}"
    );
}

#[test]
fn a_command_runs_for_each_device() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "a", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "b", "-n"]);
    let mut command = sandbox.command(&["ls", "--exec", "echo  got"]);
    let output = command.env("PATH", "/usr/bin:/bin").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "got /dev/mapper/a\ngot /dev/mapper/b\n");

    // Which may be this program, and that needs the same devices.
    let table = format!("{} table", env!("CARGO_BIN_EXE_rdmsetup"));
    assert_eq!(sandbox.ok(&["ls", "--target", "zero", "--exec", &table]), "0 8 zero \n");
}

#[test]
fn all_can_be_removed() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "a", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "b", "-n"]);
    sandbox.ok(&["remove", "-f", "a"]);
    sandbox.ok(&["remove_all", "--force"]);
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
    assert_eq!(sandbox.ok(&["mknodes"]), "");
}

#[test]
fn target_types_are_listed_with_versions() {
    let sandbox = Sandbox::new();
    let targets = sandbox.ok(&["targets"]);
    let linear = targets.lines().find(|line| line.starts_with("linear           v1.")).unwrap();
    assert_eq!(sandbox.ok(&["target-version", "linear"]), format!("{linear}\n"));
    let stderr = sandbox.fails(&["target-version", "nope"]);
    assert!(
        stderr.starts_with("device-mapper: target-version ioctl on nope  failed: Invalid argument\n"),
        "{stderr}"
    );
}

#[test]
fn requests_can_be_seen_on_their_way() {
    let ran = Sandbox::new().run(&["ls", "--trace"]);
    assert!(ran.succeeded && ran.stderr.contains("DM_LIST_DEVICES"), "{ran:?}");
}
