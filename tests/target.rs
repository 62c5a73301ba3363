//! The contract of targets: one set of tests for every type in the list, the next one's too.
//!
//! What a target does with its arguments is tested beside it; here is what all of them promise the mapper, the
//! manual and the command line.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use arbtest::{arbitrary, arbtest};
use rdmsetup::block::{Pdev, PdevSource};
use rdmsetup::dm::limits::TYPE_NAME_LEN;
use rdmsetup::dm::{DeviceNumber, Errno, Fault, Line, Role, Sectors, SourceTable, Text};
use rdmsetup::target::{self, Ended, Events, Init, Mapping, Operation, Shared, TARGETS, Target, TargetType};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Weak};

const OPERATIONS: [Operation; 4] =
    [Operation::Read, Operation::Write, Operation::Discard, Operation::WriteZeroes];

/// Nobody who hears of events.
#[derive(Debug)]
struct Silence;

impl Events for Silence {
    fn signal(&self) {}
}

/// Opens a small file for whatever looks like a device, one for each name; `nope` is not there.
#[derive(Debug, Default)]
struct Files {
    opened: BTreeMap<Text, Arc<Pdev>>,
}

impl PdevSource for Files {
    fn open(&mut self, name: &Text, writable: bool) -> Result<Arc<Pdev>, Fault> {
        let looks_like_a_device = name.starts_with(b"/") || DeviceNumber::parse(name).is_some();
        if !looks_like_a_device {
            return Err(Fault::new(Errno::ENODEV, format!("there is no device \"{name}\"")));
        }
        let next = u32::try_from(self.opened.len()).unwrap();
        let open = || Arc::new(disk(DeviceNumber::new(7, next), writable));
        Ok(Arc::clone(self.opened.entry(name.clone()).or_insert_with(open)))
    }
}

/// A file of 1 MiB, all hole, gone when it is closed.
fn disk(number: DeviceNumber, writable: bool) -> Pdev {
    let file: File = tempfile::tempfile().unwrap();
    file.set_len(1 << 20).unwrap();
    Pdev::file(number, Path::new("/disk.img"), file, writable).unwrap()
}

impl Files {
    fn make(
        &mut self,
        target: &'static TargetType,
        length: u64,
        arguments: &[Text],
    ) -> Result<Box<dyn Target>, Fault> {
        let (start, length) = (Sectors(0), Sectors(length));
        let events = Weak::<Silence>::new();
        let (read_only, serves, restores) = (false, false, false);
        let (shared, memory) = (&Shared::default(), &Text::new());
        (target.init)(&mut Init {
            target,
            start,
            length,
            arguments,
            read_only,
            pdevs: self,
            shared,
            restores,
            events,
            memory,
            serves,
        })
    }

    /// The name under which a device was opened, as one word.
    fn name_of(&self, pdev: &Pdev) -> Text {
        let (name, _) = self.opened.iter().find(|(_, opened)| opened.number() == pdev.number()).unwrap();
        name.clone()
    }
}

fn example(target: &TargetType) -> Line {
    let mut lines = SourceTable::parse(target.example.as_bytes()).unwrap().table.lines;
    assert_eq!(lines.len(), 1, "{}", target.name);
    lines.remove(0)
}

/// The example of each type, made, with the files under it.
fn examples() -> impl Iterator<Item = (&'static TargetType, Line, Box<dyn Target>, Files)> {
    TARGETS.iter().map(|target| {
        let (line, mut files) = (example(target), Files::default());
        let made = files.make(target, line.length.0, &line.params.words()).unwrap();
        (*target, line, made, files)
    })
}

#[test]
fn names_fit_the_protocol_and_find_their_type() {
    let mut names = HashSet::new();
    for target in TARGETS {
        assert!((1..TYPE_NAME_LEN).contains(&target.name.len()), "{}", target.name);
        assert!(target.name.bytes().all(|byte| byte.is_ascii_graphic()), "{}", target.name);
        assert!(names.insert(target.name), "{} is there twice", target.name);
        assert!(std::ptr::eq(target::find(target.name.as_bytes()).unwrap(), *target));
        assert!(target.version.major > 0, "{}", target.name);
    }
    assert!(
        target::find(b"").is_none()
            && target::find(b"linear\0").is_none()
            && target::find(b"Linear").is_none()
    );
}

#[test]
fn each_knows_which_of_its_words_are_devices_and_sectors() {
    for target in TARGETS {
        let words = example(target).params.words();
        for count in 0..=words.len() {
            assert_eq!((target.roles)(&words[..count]).len(), count, "{}", target.name);
        }
        for (word, role) in words.iter().zip((target.roles)(&words)) {
            let is_device = matches!(role, Role::Device(_));
            assert_eq!(is_device, word.starts_with(b"/dev/"), "{}: {word} is {role:?}", target.name);
            let is_amount = matches!(role, Role::Offset | Role::Sectors);
            assert!(!is_amount || word.iter().all(u8::is_ascii_digit), "{}: {word} is {role:?}", target.name);
        }
    }
}

#[test]
fn each_has_words_for_the_manual() {
    for target in TARGETS {
        assert!(target.help.ends_with('.') && target.help.len() > 40, "{}: {:?}", target.name, target.help);
        let usage = target.usage;
        assert_eq!(usage.trim(), usage, "{}", target.name);
        let needs_none = Files::default().make(target, 8, &[]).is_ok();
        assert_eq!(usage.is_empty() || usage.starts_with('['), needs_none, "{}: {usage:?}", target.name);
        assert!(example(target).target == target.name, "{}", target.name);
    }
}

