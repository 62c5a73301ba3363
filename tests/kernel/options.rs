//! Every command and every option of dmsetup's is in some line that is compared; here are those that no other scenario has.
//! What dmsetup has, dmsetup says.

use crate::compare::{Comparison, Difference, Scenario, THEIRS, as_it_is, judged, run};
use crate::guest;
use std::collections::BTreeSet;

/// Where rdmsetup does otherwise than dmsetup 1.02.185, and why. A line that is listed and does not differ is an error.
const DIFFERENCES: &[Difference<'_>] = &[
    ("targets --verbose", "dmsetup's long form wants an argument, and takes the next word for it"),
    ("help info", "dmsetup has no help of one command"),
    ("table -S segments>1 --inactive", "dmsetup asks for the state that -S looks at with --inactive too"),
];

/// Scenarios: a name, and lines that are run one after the other on a driver without devices.
pub(crate) const SCENARIOS: &[Scenario<'_>] = &[
    (
        "in many ways",
        &[
            "create a --uuid U-a --table \"0 64 linear /dev/ubda 0\\n64 64 linear /dev/ubdb 0\"",
            "create b --readonly --addnodeonresume --table \"0 8 linear /dev/mapper/a 0\"",
            "create c --uid 1 --gid 2 --mode 0600 --readahead 512 --notable",
            "create d --major 254 --minor 20 --noudevrules --noudevsync --table \"0 8 zero\"",
            "-v create e --verifyudev --addnodeoncreate --table \"0 8 zero\"",
            "create f --checks --table \"0 8 error\"",
            "create g --noflush --nolockfs --inactive --table \"0 8 zero\"",
            "help",
            "--help",
            "info --help",
            "help -c",
            "help info",
            "load c --readonly --table \"0 8 zero\"",
            "resume c --addnodeonresume --readahead auto",
            "resume c --addnodeoncreate --noflush",
            "load a -v --table \"0 128 zero\"",
            "suspend a --noflush --nolockfs",
            "suspend --inactive d",
            "suspend -v e f",
            "resume --noflush --nolockfs -v a e",
            "resume f --noudevsync",
            "resume -u U-a",
            "resume --inactive d",
            "info a --inactive --noopencount",
            "info --select name=a",
            "info -c --options name",
            "info -c --select name=a --sort name --noheadings",
            "status --inactive",
            "status --noflush a d",
            "status -v a",
            "table -v a",
            "table --inactive --showkeys",
            "table --showkeys -u U-a",
            "table --concise --inactive",
            "table --concise --showkeys --target zero",
            "deps -v b",
            "deps --inactive",
            "deps -u U-a -o blkdevname",
            "ls -v",
            "ls -v --tree",
            "ls --tree --inactive",
            "ls --target linear --exec true",
            "ls --inactive",
            "targets -v",
            "targets --verbose",
            "target-version -v zero",
            "version -v",
            "wait a 7",
            "wait a 7 --noflush",
            "wait -v a 7",
            "wait -u U-a 7",
            "message -v d 0 nothing",
            "message --major 254 --minor 20 0 nothing here",
            "message -u U-a 0 nothing",
            "message a 999 nothing",
            "message a x nothing",
            "setgeometry d 1 1 1 0",
            "setgeometry -v d 1 1 8 0",
            "clear -u U-a",
            "clear -v c",
            "wipe_table --force d",
            "wipe_table --noflush --nolockfs e",
            "wipe_table -v f",
            "wipe_table -u U-a",
            "rename -v d d2",
            "rename -u U-a a2",
            "rename --major 254 --minor 20 d3",
            "rename d3 --setuuid U-d --noudevrules",
            "mknodes -v",
            "mknodes a2",
            "mknodes nope a2",
            "mangle -v a2",
            "measure -v a2 c",
            "splitname -v vg-lv-layer",
            "udevcookies -v",
            "udevcomplete_all --yes",
            "udevflags 0xd4d1234 -v",
            "remove --retry c",
            "remove -v --force e",
            "remove --noudevsync f",
            "remove --deferred a2",
            "remove --force --retry --deferred g",
            "remove --major 254 --minor 20",
            "remove --inactive b",
            "remove_all --force",
            "remove_all -v --deferred",
            "ls",
        ],
    ),
    (
        "in the middle of things",
        &[
            "create low --table \"0 8 zero\"",
            "create top -u U-top --table \"0 8 linear /dev/mapper/low 0\"",
            "remove --deferred low",
            "rename top other",
            "load other --table \"0 16 zero\"",
            "suspend other",
            "create own -U 3 -G 4 -M 600 --readahead 7 --table \"0 8 zero\"",
            "create bare --notable",
            "create fails --table \"0 8 linear\"",
            "create ro -r --table \"0 8 linear /dev/ubda 0\"",
            "rename ro ro2",
            "wipe_table own",
        ],
    ),
    (
        "selections that do not ask for everything",
        &[
            "create low --table \"0 64 linear /dev/ubda 0\"",
            "create top --table \"0 8 linear /dev/mapper/low 0\\n8 8 zero\"",
            "load low --table \"0 32 zero\"",
            "load top --table \"0 32 zero\"",
            "info -c -S open=1",
            "info -c -S open=0 --noopencount",
            "info -c -S open>=0 --noopencount",
            "info -S open=1 --noopencount",
            "info -S name=top --inactive",
            "info -c -S name=top --inactive",
            "info -c -S segments>1 --inactive",
            "info -c -S tables_loaded=Both --inactive --noopencount -o name,open,segments,tables_loaded",
            "table -S segments>1",
            "table -S segments>1 --inactive",
            "table -S open=1 --noopencount",
            "status -S open>0 --noopencount",
            "status -S tables_loaded=Both --inactive",
            "deps -S open=1 --noopencount",
            "deps -S open=1 --inactive",
            "suspend -S open=0 --noopencount",
            "resume -S open=0",
        ],
    ),
    (
        "keys",
        &[
            "create k --table \"0 8 crypt aes-xts-plain64 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 0 /dev/ubda 0\"",
            "table",
            "table --showkeys",
            "table k",
            "table --showkeys k",
            "table --concise",
            "table --concise --showkeys k",
            "status k",
            "info k",
            "info -c --select name=k",
            "load k --table \"0 8 crypt aes-xts-plain64 ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 0 /dev/ubda 0\"",
            "table --inactive k",
            "table --inactive --showkeys k",
            "message k 0 key wipe",
            "clear k",
            "suspend k",
            "message k 0 key wipe",
            "table --showkeys k",
            "message k 0 key set 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "resume k",
            "table k",
            "remove k",
        ],
    ),
];

