//! `apply`, `dump` and `diff`: a file of devices made so, written, and compared.

use crate::sandbox::Sandbox;
use serde_json::Value;

/// Devices in an order that is not that of their making.
const STACK: &str = "# comments do not count, not even a,b\n[[device]]\nname = 'top'\ntable = ['0 1000 linear /dev/mapper/mid 0', '1000 8 zero']\n\
                     [[device]]\nname = 'mid'\nreadonly = true\ntable = '0 1000 linear low 24'\n\
                     [[device]]\nname = 'low'\nuuid = 'U-low'\nminor = 7\ntable = \"\"\"\n0 512KiB linear disk.img 0\n\"\"\"\n\
                     [[device]]\nname = 'blank'\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.disk("other.img", 1 << 20);
    sandbox
}

impl Sandbox {
    /// Runs with that file of devices on standard input: whether it succeeded, what it wrote, and what it complained of.
    fn with_file(&self, words: &[&str], file: &str) -> (bool, String, String) {
        let ran = self.run_with(words, file.as_bytes());
        (ran.succeeded, String::from_utf8(ran.stdout).unwrap(), ran.stderr)
    }

    /// Applies it, which must go well; what it wrote.
    #[track_caller]
    fn apply(&self, file: &str) -> String {
        let (succeeded, stdout, stderr) = self.with_file(&["apply", "-"], file);
        assert!(succeeded && stderr.is_empty(), "{stdout}{stderr}");
        stdout
    }

    /// All that can be seen of the devices.
    fn look(&self) -> [String; 3] {
        [self.ok(&["info"]), self.ok(&["table"]), self.ok(&["table", "--inactive"])]
    }
}

#[test]
fn devices_are_made_behind_those_that_they_stand_on_and_then_left_alone() {
    let sandbox = sandbox();
    let plan = "would create low\nwould create mid\nwould create top\nwould create blank\n";
    let (succeeded, stdout, _) = sandbox.with_file(&["apply", "-", "--dry-run"], STACK);
    assert!(succeeded && stdout == plan, "{stdout}");
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
    assert_eq!(sandbox.apply(STACK), "created low\ncreated mid\ncreated top\ncreated blank\n");
    let made = sandbox.look();
    assert!(made[0].contains("UUID: U-low") && made[0].contains("READ-ONLY"), "{}", made[0]);
    assert!(made[1].contains("top: 0 1000 linear 240:"), "{}", made[1]);
    assert_eq!(sandbox.apply(STACK), "nothing to do\n");
    let same = sandbox.with_file(&["diff", "-"], STACK);
    assert_eq!(same, (true, String::new(), String::new()));
    assert_eq!(sandbox.look(), made);
}

#[test]
fn a_dump_makes_the_same_devices_elsewhere_and_nothing_here() {
    let sandbox = sandbox();
    sandbox.apply(STACK);
    let made = sandbox.look();
    for form in [&["dump"][..], &["dump", "--concise"]] {
        let dumped = sandbox.ok(form);
        assert_eq!(sandbox.apply(&dumped), "nothing to do\n");
        sandbox.ok(&["remove", "top", "mid", "low", "blank"]);
        assert_eq!(sandbox.apply(&dumped).lines().count(), 4, "{dumped}");
        assert_eq!(sandbox.look(), made, "{dumped}");
        assert_eq!(sandbox.ok(form), dumped);
    }
    let dumped = sandbox.ok(&["dump"]);
    let mid = "[[device]]\nname = \"mid\"\nminor = 0\nreadonly = true\ntable = \"\"\"\n0 1000 linear /dev/mapper/low 24\n\"\"\"\n";
    assert!(dumped.contains(mid), "{dumped}");
    assert_eq!(sandbox.ok(&["dump", "mid"]), mid);
    assert_eq!(sandbox.ok(&["dump", "-S", "name=mid"]), mid);
    let document: Value = serde_json::from_str(&sandbox.ok(&["dump", "--json", "low"])).unwrap();
    assert_eq!(
        (&document["devices"][0]["uuid"], &document["devices"][0]["minor"]),
        (&"U-low".into(), &7.into())
    );
    assert!(sandbox.fails(&["dump", "nope"]).starts_with("Device does not exist.\n"));
}

#[test]
fn what_a_file_cannot_hold_is_not_dumped() {
    let sandbox = sandbox();
    sandbox.disk("a#b", 1 << 20);
    std::os::unix::fs::symlink("a#b", sandbox.path().join("link")).unwrap();
    sandbox.ok(&["create", "v", "--table", "0 8 linear link 0"]);
    let stderr = sandbox.fails(&["dump", "v"]);
    assert!(stderr.contains("the table of \"v\" has a \"#\" in it, which begins a comment"), "{stderr}");
    sandbox.ok(&["create", "with \"quotes\" and \\ ü", "-n"]);
    let dumped = sandbox.ok(&["dump", "with \"quotes\" and \\ ü"]);
    sandbox.ok(&["remove", "with \"quotes\" and \\ ü"]);
    assert_eq!(sandbox.apply(&dumped), "created with \"quotes\" and \\ ü\n");
    let name = std::ffi::OsStr::new("latin");
    let mut command = sandbox.command(&["create", "-n"]);
    command
        .arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xe9"))
        .arg("--manglename=none");
    assert!(Sandbox::finish(command, &[name.to_str().unwrap()], b"").succeeded);
    let stderr = sandbox.run(&["dump", "--manglename=none"]).stderr;
    assert!(
        stderr.contains("cannot be written as TOML: its name is no UTF-8\n  hint: --concise"),
        "{stderr}"
    );
}

