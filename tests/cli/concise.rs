//! `create --concise` and `table --concise`: what one writes the other reads.

use crate::sandbox::Sandbox;

#[test]
fn devices_come_back_from_what_is_shown_of_them() {
    let sandbox = Sandbox::new();
    sandbox.disk("a,b;c.img", 1 << 20);
    sandbox.ok(&["create", "top", "-n", "-u", "u,1"]);
    sandbox.ok(&["create", "low", "-r", "--table", "0 8 linear a,b;c.img 0\n8 8 error"]);
    sandbox.ok(&["load", "top", "--table", "0 4 linear /dev/mapper/low 2"]);
    sandbox.ok(&["resume", "top"]);
    sandbox.ok(&["create", "bare", "-n"]);
    sandbox.ok(&["create", " odd\\", "-n", "--manglename", "hex"]);
    let tables = sandbox.ok(&["table"]);
    let shown = sandbox.ok(&["table", "--concise"]);
    assert_eq!(shown.lines().count(), 1);
    assert!(shown.contains("\\ odd\\\\,,"), "{shown}");
    assert!(shown.find("low,").unwrap() < shown.find("top,").unwrap(), "what is used comes first: {shown}");
    sandbox.ok(&["remove", "top"]);
    sandbox.ok(&["remove_all"]);
    let again = ["create", "--manglename", "hex", "--concise", shown.trim_end_matches('\n')];
    sandbox.ok(&again);
    assert_eq!(sandbox.ok(&["table"]), tables);
    assert_eq!(sandbox.ok(&["table", "--concise"]), shown);
    sandbox.ok(&["remove", "top"]);
    sandbox.ok(&["remove_all"]);
    let ran = sandbox.run_with(&["create", "--concise", "--manglename", "hex"], shown.as_bytes());
    assert!(ran.succeeded, "{}", ran.stderr);
    assert_eq!(sandbox.ok(&["table"]), tables);
}

#[test]
fn nothing_is_made_of_a_text_that_cannot_be_read() {
    let sandbox = Sandbox::new();
    for (text, line) in [
        ("a,,,rw,0 8 zero;b,,,xx,0 8 zero", "Invalid flags parameter 'xx' must be 'ro' or 'rw' or empty.\n"),
        (
            "a,,,rw,0 8 zero;b",
            "Five comma-separated fields are required for each device\nParsed 1 fields: name: b ",
        ),
        ("a,,,rw,0 8 zero;b,,,,nonsense", "Invalid format on line 1 of table .\n"),
        ("a,,,rw,0 8 zero;b/c,,,,0 8 zero", "Name \"b/c\" invalid. It contains \"/\".\n"),
        ("a,,,rw,0 8 zero\\", "Backslash must be followed by another character at end of string.\n"),
    ] {
        let stderr = sandbox.fails(&["create", "--concise", text]);
        assert!(stderr.starts_with(line), "{text}: {stderr}");
        assert_eq!(sandbox.ok(&["ls"]), "No devices found\n", "{text}");
    }
    let stderr = sandbox.fails(&["create", "--concise", "-n", "a,,,,"]);
    assert!(stderr.starts_with("--concise is incompatible with"), "{stderr}");
}
