//! Tables from where they come, and their faults shown where they stand.

use crate::sandbox::Sandbox;

#[test]
fn a_table_comes_from_an_option_a_file_or_standard_input() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("table"), "# mine\n0 8 zero\n8 8 error # rest\n").unwrap();
    sandbox.ok(&["create", "file", "table"]);
    assert_eq!(sandbox.ok(&["table", "file"]), "0 8 zero \n8 8 error \n");
    assert!(sandbox.run_with(&["create", "stdin"], b"0 4 zero").succeeded);
    assert_eq!(sandbox.ok(&["table", "stdin"]), "0 4 zero \n");
    // Nothing at all is no table, as with --notable.
    sandbox.ok(&["create", "empty"]);
    assert_eq!(sandbox.ok(&["table", "empty"]), "\n");
    let stderr = sandbox.fails(&["create", "x", "nosuch"]);
    let lines =
        "Couldn't open 'nosuch' for reading.\nrdmsetup: nosuch: No such file or directory\nCommand failed.\n";
    assert_eq!(stderr, lines);
}

#[test]
fn a_line_that_is_none_is_shown() {
    let sandbox = Sandbox::new();
    let ran = sandbox.run_with(&["create", "vol0"], b"0 8 zero\n8 38x zero\n");
    assert_eq!(
        ran.stderr,
        "Invalid format on line 2 of table on stdin.\n\
         rdmsetup: table of vol0, line 2, column 3: \"38x\" is not a number of sectors, nor a size with its \
         unit\n  8 38x zero\n    ^^^\n  hint: as in 2048, 1MiB, 64KiB or 10GB\n\
         Command failed.\n"
    );
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
    let stderr = sandbox.fails(&["load", "vol0", "--table", "0 8"]);
    assert!(stderr.starts_with("Invalid format on line 1 of table .\n"), "{stderr}");
}

#[test]
fn sizes_may_have_units() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol0", "--table", "0 1MiB zero\n2048 64KiB error\n1088K 8s zero"]);
    assert_eq!(sandbox.ok(&["table", "vol0"]), "0 2048 zero \n2048 128 error \n2176 8 zero \n");
    sandbox.ok(&["create", "--concise", "vol1,,,,0 1K zero"]);
    assert_eq!(sandbox.ok(&["table", "vol1"]), "0 2 zero \n");
    let stderr = sandbox.fails(&["create", "vol2", "--table", "0 1MB zero"]);
    assert!(stderr.contains("1MB is 1000000 bytes, no whole number of sectors of 512 bytes"), "{stderr}");
    assert!(stderr.contains("hint: 1953 or 1954 sectors are nearest"), "{stderr}");
}

#[test]
fn what_the_driver_refuses_is_shown_too_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let stderr = sandbox.fails(&["create", "vol0", "--table", "0 100 zero\n100 50 linear disk.img 38x"]);
    let lines: Vec<&str> = stderr.lines().collect();
    assert!(lines[0].starts_with("device-mapper: reload ioctl on vol0 ("), "{stderr}");
    assert!(lines[0].ends_with(") failed: Invalid argument"), "{stderr}");
    assert!(lines[1].starts_with("rdmsetup: table of vol0, line 2, column 24: "), "{stderr}");
    assert_eq!(
        lines[2..],
        ["  100 50 linear disk.img 38x", "                         ^^^", "Command failed."]
    );
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
}
