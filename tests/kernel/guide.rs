//! The kernel's own guide to device-mapper (Debian's linux-doc), on the kernel's disks: its scripts and recipes are taken from
//! its pages as they stand, and `dmsetup` in them is our program, over the kernel and over the mapper. Each makes what
//! dmsetup makes.
//!
//! Here are the pages linear, striped, delay, and of multipath's selectors; the recipes that need messages and time, or no
//! kernel to compare with, are in `tests/cli` (dust, flakey, log-writes, snapshot, switch, unstriped, zero). The guide has no
//! recipe for a mirror: its page dm-log explains the logs.

use crate::guest::{self, DISK_A, DISK_B};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A page, and how many scripts it has.
const SCRIPTS: &[(&str, usize)] = &[("linear", 3), ("striped", 1), ("delay", 2)];

/// A page with recipes of multipath tables, and how many.
const RECIPES: &[(&str, usize)] = &[("dm-queue-length", 1), ("dm-service-time", 2)];

/// Who is `dmsetup` in a script.
#[derive(Clone, Copy, Debug)]
enum Who {
    Dmsetup,
    OursOnTheKernel,
    OursAlone,
}

/// The directory of the guide's pages.
fn guide() -> Option<PathBuf> {
    let docs = fs::read_dir("/usr/share/doc").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let pages = docs.map(|doc| doc.join("Documentation/admin-guide/device-mapper"));
    pages.filter(|pages| pages.is_dir()).max()
}

/// Whether the guide is here: a test without it cannot run, says so, and fails in CI.
fn is_here(name: &str) -> bool {
    if guide().is_none() {
        assert!(env::var_os("CI").is_none(), "cannot run in CI: linux-doc is not here");
        eprintln!("SKIPPED {name}: linux-doc is not here");
    }
    guide().is_some()
}

fn page(name: &str) -> String {
    let path = guide().unwrap().join(format!("{name}.rst"));
    let script = format!("zcat -f {}*", path.display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{name}");
    String::from_utf8(output.stdout).unwrap()
}

/// The indented blocks of a page that begin with `#!`, without their indentation.
fn scripts(page: &str) -> Vec<String> {
    let mut scripts: Vec<String> = Vec::new();
    let mut indent: Option<&str> = None;
    for line in page.lines() {
        let text = line.trim_start();
        if text.starts_with("#!") {
            indent = Some(&line[..line.len() - text.len()]);
            scripts.push(String::new());
        }
        let Some(begin) = indent else { continue };
        match line.strip_prefix(begin) {
            Some(line) => *scripts.last_mut().unwrap() += &format!("{line}\n"),
            None if text.is_empty() => *scripts.last_mut().unwrap() += "\n",
            None => indent = None,
        }
    }
    scripts
}

/// Runs a script of the shell with that `dmsetup`, and the disks as its arguments.
fn run(who: Who, script: &str) -> String {
    let program = env!("CARGO_BIN_EXE_rdmsetup");
    let shim = match who {
        Who::Dmsetup => None,
        Who::OursOnTheKernel => Some(format!("exec {program} --backend kernel \"$@\"")),
        Who::OursAlone => Some(format!("exec {program} --backend user --state /tmp/guide-state \"$@\"")),
    };
    let path = "/tmp/guide-path";
    // What does not exist is removed already.
    let _ = fs::remove_dir_all(path);
    fs::create_dir(path).unwrap();
    if let Some(shim) = shim {
        fs::write(format!("{path}/dmsetup"), format!("#!/bin/sh\n{shim}\n")).unwrap();
        assert!(Command::new("chmod").args(["+x", &format!("{path}/dmsetup")]).status().unwrap().success());
    }
    fs::write("/tmp/guide-script", script).unwrap();
    let interpreter = if script.starts_with("#!/usr/bin/perl") { "perl" } else { "sh" };
    let paths = format!("{path}:{}", env::var("PATH").unwrap());
    let output = Command::new(interpreter)
        .args(["/tmp/guide-script", DISK_A, DISK_B])
        .env("PATH", paths)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{who:?}: {}\n{script}",
        text(&output.stderr)
    );
    // The disks' numbers, or with our own client their paths.
    text(&output.stdout).replace("98:0", DISK_A).replace("98:16", DISK_B)
}

const WHAT_IS_THERE: &str = "dmsetup table; dmsetup status; dmsetup remove_all";

#[test]
fn the_guides_scripts_make_what_dmsetup_makes() {
    const NAME: &str = "guide::the_guides_scripts_make_what_dmsetup_makes";
    if !is_here(NAME) {
        return;
    }
    guest::run_with(NAME, &[], &["perl", "blockdev"], || {
        for (name, count) in SCRIPTS {
            let scripts = scripts(&page(name));
            assert_eq!(scripts.len(), *count, "{name}");
            for script in scripts {
                let made = [Who::Dmsetup, Who::OursOnTheKernel, Who::OursAlone].map(|who| {
                    let said = run(who, &script);
                    (said, run(who, WHAT_IS_THERE))
                });
                assert!(made[0].1.contains(DISK_A), "{name}: {made:?}");
                assert_eq!(made[0], made[1], "{name}: over the kernel\n{script}");
                assert_eq!(made[0], made[2], "{name}: over the mapper\n{script}");
            }
        }
    });
}

/// Tables of two paths, as the pages print them with their `table` and `status`: a pipe before `dmsetup create` is left out there,
/// and today's kernels say 1 for each number of requests before the path changes, which they no longer heed.
#[test]
fn the_guides_multipaths_are_made_and_print_as_on_the_kernel() {
    const NAME: &str = "guide::the_guides_multipaths_are_made_and_print_as_on_the_kernel";
    if !is_here(NAME) {
        return;
    }
    guest::run(NAME, || {
        for (name, count) in RECIPES {
            let page = page(name).replace("8:16", DISK_B).replace("8:0", DISK_A);
            let mut recipes = 0;
            let mut lines = page.lines().map(str::trim);
            while let Some(line) = lines.next() {
                let Some(table) = line.strip_prefix("# echo \"").and_then(|rest| rest.strip_suffix("\" \\"))
                else {
                    continue;
                };
                assert_eq!(lines.next(), Some("dmsetup create test"), "{name}");
                let mut printed = lines.by_ref().filter_map(|line| line.strip_prefix("test: "));
                let (shown, status) = (printed.next().unwrap(), printed.next().unwrap());
                let today = shown.replace(" 128", " 1");
                // The pages' had been read.
                let unread = status.replace(" multipath 2 0 ", " multipath 2 1 ");
                let script = format!("echo \"{table}\" | dmsetup create test; {WHAT_IS_THERE}");
                let made = [Who::Dmsetup, Who::OursOnTheKernel, Who::OursAlone].map(|who| run(who, &script));
                let lines: Vec<&str> = made[0].lines().map(str::trim_end).collect();
                assert_eq!(lines, [format!("test: {today}"), format!("test: {unread}")], "{name}");
                assert_eq!(made[0], made[1], "{name}: over the kernel");
                assert_eq!(made[0], made[2], "{name}: over the mapper");
                recipes += 1;
            }
            assert_eq!(recipes, *count, "{name}");
        }
    });
}