#[test]
fn what_differs_is_changed_and_shown_before() {
    let sandbox = sandbox();
    sandbox.apply(STACK);
    sandbox.ok(&["suspend", "top"]);
    let file =
        STACK.replace("disk.img", "other.img").replace("low 24", "low 16").replace("readonly = true\n", "");
    let file = file.replace("name = 'blank'\n", "name = 'blank'\nuuid = 'U-b'\ntable = '0 8 error'\n");
    let path = std::fs::canonicalize(sandbox.path().join("disk.img")).unwrap();
    let (succeeded, diff, stderr) = sandbox.with_file(&["diff", "-"], &file);
    assert!(!succeeded && stderr.is_empty(), "{stderr}");
    let expected = format!(
        "~ low\n-   0 1024 linear {} 0\n+   0 1024 linear other.img 0\n\
         ~ mid\n-   readonly\n-   0 1000 linear 240:7 24\n+   0 1000 linear low 16\n\
         ~ top\n-   suspended\n\
         ~ blank\n+   uuid U-b\n+   0 8 error\n",
        path.display()
    );
    assert_eq!(diff, expected);
    let done = "reloaded low\nreloaded mid\nresumed top\nreloaded blank\nset the uuid of blank to U-b\n";
    assert_eq!(sandbox.apply(&file), done);
    assert_eq!(sandbox.apply(&file), "nothing to do\n");
    assert!(!sandbox.ok(&["info"]).contains("SUSPENDED"));
    let (_, document, _) =
        sandbox.with_file(&["diff", "--json", "-"], &file.replace("other.img", "disk.img"));
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(
        (&document["equal"], &document["devices"][0]["lines"][0]["change"]),
        (&false.into(), &"removed".into())
    );
}

#[test]
fn a_device_with_the_uuid_is_renamed() {
    let sandbox = sandbox();
    sandbox.ok(&["create", "old", "-u", "U", "--table", "0 8 zero"]);
    let file = "[[device]]\nname = 'on'\ntable = '0 8 linear new 0'\n[[device]]\nname = 'new'\nuuid = 'U'\ntable = '0 8 zero'";
    let (_, diff, _) = sandbox.with_file(&["diff", "-"], file);
    assert_eq!(diff, "~ new\n-   name old\n+   name new\n+ on\n+   0 8 linear new 0\n");
    assert_eq!(sandbox.apply(file), "renamed old to new\ncreated on\n");
    assert_eq!(sandbox.ok(&["info", "-c", "--noheadings", "-o", "name,uuid"]), "new:U\non:\n");
}

#[test]
fn others_are_removed_only_when_their_uuids_are_named() {
    let sandbox = sandbox();
    sandbox.ok(&["create", "x1", "-u", "P-1", "--table", "0 8 zero"]);
    sandbox.ok(&["create", "x2", "-u", "P-2", "--table", "0 8 linear x1 0"]);
    sandbox.ok(&["create", "x0", "-u", "P-0", "--table", "0 8 linear x2 0"]);
    sandbox.ok(&["create", "mine", "-u", "Q", "--table", "0 8 zero"]);
    assert_eq!(sandbox.apply("[[device]]\nname = 'a'\n"), "created a\n");
    let file = "[[device]]\nname = 'a'\n[[device]]\nname = 'x1'\ntable = '0 8 zero'\n";
    let (_, diff, _) = sandbox.with_file(&["diff", "--prune", "P-", "-"], file);
    assert_eq!(diff, "- x0\n-   0 8 linear 240:1 0\n- x2\n-   0 8 linear 240:0 0\n");
    let (succeeded, stdout, _) = sandbox.with_file(&["apply", "--prune", "P-", "-"], file);
    assert!(succeeded && stdout == "removed x0\nremoved x2\n", "{stdout}");
    let (succeeded, _, stderr) = sandbox.with_file(&["apply", "--prune", "", "-"], file);
    assert!(!succeeded && stderr.contains("--prune wants the beginning of a uuid"), "{stderr}");
    assert_eq!(sandbox.ok(&["info", "-c", "--noheadings", "-o", "name"]), "a\nmine\nx1\n");
}

