//! Reports, selections and trees: the same command lines to dmsetup and to rdmsetup, both called as dmsetup, on the same
//! kernel. All that differs must be in the list.

use crate::commands::{run, run_with};
use crate::guest;

/// Where rdmsetup does otherwise than dmsetup 1.02.185, and why. A line that is listed and does not differ is an error.
const DIFFERENCES: &[(&str, &str)] = &[
    ("info -c --headings full", HEADINGS),
    ("info -c --headings none", HEADINGS),
    ("info -c --headings bogus", HEADINGS),
    ("deps -S name=top -o devname", "dmsetup takes -o for a list of report fields there, and refuses it"),
    ("info -c -o name,read_ahead", NODE),
    ("info -c -o name_all", NODE),
    ("info -c -o name,all", NODE),
];

const HEADINGS: &str = "dmsetup has the option from 1.02.197 on";
const NODE: &str =
    "dmsetup opens the node of a device without a table for its read-ahead, and complains though it succeeds";

/// Devices to report of: stacked, read-only, suspended, with two tables, with none; with LVM's names and without.
const DEVICES: &[&str] = &[
    "create vg-lv -u LVM-abcdef --table \"0 64 linear /dev/ubda 0\"",
    "create vg--x-root-real -u LVM-ghijkl-real --table \"0 64 linear /dev/ubdb 8\\n64 8 zero\"",
    "create top -u CRYPT-LUKS2-0 --table \"0 32 linear /dev/mapper/vg-lv 0\\n32 32 linear /dev/ubdb 128\"",
    "create upper --table \"0 16 linear /dev/mapper/top 0\\n16 8 linear /dev/mapper/vg--x-root-real 0\"",
    "create ro -r -u nodash --table \"0 8 linear /dev/ubda 1000\"",
    "create none --notable",
    "load vg-lv --table \"0 32 zero\"",
    "suspend ro",
];

