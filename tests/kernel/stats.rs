//! The same command lines to dmstats and to rdmsetup under its name, on the same kernel: equal output, exit status and first
//! line of errors.

use crate::commands::{Outcome, run};
use crate::guest;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;

/// Where rdmsetup does otherwise than dmstats 1.02.185, and why. A line that is listed and does not differ is an error.
const DIFFERENCES: &[(&str, &str)] = &[
    ("dmstats create --bounds 0 vol0", "a histogram of it is refused, not taken for want of memory"),
    ("dmstats group --regions 0 -u uuid-1", UNNAMED),
    ("dmstats ungroup --groupid 0 -u uuid-1", UNNAMED),
    (
        "dmstats delete --regionid 0 --allprograms vol0",
        "dmsetup takes the name of its file for that of all programs",
    ),
    ("dmstats create --filemap --nogroup /etc/passwd", "dmstats fails without a word"),
];

const UNNAMED: &str = "dmstats calls a device without a name \"(null)\"";

/// Lines whose numbers come from clocks, or from how the kernel cut requests: compared with every number as `N`.
const SHAPES: &[&str] = &[
    "dmstats print --regionid 0 busy",
    "dmstats print --regionid 1 busy",
    "dmstats print --allregions busy",
    "dmstats print --allregions --clear busy",
    "dmsetup message busy 0 @stats_print 2",
];

