//! A mirror's arguments, read in the kernel's order with its limits.
//!
//! Source: `mirror_ctr` and below in the kernel's drivers/md/dm-raid1.c, `create_log_context` in dm-log.c. Whatever is
//! wrong with the log, its device too, is EINVAL there.

use super::super::Init;
use super::legs::{Leg, Legs};
use super::log::{Log, Sync, bitset_bytes, room};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Errno, Fault, Role, Sectors, Text, Use, roles};
use std::sync::Arc;

/// The most legs that a mirror has: what kcopyd can write at once, and the one that is read.
const MAX_LEGS: u32 = 9;

/// What is done about errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// A leg that fails is told of, and writes that would not be on all legs are held until the table is changed.
    pub(super) handle_errors: bool,
    /// With `handle_errors`: such writes are not held, and the log knows where the legs differ.
    pub(super) keep_log: bool,
}

/// What the words of a mirror's line are.
pub(super) fn roles_of(words: &[Text]) -> Vec<Role> {
    let number =
        |at: usize| words.get(at).and_then(|word| std::str::from_utf8(word).ok()?.parse::<usize>().ok());
    let of_log = [Role::Device(Use::Own), Role::Sectors, Role::Plain];
    let of_log = if words.first().is_some_and(|log| *log == "disk") { &of_log[..] } else { &of_log[1..] };
    // Numbers that are too large are cut off by the words that there are.
    let given = number(1).unwrap_or(0).min(words.len());
    let legs = number(2 + given).unwrap_or(0).min(words.len());
    let mut found = vec![Role::Plain; 2];
    found.extend(of_log.iter().chain([Role::Plain].iter().cycle()).take(given));
    found.push(Role::Plain);
    found.extend([Role::Device(Use::Whole), Role::Offset].iter().cycle().take(2 * legs));
    roles(words, &found, &[])
}

/// What the arguments say.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) log: Log,
    pub(super) legs: Legs,
    pub(super) features: Features,
}

impl Arguments {
    pub(super) fn read(init: &mut Init<'_>) -> Result<Self, Fault> {
        init.at_least(2)?;
        let log = read_log(init)?;
        let mut at = 2 + index(count(init, 1, "log arguments")?);
        let legs = read_legs(init, &mut at)?;
        let features = read_features(init, &mut at)?;
        if at < init.arguments.len() {
            return Err(init.refuse(at, &format!("nothing may follow, and \"{}\" does", word(init, at))));
        }
        Ok(Self { log, legs, features })
    }
}

fn read_log(init: &mut Init<'_>) -> Result<Log, Fault> {
    let given = count(init, 1, "log arguments")?;
    let there = init.arguments.len() - 2;
    if index(given) > there {
        let wrong = format!("{given} log arguments are announced, and {there} arguments follow");
        return Err(init.refuse(1, &wrong));
    }
    match word(init, 0).as_bytes() {
        b"core" => log_of(init, 2, given, None),
        b"disk" => {
            if !(2..=3).contains(&given) {
                let wrong =
                    format!("a disk log takes 2 or 3 arguments, DEVICE REGION [sync|nosync], not {given}");
                return Err(init.refuse(1, &wrong));
            }
            let device = init.pdev(2).map_err(|fault| Fault { errno: Errno::EINVAL, ..fault })?;
            log_of(init, 3, given - 1, Some(device))
        }
        _ => {
            let wrong = format!("\"{}\" is not a type of log: core or disk", word(init, 0));
            Err(init.refuse(0, &wrong))
        }
    }
}

