//! The manual pages in `man/` are what the program writes now, and no formatter finds fault with them.
//!
//! `UPDATE=1 cargo test --test manual` rewrites those that are not written by hand; one is made of the tables in the source that say what rdmsetup does
//! otherwise than dmsetup.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
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
    names.push(DIFFERENCES.into());
    for entry in fs::read_dir(committed()).unwrap() {
        let path = entry.unwrap().path();
        // A page that is written by hand says so in its first line.
        let by_hand = fs::read_to_string(&path).unwrap().starts_with(".\\\" By hand");
        let known = names.iter().any(|name| path.ends_with(name));
        assert!(known || by_hand, "{}: of no command and no target", path.display());
    }
}

const DIFFERENCES: &str = "rdmsetup-differences.7";

/// The head of the page about differences, up to the first of them.
const HEAD: &str = r#".\" Made of the tables in the source by UPDATE=1 cargo test --test manual
.TH RDMSETUP-DIFFERENCES 7 2026-11-22 "rdmsetup 0.1.0" Device-mapper
.SH NAME
rdmsetup\-differences \- where rdmsetup does otherwise than dmsetup
.SH DESCRIPTION
rdmsetup does what dmsetup 1.02.185 does, to the byte, and tests compare the two on a real kernel.
Where dmsetup has a plain defect, a program that is called as
.B dmsetup
or
.B dmstats
keeps what callers may rely on, and one called as
.B rdmsetup
mends it.
What can only harm is mended under any name.
"#;

/// Every row of the tables below that heading, in the order of the files' names: what, with dmsetup, here.
fn rows(heading: &str) -> Vec<[String; 3]> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let heading = format!("//! {heading}\n");
    let mut rows = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let below = text.split(&heading).skip(1);
        for line in below.flat_map(|below| below.lines().skip(1).take_while(|line| line.starts_with("//! |")))
        {
            let cells: Vec<String> = line[5..].split('|').map(|cell| cell.trim().to_owned()).collect();
            let [what, theirs, ours, end] = cells.try_into().expect("three cells and nothing behind them");
            assert!(end.is_empty(), "{}: {line}", file.display());
            rows.push([what, theirs, ours]);
        }
    }
    rows
}

/// A cell as roff has it.
fn roff(cell: &str) -> String {
    cell.replace('`', "").replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

#[test]
fn the_page_of_differences_is_made_of_the_tables_in_the_source() {
    let mut page = String::from(HEAD);
    for (section, heading) in [
        ("KEPT WHEN CALLED AS DMSETUP", "| what | as dmsetup | as rdmsetup |"),
        ("MENDED UNDER ANY NAME", "| what | dmsetup | here |"),
    ] {
        let rows = rows(heading);
        assert!(rows.len() > 12, "{heading}: {rows:?}");
        page += &format!(".SH {section}\n");
        for [what, theirs, ours] in rows.iter().map(|row| row.each_ref().map(|cell| roff(cell))) {
            page += &format!(".TP\n.B {what}\ndmsetup: {theirs}.\n.br\nrdmsetup: {ours}.\n");
        }
    }
    page += ".SH SEE ALSO\n.BR rdmsetup (8),\n.BR dmsetup (8)\n";
    let place = committed().join(DIFFERENCES);
    if env::var_os("UPDATE").is_some() {
        fs::write(&place, &page).unwrap();
    }
    let there = fs::read_to_string(&place).unwrap_or_default();
    assert!(there == page, "{} is stale: UPDATE=1 cargo test --test manual", place.display());
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
