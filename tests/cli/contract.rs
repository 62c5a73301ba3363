//! What holds for every subcommand, by the list that the program itself gives.

use crate::sandbox::Sandbox;

/// Runs what must fail, and write nothing; the lines of its standard error that dmsetup has too.
#[track_caller]
pub(crate) fn fails_classically(sandbox: &Sandbox, words: &[&str]) -> String {
    let stderr = sandbox.fails(words);
    let ours = |line: &&str| line.starts_with("rdmsetup: ") || line.starts_with("  ");
    stderr.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect()
}

/// Every name in the list, aliases too.
pub(crate) fn subcommands(sandbox: &Sandbox) -> Vec<String> {
    let ran = sandbox.run(&["help"]);
    assert!(ran.succeeded && ran.stdout.is_empty());
    let lines =
        ran.stderr.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let mut names = Vec::new();
    for line in lines {
        for word in line.split_whitespace() {
            names.push(word.trim_end_matches(',').to_owned());
            if !word.ends_with(',') {
                break;
            }
        }
    }
    assert!(names.len() > 20, "{names:?}");
    names
}

#[test]
fn every_subcommand_has_help() {
    let sandbox = Sandbox::new();
    for name in subcommands(&sandbox) {
        let help = sandbox.ok(&[&name, "--help"]);
        assert!(help.lines().count() > 5 && help.contains("Usage: "), "{name}: {help}");
        assert_eq!(sandbox.ok(&["help", &name]), help);
        assert_eq!(sandbox.ok(&["-h", &name, "too", "many", "words"]), help);
    }
}

#[test]
fn every_subcommand_refuses_an_option_that_none_has() {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_rdmsetup");
    for name in subcommands(&sandbox) {
        let last = "Couldn't process command line.";
        let stderr = fails_classically(&sandbox, &[&name, "--nosuch=1"]);
        assert_eq!(stderr, format!("{program}: unrecognized option '--nosuch=1'\n{last}\n"));
        let stderr = fails_classically(&sandbox, &[&name, "-q"]);
        assert_eq!(stderr, format!("{program}: invalid option -- 'q'\n{last}\n"));
    }
}

#[test]
fn every_subcommand_takes_the_options_of_any_other() {
    let sandbox = Sandbox::new();
    for name in subcommands(&sandbox) {
        let stderr = sandbox.run(&[&name, "--showkeys", "--retry", "-y", "--help"]).stderr;
        assert_eq!(stderr, "", "{name}");
    }
}

#[test]
fn a_number_of_words_that_cannot_be_is_refused() {
    let sandbox = Sandbox::new();
    for words in [
        &["ls", "x"][..],
        &["version", "x"],
        &["targets", "x"],
        &["remove_all", "x"],
        &["create", "a", "b", "c"],
        &["load", "a", "b", "c"],
        &["rename"],
        &["rename", "a", "b", "c"],
        &["message", "a"],
        &["setgeometry", "a", "1", "2", "3"],
        &["target-version"],
        &["wait", "a", "1", "2"],
        &["help", "a", "b"],
        &["read"],
        &["read", "a", "b"],
        &["write"],
    ] {
        let stderr = sandbox.fails(words);
        assert!(
            stderr.starts_with("Incorrect number of arguments.\nUsage: rdmsetup "),
            "{words:?}: {stderr}"
        );
    }
}

#[test]
fn a_device_must_be_named() {
    let sandbox = Sandbox::new();
    for name in ["remove", "suspend", "resume", "clear", "wipe_table", "wait"] {
        assert_eq!(fails_classically(&sandbox, &[name]), "No device specified.\nCommand failed.\n", "{name}");
    }
    assert_eq!(fails_classically(&sandbox, &["load"]), "Please specify device.\nCommand failed.\n");
    let stderr = "Please provide a name for the new device.\nCommand failed.\n";
    assert_eq!(fails_classically(&sandbox, &["create"]), stderr);
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let sandbox = Sandbox::new();
    for (words, verb) in [
        (&["remove", "nope"][..], "remove"),
        (&["suspend", "nope"], "suspend"),
        (&["resume", "nope"], "resume"),
        (&["clear", "nope"], "clear"),
        (&["load", "nope", "--table", "0 8 zero"], "reload"),
        (&["table", "nope"], "table"),
        (&["deps", "nope"], "deps"),
        (&["wait", "nope"], "waitevent"),
        (&["rename", "nope", "new"], "rename"),
        (&["message", "nope", "0", "hello"], "message"),
    ] {
        let stderr = sandbox.fails(words);
        let first = format!("device-mapper: {verb} ioctl on nope  failed: No such device or address\n");
        assert!(stderr.starts_with(&first) && stderr.ends_with("\nCommand failed.\n"), "{words:?}: {stderr}");
    }
    for name in ["info", "status"] {
        assert_eq!(fails_classically(&sandbox, &[name, "nope"]), "Device does not exist.\nCommand failed.\n");
    }
    let stderr = sandbox.fails(&["remove", "-u", "nope"]);
    assert!(stderr.starts_with("device-mapper: remove ioctl on  nope failed: "), "{stderr}");
    let stderr = sandbox.fails(&["remove", "-j", "253", "-m", "77"]);
    assert!(stderr.starts_with("device-mapper: remove ioctl on  (253:77) failed: "), "{stderr}");
}
