//! Reports, selections and trees over the userspace mapper, and what is mended when not called as dmsetup.

use crate::sandbox::Sandbox;
use std::os::unix::process::CommandExt;

/// Three devices: `top` over `vg-low` and a file, and `it's` over nothing.
fn stacked() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    sandbox.ok(&["create", "vg-low", "-u", "LVM-low", "--table", "0 64 linear disk 0"]);
    sandbox.ok(&["create", "top", "--table", "0 32 linear /dev/mapper/vg-low 0\n32 32 linear disk 128"]);
    sandbox.ok(&["create", "it's", "-r", "--table", "0 8 zero"]);
    sandbox
}

#[test]
fn columns_show_the_mappers_devices() {
    let sandbox = stacked();
    let major = sandbox.ok(&["info", "-c", "--noheadings", "-o", "major", "top"]).trim().to_owned();
    assert_eq!(
        sandbox.ok(&["info", "-c", "-o", "name,attr,segments,uuid", "-O", "name"]),
        "Name             Stat Targ UUID                            \n\
         it's             L--r    1                                 \n\
         top              L--w    2                                 \n\
         vg-low           L--w    1 LVM-low                         \n"
    );
    assert_eq!(
        sandbox.ok(&[
            "info",
            "-c",
            "--noheadings",
            "-o",
            "devs_used,blkdevs_used,devnos_used,blkdevname",
            "top"
        ]),
        format!("vg-low:loop0,dm-0:7:0,{major}:0:dm-1\n")
    );
    assert_eq!(
        sandbox.ok(&[
            "info",
            "-c",
            "--noheadings",
            "-o",
            "device_ref_count,names_using_dev,vg_name,lv_name",
            "vg-low"
        ]),
        "1:top:vg:low\n"
    );
}

#[test]
fn conditions_choose_what_a_command_acts_on() {
    let sandbox = stacked();
    assert_eq!(sandbox.ok(&["table", "-S", "readonly=Read-only"]), "it's: 0 8 zero \n");
    assert_eq!(sandbox.ok(&["suspend", "--select", "name=~o || uuid=~^LVM"]), "");
    assert_eq!(
        sandbox.ok(&["info", "-c", "--noheadings", "-O", "name", "-o", "name", "-S", "suspended=Suspended"]),
        "top\nvg-low\n"
    );
    sandbox.ok(&["resume", "-S", "suspended=Suspended"]);
    sandbox.ok(&["remove", "-S", "device_ref_count=0"]);
    assert_eq!(sandbox.ok(&["info", "-c", "--noheadings", "-o", "name"]), "vg-low\n");
    let stderr = sandbox.fails(&["remove", "-S", "nonesuch=1"]);
    assert!(
        stderr.contains("\nUnrecognised selection field: nonesuch\n") && !stderr.contains("Command failed")
    );
}

#[test]
fn what_shells_evaluate_is_quoted_and_lists_are_lists() {
    let sandbox = stacked();
    let words = ["info", "-c", "--nameprefixes", "--noheadings", "-o", "name", "it's"];
    assert_eq!(sandbox.ok(&words), "DM_NAME='it'\\''s'\n");
    assert_eq!(
        sandbox.ok(&["info", "-c", "--noheadings", "-o", "name", "-S", "devs_used={vg-low}"]),
        "top\n"
    );
    let words = ["info", "-c", "--json", "-o", "name,open,devs_used", "-O", "name", "-S", "name!=vg-low"];
    let document: serde_json::Value = serde_json::from_str(&sandbox.ok(&words)).unwrap();
    assert_eq!(
        document["report"],
        serde_json::json!([
            { "name": "it's", "open": 0, "devs_used": [] },
            { "name": "top", "open": 0, "devs_used": ["vg-low"] }
        ])
    );
}

#[test]
fn fields_are_listed_on_standard_error() {
    let sandbox = Sandbox::new();
    for words in [&["splitname", "x", "-o", "help"][..], &["help", "-c"], &["help", "-C"]] {
        let ran = sandbox.run(words);
        assert!(ran.succeeded && ran.stdout.is_empty(), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains("\nMapped Device Information Fields\n"), "{}", ran.stderr);
    }
    let stderr = sandbox.fails(&["info", "-c", "-o", "bogus"]);
    assert!(
        stderr.ends_with("\nUnrecognised field: bogus\n  hint: `-o help` lists the fields\n"),
        "{stderr}"
    );
}

#[test]
fn trees_show_who_is_over_whom() {
    let sandbox = stacked();
    let major = sandbox.ok(&["info", "-c", "--noheadings", "-o", "major", "top"]).trim().to_owned();
    assert_eq!(
        sandbox.ok(&["ls", "--tree", "-o", "ascii,blkdevname"]),
        format!(
            "it's <dm-2> ({major}:2)\ntop <dm-1> ({major}:1)\n |- <loop0> (7:0)\n \
             `-vg-low <dm-0> ({major}:0)\n    `- <loop0> (7:0)\n"
        )
    );
    assert_eq!(
        sandbox.fails(&["ls", "--tree", "-o", "bogus"]).lines().next(),
        Some("Tree options not recognised: bogus.")
    );
}

#[test]
fn a_name_is_split_without_a_driver() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["splitname", "vg--a-lv", "--noheadings"]);
    let output = command.arg0("dmsetup").env("DM_DEV_DIR", sandbox.path()).output().unwrap();
    assert_eq!(output.stdout, b"vg-a:lv:\n");
    assert!(output.stderr.is_empty());
}