#[test]
fn everything_that_is_wrong_is_told_before_anything_is_done() {
    let sandbox = sandbox();
    sandbox.ok(&["create", "low", "-u", "U", "--table", "0 8 zero"]);
    let before = sandbox.look();
    let file = "[[device]]\nname = 'fine'\ntable = '0 8 zero'\n\
                [[device]]\nname = 'a'\ntable = ['0 8 linear nope 0', '8 8y zero', '16 8 liner x']\n\
                [[device]]\nname = 'b'\ntable = '0 9 linear fine 0'\n\
                [[device]]\nname = 'low'\nuuid = 'V'\ntable = '0 8 zero'\n";
    let (succeeded, stdout, stderr) = sandbox.with_file(&["apply", "-"], file);
    assert!(!succeeded && stdout.is_empty());
    for told in [
        "rdmsetup: \"low\" has the uuid \"U\" for good, and is to have \"V\"\n  hint: ",
        "rdmsetup: table of a, line 1, column 12: linear: there is no disk or file \"nope\"\n",
        "rdmsetup: table of a, line 2, column 3: \"8y\" is not a number of sectors",
        "rdmsetup: table of a, line 3, column 6: there is no target type \"liner\"\n",
        "rdmsetup: table of b, line 1, column 12: \"fine\" has 8 sectors, and the line uses it from 0 to 9\n",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    assert_eq!(sandbox.look(), before);
}

#[test]
fn a_table_that_is_refused_leaves_its_device_as_it_was_and_the_rest_is_told() {
    let sandbox = sandbox();
    for name in ["low", "high", "other"] {
        sandbox.ok(&["create", name, "--table", "0 8 zero"]);
    }
    let high = sandbox.ok(&["info", "high"]) + &sandbox.ok(&["table", "high"]);
    // No check counts how many would stand on one another: high would be one more than may.
    let mut file = "low,,,,0 8 error;".to_owned();
    for at in 0..31 {
        let below = if at == 0 { "low".to_owned() } else { format!("d{}", at - 1) };
        file += &format!("d{at},,,,0 8 linear {below} 0;");
    }
    let file = file + "high,,,,0 8 linear d30 0;other,,,,0 9 zero;new,,,,0 8 linear high 0";
    let (succeeded, document, stderr) = sandbox.with_file(&["apply", "--json", "-"], &file);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert!(!succeeded && document["ok"] == false && document["stopped_at"] == "high", "{document}");
    let changes = document["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 32);
    assert_eq!(changes[0], serde_json::json!({ "device": "low", "change": "reloaded" }));
    assert!(
        stderr.starts_with("device-mapper: reload ioctl on high  failed: Invalid argument\n"),
        "{stderr}"
    );
    assert!(
        stderr
            .contains("table of high, line 1, column 12: linear: devices would be stacked more than 32 deep"),
        "{stderr}"
    );
    let rest = "rdmsetup: stopped at \"high\", which is as it was\n  done: reloaded low, created d0, ";
    assert!(stderr.contains(rest), "{stderr}");
    assert!(stderr.ends_with("\n  not done: \"other\", \"new\"\nCommand failed.\n"), "{stderr}");
    assert_eq!(sandbox.ok(&["info", "high"]) + &sandbox.ok(&["table", "high"]), high);
    let mended = file.replace("linear d30", "linear d28");
    assert_eq!(sandbox.apply(&mended), "reloaded high\nreloaded other\ncreated new\n");
}

#[test]
fn a_table_is_checked_against_what_devices_will_be() {
    let sandbox = sandbox();
    sandbox.ok(&["create", "low", "--table", "0 1024 linear disk.img 0"]);
    let before = sandbox.look();
    let file =
        "low,,,,0 512 linear other.img 0;a,,,,0 1000 linear 240:0 0;b,,9,,0 8 zero;c,,,,0 9 linear 240:9 0";
    let (succeeded, stdout, stderr) = sandbox.with_file(&["apply", "-"], file);
    assert!(!succeeded && stdout.is_empty());
    for told in [
        "table of a, line 1, column 15: \"240:0\" has 512 sectors",
        "table of c, line 1, column 12: \"240:9\" has 8 sectors",
    ] {
        assert!(stderr.contains(told), "{stderr}");
    }
    assert_eq!(sandbox.look(), before);
    let done = "reloaded low\ncreated a\ncreated b\ncreated c\n";
    assert_eq!(sandbox.apply(&file.replace("1000", "500").replace("0 9 linear", "0 8 linear")), done);
}

#[test]
fn what_is_only_worded_otherwise_is_not_swapped() {
    let sandbox = sandbox();
    // What flakey prints is not what it was given.
    let table = "0 8 flakey disk.img 0 1 2 2 error_writes drop_writes";
    let ran = sandbox.run(&["create", "f", "--table", "0 8 flakey disk.img 0 1 2 1 error_writes"]);
    assert!(ran.succeeded, "{table}: {ran:?}");
    let file = "[[device]]\nname = 'f'\ntable = '0 8 flakey disk.img 00 01 2 1 error_writes'\n";
    let (succeeded, diff, _) = sandbox.with_file(&["diff", "-"], file);
    assert!(!succeeded && diff.starts_with("~ f\n"), "{diff}");
    let before = sandbox.look();
    assert_eq!(sandbox.apply(file), "nothing to do\n");
    assert_eq!(sandbox.look(), before);
}