#[test]
fn every_command_in_many_ways() {
    guest::run("options::every_command_in_many_ways", || {
        run(THEIRS, "dmsetup", "target-version zero crypt");
        let mut comparison = Comparison::new(DIFFERENCES);
        for scenario in SCENARIOS {
            comparison.play(*scenario, |program, line| run(program, "dmsetup", line), as_it_is);
        }
        comparison.end();
    });
}

/// The words that begin the lines of a help text that tell of a command.
fn commands(program: &str, words: &str) -> BTreeSet<String> {
    let help = std::process::Command::new(program).args(words.split(' ')).output().unwrap();
    let text = [help.stdout, help.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    let told = text.lines().filter_map(|line| line.strip_prefix('\t')).filter(|line| !line.starts_with(' '));
    let words = told.filter_map(|line| line.split_whitespace().next());
    words.filter(|word| !word.starts_with('[')).map(str::to_owned).collect()
}

/// The long options of dmsetup's that begin with a letter: getopt names them when the letter alone is given.
fn options(letter: char) -> Vec<String> {
    let output = std::process::Command::new(THEIRS).arg(format!("--{letter}")).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let named = text.lines().next().unwrap_or_default().split('\'');
    // The first in quotes is what was given; an option that no other begins like is named alone.
    named.filter(|word| word.starts_with("--") && word.len() > 3).map(str::to_owned).collect()
}

#[test]
fn every_command_and_option_of_dmsetups_is_in_some_line() {
    if !std::path::Path::new(THEIRS).exists() {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no {THEIRS} here");
        eprintln!("SKIPPED every_command_and_option_of_dmsetups_is_in_some_line: no {THEIRS} here");
        return;
    }
    let lines = judged();
    let is_word =
        |word: &str, line: &&str| line.split(' ').any(|other| other.split('=').next() == Some(word));
    let mut missing = Vec::new();
    let found = commands(THEIRS, "help");
    assert!(found.len() > 30 && found.contains("targets"), "{found:?}");
    missing.extend(found.into_iter().filter(|command| !lines.iter().any(|line| is_word(command, line))));
    let found = commands(THEIRS, "stats help");
    assert!(found.len() > 9 && found.contains("update_filemap"), "{found:?}");
    let told =
        |command: &String| lines.iter().any(|line| line.starts_with("dmstats ") && is_word(command, line));
    missing
        .extend(found.into_iter().filter(|command| !told(command)).map(|command| format!("stats {command}")));
    let found: Vec<String> = ('a'..='z').flat_map(options).collect();
    assert!(found.len() > 60, "{found:?}");
    missing.extend(found.into_iter().filter(|option| !lines.iter().any(|line| is_word(option, line))));
    assert!(missing.is_empty(), "in no line: {missing:?}");
}