/// Scenarios: a name, and lines that are run one after the other on a driver without devices. `io` is 50 KiB written to the
/// device and read from it.
const SCENARIOS: &[(&str, &[&str])] = &[
    (
        "nothing there",
        &[
            "dmstats",
            "dmstats -h",
            "dmstats --version",
            "dmstats help",
            "dmstats help report",
            "dmstats version",
            "dmstats version x y",
            "dmsetup stats",
            "dmsetup stats version",
            "dmsetup stats help",
            "dmstats nonesuch",
            "dmstats --nonesuch list",
            "dmstats print --allregions",
            "dmstats clear --allregions",
            "dmstats create --alldevices",
            "dmstats delete --allregions --alldevices",
            "dmstats group --regions 0 --alldevices",
            "dmstats ungroup --groupid 0 --alldevices",
            "dmstats create nope",
            "dmstats delete --regionid 0 nope",
            "dmstats delete --allregions nope",
            "dmstats clear --regionid 0 nope",
            "dmstats print --regionid 0 nope",
            "dmstats group --regions 0 nope",
            "dmstats ungroup --groupid 0 nope",
            "dmstats create -u nope",
            "dmstats create -j 254 -m 77",
            "dmstats create",
            "dmstats delete",
            "dmstats clear",
            "dmstats print",
            "dmstats group",
            "dmstats ungroup",
            "dmstats update_filemap",
            "dmstats create --filemap",
        ],
    ),
    (
        "regions",
        &[
            "dmsetup create vol0 -u uuid-1 --table \"0 4096 linear /dev/ubda 0\"",
            "dmsetup create vol1 --table \"0 1024 linear /dev/ubda 4096\\n1024 1024 linear /dev/ubdb 0\"",
            "dmstats create vol0",
            "dmstats create --areas 4 vol0",
            "dmstats create --areas -3 vol0",
            "dmstats create --areas x vol0",
            "dmstats create --areasize 100 vol0",
            "dmstats create --areasize 3kx vol0",
            "dmstats create --areasize 100k --bounds 10us,1ms,2ms --userdata x vol0",
            "dmstats create --areasize x vol0",
            "dmstats create --areas 3 --areasize 4k vol0",
            "dmstats create --start 8 --length 64 --precise vol0",
            "dmstats create --start 1m --length 1K vol0",
            "dmstats create --start 10 vol0",
            "dmstats create --length 10 vol0",
            "dmstats create --start z vol0",
            "dmstats create --length z vol0",
            "dmstats create vol0 nope vol1",
            "dmstats create vol1 vol0",
            "dmstats create --alldevices",
            "dmstats create -u uuid-1",
            "dmstats create -j 254 -m 0",
            "dmstats create /dev/mapper/vol0",
            "dmstats create --bounds x vol0",
            "dmstats create --bounds 1ms,,2ms vol0",
            "dmstats create --bounds 2ms,1ms vol0",
            "dmstats create --bounds 10ms, vol0",
            "dmstats create --bounds 0 vol0",
            "dmstats create --bounds 1m vol0",
            "dmstats create --bounds 1ms,2 vol0",
            "dmstats create --bounds 1s,2s vol0",
            "dmstats create --bounds 10,20,30 vol0",
            "dmstats create --bounds 10,20 --precise vol0",
            "dmstats create --programid \"\" vol0",
            "dmstats create --programid \"\" --force vol0",
            "dmstats create --programid other vol0",
            "dmstats create --userdata \"a b\" vol0",
            "dmstats create --userdata ab vol0",
            "dmstats create --units x vol0",
            "dmstats create --allregions vol0",
            "dmstats create --allprograms vol0",
            "dmstats create --allregions --regionid 0 vol0",
            "dmstats create --allprograms --programid x vol0",
            "dmsetup message vol0 0 @stats_list",
            "dmstats create --segments vol1",
            "dmstats create --segments --areas 2 --alias seg vol1",
            "dmstats create --segments --nogroup vol1",
            "dmstats create --segments --nogroup --alias x vol1",
            "dmsetup message vol1 0 @stats_list",
            "dmstats clear --regionid 0 vol0",
            "dmstats clear --regionid 77 vol0",
            "dmstats clear --allregions",
            "dmstats print --regionid 77 vol0",
            "dmstats print --regionid 0",
            "dmstats print --regionid 1 vol0 vol1",
            "dmstats print --regionid 4 -u uuid-1",
            "dmstats print --allregions vol1",
            "dmsetup stats print --regionid 1 vol0",
            "dmstats delete vol0",
            "dmstats delete --regionid 77 vol0",
            "dmstats delete --regionid 0",
            "dmstats delete --regionid 0 --groupid 0 vol0",
            "dmstats delete --regionid 0 vol0",
            "dmstats delete --regionid 1 --programid other vol0",
            "dmsetup message vol0 0 @stats_list",
            "dmstats delete --groupid 99 vol1",
            "dmstats delete --groupid 1 vol1",
            "dmstats delete --groupid 2 vol1",
            "dmsetup message vol1 0 @stats_list",
            "dmstats delete --allregions vol1",
            "dmstats delete --allregions --alldevices",
            "dmsetup message vol0 0 @stats_list",
            "dmstats delete --allregions --allprograms --alldevices",
            "dmsetup message vol0 0 @stats_list",
            "dmstats create vol0",
            "dmstats delete --regionid 0 --allprograms vol0",
        ],
    ),
    (
        "groups",
        &[
            "dmsetup create vol0 -u uuid-1 --table \"0 4096 linear /dev/ubda 0\"",
            "dmstats group --regions 0 vol0",
            "dmstats create --length 1000 vol0",
            "dmstats create --length 1000 --start 1000 vol0",
            "dmstats create --length 1000 --start 1500 --userdata mine vol0",
            "dmstats create --start 3000 --length 100 --bounds 1ms vol0",
            "dmstats create --start 3100 --length 100 --bounds 2ms vol0",
            "dmstats create --start 3200 --length 100 --bounds 1ms vol0",
            "dmstats create --start 3300 --length 100 --precise vol0",
            "dmstats group vol0",
            "dmstats group --regions 0",
            "dmstats group --regions x vol0",
            "dmstats group --regions \"\" vol0",
            "dmstats group --regions 0,77 vol0",
            "dmstats group --regions 3-1 vol0",
            "dmstats group --regions 3- vol0",
            "dmstats group --regions 3-5 vol0",
            "dmstats group --regions 0-1 --alias foo vol0",
            "dmsetup message vol0 0 @stats_list",
            "dmstats group --regions 1-2 vol0",
            "dmstats group --regions 3,,5, --alias a#b vol0",
            "dmstats group --regions \"2, 6\" vol0",
            "dmsetup message vol0 0 @stats_list",
            "dmstats delete --regionid 1 vol0",
            "dmsetup message vol0 0 @stats_list",
            "dmstats delete --regionid 3 vol0",
            "dmsetup message vol0 0 @stats_list",
            "dmstats ungroup vol0",
            "dmstats ungroup --groupid 0",
            "dmstats ungroup --groupid 99 vol0",
            "dmstats ungroup --groupid 4 vol0",
            "dmstats ungroup --groupid 0 vol0",
            "dmstats ungroup --groupid 2 vol0",
            "dmsetup message vol0 0 @stats_list",
            "dmstats group --regions 0 -u uuid-1",
            "dmstats ungroup --groupid 0 -u uuid-1",
            "dmstats group --regions 4-5 vol0",
            "dmstats group --regions 4,6 --alldevices",
            "dmsetup message vol0 0 @stats_list",
            "dmstats delete --groupid 4 vol0",
            "dmsetup message vol0 0 @stats_list",
        ],
    ),
    (
        "files that cannot be mapped",
        &[
            "dmstats create --filemap --nomonitor /etc/passwd",
            "dmstats create --filemap /etc/passwd",
            "dmstats create --filemap --nomonitor /etc/nonesuch",
            "dmstats create --filemap --areas 3 /etc/passwd",
            "dmstats create --filemap --start 3 /etc/passwd",
            "dmstats create --filemap --segments /etc/passwd",
            "dmstats create --filemap --userdata x /etc/passwd",
            "dmstats create --filemap --alldevices /etc/passwd",
            "dmstats create --filemap -u x /etc/passwd",
            "dmstats create --filemap --follow x /etc/passwd",
            "dmstats create --filemap --follow path --nomonitor /etc/passwd",
            "dmstats create --filemap --nogroup /etc/passwd",
            "dmstats create --filemap --nogroup --nomonitor --alias x /etc/passwd",
            "dmstats create --filemap --nomonitor /etc",
            "dmstats update_filemap x",
            "dmstats update_filemap --groupid 0 --nomonitor /etc/nonesuch",
        ],
    ),
    (
        "counters",
        &[
            "dmsetup create busy --table \"0 4096 linear /dev/ubda 0\"",
            "dmstats create --areas 4 busy",
            "dmstats create --bounds 1ms,10ms busy",
            "dmstats create --precise busy",
            "io busy",
            "dmstats print --regionid 0 busy",
            "dmstats print --regionid 1 busy",
            "dmsetup message busy 0 @stats_print 2",
            "dmstats print --allregions busy",
            "dmstats print --allregions --clear busy",
            "dmstats print --allregions busy ",
            "io busy",
            "dmstats clear --allregions busy",
            "dmstats print --regionid 0  busy",
        ],
    ),
];

