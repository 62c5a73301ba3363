//! TAB in real shells: `expect` types a line, and what the shell makes of it is read off.
//!
//! Each shell loads its script from `completions/` and finds the program on its PATH.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stderr, reason = "a skip says why")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long one TAB may take, by the issue that asked for it.
const LIMIT: Duration = Duration::from_millis(30);

/// A directory with three devices, and the program beside them.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_rdmsetup"), place.path("rdmsetup")).unwrap();
        for (name, table) in [("alpha", "0 8 zero"), ("alpine", "0 8 error"), ("be ta", "0 8 zero")] {
            let status = place.command("rdmsetup").args(["create", name, "--table", table]).status().unwrap();
            assert!(status.success());
        }
        fs::write(place.path("table.txt"), "0 8 zero\n").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A program, with the devices in its reach.
    fn command(&self, program: &str) -> Command {
        let path = env::join_paths([self.0.path(), Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
        let program = if program == "rdmsetup" { self.path(program) } else { program.into() };
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.0.path())
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8");
        command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", self.path("state"));
        command.current_dir(self.0.path());
        command
    }

    /// Has a shell, started so, read its script and then complete `typed`; what it showed after that. `None`, and said
    /// why, where the shell is not here.
    fn tab(&self, shell: &str, arguments: &str, script: &str, typed: &str) -> Option<String> {
        for program in [shell, "expect"] {
            if !["/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists()) {
                assert!(env::var_os("CI").is_none(), "cannot run in CI: no {program} here");
                eprintln!("SKIPPED completion in {shell}: no {program} here");
                return None;
            }
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(script);
        let prepare = match shell {
            "zsh" => format!("autoload -Uz compinit; compinit -u; . {}", script.display()),
            _ => format!(". {}", script.display()),
        };
        // The mark is written in two parts, so that it is not seen where the command is typed.
        let play = format!(
            "set timeout 20\nspawn {shell} {arguments}\nsend -- {{{prepare}; echo rea''dy}}\nsend \"\\r\"\n\
             expect ready {{}} timeout {{exit 3}}\nsleep 0.3\nsend -- {{{typed}}}\nsend \"\\t\"\nsleep 0.7\nsend \"\\t\"\n\
             sleep 0.7\nsend \"\\003\"\nsleep 0.2\nsend \"exit\\r\"\nexpect eof\n"
        );
        let output = self.command("expect").args(["-c", &play]).stdin(Stdio::null()).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{shell}: {shown}");
        let (_, after) = shown.rsplit_once("ready").expect("the shell has read the script");
        Some(after.to_owned())
    }
}

/// Each shell, how it is started without anybody's own settings, and its script.
const SHELLS: &[(&str, &str, &str)] = &[
    ("bash", "--norc --noprofile", "rdmsetup.bash"),
    ("zsh", "-f", "_rdmsetup"),
    ("fish", "--no-config", "rdmsetup.fish"),
];

#[test]
fn tab_behind_remove_lists_the_devices() {
    let place = Place::new();
    for (shell, arguments, script) in SHELLS {
        let Some(shown) = place.tab(shell, arguments, script, "rdmsetup remove ") else { continue };
        for name in ["alpha", "alpine", "ta"] {
            assert!(shown.contains(name), "{shell}: {name}: {shown}");
        }
    }
}

/// What is typed, and what stands there after TAB.
const WRITTEN_OUT: &[(&str, &str)] = &[
    ("rdmsetup remove alph", "remove alpha"),
    ("rdmsetup targ", "rdmsetup target"),
    ("rdmsetup ls --target zer", "--target zero"),
    ("rdmsetup ls --target=zer", "--target=zero"),
    ("rdmsetup info -c -o name,segm", "name,segments"),
    ("rdmsetup load alpha tab", "alpha table.txt"),
    ("rdmsetup load alpha --read", "alpha --read"),
];

#[test]
fn one_candidate_is_written_out_in_full() {
    let place = Place::new();
    // Most of the time goes by waiting, so all shells wait at once.
    std::thread::scope(|scope| {
        for (shell, arguments, script) in SHELLS {
            let place = &place;
            scope.spawn(move || {
                for (typed, whole) in WRITTEN_OUT {
                    let Some(shown) = place.tab(shell, arguments, script, typed) else { continue };
                    let plain = without_signs(&shown);
                    assert!(plain.contains(whole), "{shell}: {typed}: {plain:?}");
                }
            });
        }
    });
}

#[test]
fn a_name_with_a_blank_is_quoted() {
    let place = Place::new();
    for (shell, arguments, script) in SHELLS {
        let Some(shown) = place.tab(shell, arguments, script, "rdmsetup remove b") else { continue };
        let plain = without_signs(&shown);
        let quoted = ["be\\ ta", "'be ta'"].iter().any(|quoted| plain.contains(quoted));
        assert!(quoted, "{shell}: {plain:?}");
    }
}

/// What a terminal shows of a text: without the signs that move the cursor and colour.
fn without_signs(shown: &str) -> String {
    let mut plain = String::new();
    let mut rest = shown.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\u{1b}' => {
                if rest.next() == Some('[') {
                    let _ = rest.find(char::is_ascii_alphabetic);
                }
            }
            '\u{8}' => drop(plain.pop()),
            '\u{7}' | '\r' => {}
            letter => plain.push(letter),
        }
    }
    plain
}

#[test]
fn candidates_come_in_no_time_and_without_a_word_when_there_are_none() {
    let place = Place::new();
    let ask = |words: &[&str]| {
        let arguments = [&["completions", "--complete=bash", "--", "rdmsetup"], words].concat();
        let started = Instant::now();
        let output = place.command("rdmsetup").args(arguments).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
        (started.elapsed(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, told) = ask(&["remove", "al"]);
    assert_eq!(told, "words\nalpha\t240:0\nalpine\t240:1\n");
    // The quickest of several: others use the machine too.
    let quickest = (0..10).map(|_| ask(&["remove", ""]).0).min().unwrap();
    assert!(quickest < LIMIT, "{quickest:?}");
    // A driver that is not there, a state that cannot be read, a command that is none.
    fs::write(place.path("state/state.json"), "{").unwrap();
    for words in [
        &["remove", ""][..],
        &["remove", "--backend=kernel", ""],
        &["nosuch", "x"],
        &["--nosuch", "-"],
        &[""],
    ] {
        assert!(ask(words).1.starts_with("words\n"), "{words:?}");
    }
    assert_eq!(ask(&["remove", ""]).1, "words\n");
}

#[test]
fn the_scripts_are_those_of_this_program() {
    let place = Place::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    let mut files: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for (shell, file) in [
        ("bash", "rdmsetup.bash"),
        ("zsh", "_rdmsetup"),
        ("fish", "rdmsetup.fish"),
        ("elvish", "rdmsetup.elv"),
        ("powershell", "rdmsetup.ps1"),
    ] {
        let output = place.command("rdmsetup").args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, fs::read(directory.join(file)).unwrap(), "{shell}");
        files.retain(|name| name != file);
    }
    assert!(files.is_empty(), "of no shell: {files:?}");
    let output = place.command("rdmsetup").args(["completions", "csh"]).output().unwrap();
    assert!(!output.status.success());
}
