//! The main scenario, 94 steps, against the userspace mapper: what it does otherwise than NetBSD's driver is listed here, each with
//! its reason.
//!
//! Of every step the outcome is compared, the state in the flags, the number of lines that `info` tells, and the data. What holds
//! for all of them is not listed: the mapper has its own version (4.50.0), counts minors from 0 and not from 1, fills in
//! `event_nr`, tells `uuid` and counts whenever it knows them, and has `major` beside a minor.

use crate::vectors::{Step, index, scenario};
use rdmsetup::dm::{CommandKind, DeviceNumber, Errno, Flags, Reply, ReplyBody};
use rdmsetup::mapper::{Mapper, Progress};
use rdmsetup::wire::Dialect;
use rdmsetup::wire::proplib::{self, Dict, MAX_REQUEST, SHIPPED, Value};
use std::path::Path;

/// Where the mapper differs: the steps, what of them, and why.
const DIFFERENCES: &[(&[&str], &str, &str)] = &[
    (&["02"], "data", "the driver had two target types loaded, the mapper has its own"),
    (
        &["09", "49", "83", "84"],
        "data",
        "the driver lists devices as they were made, the mapper by name, as Linux does",
    ),
    (&["08"], "flags", "the driver sends READONLY back as it came; it means a table, and there is none"),
    (&["18", "24", "37"], "flags", "the driver says nothing in a reply to deps of which tables there are"),
    (&["19", "34"], "flags", "the driver says nothing in a reply to resume of the table that is now active"),
    (&["38", "40", "41"], "flags", "the driver tells of one slot only in a reply to reload, table and clear"),
    (&["48"], "flags", "the driver says nothing in a reply to rename of the tables"),
    (&["18", "24", "37"], "data", "the mapper lists disks with the last one first, as Linux does"),
    (&["36"], "data", "the driver tells no status of a line (defect: there is no text)"),
    (
        &["30", "31", "32", "51", "54", "66", "68"],
        "flags",
        "the driver has lost the table at step 30 (defect: it swaps in an empty slot)",
    ),
    (&["31", "51", "54", "66", "68"], "count", "the driver has lost the table at step 30"),
    (&["32"], "data", "the driver has lost the table at step 30"),
    (&["43"], "outcome", "the driver takes an offset behind the end of the disk (defect: it checks no size)"),
    (&["45", "46"], "flags", "the table of step 43 was not loaded"),
    (&["46"], "count", "the table of step 43 was not loaded"),
    (&["45", "47"], "data", "the table of step 43 was not loaded"),
    (
        &["53"],
        "outcome",
        "a name and a number that are two devices': the driver goes by the number, the mapper refuses",
    ),
    (&["65"], "outcome", "a target type that is not there is EINVAL, as on Linux"),
    (
        &["67"],
        "outcome",
        "a disk that is not there is ENODEV, so that it can be told from a device that is not",
    ),
    (
        &["69"],
        "outcome",
        "the mapper has remove_all; not sent here, since the rest of the scenario needs its devices",
    ),
    (&["70"], "outcome", "the mapper has waitevent, and waits"),
    (&["77", "78"], "outcome", "the mapper has later versions than 4.16"),
];

/// The step that is not sent.
const NOT_SENT: &str = "69-unknown-remove_all";

/// The disks of the scenario, with the numbers that they had.
const DISKS: [(&str, DeviceNumber); 3] = [
    ("/dev/wd0a", DeviceNumber::new(197, 2)),
    ("/dev/wd1a", DeviceNumber::new(197, 1)),
    ("/dev/wd2a", DeviceNumber::new(197, 0)),
];

/// The request as it is sent here: the disks are files, minors begin at 0, and tables are told with paths.
fn translated(mut dict: Dict, directory: &Path) -> Dict {
    if let Some(minor) = dict.u32("minor").filter(|&minor| minor > 0) {
        dict.set("minor", Value::unsigned(minor - 1));
        dict.set("major", Value::unsigned(rdmsetup::mapper::MAJOR));
    }
    if let Some(flags) = dict.u32("flags") {
        dict.set("flags", Value::unsigned(Flags(flags).with(Flags::PATHS).0));
    }
    let text = String::from_utf8(proplib::document(&dict)).unwrap();
    let text = text.replace("/dev/wd", &format!("{}/wd", directory.display()));
    proplib::parse(text.as_bytes(), MAX_REQUEST).unwrap()
}

