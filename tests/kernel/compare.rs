//! Two programs, one kernel: scenarios of command lines that both play, and what differs. Where nothing does, the driver is
//! not asked more often by ours than by theirs. A scenario ends with a look at what it left behind.

use crate::guest::{IOCTL_LOG, counted, kernel_major};
use crate::{classic, commands, files, options, reports, stats};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

pub(crate) const THEIRS: &str = "/usr/sbin/dmsetup";
pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_rdmsetup");

/// A name, and lines that are run one after the other on a driver without devices.
pub(crate) type Scenario<'a> = (&'a str, &'a [&'a str]);

/// A line where rdmsetup does otherwise than dmsetup 1.02.185, and why. The line of what a scenario left behind is one of
/// [`LEFT_BEHIND`] behind the scenario's name and a colon.
pub(crate) type Difference<'a> = (&'a str, &'a str);

/// What a program did with a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) first_error: String,
}

/// Runs a program under that name; what follows `<` in the line is its standard input, `\n` in it a new line.
pub(crate) fn run(program: &str, name: &str, line: &str) -> Outcome {
    run_with(program, name, line, &[])
}

/// The same, with these variables in its environment.
pub(crate) fn run_with(program: &str, name: &str, line: &str, environment: &[(&str, &str)]) -> Outcome {
    let (arguments, input) = line.split_once(" < ").unwrap_or((line, ""));
    let mut command = Command::new(program);
    command.arg0(name).args(words(arguments)).env("RDMSETUP_BACKEND", "kernel");
    command.envs(environment.iter().copied()).envs(counted());
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

/// How often the driver has been asked since this was last asked.
pub(crate) fn ioctls() -> usize {
    let log = fs::read_to_string(IOCTL_LOG).unwrap_or_default();
    let _ = fs::remove_file(IOCTL_LOG);
    log.lines().count()
}

/// The words of a line; double quotes hold blanks, `\n` in them is a new line.
pub(crate) fn words(line: &str) -> Vec<OsString> {
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

/// What [`left_behind`] tells of, in the place of command lines.
const LEFT_BEHIND: [&str; 5] =
    ["(the devices)", "(their tables)", "(their regions)", "(their nodes)", "(the semaphores)"];

/// What a scenario leaves: devices, tables, regions of statistics, nodes and semaphores, seen by dmsetup whoever made them.
fn left_behind() -> [Outcome; 5] {
    let look = |line: &str| run(THEIRS, "dmsetup", line);
    let told = |stdout: String| Outcome { status: None, stdout, first_error: String::new() };
    let regions =
        |minor: &str| look(&format!("message -j {} -m {minor} 0 @stats_list", kernel_major())).stdout;
    let minors = look("--manglename none info -c --noheadings -o minor").stdout;
    let nodes = fs::read_dir("/dev/mapper").unwrap().map(|node| {
        let node = node.unwrap();
        let metadata = node.metadata().unwrap();
        format!("{:?} {:o} {}:{}", node.file_name(), metadata.mode(), metadata.uid(), metadata.gid())
    });
    let mut nodes: Vec<String> = nodes.collect();
    nodes.sort();
    let semaphores = fs::read_to_string("/proc/sysvipc/sem").unwrap().lines().count() - 1;
    [
        look("--manglename none info"),
        look("--manglename none table"),
        told(minors.lines().map(|minor| format!("{minor}\n{}", regions(minor))).collect()),
        told(nodes.join("\n")),
        told(semaphores.to_string()),
    ]
}

/// Which lines differ, against a list of those that may.
pub(crate) struct Comparison<'a> {
    differences: &'a [Difference<'a>],
    met: Vec<bool>,
    explains: bool,
    lines: usize,
    asked: usize,
    faults: Vec<String>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(differences: &'a [Difference<'a>]) -> Self {
        Self {
            differences,
            met: vec![false; differences.len()],
            explains: false,
            lines: 0,
            asked: 0,
            faults: Vec::new(),
        }
    }

    /// Ours may ask the driver more often after it has failed: under its own name it finds out why.
    pub(crate) fn explaining(mut self, explains: bool) -> Self {
        self.explains = explains;
        self
    }

    /// Plays a scenario to both programs: `play` runs a line with the program, `alike` takes away what no two runs share.
    pub(crate) fn play(
        &mut self,
        (scenario, script): Scenario<'_>,
        play: impl Fn(&str, &str) -> Outcome,
        alike: impl Fn(&str, Outcome) -> Outcome,
    ) {
        let [theirs, ours] = [THEIRS, OURS].map(|program| {
            let one = |line: &&str| {
                ioctls();
                (play(program, line), ioctls())
            };
            let mut outcomes: Vec<(Outcome, usize)> = script.iter().map(one).collect();
            outcomes.extend(left_behind().map(|look| (look, 0)));
            run(THEIRS, "dmsetup", "--manglename none remove_all -f");
            run(THEIRS, "dmsetup", "udevcomplete_all -y");
            outcomes
        });
        let looks = LEFT_BEHIND.map(|look| format!("{scenario}: {look}"));
        let lines = script.iter().copied().chain(looks.iter().map(String::as_str));
        for ((line, (expected, needed)), (outcome, asked)) in lines.zip(theirs).zip(ours) {
            self.asked += asked;
            let explains = self.explains && outcome.status != Some(0);
            if asked > needed && !explains && !self.is_listed(line) {
                self.faults.push(format!("{scenario}: {line}: {asked} ioctls, and dmsetup {needed}"));
            }
            self.judge(scenario, line, &alike(line, expected), &alike(line, outcome));
        }
    }

    fn is_listed(&self, line: &str) -> bool {
        self.differences.iter().any(|(listed, _)| *listed == line)
    }

    fn judge(&mut self, scenario: &str, line: &str, expected: &Outcome, outcome: &Outcome) {
        self.lines += 1;
        let listed = self.differences.iter().position(|(listed, _)| *listed == line);
        if let Some(listed) = listed {
            self.met[listed] = true;
        }
        if (expected == outcome) == listed.is_some() {
            self.faults.push(format!("{scenario}: {line}\n  dmsetup  {expected:?}\n  rdmsetup {outcome:?}"));
        }
    }

    /// Fails where a line differs that is not listed, where a listed one does not, and where a listed one was never run.
    pub(crate) fn end(mut self) {
        for ((line, _), _) in self.differences.iter().zip(&self.met).filter(|(_, met)| !**met) {
            self.faults.push(format!("{line}: listed, and never run"));
        }
        assert!(self.asked > self.lines / 2, "{} ioctls seen in {} lines", self.asked, self.lines);
        let (lines, faults) = (self.lines, self.faults);
        assert!(faults.is_empty(), "{} of {lines} lines differ:\n{}", faults.len(), faults.join("\n"));
    }
}

/// Nothing is taken away.
pub(crate) fn as_it_is(_: &str, outcome: Outcome) -> Outcome {
    outcome
}

/// Every command line that some test compares with dmsetup's, rdmsetup called as dmsetup.
pub(crate) fn judged() -> Vec<&'static str> {
    let scenarios =
        [commands::SCENARIOS, classic::SCENARIOS, options::SCENARIOS, reports::SCENARIOS, stats::SCENARIOS];
    let lines = scenarios.concat().into_iter().flat_map(|(_, script)| script).chain(files::FILES);
    // The commands that a scenario itself needs are not among those that are judged.
    lines.copied().filter(|line| !line.starts_with("sh ") && !line.starts_with("io ")).collect()
}

#[test]
fn enough_command_lines_are_compared() {
    let distinct: BTreeSet<&str> = judged().into_iter().collect();
    assert!(distinct.len() >= 900, "{} different lines of {}", distinct.len(), judged().len());
}
