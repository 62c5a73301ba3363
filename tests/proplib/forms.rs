//! The 74 spellings that were sent to NetBSD's kernel: each accepted or refused as it did.

use crate::vectors::{index, scenario, text};
use rdmsetup::wire::proplib::{self, MAX_REQUEST};

#[test]
fn every_spelling_is_taken_or_refused_as_the_kernel_did() {
    let rows = index("forms/index.tsv");
    let steps = scenario("forms");
    assert_eq!(rows.len(), 74);
    for row in rows {
        let step = steps.iter().find(|step| step.tag == row[0]).unwrap();
        let read = proplib::parse(&step.request, MAX_REQUEST);
        assert_eq!(read.is_ok(), row[1] == "0", "{}: {read:?}", row[0]);
        assert_eq!(read.is_err(), row[2] == "EIO", "{}", row[0]);
    }
}

#[test]
fn the_kernels_own_texts_are_read_and_written_to_the_byte() {
    let mut count = 0;
    for step in scenario("forms").into_iter().chain(scenario("")) {
        let Some(reply) = &step.reply else { continue };
        // Empty data comes out in the one form that does not go in.
        if step.tag == "36-form-data-empty" {
            continue;
        }
        let dict = proplib::parse(reply, MAX_REQUEST).expect(&step.tag);
        assert_eq!(
            String::from_utf8_lossy(&proplib::document(&dict)),
            String::from_utf8_lossy(reply),
            "{}",
            step.tag
        );
        count += 1;
    }
    assert!(count > 140, "{count}");
    let whole = text("forms/emit-netbsd-libprop.plist");
    let dict = proplib::parse(whole.as_bytes(), MAX_REQUEST).unwrap();
    assert_eq!(String::from_utf8(proplib::document(&dict)).unwrap(), whole);
    let portable = text("forms/emit-portableproplib.plist");
    // It writes every number in decimal, of which the largest is more than the kernel reads.
    assert!(proplib::parse(portable.as_bytes(), MAX_REQUEST).is_err());
    let portable = portable.replace("18446744073709551615", "0xffffffffffffffff");
    assert_eq!(proplib::parse(portable.as_bytes(), MAX_REQUEST).unwrap(), dict, "numbers are equal by value");
}

#[test]
fn odd_values_are_the_kernels() {
    let value = |tag: &str| {
        let step = scenario("forms").into_iter().find(|step| step.tag == tag).unwrap();
        (step.sent().get("x").cloned(), step.got().get("x").cloned())
    };
    for tag in [
        "41-form-apos-quot",
        "44-form-newline-in-string",
        "45-form-int-ws",
        "46-form-int-plus",
        "47-form-int-octal",
        "48-form-int-HEX",
        "49-form-int-hexupper",
        "51-form-int-neghex",
        "53-form-int-u64max-hex",
        "56-form-int-i64min",
        "58-form-int-empty",
        "61-form-dup-key",
        "35-form-data",
        "43-form-utf8",
    ] {
        let (ours, theirs) = value(tag);
        assert!(ours.is_some());
        assert_eq!(ours, theirs, "{tag}");
    }
}
