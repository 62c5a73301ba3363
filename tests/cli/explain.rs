//! `explain`: tables in words and in a picture.

use crate::sandbox::Sandbox;
use serde_json::Value;

const TABLE: &str = "0 1MiB linear disk.img 64KiB\n2048 100% linear disk.img 0";

#[test]
fn a_table_from_anywhere_is_told_alike() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.ok(&["create", "vol0", "--table", "0 1000 linear disk.img 64KiB\n1000 100% linear disk.img 0"]);
    std::fs::write(sandbox.path().join("lines"), TABLE).unwrap();
    let told = sandbox.ok(&["explain", TABLE]);
    assert!(
        told.starts_with(
            "table: 2.0 MiB, 4096 sectors, in 2 lines\n\n  sectors 0 to 2047 (1.0 MiB): linear\n"
        ),
        "{told}"
    );
    assert!(told.contains("    goes to disk.img, sectors 128 to 2175\n"), "{told}");
    assert!(
        told.contains(
            "  2048 +----------------+\n       | linear 1.0 MiB |--> disk.img, sectors 0 to 2047\n"
        ),
        "{told}"
    );
    let body = |told: &str| told.split_once(": ").unwrap().1.to_owned();
    assert_eq!(body(&sandbox.ok(&["explain", "lines"])), body(&told));
    assert_eq!(body(&sandbox.ok(&["explain", "--table", TABLE])), body(&told));
    for words in [&["explain"][..], &["explain", "-"]] {
        let ran = sandbox.run_with(words, TABLE.as_bytes());
        assert_eq!(body(&String::from_utf8(ran.stdout).unwrap()), body(&told));
    }
    let device = sandbox.ok(&["explain", "vol0"]);
    assert!(device.starts_with("vol0: 1.5 MiB, 3048 sectors, in 2 lines\n"), "{device}");
    assert!(device.contains("goes to disk.img, sectors 128 to 1127\n"), "{device}");
}

#[test]
fn each_kind_of_use_has_its_words() {
    let sandbox = Sandbox::new();
    for disk in ["a", "b"] {
        sandbox.disk(disk, 1 << 20);
    }
    let concise = "low,,,,0 1MiB linear a 0;s,,,,0 2048 striped 2 8 a 0 b 8;snap,,,,0 100% snapshot low b P 4KiB;\
                   m,,,,0 1024 mirror core 1 1024 2 a 0 b 1024;z,,,,0 8 crypt x";
    let told = sandbox.ok(&["explain", "--concise", concise]);
    for words in [
        "one part of 2 goes to b, sectors 8 to 1031",
        "goes to low, sectors 0 to 2047\n    with b, for data of its own",
        "goes to b, sectors 1024 to 2047",
        "sectors 0 to 7 (4.0 KiB): crypt\n\n",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    let sandbox = Sandbox::new();
    let stderr = sandbox.fails(&["explain", "nothing"]);
    assert!(
        stderr.starts_with("rdmsetup: explain: \"nothing\" is no device, no file, and no table\n"),
        "{stderr}"
    );
    let stderr = sandbox.fails(&["explain", "0 8x zero"]);
    assert!(
        stderr.starts_with("rdmsetup: table, line 1, column 3: \"8x\" is not a number of sectors"),
        "{stderr}"
    );
    sandbox.fails(&["explain", "x", "--table", "0 8 zero"]);
}

#[test]
fn the_json_document_has_the_same() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    let document: Value = serde_json::from_str(&sandbox.ok(&["explain", "--json", TABLE])).unwrap();
    assert_eq!((&document["rdmsetup"], &document["command"]), (&1.into(), &"explain".into()));
    let line = &document["tables"][0]["lines"][0];
    assert_eq!(
        (&line["start_bytes"], &line["length_bytes"], &line["target"]),
        (&0.into(), &(1 << 20).into(), &"linear".into())
    );
    let place = &line["devices"][0];
    assert_eq!(
        (&place["device"], &place["start_bytes"], &place["length_bytes"]),
        (&"disk.img".into(), &(128 << 9).into(), &(1 << 20).into())
    );
}
