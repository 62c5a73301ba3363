//! `stats` where the userspace mapper answers, which keeps no statistics; and the program's other names.

use crate::sandbox::Sandbox;
use std::os::unix::fs::symlink;
use std::process::Command;

#[test]
fn the_userspace_mapper_says_that_it_counts_nothing() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "vol0", "--table", "0 8 zero"]);
    let first = "device-mapper: message ioctl on vol0  failed: Invalid argument\n\
                 rdmsetup: the mapper in userspace counts no I/O: statistics are the kernel's alone\n";
    for words in [
        &["stats", "create", "vol0"][..],
        &["stats", "list", "vol0"],
        &["stats", "print", "--regionid", "0", "vol0"],
        &["stats", "delete", "--allregions", "vol0"],
        &["stats", "group", "--regions", "0", "vol0"],
    ] {
        let stderr = sandbox.fails(words);
        let by_number = first.replace("on vol0  failed", "on  (240:0) failed");
        assert!(stderr.starts_with(first) || stderr.starts_with(&by_number), "{words:?}: {stderr}");
        assert!(stderr.ends_with("Command failed.\n"), "{words:?}: {stderr}");
    }
}

#[test]
fn commands_of_stats_are_told_of() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["stats", "help"]);
    assert!(help.succeeded && help.stdout.is_empty());
    for name in ["create", "delete", "clear", "list", "report", "print", "group", "ungroup", "update_filemap"]
    {
        assert!(help.stderr.contains(&format!("\n  {name} ")), "{name}: {}", help.stderr);
    }
    let stderr = sandbox.fails(&["stats", "nonesuch"]);
    assert!(stderr.starts_with("Unknown stats command.\nUsage:\n"), "{stderr}");
    assert!(sandbox.fails(&["stats"]).starts_with("Incorrect number of arguments.\n"));
    let fields = sandbox.run(&["stats", "help", "report"]).stderr;
    assert!(
        fields.contains("\n  hist_percent_ranges   - Relative latency histogram with bin ranges.\n"),
        "{fields}"
    );
}

#[test]
fn options_that_cannot_be_are_refused_before_any_driver_is_asked() {
    let sandbox = Sandbox::new();
    for (words, line) in [
        (&["stats", "list", "--units", "x"][..], "Invalid --units argument."),
        (
            &["stats", "create", "v", "--areas", "2", "--areasize", "1k"],
            "Please specify one of --areas and --areasize.",
        ),
        (
            &["stats", "create", "v", "--programid", ""],
            "Creating a region with no program id requires --force.",
        ),
        (&["stats", "print"], "Please specify a --regionid or use --allregions."),
        (&["stats", "group", "v"], "Group requires --regions."),
        (&["stats", "ungroup", "v"], "Please specify group id."),
        (&["stats", "create", "v", "--areas", "-3"], "rdmsetup: --areas: -3 is not a number of areas"),
        (&["stats", "create", "v", "--length", "3kx"], "Invalid length argument: \"3kx\""),
        (
            &["stats", "create", "v", "--bounds", "1ms,2"],
            "Histogram boundaries must be in order of increasing magnitude.",
        ),
    ] {
        let stderr = sandbox.fails(words);
        assert_eq!(stderr.lines().next(), Some(line), "{words:?}");
    }
}

#[test]
fn other_names_are_other_programs() {
    let sandbox = Sandbox::new();
    let run = |name: &str, words: &[&str]| {
        let link = sandbox.path().join(name);
        if !link.exists() {
            symlink(env!("CARGO_BIN_EXE_rdmsetup"), &link).unwrap();
        }
        let output = Command::new(&link).args(words).output().unwrap();
        assert!(output.stdout.is_empty(), "{output:?}");
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    for (name, words, succeeded, first) in [
        ("dmstats", &[][..], false, "Usage:"),
        ("dmstats", &["-h"], true, "Usage:"),
        ("dmstats", &["nonesuch"], false, "Unknown stats command."),
        ("dmstats", &["print"], false, "Please specify a --regionid or use --allregions."),
        ("devmap_name", &[], false, "Usage: devmap_name <major> <minor>"),
        ("dmlosetup", &[], false, "dmlosetup: Please specify loop_device."),
        ("dmlosetup", &["-f"], false, "dmlosetup: Sorry, find is not yet implemented in this version."),
    ] {
        let (done, stderr) = run(name, words);
        assert_eq!((done, stderr.lines().next()), (succeeded, Some(first)), "{name} {words:?}");
    }
}
