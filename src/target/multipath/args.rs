//! The arguments of a multipath table, read in the kernel's order with its limits (`multipath_ctr` and below).

use super::super::Init;
use super::groups::{Group, Loads};
use super::selector::{Kind, Load, Selector};
use crate::dm::{Errno, Fault, Role, Text, Use};
use std::sync::Arc;

/// The most of anything that is counted.
const MOST: u32 = 1024;

/// What the words of such a line are: paths, and nothing in sectors.
pub(super) fn roles_of(words: &[Text]) -> Vec<Role> {
    let number = |at: usize| -> Option<usize> { std::str::from_utf8(words.get(at)?).ok()?.parse().ok() };
    let mut found = vec![Role::Plain; words.len()];
    let mut read = || {
        // Counts are cut off by the words that there are.
        let count = |at: usize| Some(number(at)?.min(words.len()));
        let handler = 1 + count(0)?;
        let mut at = handler + 1 + count(handler)? + 2;
        for _ in 0..count(at - 2)? {
            at += 2 + count(at + 1)?;
            let (paths, arguments) = (count(at)?, count(at + 1)?);
            at += 2;
            for _ in 0..paths {
                *found.get_mut(at)? = Role::Device(Use::Whole);
                at += 1 + arguments;
            }
        }
        Some(())
    };
    // A line that is cut short or wrong has the roles that were found till then.
    let _ = read();
    found
}

/// What stands before the groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) queue_if_no_path: bool,
    pub(super) retain_handler: bool,
    /// 0 for not given.
    pub(super) init_retries: u32,
    pub(super) init_delay: Option<u32>,
    /// `queue_mode bio`, not the default `rq`: they differ in what a suspend without a flush does, and in their text.
    pub(super) is_bio: bool,
    /// The hardware handler that prepares the paths of a group before they are used.
    pub(super) handler: Option<Text>,
    /// The handler is given arguments.
    handler_has_arguments: bool,
}

/// What the arguments say.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) features: Features,
    pub(super) groups: Vec<Group>,
    /// The group to begin with, counted from 0.
    pub(super) first: Option<usize>,
    pub(super) loads: Loads,
}

/// The arguments, and how far they are read.
struct Reader<'a, 'b> {
    init: &'a mut Init<'b>,
    at: usize,
}

impl Arguments {
    pub(super) fn read(init: &mut Init<'_>) -> Result<Self, Fault> {
        if init.start.0 > 0 {
            // Only the table's first line starts there, and its target may have no other beside it.
            return Err(init.refuse(0, "a multipath target must be alone in its table"));
        }
        let mut reader = Reader { init, at: 0 };
        let mut features = reader.features()?;
        reader.handler(&mut features)?;
        let count_at = reader.at;
        let count = reader.number(0..=MOST, "groups of paths")?;
        let first_at = reader.at;
        let first = reader.number(0..=MOST, "the first group")?;
        if (count == 0) != (first == 0) {
            let wrong = format!("group {first} cannot be the first of {count}");
            return Err(reader.init.refuse(first_at, &wrong));
        }
        let (mut groups, mut loads) = (Vec::new(), Loads::new());
        while reader.left() > 0 {
            groups.push(reader.group(&features, &mut loads)?);
        }
        if groups.len() != index(count) {
            let wrong = format!("{count} groups are announced, and there are {}", groups.len());
            return Err(reader.init.refuse(count_at, &wrong));
        }
        let first = index(first).checked_sub(1).filter(|first| *first < groups.len());
        Ok(Self { features, groups, first, loads })
    }
}

impl Reader<'_, '_> {
    fn left(&self) -> usize {
        self.init.arguments.len() - self.at
    }

    fn refuse<T>(&self, at: usize, wrong: &str) -> Result<T, Fault> {
        Err(self.init.refuse(at, wrong))
    }

    fn word(&mut self) -> Result<Text, Fault> {
        let word = self.init.word(self.at)?.clone();
        self.at += 1;
        Ok(word)
    }

    fn number(&mut self, range: std::ops::RangeInclusive<u32>, unit: &str) -> Result<u32, Fault> {
        let number = self.init.within(self.at, range, unit)?;
        self.at += 1;
        Ok(number)
    }

