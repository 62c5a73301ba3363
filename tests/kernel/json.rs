//! `--json` of a real kernel's devices: what its own targets print is told by field to the last word, as the schema has it.

use crate::guest;
use crate::sandbox::schema;
use rdmsetup::target::FOREIGN;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// A device of each kind: its name, its table, in which `sN` is a disk of 4 MiB, and a message that it gets.
const DEVICES: &[(&str, &str, &str)] = &[
    ("striped", "0 1024 striped 2 8 s0 0 s1 0", ""),
    (
        "crypt",
        "0 8 crypt aes-xts-plain64 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 0 s2 0 1 allow_discards",
        "",
    ),
    ("pool", "0 8192 thin-pool s3 s4 128 0 1 skip_block_zeroing", "create_thin 0"),
    ("thin", "0 1024 thin pool 0", ""),
    ("cache", "0 8192 cache s5 s6 s7 128 1 writethrough smq 0", ""),
    ("raid", "0 8192 raid raid1 3 0 region_size 1024 2 - s8 - s9", ""),
    (
        "verity",
        "0 1024 verity 1 s10 s11 4096 4096 128 0 sha256 0011223344556677889900112233445566778899001122334455667788990011 -",
        "",
    ),
    ("integrity", "0 1 integrity s12 0 - J 1 internal_hash:crc32", ""),
    ("era", "0 1024 era s13 s14 128", ""),
    ("writecache", "0 1024 writecache s s15 s16 4096 0", ""),
    ("clone", "0 8192 clone s17 s18 s19 8", ""),
    ("mirror", "0 1024 mirror core 1 64 2 s21 0 s22 0 1 handle_errors", ""),
    ("multipath", "0 1024 multipath 2 queue_mode bio 0 1 1 service-time 0 1 2 s23 1 1", ""),
    ("origin", "0 1024 snapshot-origin s24", ""),
    ("snapshot", "0 1024 snapshot s24 s25 P 8", ""),
    ("delay", "0 8 delay s26 0 0 s26 0 5", ""),
    ("flakey", "0 8 flakey s26 0 60 1 5 corrupt_bio_byte 3 r 1 0", ""),
    ("dust", "0 8 dust s26 0 512", ""),
    ("log", "0 8 log-writes s26 s27", ""),
    ("switch", "0 16 switch 2 8 0 s26 0 s26 8", ""),
    ("unstriped", "0 8 unstriped 2 8 0 s26 0", ""),
    ("both", "0 8 zero\n8 8 error", ""),
];

/// How many disks there are.
const DISKS: u32 = 28;

fn rdmsetup(words: &[&str]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rdmsetup"));
    let output = command.args(words).env("RDMSETUP_BACKEND", "kernel").output().unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    output.stdout
}

/// The word with the path of the device that it names, if it names one.
fn with_path(word: &str) -> String {
    let is_disk = word.strip_prefix('s').is_some_and(|rest| rest.parse::<u32>().is_ok());
    if is_disk || word == "pool" { format!("/dev/mapper/{word}") } else { word.to_owned() }
}

#[test]
fn every_target_of_the_kernel_is_told_by_field() {
    guest::run("json::every_target_of_the_kernel_is_told_by_field", || {
        let script = "truncate -s 112M /dev/shm/disk && losetup /dev/loop0 /dev/shm/disk";
        assert!(Command::new("sh").args(["-c", script]).status().unwrap().success());
        for disk in 0..DISKS {
            let table = format!("0 8192 linear /dev/loop0 {}", disk * 8192);
            rdmsetup(&["create", &format!("s{disk}"), "--table", &table]);
        }
        for (name, table, message) in DEVICES {
            let lines =
                table.lines().map(|line| line.split(' ').map(with_path).collect::<Vec<_>>().join(" "));
            let table = lines.collect::<Vec<_>>().join("\n");
            // The kernel's verity refuses a table that could be written.
            let how: &[&str] = if *name == "verity" { &["-r"] } else { &[] };
            rdmsetup(&[how, &["create", name, "--table", &table]].concat());
            if !message.is_empty() {
                rdmsetup(&["message", name, "0", message]);
            }
        }
        let mut told = BTreeSet::new();
        for command in ["table", "status"] {
            let document = schema::documents(&rdmsetup(&["--json", command, "--noflush"])).remove(0);
            for line in document["devices"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|device| device["lines"].as_array().unwrap())
            {
                let (target, params) = (line["target"].as_str().unwrap(), &line["params"]);
                assert!(line["fields"].is_object(), "{command}: {target} {params} has no fields");
                told.insert(target.to_owned());
            }
        }
        // The guest's kernel is built without ebs.
        let names = FOREIGN.iter().map(|(name, _)| *name).filter(|name| *name != "ebs");
        let missing: Vec<_> = names.filter(|name| !told.contains(*name)).collect();
        assert!(missing.is_empty() && told.len() > 20, "not tried: {missing:?}, of {told:?}");
        let key = String::from_utf8(rdmsetup(&["--json", "table", "crypt"])).unwrap();
        assert!(!key.contains("00112233445566778899aabbccddeeff"), "{key}");
        let shown = schema::documents(&rdmsetup(&["--json", "table", "--showkeys", "crypt"])).remove(0);
        let fields = &shown["devices"][0]["lines"][0]["fields"];
        assert_eq!(fields["key"], "00112233445566778899aabbccddeeff".repeat(2));
        assert_eq!(
            (&fields["allow_discards"], &fields["same_cpu_crypt"]),
            (&Value::Bool(true), &Value::Bool(false))
        );
        for words in [
            &["info"][..],
            &["deps"],
            &["ls"],
            &["ls", "--tree"],
            &["targets"],
            &["version"],
            &["holders"],
            &["measure"],
        ] {
            schema::documents(&rdmsetup(&[&["--json"], words].concat()));
        }
        let regions = rdmsetup(&["--json", "stats", "create", "striped"]);
        assert_eq!(schema::documents(&regions)[0]["regions"][0]["length_bytes"], 512 * 1024);
        for words in [
            &["list"][..],
            &["report", "--raw"],
            &["print", "--allregions"],
            &["delete", "--allregions", "striped"],
        ] {
            schema::documents(&rdmsetup(&[&["--json", "stats"], words].concat()));
        }
        schema::documents(&rdmsetup(&["--json", "remove", "striped"]));
    });
}
