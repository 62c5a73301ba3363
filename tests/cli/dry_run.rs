//! `--dry-run`: the requests in words, the failures as they would be, and nothing done.

use crate::sandbox::Sandbox;

#[test]
fn create_shows_its_three_requests_and_makes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let table = "0 100 linear disk.img 0\n100 8 zero";
    let told = sandbox.ok(&["create", "--dry-run", "vol0", "-u", "U", "--table", table]);
    assert_eq!(
        told,
        "would create device \"vol0\", its uuid \"U\"\n\
         would load a table of 2 lines into the inactive slot of \"vol0\":\n  0 100 linear disk.img 0\n  100 8 zero \n\
         would resume \"vol0\": a table that is loaded takes effect, and I/O goes on\n"
    );
    assert!(!sandbox.path().join("state").exists());
    let told = sandbox.ok(&["create", "--dry-run", "-v", "vol0", "-n"]);
    assert!(told.starts_with("would create device \"vol0\"\nioctl(DM_DEV_CREATE,\n<dict>\n"), "{told}");
}

#[test]
fn each_command_shows_its_own_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "low", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "high", "--table", "0 8 linear low 0"]);
    let (info, table) = (sandbox.ok(&["info"]), sandbox.ok(&["table"]));
    let told = sandbox.ok(&["load", "low", "--dry-run", "-r", "--table", "0 9 zero"]);
    assert_eq!(
        told,
        "would load a table of 1 line into the inactive slot of \"low\", read-only:\n  0 9 zero \n"
    );
    assert_eq!(sandbox.ok(&["remove", "high", "--dry-run"]), "would remove \"high\"\n");
    let told = sandbox.ok(&["remove", "low", "--dry-run", "--deferred"]);
    assert_eq!(told, "would remove \"low\", when it is closed if it is open\n");
    assert_eq!(sandbox.ok(&["rename", "low", "l", "--dry-run"]), "would rename \"low\" to \"l\"\n");
    let told = sandbox.ok(&["rename", "low", "--setuuid", "U", "--dry-run"]);
    assert_eq!(told, "would give \"low\" the uuid \"U\"\n");
    let told = sandbox.ok(&["remove", "high", "--force", "--dry-run"]);
    assert_eq!(told.lines().count(), 4, "{told}");
    assert_eq!((sandbox.ok(&["info"]), sandbox.ok(&["table"])), (info, table));
}

#[test]
fn what_would_fail_fails() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "low", "-u", "U", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "high", "--table", "0 8 linear low 0"]);
    for (words, first, reason) in [
        (&["create", "low", "-n"][..], "create ioctl on low ", "there is a device \"low\" already"),
        (&["create", "x", "-u", "U", "-n"], "create ioctl on x U", "uuid \"U\" is that of device \"low\""),
        (&["remove", "low"], "remove ioctl on low ", "\"low\" is in use by device \"high\""),
        (&["remove", "nope"], "remove ioctl on nope ", "there is no device \"nope\""),
        (&["rename", "low", "high"], "rename ioctl on low ", "there is a device \"high\" already"),
        (&["rename", "nope", "x"], "rename ioctl on nope ", "there is no device \"nope\""),
        (&["load", "nope", "--table", "0 8 zero"], "reload ioctl on nope ", "there is no device \"nope\""),
        (
            &["load", "low", "--table", "0 8 linear nope 0"],
            "reload ioctl on low ",
            "there is no disk or file \"nope\"",
        ),
        (
            &["load", "low", "--table", "0 8 linear low 0"],
            "reload ioctl on low ",
            "\"low\" would stand on itself",
        ),
    ] {
        let ran = sandbox.run(&[words, &["--dry-run"]].concat());
        assert!(!ran.succeeded && ran.stdout.starts_with(b"would "), "{words:?}: {ran:?}");
        assert!(ran.stderr.starts_with(&format!("device-mapper: {first}")), "{words:?}: {ran:?}");
        assert!(
            ran.stderr.contains(reason) && ran.stderr.ends_with("Command failed.\n"),
            "{words:?}: {ran:?}"
        );
    }
}

#[test]
fn devices_of_one_text_count_on_one_another() {
    let sandbox = Sandbox::new();
    let told =
        sandbox.ok(&["create", "--dry-run", "--concise", "a,,,,0 8 zero;b,,,,0 8 linear /dev/mapper/a 0"]);
    assert_eq!(told.lines().filter(|line| line.starts_with("would ")).count(), 6, "{told}");
    let ran = sandbox.run(&["create", "--dry-run", "--concise", "a,,,,0 8 zero;b,,,,0 9 linear a 0"]);
    assert!(ran.stderr.contains("\"a\" has 8 sectors, and the line uses it from 0 to 9"), "{ran:?}");
    assert!(String::from_utf8(ran.stdout).unwrap().ends_with("would remove \"b\"\n"));
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
}
