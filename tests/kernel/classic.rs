//! The same command lines to dmsetup and to rdmsetup called as `dmsetup`: equal output, exit status and first line of
//! errors. What only rdmsetup under its own name mends is as dmsetup has it here.

use crate::commands::{LEFT_BEHIND, Outcome, left_behind, run};
use crate::guest;

/// Where rdmsetup does otherwise even as dmsetup, and why. A line that is listed and does not differ is an error.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "create --concise \"k12,,,rw,0 8x zero\"",
        "dmsetup reads 8x as a length of 8 and a target type \"x\"; the device is not made by either",
    ),
    ("ls -o devno", "one device with a blank in its name ends every list of dmsetup's, and none of ours"),
    ("ls --udevcookie 0", "dmsetup looks at every cookie, ours at those of commands that use one"),
];

/// Scenarios: a name, and lines that are run one after the other on a driver without devices.
const SCENARIOS: &[(&str, &[&str])] = &[
    (
        "strange names",
        &[
            "mangle",
            "create plain --table \"0 8 zero\"",
            "create plainu -u uu-1 --table \"0 8 zero\"",
            "--manglename none create \"a b\" --table \"0 8 zero\"",
            "ls -o devno",
            "--manglename none ls",
            "mangle plain",
            "mangle plainu",
            "mangle \"a b\"",
            "--manglename none mangle \"a b\"",
            "--manglename none mangle",
            "--manglename hex mangle \"a b\"",
            "--manglename auto mangle \"a b\"",
            "mangle",
            "create \"c d\" -u \"u u\" --table \"0 8 zero\"",
            "mangle \"c d\"",
            "--manglename none mangle c\\x20d",
            "--manglename none mangle",
            "mangle nope",
            "--manglename foo ls",
            "--manglename none create \"e f\" -u \"x y\" --table \"0 8 zero\"",
            "--manglename none ls",
            "mangle",
            "mangle \"e f\"",
            "--manglename none rename \"e f\" ef",
            "mangle ef",
            "--manglename none rename ef \"e f\"",
            "--manglename none remove \"e f\"",
            "measure",
            "measure plain",
            "measure plain plainu",
            "measure nope",
            "measure -v plain",
            "remove_all",
        ],
    ),
    (
        "concise",
        &[
            "create --concise \"a,,,rw,0 8 zero\"",
            "create --concise \"b,uuid\\,b,7,ro,0 8 zero,8 8 linear /dev/ubda 0; c,,,,0 8 error\"",
            "table --concise",
            "table --concise a b",
            "table --concise a",
            "table -v --concise a",
            "table --concise --target zero",
            "table --concise --target nonesuch",
            "table --concise nope",
            "table --concise a nope b",
            "create pool -n",
            "table --concise",
            "create --concise pool2,,8,rw",
            "create --concise \"x,,rw,0 8 zero\"",
            "create --concise \"x,,,xx,0 8 zero\"",
            "create --concise \"x,,,rw,0 8 zero\\\"",
            "create --concise x;y",
            "create --concise \"\"",
            "create --concise \" \"",
            "create --concise x",
            "create --concise xy",
            "create --concise \",,,,0 8 zero\"",
            "create --concise \"k1,,,,0 8 zero;a,,,,0 8 zero;k2,,,,0 8 zero\"",
            "create --concise k3,,,,",
            "create --concise k4,,,,;",
            "create --concise \"k5,,,,0 8 zero;\"",
            "create --concise \"k6,,,,0 8 zero; \"",
            "create --concise a b",
            "create --concise -u x \"a,,,rw,0 8 zero\"",
            "create --concise -r \"k7,,,rw,0 8 zero; k7b,,,,0 8 zero\"",
            "create --concise \"k8, , 9 ,ro ,0 8 zero\"",
            "create --concise \"kdup,,7,,0 8 zero\"",
            "create --concise < k10,,,rw,0 8 zero;\nk11,,,rw,0 8 zero",
            "create --concise \"k12,,,rw,0 8x zero\"",
            "create --concise \"k13,,,rw,0 8 nonesuch\"",
            "create --concise \"k13,,,rw,0 8\"",
            "create -n --concise \"k13,,,rw,0 8 zero\"",
            "create --concise \"k14,,,rw,0 8 zero;;\"",
            "ls",
            "table",
            "remove_all",
            "table --concise",
        ],
    ),
    (
        "checks, read-ahead and nodes",
        &[
            "create low --table \"0 8 zero\"",
            "create mid --table \"0 8 linear /dev/mapper/low 0\"",
            "mknodes",
            "create mid --table \"0 8 linear /dev/mapper/low 0\"",
            "create top --table \"0 8 linear /dev/mapper/mid 0\"",
            "suspend low",
            "suspend --checks top",
            "info top",
            "resume top",
            "suspend --checks mid",
            "suspend --checks mid",
            "suspend --checks nope",
            "suspend -j 254 -m 1 --checks",
            "resume low mid top",
            "suspend --checks top",
            "resume top --readahead 64",
            "info top",
            "resume top --readahead +32",
            "info top",
            "resume top --readahead +128",
            "info top",
            "resume top --readahead none",
            "info top",
            "resume top --readahead auto",
            "info top",
            "resume top --readahead -5",
            "resume top --readahead 7",
            "info top",
            "create ra --readahead 1000 --table \"0 8 zero\"",
            "info ra",
            "create both --addnodeoncreate --addnodeonresume --table \"0 8 zero\"",
            "create own -U 3 -G 4 -M 640 --table \"0 8 zero\"",
            "create onc --addnodeoncreate -n",
            "mknodes",
            "remove onc",
            "remove --retry low",
        ],
    ),
    (
        "cookies",
        &[
            "udevcreatecookie",
            "udevflags 0x6301234",
            "udevflags 0xffff0000",
            "udevflags 0",
            "udevflags x",
            "udevflags",
            "udevcomplete 0xd4d1234",
            "udevcomplete 0x600000",
            "udevcomplete 0",
            "udevreleasecookie",
            "udevreleasecookie 0xd4d1234",
            "udevreleasecookie zz",
            "udevcookies",
            "udevcomplete_all -y",
            "udevcomplete_all x",
            "udevcomplete_all < n\n",
            "udevcomplete_all 5 < hm\n",
            "udevcomplete_all 5 < \nY\n",
            "ls --udevcookie 0",
            "create ck --udevcookie 0x123 --table \"0 8 zero\"",
            "rename ck ck2 --noudevsync --noudevrules --verifyudev",
            "create bad -n --uid x --mode 9",
            "remove ck2 --udevcookie 0xd4d0001 --force",
            "remove -f bad ra both",
            "remove top mid low",
            "ls",
            "remove_all",
        ],
    ),
];

#[test]
fn as_dmsetup_it_is_dmsetup() {
    guest::run("classic::as_dmsetup_it_is_dmsetup", || {
        let (mut lines, mut faults) = (0, Vec::new());
        run("/usr/sbin/dmsetup", "dmsetup", "target-version zero");
        for (scenario, script) in SCENARIOS {
            let play = |program: &str| -> Vec<Outcome> {
                let mut outcomes: Vec<Outcome> =
                    script.iter().map(|line| run(program, "dmsetup", line)).collect();
                outcomes.extend(left_behind());
                run("/usr/sbin/dmsetup", "dmsetup", "--manglename none remove_all -f");
                outcomes
            };
            let (theirs, ours) = (play("/usr/sbin/dmsetup"), play(env!("CARGO_BIN_EXE_rdmsetup")));
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