/// A log whose `given` arguments REGION [sync|nosync] begin at `at`.
fn log_of(init: &Init<'_>, at: usize, given: u32, device: Option<Arc<Pdev>>) -> Result<Log, Fault> {
    if !(1..=2).contains(&given) {
        let wrong = format!("a core log takes 1 or 2 arguments, REGION [sync|nosync], not {given}");
        return Err(init.refuse(1, &wrong));
    }
    let sync = match (given, init.arguments.get(at + 1).map(Text::as_bytes)) {
        (2, Some(b"sync")) => Sync::Force,
        (2, Some(b"nosync")) => Sync::Skip,
        (2, _) => {
            let wrong = format!(
                "\"{}\" is neither sync nor nosync (block_on_error became the feature handle_errors)",
                word(init, at + 1)
            );
            return Err(init.refuse(at + 1, &wrong));
        }
        _ => Sync::Default,
    };
    let region = count(init, at, "sectors in a region")?;
    if region < 2 || u64::from(region) > init.length.0 || !region.is_power_of_two() {
        let wrong = format!(
            "a region has a power of two of sectors, from 2 to the line's {}, not {region}",
            init.length
        );
        return Err(init.refuse(at, &wrong));
    }
    let regions = init.length.0.div_ceil(u64::from(region));
    let regions = u32::try_from(regions)
        .map_err(|_| init.refuse(at, &format!("{regions} regions of {region} sectors are 2^32 or more")))?;
    if let Some(device) = &device {
        let need = room(bitset_bytes(regions), device.block_size());
        if need > device.size() {
            let wrong = format!(
                "the log of {regions} regions needs {} bytes, and \"{}\" has {}",
                need.0,
                device.name(),
                device.size().0
            );
            return Err(init.refuse(2, &wrong));
        }
    }
    Ok(Log::new(sync, region, regions, device, init.events.clone(), init.restores))
}

fn read_legs(init: &mut Init<'_>, at: &mut usize) -> Result<Legs, Fault> {
    let number = match count(init, *at, "legs") {
        Ok(number) if (2..=MAX_LEGS).contains(&number) => number,
        Ok(number) => {
            return Err(init.refuse(*at, &format!("a mirror has 2 to {MAX_LEGS} legs, not {number}")));
        }
        Err(fault) => return Err(fault),
    };
    *at += 1;
    let there = init.arguments.len() - *at;
    if there < 2 * index(number) {
        let wrong = format!("{number} legs call for {} arguments DEVICE SECTOR, not {there}", 2 * number);
        return Err(init.refuse(*at - 1, &wrong));
    }
    let mut legs = Vec::new();
    for _ in 0..number {
        // The number first, as the kernel does.
        let offset: Sectors = init.sectors(*at + 1)?;
        legs.push(Leg::new(init.pdev(*at)?, offset));
        *at += 2;
    }
    Ok(Legs::new(legs))
}

fn read_features(init: &Init<'_>, at: &mut usize) -> Result<Features, Fault> {
    let mut features = Features::default();
    if *at == init.arguments.len() {
        return Ok(features);
    }
    let first = *at;
    let number = count(init, first, "features")?;
    *at += 1;
    let there = init.arguments.len() - *at;
    if index(number) > there {
        let wrong = format!("{number} features are announced, and {there} arguments follow");
        return Err(init.refuse(first, &wrong));
    }
    for _ in 0..number {
        match word(init, *at).as_bytes() {
            b"handle_errors" => features.handle_errors = true,
            b"keep_log" => features.keep_log = true,
            _ => {
                let wrong = format!("\"{}\" is not a feature: handle_errors or keep_log", word(init, *at));
                return Err(init.refuse(*at, &wrong));
            }
        }
        *at += 1;
    }
    if features.keep_log && !features.handle_errors {
        return Err(init.refuse(first, "the feature keep_log needs the feature handle_errors"));
    }
    Ok(features)
}

/// A number as the kernel's `sscanf("%u%c")` has it, but for what is 2^32 or more, which it takes modulo 2^32.
fn count(init: &Init<'_>, at: usize, unit: &str) -> Result<u32, Fault> {
    let number = init.number(at, unit)?;
    u32::try_from(number).map_err(|_| init.refuse(at, &format!("{number} is too large a number of {unit}")))
}

fn word<'a>(init: &Init<'a>, at: usize) -> &'a Text {
    static MISSING: Text = Text::new();
    init.arguments.get(at).unwrap_or(&MISSING)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
