//! The same command lines to dmsetup and to rdmsetup, on the same kernel: equal output, exit status and first line of
//! errors. What rdmsetup says behind that line is its own.

use crate::guest;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What a program did with a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) first_error: String,
}

/// Where rdmsetup does otherwise than dmsetup 1.02.185, and why. A line that is listed and does not differ is an error.
const DIFFERENCES: &[(&str, &str)] = &[
    ("--no ls", "the options of reports, statistics and udev that begin so are not built yet"),
    ("info vol2", NODE),
    ("info a", NODE),
    (
        "ls -v --exec echo",
        "dmsetup writes its own lines after those of the command that it ran, by buffering alone",
    ),
];

const NODE: &str =
    "dmsetup opens the node for the read-ahead, and complains though it succeeds when there is no table yet";

/// Runs a program under that name; what follows `<` in the line is its standard input, `\n` in it a new line.
pub(crate) fn run(program: &str, name: &str, line: &str) -> Outcome {
    run_with(program, name, line, &[])
}

/// The same, with these variables in its environment.
pub(crate) fn run_with(program: &str, name: &str, line: &str, environment: &[(&str, &str)]) -> Outcome {
    let (arguments, input) = line.split_once(" < ").unwrap_or((line, ""));
    let mut command = Command::new(program);
    command.arg0(name).args(words(arguments)).env("RDMSETUP_BACKEND", "kernel");
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.replace("\\n", "\n").as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let first_error = text(&output.stderr).lines().next().unwrap_or_default().to_owned();
    let first_error =
        first_error.strip_prefix(name).map_or(first_error.clone(), |rest| format!("PROGRAM{rest}"));
    Outcome { status: output.status.code(), stdout: text(&output.stdout), first_error }
}

/// What [`left_behind`] tells of, in the place of command lines.
pub(crate) const LEFT_BEHIND: [&str; 3] = ["(the devices left behind)", "(their tables)", "(their nodes)"];

/// What a scenario leaves: devices, tables and nodes, seen by dmsetup whoever made them.
pub(crate) fn left_behind() -> [Outcome; 3] {
    let look = |line| run("/usr/sbin/dmsetup", "dmsetup", line);
    let mut nodes: Vec<String> = std::fs::read_dir("/dev/mapper")
        .unwrap()
        .map(|node| {
            let node = node.unwrap();
            let metadata = node.metadata().unwrap();
            format!("{:?} {:o} {}:{}", node.file_name(), metadata.mode(), metadata.uid(), metadata.gid())
        })
        .collect();
    nodes.sort();
    let nodes = Outcome { status: None, stdout: nodes.join("\n"), first_error: String::new() };
    [look("--manglename none info"), look("--manglename none table"), nodes]
}

/// The words of a line; double quotes hold blanks, `\n` in them is a new line.
fn words(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (None::<String>, false);
    for letter in line.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words.iter().map(|word| word.replace("\\n", "\n").into()).collect()
}

