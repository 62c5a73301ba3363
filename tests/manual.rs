//! The manual pages in `man/` are what the program writes now, and no formatter finds fault with them.
//!
//! `UPDATE=1 cargo test --test manual` rewrites those that come from the program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a skip says why")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

#[test]
fn the_pages_are_those_of_this_program() {
    let fresh = tempfile::tempdir().unwrap();
    let wrote = Command::new(env!("CARGO_BIN_EXE_rdmsetup")).arg("man").arg(fresh.path()).status().unwrap();
    assert!(wrote.success());
    let update = env::var_os("UPDATE").is_some();
    let mut names = Vec::new();
    for entry in fs::read_dir(fresh.path()).unwrap() {
        let entry = entry.unwrap();
        let (text, place) = (fs::read_to_string(entry.path()).unwrap(), committed().join(entry.file_name()));
        if update {
            fs::write(&place, &text).unwrap();
        }
        let there = fs::read_to_string(&place).unwrap_or_default();
        assert!(there == text, "{} is stale: UPDATE=1 cargo test --test manual", place.display());
        names.push(entry.file_name());
    }
    assert!(names.len() > 25, "{names:?}");
    for entry in fs::read_dir(committed()).unwrap() {
        let path = entry.unwrap().path();
        // A page that is written by hand says so in its first line.
        let by_hand = fs::read_to_string(&path).unwrap().starts_with(".\\\" By hand");
        let known = names.iter().any(|name| path.ends_with(name));
        assert!(known || by_hand, "{}: of no command and no target", path.display());
    }
}

#[test]
fn no_formatter_finds_fault() {
    let tools: [(&str, &[&str]); 2] =
        [("mandoc", &["-T", "lint", "-W", "warning"]), ("groff", &["-man", "-ww", "-z", "-Tutf8"])];
    for (tool, arguments) in tools {
        for entry in fs::read_dir(committed()).unwrap() {
            let path = entry.unwrap().path();
            let Ok(output) = Command::new(tool).args(arguments).arg(&path).output() else {
                assert!(env::var_os("CI").is_none(), "cannot run in CI: no {tool} here");
                eprintln!("SKIPPED no_formatter_finds_fault: no {tool} here");
                break;
            };
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(said.is_empty(), "{tool}: {said}");
        }
    }
}