/// The lines that are run over them. `~` before one: with a UTF-8 locale.
const LINES: &[&str] = &[
    // Columns.
    "info -c",
    "info -C",
    "info --columns",
    "info --col top",
    "-c info top vg-lv",
    "info -co open",
    "info -c vg-lv nope top",
    "info -c nope",
    "info -c -u LVM-abcdef",
    "info -c -j 254 -m 0",
    "info -c /dev/mapper/top",
    "info -c --noopencount",
    "info -c --inactive vg-lv",
    "info -c -o name",
    "info -c -o name,uuid",
    "info -c -o Name,U_U_I_D,OPEN",
    "info -c -o +blkdevname",
    "info -c -o +",
    "info -c -o ''",
    "info -c -o \"\"",
    "info -c -o name,,uuid",
    "info -c -o name,",
    "info -c -o ,name",
    "info -c -o bogus",
    "info -c -o name,bogus,uuid",
    "info -c -o 0123456789012345678901234567890123456789",
    "info -c -o name,mangled_name,unmangled_name,mangled_uuid,unmangled_uuid top",
    "info -c -o name,read_ahead",
    "info -c -o read_ahead top",
    "info -c -o name_all",
    "info -c -o name_all top",
    "info -c -o info_all",
    "info -c -o infoall,name",
    "info -c -o name,tables_loaded,suspended,readonly,devno",
    "info -c -o deps_all",
    "info -c -o tree_all",
    "info -c -o name,device_count,devnos_used,blkdevs_used",
    "info -c -o name,devs_used,names_using_dev,device_ref_count,devnos_using_dev",
    "info -c -o splitname_all",
    "info -c -o name,subsystem,vgname,lvname,lvlayer",
    "info -c -o name,all",
    "info -c -o all",
    "info -c -o name,name,major",
    "info -c -o selected,name",
    "info -c -o help",
    "info -c -o ?",
    "info -c -o name,help",
    "info -c -o open -o name",
    // Layouts.
    "info -c --noheadings",
    "info -c --noh -o name",
    "info -c --noheadings --separator /",
    "info -c --separator ,",
    "info -c --separator \"\"",
    "info -c --separator \"\" --noheadings -o name,uuid",
    "info -c --nameprefixes",
    "info -c --nameprefixes --noheadings -o name,major,uuid",
    "info -c --nameprefixes --unquoted --noheadings -o name,uuid",
    "info -c --nameprefixes --rows --noheadings -o name,uuid top",
    "info -c --unquoted",
    "info -c --rows",
    "info -c --rows -o name,uuid --noheadings",
    "info -c --rows -o name,uuid --separator :",
    "info -c --rows --nameprefixes",
    "info -c --unbuffered",
    "info -c --unbuffered -o name,uuid --noheadings",
    "info -c --unbuffered -O name -o name",
    "info -c --headings full",
    "info -c --headings none",
    "info -c --headings bogus",
    "info -c --count 2 --interval 1 -o name",
    "info -c --count 1 -o name",
    "info -c --count -1",
    "info -c --interval 0",
    "info -c --count 2 -o help",
    "info -c --count 2 --rows -o name",
    "info -c --count 2 --unbuffered -o name",
    "info -c --count 2 nope",
    // Sorting.
    "info -c -O name",
    "info -c -O -name",
    "info -c -O +minor -o name",
    "info -c -O -minor,name -o name,minor",
    "info -c -O segments,-name",
    "info -c --sort readonly,-suspended,name -o name",
    "info -c -O name,name -o name",
    "info -c -O devno -o name,minor",
    "info -c -O bogus",
    "info -c -O +",
    "info -c -O name,",
    "info -c -O device_ref_count,name -o name",
    "info -c -O -selected,name -o name -S minor>1",
    // Selections.
    "info -c -S name=top",
    "info -c -S name!=top -o name",
    "info -c -S name=~^vg -o name",
    "info -c -S name!~^vg -o name",
    "info -c -S \"name =~ 'vg-.*real$'\" -o name",
    "info -c -S name=~(lv|top) -o name",
    "info -c -S \"name=~.top\" -o name",
    "info -c -S \"name=~[^v]$\" -o name",
    "info -c -S \"name=~{top}\" -o name",
    "info -c -S \"major=254\" -o name",
    "info -c -S \"minor>1 && minor<=3\" -o name",
    "info -c -S \"minor>=2,open=0\" -o name",
    "info -c -S \"name=top || suspended=Suspended\" -o name",
    "info -c -S \"name=top#name=ro\" -o name",
    "info -c -S \"!(name=top || name=ro)\" -o name",
    "info -c -S \"!(!(name=top))\" -o name",
    "info -c -S \"(name=top || name=ro) && readonly=Read-only\" -o name",
    "info -c -S \"devnos_used='98:0'\" -o name",
    "info -c -S \"devs_used=top,vg--x-root-real\" -o name",
    "info -c -S \"devs_used='top,vg-x-root-real'\" -o name",
    "info -c -S \"names_using_dev=upper\" -o name,names_using_dev",
    "info -c -S vg_name=vg -o name",
    "info -c -S subsystem=CRYPT -o name",
    "info -c -S uuid= -o name",
    "info -c -S \"uuid=''\" -o name",
    "info -c -S \"segments=2.7\" -o name",
    "info -c -S device_count>1 -o name,device_count",
    "info -c -S selected=1 -o name",
    "info -c -S name=top -o name,selected",
    "info -c -S name=nope",
    "info -c -S all -o name",
    "info -c -S \"\" -o name",
    "info -c -S help",
    "info -c -S ?",
    "info -c -S foo=1",
    "info -c -S help=1",
    "info -c -S name>1",
    "info -c -S \"name since 2020\"",
    "info -c -S \"minor after 2020\"",
    "info -c -S name",
    "info -c -S name=~",
    "info -c -S \"name=~*\"",
    "info -c -S \"name=~'['\"",
    "info -c -S minor=x",
    "info -c -S minor='1'",
    "info -c -S minor=5k",
    "info -c -S minor=5%",
    "info -c -S minor=99999999999999999999",
    "info -c -S minor=~1",
    "info -c -S (name=top",
    "info -c -S name=top)",
    "info -c -S !name=top",
    "info -c -S \"name=top minor=1\"",
    "info -c -S \"name='top\"",
    "info -c -S &&",
    "info -S name=top vg-lv",
    // Selections in front of other commands.
    "table -S name=top",
    "table -S name=~^vg",
    "table -S name=top top ro",
    "table -S name=nope",
    "table -S bogus=1",
    "table -S",
    "status -S name=~lv",
    "status -S readonly=Read-only --target linear",
    "measure top",
    "measure",
    "measure -S name=ro",
    "deps -S name=top",
    "deps -S device_count=2",
    "deps -S name=top -o devname",
    "clear -S tables_loaded=Both",
    "info -c -o name,tables_loaded",
    "resume -S suspended=Suspended",
    "suspend -S name=ro",
    "info -c -o name,suspended",
    "ls -S name=top",
    // Trees.
    "ls --tree",
    "ls --tree -o ascii",
    "ls --tree -o utf",
    "ls --tree -o vt100",
    "~ls --tree",
    "~ls --tree -o compact",
    "~ls --tree -o ascii",
    "ls --tree -o nodevice",
    "ls --tree -o blkdevname",
    "ls --tree -o nodevice,blkdevname",
    "ls --tree -o active,open,rw,uuid",
    "ls --tree -o blk,act,op,rw,uu",
    "ls --tree -o uuid,device,utf",
    "ls --tree -o uuid,blkdevname,active,rw,open,notrunc",
    "ls --tree -o uuid,blkdevname,active,rw,open,utf",
    "ls --tree -o inverted",
    "ls --tree -o inverted,compact",
    "ls --tree -o inverted,active,nodevice",
    "ls --tree -o compact",
    "ls --tree -o compact,utf",
    "ls --tree -o compact,vt100",
    "ls --tree -o compact,nodevice",
    "ls --tree -o compact,active",
    "ls --tree -o compact,table",
    "ls --tree -o status",
    "ls --tree -o bogus",
    "ls --tree -o active,bogus,x",
    "ls --tree -o \"\"",
    "ls --tree -o active,",
    "ls --tree --target linear",
    // Names.
    "splitname vg-lv",
    "splitname vg--x-root-real",
    "splitname vg-lv LVM",
    "splitname vg-lv FOO",
    "splitname vg-lv -o all",
    "splitname vg-lv -o +subsystem --noheadings",
    "splitname vg-lv -o name",
    "splitname vg-lv -o bogus",
    "splitname vg-lv -S vg_name=vg",
    "splitname vg-lv -S vg_name=x -o vg_name,selected",
    "splitname vg-lv --nameprefixes --noheadings --rows",
    "splitname -- -lv",
    "splitname",
    "splitname a b c",
    "wipe_table -S name=upper",
    "wipe_table -u LVM-abcdef",
    "table",
    "remove -S name=upper",
    "ls",
];

