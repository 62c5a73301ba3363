//! The same command lines to dmstats and to rdmsetup under its name, on the same kernel: equal output, exit status and first
//! line of errors.

use crate::compare::{Comparison, Difference, Outcome, Scenario, run};
use crate::guest;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Command;

/// Where rdmsetup does otherwise than dmstats 1.02.185, and why. A line that is listed and does not differ is an error.
const DIFFERENCES: &[Difference<'_>] = &[
    ("dmstats create --bounds 0 vol0", "a histogram of it is refused, not taken for want of memory"),
    ("dmstats group --regions 0 -u uuid-1", UNNAMED),
    ("dmstats ungroup --groupid 0 -u uuid-1", UNNAMED),
    (
        "dmstats delete --regionid 0 --allprograms vol0",
        "dmsetup takes the name of its file for that of all programs",
    ),
    ("dmstats create --filemap --nogroup /etc/passwd", "dmstats fails without a word"),
    ("regions: (their regions)", "that region is deleted by ours"),
    ("dmstats list -v", AREA_START),
    ("dmstats list -o all vol0", AREA_START),
    ("dmstats report --region --group vol1", AREA_START),
    (
        "dmstats list -o +user_data,precise vol0",
        "dmstats cuts a letter off the text of a region with options",
    ),
];

const AREA_START: &str =
    "dmstats lets the areas of a whole region begin at an exabyte, or where a sum wraps to";

const UNNAMED: &str = "dmstats calls a device without a name \"(null)\"";

/// Lines whose numbers come from clocks, or from how the kernel cut requests: compared with every number as `N`.
const SHAPES: &[&str] = &[
    "dmstats print --regionid 0 busy",
    "dmstats print --regionid 1 busy",
    "dmstats print --allregions busy",
    "dmstats print --allregions --clear busy",
    "dmsetup message busy 0 @stats_print 2",
    "dmstats report --area busy",
    "dmstats report --histogram --region busy",
    "dmstats report --histogram --relative --region busy",
    "dmstats report --raw --area busy",
    "dmstats report -o region_id,area_id,write_count,write_sector_count,read_sector_count --area busy",
];