#[test]
fn params_make_an_equal_target() {
    for (target, line, made, mut files) in examples() {
        let name = |pdev: &Pdev| files.name_of(pdev);
        let params = made.params(&name);
        // Some of the kernel's print a blank behind the last word.
        assert_eq!(params.words(), line.params.words(), "{}", target.name);
        let again = files.make(target, line.length.0, &params.words()).unwrap();
        let name = |pdev: &Pdev| files.name_of(pdev);
        assert_eq!(again.params(&name), params, "{}", target.name);
        assert_eq!(again.status(&name), made.status(&name), "{}", target.name);
    }
}

#[test]
fn devices_are_used_within_the_lines_length_and_in_the_arguments_order() {
    for (target, line, made, files) in examples() {
        let mut words = line.params.words().into_iter();
        for used in made.pdevs() {
            assert!(used.length > Sectors::ZERO && used.length <= line.length, "{}", target.name);
            let name = files.name_of(used.pdev);
            assert!(words.any(|word| word == name), "{}: {name} is out of order", target.name);
        }
    }
}

#[test]
fn every_position_has_an_answer_within_what_was_asked() {
    for (target, line, made, _files) in examples() {
        arbtest(|u| {
            let operation = *u.choose(&OPERATIONS)?;
            let sector = u.int_in_range(0..=line.length.0 - 1)?;
            let asked = u.int_in_range(1..=line.length.0 - sector)?;
            let mapping = made.strategy(operation, Sectors(sector), Sectors(asked));
            assert!((1..=asked).contains(&mapping.length().0), "{}: {mapping:?}", target.name);
            if let Mapping::Remap { pdev, sector, length } = mapping {
                // Its lines reach further than they say, in the kernel too; it looks at the end of the disk itself.
                if target.name == "unstriped" {
                    assert!(sector.0 + length.0 <= pdev.sectors().0, "{mapping:?} is behind the disk");
                    return Ok(());
                }
                let inside = made.pdevs().iter().any(|used| {
                    used.pdev.number() == pdev.number()
                        && used.start <= sector
                        && sector.0 + length.0 <= used.start.0 + used.length.0
                });
                assert!(inside, "{}: {mapping:?} is outside of what it says it uses", target.name);
            }
            Ok(())
        })
        .budget_ms(100);
    }
}

/// A word that some argument may be, most often wrong, or any bytes.
fn word(u: &mut arbitrary::Unstructured<'_>) -> arbitrary::Result<Text> {
    const WORDS: &[&str] = &[
        "0",
        "1",
        "2",
        "3",
        "8",
        "+1",
        "-1",
        "38x",
        "",
        " ",
        "7:0",
        "/dev/sdb",
        "nope",
        "4294967295",
        "4294967296",
        "2147483648",
        "18446744073709551615",
        "18446744073709551616",
    ];
    Ok(if u.ratio(9, 10)? { Text::from(*u.choose(WORDS)?) } else { Text::from(u.arbitrary::<Vec<u8>>()?) })
}

#[test]
fn any_arguments_make_a_target_or_a_fault_that_says_why() {
    for target in TARGETS {
        arbtest(|u| {
            let arguments = (0..u.int_in_range(0..=8)?).map(|_| word(u)).collect::<Result<Vec<_>, _>>()?;
            let length = *u.choose(&[1, 6, 8, 1 << 32, u64::MAX])?;
            let mut files = Files::default();
            match files.make(target, length, &arguments) {
                Ok(made) => {
                    let name = |pdev: &Pdev| files.name_of(pdev);
                    assert!(!made.params(&name).contains(&0));
                    for sector in [0, length - 1] {
                        let left = length - sector;
                        let answered =
                            made.strategy(Operation::Write, Sectors(sector), Sectors(left)).length();
                        assert!((1..=left).contains(&answered.0), "{} {arguments:?}", target.name);
                    }
                }
                Err(fault) => {
                    let reason = &fault.reason;
                    assert!(reason.starts_with(target.name) && !reason.ends_with('.'), "{reason:?}");
                    assert!(
                        matches!(fault.errno, Errno::EINVAL | Errno::ENODEV | Errno::ENOMEM),
                        "{fault:?}"
                    );
                    assert!(fault.argument.is_some_and(|at| at <= arguments.len()), "{fault:?}");
                }
            }
            Ok(())
        })
        .budget_ms(300);
    }
}

#[test]
fn a_message_has_an_answer_or_a_fault_that_says_why() {
    for (target, _, made, _files) in examples() {
        for words in [&[][..], &["no-such-message".into()], &["".into(), "7".into()]] {
            let refused = made.message(words).expect_err(target.name);
            assert!(refused.errno == Errno::EINVAL && !refused.reason.is_empty(), "{}", target.name);
        }
    }
}

#[test]
fn a_failed_device_that_is_not_its_own_is_no_event() {
    let stranger = disk(DeviceNumber::new(7, 99), true);
    for (target, _, made, files) in examples() {
        let name = |pdev: &Pdev| files.name_of(pdev);
        let before = made.status(&name);
        assert_eq!(made.end_io(&stranger, Errno::EIO), Ended::Failed, "{}", target.name);
        assert_eq!(made.status(&name), before, "{}", target.name);
    }
}
