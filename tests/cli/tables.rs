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
fn a_length_may_be_all_that_is_left_and_an_offset_may_have_a_unit() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let table = |name: &str| {
        sandbox
            .ok(&["table", "--target", "linear", name])
            .replace(&*sandbox.path().canonicalize().unwrap().to_string_lossy(), "")
    };
    for (name, text, expected) in [
        ("all", "0 100% linear disk.img 0", "0 2048 linear /disk.img 0\n"),
        ("rest", "0 64KiB zero\n128 100% linear disk.img 256KiB", "128 1536 linear /disk.img 512\n"),
        ("half", "0 50% linear disk.img 0", "0 1024 linear /disk.img 0\n"),
    ] {
        sandbox.ok(&["create", name, "--table", text]);
        assert_eq!(table(name), expected);
    }
    // Of a device too, by its name, its path and its number; and of one that is made before it.
    let dev = sandbox.ok(&["info", "-c", "--noheadings", "-o", "major,minor", "half"]);
    for device in ["half", "/dev/mapper/half", dev.trim()] {
        sandbox.ok(&["create", "top", "--table", &format!("0 100% linear {device} 24")]);
        assert!(sandbox.ok(&["table", "top"]).starts_with("0 1000 linear "));
        sandbox.ok(&["remove", "top"]);
    }
    sandbox.ok(&["create", "--concise", "low,,,,0 64KiB zero;high,,,,0 100% linear low 4KiB"]);
    assert!(sandbox.ok(&["table", "high"]).starts_with("0 120 linear "));
    sandbox.ok(&["load", "all", "--table", "0 100% linear disk.img 1KiB"]);
    assert!(sandbox.ok(&["table", "--inactive", "all"]).starts_with("0 2046 linear "));
    assert_eq!(
        sandbox.ok(&["check", "--table", "0 100% linear disk.img 0"]),
        "table: 1 line, 2048 sectors, no fault\n"
    );
}

#[test]
fn what_is_no_amount_is_shown_where_it_stands() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    for (table, column, caret, reason) in [
        (
            "0 100% linear disk.img 2MiB",
            24,
            "^^^^",
            "\"disk.img\" has 2048 sectors, and the line begins at 4096",
        ),
        (
            "0 8 linear disk.img 1000B",
            21,
            "^^^^^",
            "1000B is 1000 bytes, no whole number of sectors of 512 bytes",
        ),
        ("0 110% linear disk.img 0", 3, "^^^^", "\"110%\" is not a percentage from 1% to 100%"),
        ("0 100% linear nope 0", 15, "^^^^", "there is no disk or file \"nope\""),
        ("0 100% zero", 3, "^^^^", "100% of what? A line of \"zero\" uses no device"),
    ] {
        let stderr = sandbox.fails(&["create", "vol0", "--table", table]);
        let place = format!("rdmsetup: table of vol0, line 1, column {column}: {reason}\n  {table}\n");
        assert!(stderr.contains(&place), "{stderr}");
        let carets = format!("\n  {}{caret}\n", " ".repeat(column - 1));
        assert!(stderr.contains(&carets), "{stderr}");
    }
}

#[test]
fn reading_and_writing_may_be_told_in_units() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.ok(&["create", "vol0", "--table", "0 100% linear disk.img 0"]);
    assert!(sandbox.run_with(&["write", "vol0", "--start", "64KiB"], b"here").succeeded);
    let read = sandbox.run(&["read", "vol0", "--start", "128", "--length", "1KiB"]).stdout;
    assert!(read.len() == 1024 && read.starts_with(b"here"));
    let stderr = sandbox.fails(&["read", "vol0", "--length", "1000B"]);
    assert!(stderr.contains("1000B is 1000 bytes, no whole number of sectors"), "{stderr}");
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
