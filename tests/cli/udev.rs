//! udev's commands where there is neither udevd nor a driver; names for udev, and what is about to suspend.

use crate::sandbox::Sandbox;

/// Runs on a kernel's backend that is not there: what needs no driver does not miss it.
fn without_driver(words: &[&str]) -> (bool, String, String) {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(words);
    let output =
        command.env("RDMSETUP_BACKEND", "kernel").env("DM_DEV_DIR", sandbox.path()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn flags_and_cookies_need_no_driver() {
    let flags = "DM_UDEV_DISABLE_LIBRARY_FALLBACK_FLAG='1'\nDM_UDEV_PRIMARY_SOURCE_FLAG='1'\n";
    assert_eq!(without_driver(&["udevflags", "0x601234"]), (true, flags.into(), String::new()));
    let (_, all, _) = without_driver(&["udevflags", "0xffff0000"]);
    assert_eq!(all.lines().count(), 16);
    assert!(all.contains("\nDM_UDEV_FLAG7='1'\nDM_SUBSYSTEM_UDEV_FLAG0='1'\n"), "{all}");
    assert_eq!(without_driver(&["udevcomplete", "0x600000"]).1, "DM_COOKIE_COMPLETED=0x600000    \n");
    let (succeeded, heading, _) = without_driver(&["udevcookies"]);
    assert!(
        succeeded && heading.starts_with("Cookie       Semid      Value      Last semop time "),
        "{heading}"
    );
    for words in
        [&["udevflags", "x"][..], &["udevflags", "0"], &["udevcomplete", "0x"], &["udevreleasecookie", "4x"]]
    {
        let refused = (false, String::new(), "Incorrect cookie value.\nCommand failed.\n".into());
        assert_eq!(without_driver(words), refused, "{words:?}");
    }
    let (_, _, stderr) = without_driver(&["udevreleasecookie"]);
    assert_eq!(stderr, "No udev transaction cookie given.\nCommand failed.\n");
}

#[test]
fn a_time_to_wait_is_a_number_of_seconds() {
    let output = Sandbox::new().command(&["ls"]).env("RDMSETUP_UDEV_TIMEOUT", "soon").output().unwrap();
    assert_eq!(output.stderr, b"rdmsetup: RDMSETUP_UDEV_TIMEOUT: \"soon\" is not a number of seconds\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn names_are_given_the_form_that_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["--manglename", "none", "create", "a b", "-n"]);
    sandbox.ok(&["create", "plain", "-n", "-u", "U"]);
    assert!(sandbox.ok(&["ls"]).starts_with("a b\t("), "a strange name is no reason to list none");
    assert_eq!(
        sandbox.ok(&["mangle"]),
        "a b: renaming to a\\x20b\nplain: U: name and UUID already in correct form\n"
    );
    assert_eq!(sandbox.ok(&["mangle", "-u", "U"]), "plain: U: name and UUID already in correct form\n");
    let renamed = sandbox.ok(&["mangle", "--manglename", "none", "a\\x20b"]);
    assert_eq!(renamed, "a\\x20b: renaming to a b\n");
    assert!(sandbox.ok(&["--manglename", "none", "ls"]).starts_with("a b\t("));
    sandbox.ok(&["--manglename", "none", "create", "c", "-n", "-u", "x y"]);
    let stderr = sandbox.fails(&["mangle", "c"]);
    assert!(
        stderr.starts_with("c: x y: UUID in incorrect form. \nUnable to change device UUID."),
        "{stderr}"
    );
    let stderr = sandbox.fails(&["--manglename", "odd", "ls"]);
    assert_eq!(stderr, "Unknown name mangling mode.\nCouldn't process command line.\n");
}

#[test]
fn nothing_is_suspended_above_a_suspended_device_if_asked_to_look() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "low", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "mid", "--table", "0 8 linear /dev/mapper/low 0"]);
    sandbox.ok(&["create", "top", "--table", "0 8 linear /dev/mapper/mid 0"]);
    sandbox.ok(&["suspend", "--checks", "low"]);
    let stderr = sandbox.fails(&["suspend", "--checks", "top"]);
    assert!(stderr.contains("uses already-suspended device (240:0)\n"), "{stderr}");
    assert!(sandbox.ok(&["info", "top"]).contains("ACTIVE"));
    sandbox.ok(&["resume", "low"]);
    sandbox.ok(&["suspend", "--checks", "top"]);
    assert!(sandbox.ok(&["info", "top"]).contains("SUSPENDED"));
}

#[test]
fn options_of_a_new_node_are_looked_at() {
    let sandbox = Sandbox::new();
    let refused = |words: &[&str], line: &str| {
        assert_eq!(sandbox.fails(words), format!("{line}\nCouldn't process command line.\n"));
    };
    refused(&["create", "a", "-n", "-M", "9"], "Invalid argument for --mode: 9. ");
    refused(&["create", "a", "-n", "--readahead", "-2"], "Negative read ahead value (-2) is not understood.");
    refused(
        &["create", "a", "-n", "--addnodeoncreate", "--addnodeonresume"],
        "--addnodeonresume and --addnodeoncreate are incompatible.",
    );
    assert_eq!(
        sandbox.fails(&["create", "a", "-n", "--udevcookie", "x"]),
        "Incorrect cookie value.\nCommand failed.\n"
    );
    let stderr = sandbox.fails(&["measure"]);
    assert!(stderr.starts_with("rdmsetup: measure: IMA is the kernel's"), "{stderr}");
}