/// What a reply comes to: the state in its flags, lines by `info`, and the data as text.
fn meaning(kind: CommandKind, reply: &Reply, directory: &Path, disks: &[DeviceNumber]) -> [String; 3] {
    let state =
        Flags::SUSPEND | Flags::ACTIVE_PRESENT | Flags::INACTIVE_PRESENT | Flags::READONLY | Flags::EXISTS;
    let flags = Flags(reply.flags.0 & state.0).to_string();
    let count = if kind == CommandKind::DevStatus { reply.target_count.to_string() } else { String::new() };
    let data = match &reply.body {
        ReplyBody::Devices(devices) => {
            devices.iter().map(|device| device.name.to_string()).collect::<Vec<_>>().join(", ")
        }
        ReplyBody::Deps(deps) => {
            let disk = |dev: &DeviceNumber| {
                disks.iter().position(|disk| disk == dev).map_or_else(|| dev.to_string(), |at| at.to_string())
            };
            deps.iter().map(disk).collect::<Vec<_>>().join(", ")
        }
        ReplyBody::Lines(lines) => lines
            .iter()
            .map(|line| format!("{} {} {} {}", line.start, line.length, line.target, line.params))
            .collect::<Vec<_>>()
            .join(", ")
            .replace(&format!("{}/wd", directory.display()), "/dev/wd"),
        ReplyBody::Versions(versions) => versions
            .iter()
            .map(|target| format!("{} {}", target.name, target.version))
            .collect::<Vec<_>>()
            .join(", "),
        ReplyBody::None | ReplyBody::Message(_) => String::new(),
    };
    [flags, count, data]
}

/// Performs a step on the mapper; the error, or the reply.
fn perform(mapper: &mut Mapper, step: &Step, directory: &Path) -> Result<Reply, Errno> {
    let mut buffer = match proplib::parse(&step.request, MAX_REQUEST) {
        Ok(dict) => proplib::document(&translated(dict, directory)),
        Err(_) => step.request.clone(),
    };
    let kind = proplib::parse(&step.request, MAX_REQUEST)
        .ok()
        .and_then(|dict| proplib::command_word(&SHIPPED, &dict))
        .map_or(CommandKind::Version, |word| word.kind);
    match mapper.ioctl(proplib::shipped_number(), &mut buffer)? {
        Progress::Done => Ok(Dialect::Netbsd.reply(kind, &buffer).unwrap()),
        // It would be asked again when an event has come.
        Progress::Waiting(..) => Err(Errno::EAGAIN),
    }
}

#[test]
fn the_scenario_comes_to_the_same_but_for_what_is_listed() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    for (disk, _) in DISKS {
        let file = std::fs::File::create(directory.join(&disk[5..])).unwrap();
        file.set_len(16 << 20).unwrap();
    }
    let mut mapper = Mapper::new();
    // Its numbers for the files go by the order in which tables name them.
    let ours: Vec<DeviceNumber> = (0..3).map(|minor| DeviceNumber::new(7, minor)).collect();
    let theirs = DISKS.map(|(_, dev)| dev);
    let rows = index("index.tsv");
    let mut found: Vec<(String, &str, String)> = Vec::new();
    for step in scenario("") {
        let row = rows.iter().find(|row| step.tag.starts_with(&format!("{}-", row[0]))).unwrap();
        let wanted = match (row[2].as_str(), row[4].as_str()) {
            ("-1", _) => Err(Errno::EIO),
            (_, "0") => Ok(step.got()),
            (_, errno) => Err([Errno::ENOENT, Errno::EEXIST, Errno::EINVAL, Errno::EIO]
                .into_iter()
                .find(|known| known.name() == Some(errno))
                .unwrap()),
        };
        if step.tag == NOT_SENT {
            found.push((row[0].clone(), "outcome", "not sent".into()));
            continue;
        }
        let came = perform(&mut mapper, &step, &directory);
        let mut differs = |what, text: String| found.push((row[0].clone(), what, text));
        match (wanted, came) {
            (Ok(dict), Ok(reply)) => {
                let kind = proplib::command_word(&SHIPPED, &dict).unwrap().kind;
                let driver = proplib::decode_reply(&SHIPPED, kind, &dict).unwrap();
                let driver = meaning(kind, &driver, &directory, &theirs);
                let own = meaning(kind, &reply, &directory, &ours);
                for (what, (driver, own)) in
                    ["flags", "count", "data"].into_iter().zip(driver.iter().zip(&own))
                {
                    if driver != own {
                        differs(what, format!("{}: {driver} / {own}", step.tag));
                    }
                }
            }
            (wanted, came) if wanted.as_ref().err() != came.as_ref().err() => {
                differs("outcome", format!("{}: {:?} / {:?}", step.tag, wanted.err(), came.err()));
            }
            _ => {}
        }
    }
    let listed = |number: &str, what: &str| {
        DIFFERENCES.iter().any(|(numbers, of, _)| numbers.contains(&number) && *of == what)
    };
    let unlisted: Vec<&str> = found
        .iter()
        .filter(|(number, what, _)| !listed(number, what))
        .map(|(_, _, text)| text.as_str())
        .collect();
    assert!(unlisted.is_empty(), "{}", unlisted.join("\n"));
    let mut stale = Vec::new();
    for (numbers, what, reason) in DIFFERENCES {
        assert!(!reason.is_empty());
        for number in *numbers {
            let is_found = found.iter().any(|(step, of, _)| step == number && of == what);
            if !is_found {
                stale.push(format!("{number}: no difference in {what} any more"));
            }
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