/// Runs a line of a scenario: the name of the program comes first.
fn play_line(program: &str, line: &str) -> Outcome {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("io", device) => {
            busy(device.trim());
            run("/bin/true", "true", "")
        }
        (name, rest) => run(program, name, rest),
    }
}

fn busy(device: &str) {
    let path = format!("/dev/mapper/{device}");
    let mut disk = OpenOptions::new().write(true).open(&path).unwrap();
    disk.write_all(&[7; 50 * 1024]).unwrap();
    disk.sync_all().unwrap();
    let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
    nix::fcntl::posix_fadvise(disk.as_fd(), 0, 0, advice).unwrap();
    File::open(&path).unwrap().read_exact(&mut [0; 50 * 1024]).unwrap();
}

/// The text with each number as `N` and each run of blanks as one.
fn shape(outcome: Outcome) -> Outcome {
    let mut text = String::new();
    for letter in outcome.stdout.chars() {
        match letter {
            '0'..='9' | '.' if text.ends_with('N') => {}
            '0'..='9' => text.push('N'),
            ' ' if text.ends_with(' ') => {}
            other => text.push(other),
        }
    }
    Outcome { stdout: text, ..outcome }
}

#[test]
fn dmstats_and_rdmsetup_say_the_same() {
    guest::run("stats::dmstats_and_rdmsetup_say_the_same", || {
        let (mut lines, mut faults) = (0, Vec::new());
        for (scenario, script) in SCENARIOS {
            let play = |program: &str| -> Vec<Outcome> {
                let outcomes = script.iter().map(|line| play_line(program, line)).collect();
                run("/usr/sbin/dmsetup", "dmsetup", "remove_all -f");
                outcomes
            };
            let theirs = play("/usr/sbin/dmsetup");
            let ours = play(env!("CARGO_BIN_EXE_rdmsetup"));
            for ((line, expected), outcome) in script.iter().zip(theirs).zip(ours) {
                lines += 1;
                let (expected, outcome) = match line {
                    line if SHAPES.contains(line) => (shape(expected), shape(outcome)),
                    _ => (expected, outcome),
                };
                let listed = DIFFERENCES.iter().any(|(listed, _)| listed == line);
                if (expected == outcome) == listed {
                    faults
                        .push(format!("{scenario}: {line}\n  dmstats  {expected:?}\n  rdmsetup {outcome:?}"));
                }
            }
        }
        assert!(faults.is_empty(), "{} of {lines} lines differ:\n{}", faults.len(), faults.join("\n"));
    });
}