/// Scenarios: a name, and lines that are run one after the other on a driver without devices. `io` is 50 KiB written to the
/// device and read from it.
pub(crate) const SCENARIOS: &[Scenario<'_>] = &[
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
            "dmstats version --foreground",
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
        "lists",
        &[
            "dmsetup create vol0 -u uuid-1 --table \"0 4096 linear /dev/ubda 0\"",
            "dmsetup create vol1 --table \"0 1024 linear /dev/ubda 4096\\n1024 1024 linear /dev/ubdb 0\"",
            "dmsetup create vol2 --table \"0 2048 zero\"",
            "dmstats list",
            "dmstats list vol0",
            "dmstats list nope",
            "dmstats report",
            "dmstats create vol0",
            "dmstats create --areas 4 vol0",
            "dmstats create --areasize 100k --bounds 10us,1ms,2ms --userdata x vol0",
            "dmstats create --start 8 --length 64 --precise vol0",
            "dmstats create --programid other --bounds 1s vol0",
            "dmstats create --segments --alias seg --bounds 1ms,2ms,1s vol1",
            "dmstats group --regions 0-1 vol0",
            "dmstats list",
            "dmstats list vol0",
            "dmstats list vol1 vol0",
            "dmstats list vol0 nope",
            "dmstats list vol2",
            "dmstats list -u uuid-1",
            "dmstats list -j 254 -m 1",
            "dmstats list /dev/mapper/vol1",
            "dmsetup stats list",
            "dmstats list -v",
            "dmstats list -v vol1",
            "dmstats list --area",
            "dmstats list --region vol0",
            "dmstats list --group",
            "dmstats list --group vol2",
            "dmstats list --area --group vol1",
            "dmstats list --area --region --group vol1",
            "dmstats list --histogram",
            "dmstats list --histogram -v vol1",
            "dmstats list --histogram --notimesuffix",
            "dmstats list --histogram --noheadings",
            "dmstats list --relative --raw vol1",
            "dmstats list --allprograms vol0",
            "dmstats list --programid other",
            "dmstats list --programid \"\" vol0",
            "dmstats list --programid none vol0",
            "dmstats list --regionid 1 vol0",
            "dmstats list --units s",
            "dmstats list --units k",
            "dmstats list --units M",
            "dmstats list --units 3M vol0",
            "dmstats list --units 1.5k vol0",
            "dmstats list --units H",
            "dmstats list --units b vol0",
            "dmstats list --units e vol0",
            "dmstats list --units x",
            "dmstats list --units \"\"",
            "dmstats list --nosuffix vol0",
            "dmstats list --units k --nosuffix vol0",
            "dmstats list -o all vol0",
            "dmstats list -o region_all --group",
            "dmstats list -o name,major,stats_name,region_id",
            "dmstats list -o +user_data,precise vol0",
            "dmstats list -o foo",
            "dmstats list -O foo",
            "dmstats list -S foo=1",
            "dmstats list -O -region_id --region vol0",
            "dmstats list -O region_len,-region_id",
            "dmstats list -O group_id,-region_start --noheadings",
            "dmstats list -O obj_type,stats_name",
            "dmstats list -S region_id=2",
            "dmstats list -S \"obj_type=group\"",
            "dmstats list -S \"area_count>3\" vol0",
            "dmstats list -S \"region_len=2m\"",
            "dmstats list --region -S \"program_id=~^dm && region_id>0\"",
            "dmstats list --nameprefixes",
            "dmstats list --nameprefixes --noheadings --unquoted vol1",
            "dmstats list --rows",
            "dmstats list --separator / vol1",
            "dmstats list --unbuffered vol1",
            "dmstats list --count 2 vol1",
            "dmstats list --count 2 --noheadings vol1",
            "dmstats list --count -1",
            "dmstats list --interval 0",
            "dmstats list -o hist_ranges,hist_bounds,hist_bins",
            "dmstats report --region -o hist_count,hist_count_bounds,hist_count_ranges vol1",
            "dmstats report --region -o hist_count,hist_count_bounds,hist_count_ranges --noheadings vol1",
            "dmstats report --region -o hist_count,hist_count_bounds,hist_count_ranges --notimesuffix vol1",
            "dmstats report --region -o hist_percent,hist_percent_bounds,hist_percent_ranges vol1",
            "dmstats report --group -o hist_count,hist_count_bounds,hist_percent_ranges",
            "dmstats report --histogram vol1",
            "dmstats report --histogram --relative vol1",
            "dmstats report vol1",
            "dmstats report -o region_id,area_id,read_count,interval,interval_ns,throughput vol1",
            "dmstats report -o region_id,interval,interval_ns --interval 3 --count 1 vol1",
            "dmstats report --group",
            "dmstats report --region --group vol1",
            "dmstats report --noheadings vol1",
            "dmstats report --raw vol1 --group",
            "dmstats report --units k vol1",
            "dmstats report vol0 nope",
            "dmstats report vol2",
            "dmsetup info -c -o name,read_count vol2",
            "dmsetup info -c -o all vol2",
            "dmstats help -c",
            "devmap_name 254 0",
            "devmap_name 254:1",
            "devmap_name 254 77",
            "devmap_name",
            "dmstats create --alldevices --segments",
            "dmstats list",
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
            "io busy",
            "dmstats report --area busy",
            "io busy",
            "dmstats report --histogram --region busy",
            "io busy",
            "dmstats report --histogram --relative --region busy",
            "io busy",
            "dmstats report --raw --area busy",
            "io busy",
            "dmstats report -o region_id,area_id,write_count,write_sector_count,read_sector_count --area busy",
            "dmstats report -o region_id,area_id,write_count,write_sector_count,read_sector_count --area busy",
            "io busy",
            "dmstats report --count 2 --interval 1 --area -o region_id,write_sector_count busy",
        ],
    ),
];

/// Runs a line of a scenario: the name of the program comes first.
pub(super) fn play_line(program: &str, line: &str) -> Outcome {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("sh", line) => {
            let mut shell = Command::new("sh");
            let output = shell.args(["-c", line]).current_dir("/dev/shm").output().unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
            run("/bin/true", "true", "")
        }
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
            ' ' if text.ends_with([' ', ':', ',']) => {}
            other => text.push(other),
        }
    }
    Outcome { stdout: text, ..outcome }
}

#[test]
fn dmstats_and_rdmsetup_say_the_same() {
    guest::run("stats::dmstats_and_rdmsetup_say_the_same", || {
        let mut comparison = Comparison::new(DIFFERENCES);
        for scenario in SCENARIOS {
            comparison.play(*scenario, play_line, |line, outcome| {
                if SHAPES.contains(&line) { shape(outcome) } else { outcome }
            });
        }
        comparison.end();
    });
}