/// Lines for a driver without devices.
const EMPTY: &[&str] = &[
    "info -c",
    "info -c -o devs_used",
    "info -c -o help",
    "info -c -S name=x",
    "table -S name=x",
    "ls --tree",
    "measure",
    "splitname vg-lv",
];

/// Names that shells and terminals have trouble with.
const ODD: &[&str] = &[
    "create it's --notable",
    "create \"a b\" -u \"u v\" --notable",
    "create name-that-is-longer-than-its-column-is-wide --table \"0 8 zero\"",
    "info -c -o name,uuid",
    "info -c -o name,uuid --nameprefixes --noheadings",
    "info -c -o name,mangled_name,unmangled_name,mangled_uuid,unmangled_uuid",
    "info -c -S name=\"a b\" -o name",
    "info -c -S \"name='a b'\" -o name",
    "info -c -S \"name=~' '\" -o name",
    "ls --tree -o uuid",
    "ls --tree -o blkdevname,uuid,active,open,rw,compact",
    "table -S \"name='a b'\"",
];

#[test]
fn reports_selections_and_trees_are_dmsetups() {
    guest::run("reports::reports_selections_and_trees_are_dmsetups", || {
        let (mut lines, mut faults) = (0, Vec::new());
        for (setup, script) in [(&[][..], EMPTY), (DEVICES, LINES), (&[], ODD)] {
            let play = |program: &str| -> Vec<_> {
                // A child that inherits it: the command line itself is dmsetup's.
                let one = |line: &&str| {
                    let (line, locale) =
                        line.strip_prefix('~').map_or((*line, "C"), |line| (line, "C.UTF-8"));
                    run_with(program, "dmsetup", line, &[("LC_ALL", locale)])
                };
                setup.iter().for_each(|line| drop(one(line)));
                let outcomes = script.iter().map(one).collect();
                run("/usr/sbin/dmsetup", "dmsetup", "remove_all -f");
                outcomes
            };
            let (theirs, ours) = (play("/usr/sbin/dmsetup"), play(env!("CARGO_BIN_EXE_rdmsetup")));
            for ((line, expected), outcome) in script.iter().zip(theirs).zip(ours) {
                lines += 1;
                let listed = DIFFERENCES.iter().any(|(listed, _)| listed == line);
                if (expected == outcome) == listed {
                    faults.push(format!("{line}\n  dmsetup  {expected:?}\n  rdmsetup {outcome:?}"));
                }
            }
        }
        assert!(faults.is_empty(), "{} of {lines} lines differ:\n{}", faults.len(), faults.join("\n"));
    });
}