    /// A number of arguments that are there.
    fn group_of(&mut self, most: u32, unit: &str) -> Result<usize, Fault> {
        let at = self.at;
        let count = index(self.number(0..=most, unit)?);
        if count > self.left() {
            let wrong = format!("{count} {unit} are announced, and {} arguments follow", self.left());
            return self.refuse(at, &wrong);
        }
        Ok(count)
    }

    fn features(&mut self) -> Result<Features, Fault> {
        let count = self.group_of(8, "feature arguments")?;
        let (mut features, end) = (Features::default(), self.at + count);
        // An argument of a feature may lie behind the last that is announced no more than the kernel lets it.
        while self.at < end {
            let at = self.at;
            let name = self.word()?.to_ascii_lowercase();
            let has_value = self.at < end;
            match name.as_slice() {
                b"queue_if_no_path" => features.queue_if_no_path = true,
                b"retain_attached_hw_handler" => features.retain_handler = true,
                b"pg_init_retries" if has_value => {
                    features.init_retries = self.number(1..=50, "retries")?;
                }
                b"pg_init_delay_msecs" if has_value => {
                    features.init_delay = Some(self.number(0..=60000, "milliseconds")?);
                }
                b"queue_mode" if has_value => match self.word()?.to_ascii_lowercase().as_slice() {
                    b"bio" => features.is_bio = true,
                    b"rq" | b"mq" => features.is_bio = false,
                    _ => return self.refuse(at + 1, "the queue mode is neither bio, rq nor mq"),
                },
                _ => {
                    let wrong = format!("\"{}\" is not a feature, or lacks its value", Text::from(name));
                    return self.refuse(at, &wrong);
                }
            }
        }
        // Requests as bios: whatever handler is there stays (`alloc_multipath_stage2`).
        features.retain_handler |= features.is_bio;
        Ok(features)
    }

    /// A hardware handler. Its work is done on SCSI disks that the kernel drives; to those here there is nothing to do, as
    /// in a kernel without them. Over bios the kernel has none.
    fn handler(&mut self, features: &mut Features) -> Result<(), Fault> {
        let count = self.group_of(MOST, "hardware handler arguments")?;
        if count > 0 && !features.is_bio {
            features.handler = self.init.arguments.get(self.at).cloned();
            features.handler_has_arguments = count > 1;
        }
        self.at += count;
        Ok(())
    }

    fn group(&mut self, features: &Features, loads: &mut Loads) -> Result<Group, Fault> {
        if self.left() < 2 {
            return self.refuse(self.at, "a group has a selector, its arguments, and paths");
        }
        let at = self.at;
        let name = self.word()?;
        let Some(kind) = Kind::find(&name) else {
            let wrong =
                format!("\"{name}\" is not a path selector: round-robin, queue-length or service-time");
            return self.refuse(at, &wrong);
        };
        self.at += self.group_of(MOST, "selector arguments")?;
        let paths = self.number(1..=MOST, "paths")?;
        let each = index(self.number(0..=MOST, "arguments for each path")?);
        let mut group = Group::new(Selector::new(kind));
        for _ in 0..paths {
            if self.left() < 1 + each {
                let wrong = format!("a path is DEVICE and {each} arguments, and {} follow", self.left());
                return self.refuse(self.at, &wrong);
            }
            let pdev = self.init.pdev(self.at)?;
            if features.handler_has_arguments {
                let wrong = format!("\"{}\" is not a SCSI disk, whose handler takes arguments", pdev.name());
                return Err(Fault { errno: Errno::EBUSY, ..self.init.refuse(self.at, &wrong) });
            }
            let known = loads.iter().find(|(known, _)| known.number() == pdev.number());
            let load = known.map_or_else(Arc::<Load>::default, |(_, load)| Arc::clone(load));
            group.selector.add(self.init, self.at + 1, each, Arc::clone(&load))?;
            if !loads.iter().any(|(known, _)| known.number() == pdev.number()) {
                loads.push((Arc::clone(&pdev), load));
            }
            group.add(pdev);
            self.at += 1 + each;
        }
        Ok(group)
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
