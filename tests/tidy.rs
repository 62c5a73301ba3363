//! The shape of the source: which room may use which, how long a file may be, where `unsafe` may stand.
//!
//! The rules are the crate documentation's; this reads every file and fails on one that breaks them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may use. A room that is not in this list does not exist.
const ROOMS: &[(&str, &[&str])] = &[
    ("dm", &[]),
    ("sys", &[]),
    ("wire", &["dm"]),
    ("block", &["dm", "sys"]),
    ("target", &["block", "dm"]),
    ("mapper", &["target", "block", "wire", "sys", "dm"]),
    ("backend", &["mapper", "block", "wire", "sys", "dm"]),
    ("export", &["block", "dm", "sys"]),
    ("render", &["dm"]),
    ("cli", &["backend", "block", "dm", "export", "mapper", "render", "target"]),
];

/// Lines before its tests that a file may have.
const MAX_LINES: usize = 500;

/// Names that say nothing about what is in a room.
const DRAWERS: &[&str] = &["util", "utils", "common", "helpers", "misc"];

/// Every source file: its path below `src`, and its text.
fn sources() -> Vec<(PathBuf, String)> {
    files_in("src")
}

fn files_in(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_path_buf(), text));
            }
        }
    }
    assert!(files.len() > 40, "the source was not found");
    files
}

/// The room that a file belongs to; `None` for lib.rs and main.rs.
fn room_of(path: &Path) -> Option<String> {
    let mut parts = path.components();
    let first = parts.next()?.as_os_str().to_str()?.to_owned();
    parts.next().map(|_| first)
}

/// The code of a file: without its comments and its tests.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap_or_default();
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn imports_go_one_way() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let Some(room) = room_of(&path) else { continue };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{}: \"{room}\" is not a room", path.display()));
            continue;
        };
        for rest in code(&text).split("crate::").skip(1) {
            let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let known = ROOMS.iter().any(|(name, _)| *name == used);
            if known && used != room && !allowed.contains(&used.as_str()) {
                faults.push(format!("{}: {room} must not use {used}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rooms_are_in_an_order() {
    for (index, (room, uses)) in ROOMS.iter().enumerate() {
        for used in *uses {
            let place = ROOMS.iter().position(|(name, _)| name == used);
            assert!(place.is_some_and(|place| place < index), "{room} uses {used}, which is not above it");
        }
    }
}

#[test]
fn every_file_is_small_and_says_what_it_owns() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let lines = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines, above {MAX_LINES}", path.display()));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{}: no first line that says what it owns", path.display()));
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if DRAWERS.contains(&stem) {
            faults.push(format!("{}: a drawer, not a room", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_stays_in_sys() {
    for (path, text) in sources() {
        let room = room_of(&path);
        let is_front =
            path.file_name().is_some_and(|name| name == "mod.rs") && path.components().count() == 2;
        if is_front && room.as_deref() != Some("sys") {
            assert!(text.contains("#![forbid(unsafe_code)]"), "{}: does not forbid unsafe", path.display());
        }
        let blocks = code(&text).matches("unsafe {").count();
        let reasons = text.matches("// SAFETY:").count();
        if room.as_deref() == Some("sys") {
            assert!(reasons >= blocks, "{}: {blocks} unsafe blocks, {reasons} reasons", path.display());
        } else {
            assert_eq!(blocks, 0, "{}: unsafe outside sys", path.display());
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    // In two halves each, as this file is looked through too.
    let marks = [("to", "do!"), ("unimple", "mented!"), ("FIX", "ME"), ("X", "XX"), ("#[ig", "nore")]
        .map(|(a, b)| [a, b].concat());
    for (path, text) in sources().into_iter().chain(files_in("tests")) {
        for mark in &marks {
            assert!(!text.contains(mark), "{}: {mark}", path.display());
        }
    }
}
