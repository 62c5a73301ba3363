//! Arguments, most of them wrong: the kernel and the mapper refuse the same lines with the same errno, and print the
//! others alike.

use super::sides::{KernelSide, MapperSide, Side};
use super::{DISK_SECTORS, Rng};
use crate::guest;
use rdmsetup::dm::{Command, DeviceId, Flags, Request};

/// A line of each kind, to be spoilt.
const LINES: &[&str] = &[
    "0 64 linear A 8",
    "0 64 striped 2 8 A 0 B 32",
    "0 64 unstriped 2 8 1 A 0",
    "0 64 unstriped 1 8 3 A 0",
    "0 64 switch 2 8 0 A 0 B +8",
    "0 64 delay A 0 0",
    "0 64 delay A 0 5 B 8 10",
    "0 64 delay A 0 5 B 8 10 A 16 15",
    "0 64 flakey A 0 1 2",
    "0 64 flakey A 0 1 2 1 drop_writes",
    "0 64 flakey A 0 1 2 6 error_writes corrupt_bio_byte 32 r 1 0",
    "0 64 flakey A 0 1 2 5 corrupt_bio_byte 224 w 0 32",
    "0 64 dust A 8 512",
    "0 64 dust A 0 4096",
    "0 64 log-writes A B",
    "0 64 zero",
    "0 64 error x",
];

/// Words that take the place of others. Numbers of 2^32 and more are not among them: the kernel reads some of them modulo
/// that, and here they are refused.
const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "8",
    "63",
    "64",
    "255",
    "256",
    "511",
    "768",
    "4096",
    "65536",
    "2147483648",
    "4294967295",
    "+1",
    "+8",
    "-1",
    "8x",
    "0x8",
    "x",
    "r",
    "W",
    "A",
    "B",
    "98:4000",
    "/dev/nonesuch",
    "drop_writes",
    "ERROR_WRITES",
    "corrupt_bio_byte",
    "no_such_feature",
];

/// Which arguments are devices. The kernel reads a bare number there as a device's, in hexadecimal; to the mapper it is a
/// name.
const DEVICES: &[(&str, &[usize])] = &[
    ("linear", &[0]),
    ("striped", &[2, 4, 6]),
    ("unstriped", &[3]),
    ("switch", &[3, 5, 7]),
    ("delay", &[0, 3, 6]),
    ("flakey", &[0]),
    ("dust", &[0]),
    ("log-writes", &[0, 1]),
];

/// One line with up to three words replaced, left out or added.
fn spoilt(rng: &mut Rng) -> String {
    let mut words: Vec<&str> = rng.pick(LINES).split(' ').collect();
    for _ in 0..rng.below(4) {
        let at = usize::try_from(rng.within(3, words.len() as u64)).unwrap();
        let word = *rng.pick(WORDS);
        match rng.below(4) {
            0 => words.insert(at, word),
            1 if at < words.len() => drop(words.remove(at)),
            _ if at < words.len() => words[at] = word,
            _ => words.push(word),
        }
    }
    let places =
        DEVICES.iter().find(|(target, _)| *target == words[2]).map_or(&[][..], |(_, places)| *places);
    for at in places.iter().map(|place| place + 3) {
        let is_number = |word: &&str| u64::from_str_radix(word.trim_start_matches("0x"), 16).is_ok();
        if words.get(at).is_some_and(is_number) && !["A", "B"].contains(&words[at]) {
            words[at] = "98:4000";
        }
    }
    words.join(" ")
}

/// Loads a table: what is said of it then.
fn load(side: &mut dyn Side, table: &str) -> String {
    let load = side.load(table);
    if let Err(errno) = side.ask(&Request::new(DeviceId::by_name("vol"), load)) {
        return format!("{errno:?}");
    }
    let flags = Flags::STATUS_TABLE | Flags::QUERY_INACTIVE_TABLE | side.paths();
    let status = Request::new(DeviceId::by_name("vol"), Command::TableStatus).with_flags(flags);
    let reply = side.ask(&status).unwrap();
    let lines = reply.lines().iter().map(|line| side.shown(&line.params.to_string()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn lines_are_refused_as_the_kernel_refuses_them() {
    guest::run("sequences::arguments::lines_are_refused_as_the_kernel_refuses_them", || {
        // The same lines each time.
        let mut rng = Rng(6);
        let disks = [(); 2].map(|()| vec![0; usize::try_from(DISK_SECTORS * 512).unwrap()]);
        let (mut kernel, mut mapper) = (KernelSide::new(&disks), MapperSide::new(&disks));
        for side in [&mut kernel as &mut dyn Side, &mut mapper] {
            side.ask(&Request::new(DeviceId::by_name("vol"), Command::DevCreate)).unwrap();
            // Only a device's first table is held to the disks' size when it is loaded.
            assert_eq!(load(side, "0 8 zero"), "");
        }
        let mut good = 0;
        let mut faults = Vec::new();
        for _ in 0..3000 {
            let table = spoilt(&mut rng);
            let (expected, given) = (load(&mut kernel, &table), load(&mut mapper, &table));
            good += usize::from(!expected.starts_with('E'));
            if expected != given {
                faults.push(format!("{table}\n  kernel {expected}\n  mapper {given}"));
            }
        }
        assert!((300..2500).contains(&good), "{good} of 3000 lines were accepted");
        assert!(faults.is_empty(), "{} of 3000 lines differ:\n{}", faults.len(), faults.join("\n"));
    });
}