/// Scenarios: a name, and lines that are run one after the other on a driver without devices.
const SCENARIOS: &[(&str, &[&str])] = &[
    (
        "nothing there",
        &[
            "version",
            "--version",
            "ls",
            "info",
            "table",
            "status",
            "deps",
            "targets",
            "ls --target linear",
            "info nope",
            "table nope",
            "status nope",
            "deps nope",
            "remove nope",
            "suspend nope",
            "resume nope",
            "clear nope",
            "wipe_table nope",
            "rename nope other",
            "message nope 0 hi",
            "wait nope",
            "mknodes nope",
            "setgeometry nope 1 1 1 0",
            "reload nope --table \"0 1 zero\"",
            "load nope --table \"0 1 zero\"",
            "info -u nope",
            "info -j 254 -m 77",
            "remove -u nope",
            "info -j 254",
            "remove_all",
            "mknodes",
            "target-version linear",
            "target-version nonesuch",
            "target-version linear zero nonesuch error",
        ],
    ),
    (
        "wrong words",
        &[
            "",
            "nonesuch",
            "remove",
            "create",
            "rename a",
            "rename a b c",
            "message a",
            "setgeometry a 1",
            "wait",
            "load",
            "--nonesuch ls",
            "ls --nonesuch",
            "ls -q",
            "info -j",
            "--no ls",
            "--ta ls",
            "create a b c",
            "version x",
            "info --columns=1",
            "table --target",
        ],
    ),
    (
        "a device's life",
        &[
            "create vol0 --table \"0 100 linear /dev/ubda 384\"",
            "ls",
            "table",
            "table vol0",
            "status",
            "status vol0",
            "info",
            "info vol0",
            "deps",
            "deps vol0",
            "deps -o devname vol0",
            "deps -o blkdevname vol0",
            "deps -o devno",
            "ls -o devname",
            "ls -o blkdevname",
            "ls -o devno",
            "ls -o blk",
            "ls -o nonesuch",
            "ls --target linear",
            "ls --target zero",
            "table --target linear",
            "table --target zero",
            "status --target linear",
            "create vol0 --table \"0 100 linear /dev/ubda 384\"",
            "create vol1 -u uuid-1 < 0 8 zero\\n8 8 error\\n",
            "create vol2 --uuid=uuid-1 --notable",
            "create vol2 -n",
            "info vol2",
            "table vol2",
            "status vol2",
            "deps vol2",
            "info vol1 vol0",
            "table",
            "ls",
            "info -u uuid-1",
            "table -u uuid-1",
            "info vol0 vol1",
            "table vol0 vol1",
            "info vol0 nope vol1",
            "table vol0 nope",
            "info /dev/mapper/vol0",
            "table /dev/mapper/vol0",
            "info /dev/nonesuch",
            "load vol0 --table \"0 50 linear /dev/ubdb 0\"",
            "info vol0",
            "table vol0",
            "table --inactive vol0",
            "table --inactive",
            "status --inactive vol0",
            "info --inactive vol0",
            "clear vol0",
            "info vol0",
            "reload vol0 --table \"0 50 linear /dev/ubdb 0\"",
            "suspend vol0",
            "info vol0",
            "resume vol0",
            "table",
            "suspend vol0 vol1",
            "info vol1 vol0",
            "resume --noflush --nolockfs vol0 vol1",
            "suspend --noflush vol0",
            "resume vol0",
            "rename vol0 vol3",
            "ls",
            "rename vol3 vol1",
            "rename vol3 a/b",
            "rename vol3 --setuuid uuid-3",
            "info vol3",
            "rename vol3 --setuuid uuid-4",
            "wait vol3",
            "wait vol3 0",
            "wait vol3 5",
            "message vol3 0 hello",
            "message vol3 x hello",
            "message vol3 0",
            "setgeometry vol3 1 2 3 4",
            "setgeometry vol3 1 2 3 99",
            "wipe_table vol3",
            "table vol3",
            "remove vol3",
            "remove vol1 vol2",
            "ls",
        ],
    ),
    (
        "tables refused",
        &[
            "create a --table \"0 8 linear /dev/ubda 38x\"",
            "create a --table \"0 8 linear /dev/nonesuch 0\"",
            "create a --table \"0 8\"",
            "create a --table \"x 8 zero\"",
            "create a --table \"0 8 zero\\n16 8 zero\"",
            "create a --table \"0 8 sixteen-letters-\"",
            "create a --table \"0 8 nonesuch\"",
            "create a /dev/nonesuch",
            "create a < 0 8 zero\\n# remark\\n\\nnonsense\\n",
            "create a --table \"0 9999999 linear /dev/ubda 0\"",
            "create a/b --notable",
            "ls",
            "create a --notable",
            "load a --table \"0 8 linear\"",
            "load a --notable",
            "load a < 8 8 zero\\n",
            "resume a",
            "info a",
            "load a --table \"\"",
            "remove a",
        ],
    ),
    (
        "read-only, numbered, stacked",
        &[
            "create r -r --table \"0 64 linear /dev/ubda 0\"",
            "info r",
            "load r --table \"0 64 zero\"",
            "info r",
            "info r --inactive",
            "resume r",
            "info r",
            "create m -m 9 -j 254 --table \"0 8 zero\"",
            "info m",
            "info -j 254 -m 9",
            "table -j 254 -m 9",
            "create n --minor 9 --major 254 --table \"0 8 zero\"",
            "remove -j 254 -m 9",
            "create top --table \"0 32 linear /dev/mapper/r 0\"",
            "info r",
            "deps",
            "deps -o devname top",
            "remove r",
            "remove --deferred r",
            "info r",
            "remove top",
            "ls",
            "create low --table \"0 8 zero\"",
            "create top --table \"0 8 linear /dev/mapper/low 0\"",
            "remove_all",
            "ls",
            "create f --table \"0 8 zero\"",
            "remove -f f",
            "ls",
            "remove -f",
            "remove --force",
        ],
    ),
    (
        "habits of getopt",
        &[
            "--table \"0 8 zero\" create a",
            "create --table=\"0 8 zero\" b",
            "-r create c --ta \"0 8 zero\"",
            "info a c",
            "ls --noheadings",
            "ls -- ",
            "table -- a",
            "table a --showkeys",
            "-v info a",
            "info -v a",
            "status -v a",
            "info --noopencount a",
            "info --noop a",
            "ls --exec true",
            "ls --exec echo",
            "ls -v --exec echo",
            "remove -- a",
            "remove b c",
            "ls",
        ],
    ),
];

#[test]
fn dmsetup_and_rdmsetup_say_the_same() {
    guest::run("commands::dmsetup_and_rdmsetup_say_the_same", || {
        let (mut lines, mut faults) = (0, Vec::new());
        for (scenario, script) in SCENARIOS {
            let play = |program: &str, name: &str| -> Vec<Outcome> {
                let mut outcomes: Vec<Outcome> = script.iter().map(|line| run(program, name, line)).collect();
                outcomes.extend(left_behind());
                run("/usr/sbin/dmsetup", "dmsetup", "remove_all -f");
                outcomes
            };
            // A target's module stays once it is loaded, and then shows in the list.
            run("/usr/sbin/dmsetup", "dmsetup", "target-version zero");
            let theirs = play("/usr/sbin/dmsetup", "dmsetup");
            let ours = play(env!("CARGO_BIN_EXE_rdmsetup"), "rdmsetup");
            for ((line, expected), outcome) in script.iter().chain(&LEFT_BEHIND).zip(theirs).zip(ours) {
                lines += 1;
                let listed = DIFFERENCES.iter().any(|(listed, _)| listed == line);
                if (expected == outcome) == listed {
                    faults
                        .push(format!("{scenario}: {line}\n  dmsetup  {expected:?}\n  rdmsetup {outcome:?}"));
                }
            }
        }
        assert!(faults.is_empty(), "{} of {lines} lines differ:\n{}", faults.len(), faults.join("\n"));
    });
}
