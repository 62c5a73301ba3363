//! README.md holds what it says: its picture is made of golden screens, and its recipes are run.
//!
//! `UPDATE=1 cargo test --test cli readme` makes the picture anew; do so behind that of the screens.

use crate::sandbox::Sandbox;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The screens of the picture, by their command lines.
const PICTURE: &[&str] = &["rdmsetup ls --tree", "rdmsetup explain data", "rdmsetup create bad "];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Each fenced block: its kind, and its text.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    // What stands between two fences is outside and inside by turns.
    for fenced in text.split("\n```").skip(1).step_by(2) {
        blocks.push(fenced.split_once('\n').unwrap());
    }
    blocks
}

#[test]
fn the_picture_is_made_of_golden_screens() {
    let screens = fs::read_to_string(path("tests/cli/golden/screens-80.txt")).unwrap();
    let screen = |line: &&str| {
        let found = screens.split("\n$ ").find(|screen| screen.starts_with(*line));
        format!("$ {}\n", found.unwrap().trim_end())
    };
    let picture = PICTURE.iter().map(screen).collect::<Vec<_>>().join("\n");
    let readme = fs::read_to_string(path("README.md")).unwrap();
    let (kind, shown) = blocks(&readme)[0];
    assert_eq!(kind, "text");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path("README.md"), readme.replacen(shown, picture.trim_end(), 1)).unwrap();
        return;
    }
    assert_eq!(shown.trim_end(), picture.trim_end(), "UPDATE=1 cargo test --test cli readme");
}

#[test]
fn the_static_programs_are_built_as_it_says() {
    let script = fs::read_to_string(path("tests/kernel/static")).unwrap();
    let flags = script.lines().find_map(|line| line.strip_prefix("export ")).unwrap();
    let readme = fs::read_to_string(path("README.md")).unwrap();
    let says = |rest: &str| readme.lines().any(|line| line.trim() == format!("{flags} cargo {rest}"));
    let target = "--target x86_64-unknown-linux-gnu";
    assert!(says(&format!("install --locked --path . {target}")), "{flags}");
    assert!(says(&format!("build --profile small --no-default-features {target}")), "{flags}");
}

/// What a recipe needs that is not here.
fn missing(recipe: &str) -> Option<&'static str> {
    let programs = ["sqlite3", "mkfs.ext4", "debugfs"];
    let is_there = |program: &str| {
        ["/usr/bin", "/usr/sbin", "/sbin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
    };
    let program = programs.into_iter().find(|program| recipe.contains(program) && !is_there(program));
    program.or_else(|| (recipe.contains("--fuse") && !Path::new("/dev/fuse").exists()).then_some("/dev/fuse"))
}

/// Runs a recipe in a directory of its own; what it printed.
fn run(recipe: &str) -> String {
    let sandbox = Sandbox::new();
    let home = sandbox.path().join("home");
    let place = sandbox.path().join("place");
    let programs = sandbox.path().join("programs");
    for directory in [&home, &place, &programs] {
        fs::create_dir(directory).unwrap();
    }
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rdmsetup"), programs.join("rdmsetup")).unwrap();
    // A recipe that fails leaves no server behind, and one that waits for ever ends.
    let script = format!("trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{recipe}");
    let mut command = Command::new("timeout");
    command.args(["120", "bash", "-euo", "pipefail", "-c", &script]).current_dir(&place).stdin(Stdio::null());
    command.env("HOME", &home).env_remove("XDG_STATE_HOME").env_remove("RDMSETUP_STATE");
    command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", home.join("state"));
    command.env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", programs.display()));
    let ran = command.output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{recipe}{told}{}", String::from_utf8_lossy(&ran.stdout));
    let told = String::from_utf8(ran.stdout).unwrap();
    // A server tells when it is ready, and where.
    let told = told.lines().filter(|line| !line.starts_with("ready: ")).map(|line| format!("{line}\n"));
    told.collect::<String>().replace(place.canonicalize().unwrap().to_str().unwrap(), "/…")
}

#[test]
fn the_recipes_do_what_they_say() {
    let readme = fs::read_to_string(path("README.md")).unwrap();
    let blocks = blocks(&readme);
    let mut count = 0;
    for (index, (_, recipe)) in blocks.iter().enumerate().filter(|(_, (kind, _))| *kind == "sh") {
        count += 1;
        if let Some(what) = missing(recipe) {
            assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no {what} here");
            eprintln!("SKIPPED the_recipes_do_what_they_say: no {what} here for:\n{recipe}");
            continue;
        }
        // The first builds the program, which is here.
        let built = recipe.split_once("PATH=$PWD/target/release:$PATH && ").map(|(_, rest)| rest);
        let told = run(built.unwrap_or(recipe));
        match built {
            Some(_) => assert_eq!(told, "hello\nvol0: 0 100 linear /…/disk.img 384\n"),
            None => assert_eq!(told.trim_end(), blocks[index + 1].1.trim_end(), "{recipe}"),
        }
    }
    assert!(count >= 5, "{count} recipes");
}
