//! `watch`: what happens to devices, as it happens.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::new_name;
use crate::backend::{Interrupts, Woken};
use crate::dm::{Command, DeviceId, DeviceNumber, Errno, Flags, Reply, Request, Text};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant, SystemTime};

/// Tell what happens to devices, as it happens
///
/// A line for each: the time (UTC), the device, and what happened: it was created, removed or renamed, it had an event (with
/// the number that `wait` takes), it was suspended or resumed, a table was loaded for it or dropped, its table changed. It ends at a
/// signal (INT, TERM, HUP) with status 0.
///
/// Nothing is asked again and again: the driver says when to look. So what was done and undone between two looks is not told,
/// and the kernel's driver says nothing of a suspend or a load, which are told with what comes next. That a device of the
/// kernel's was made or resumed is heard in the first network namespace alone.
#[derive(Args, Debug)]
pub(super) struct Watch {
    /// The devices, which need not be there yet; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,

    /// First tell of the devices that are there
    #[arg(long)]
    initial: bool,

    /// End after that many lines
    #[arg(long, value_name = "NUMBER", value_parser = positive)]
    count: Option<u64>,

    /// End after that many seconds; with --count that is a failure
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
}

/// A word that is not what an option wants.
#[derive(Clone, Debug)]
struct NoNumber(String);

fn positive(word: &str) -> Result<u64, NoNumber> {
    let number = word.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| NoNumber(format!("\"{word}\" is not a number of lines, 1 or more")))
}

fn seconds(word: &str) -> Result<Duration, NoNumber> {
    let seconds = word.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| NoNumber(format!("\"{word}\" is not a number of seconds")))
}

impl fmt::Display for NoNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoNumber {}

/// A device at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: Text,
    uuid: Text,
    event_nr: u32,
    suspended: bool,
    loaded: bool,
    /// The table that is in use, as a number that is the same for the same text.
    table: u64,
}

/// What happened to a device between two looks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Happened {
    Present,
    Created,
    Removed,
    /// From that name.
    Renamed(Text),
    UuidSet,
    Loaded,
    Dropped,
    TableChanged,
    Suspended,
    Resumed,
    /// The event counter moved to that number.
    Event(u32),
}

/// All devices at one look.
type Look = BTreeMap<DeviceNumber, Seen>;

impl Run for Watch {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let broken =
            |what: &str, reason: &dyn fmt::Display| Failure::Ours(format!("watch: {what}: {reason}"));
        let interrupts = Interrupts::hold().map_err(|errno| broken("signals", &errno))?;
        let end = interrupts.waker().map_err(|error| broken("signals", &Errno::from_io(&error)))?;
        let names: Vec<Text> = self.names.iter().map(|name| new_name(ctx, name)).collect::<Result<_, _>>()?;
        let until = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut before: Option<Look> = None;
        let mut told = 0;
        loop {
            let changes = ctx.client()?.changes().map_err(|fault| Failure::Ours(fault.to_string()))?;
            let now = look(ctx)?;
            // Others have their turn while this one waits.
            ctx.yield_driver()?;
            for (dev, seen, happened) in compare(before.as_ref(), &now, self.initial) {
                let old_name = if let Happened::Renamed(old) = &happened { old } else { &seen.name };
                if !names.is_empty() && !names.contains(&seen.name) && !names.contains(old_name) {
                    continue;
                }
                self.tell(ctx, dev, &seen, &happened);
                told += 1;
                if self.count == Some(told) {
                    return Ok(());
                }
            }
            ctx.out.flush();
            before = Some(now);
            match changes.wait(&end, until).map_err(|fault| Failure::Ours(fault.to_string()))? {
                Woken::Changed => {}
                Woken::Ended => {
                    interrupts.forgive();
                    return Ok(());
                }
                Woken::TimedOut => return self.timed_out(told),
            }
        }
    }
}

impl Watch {
    /// That the time is over: what was waited for, or not.
    fn timed_out(&self, told: u64) -> Result<(), Failure> {
        let (Some(count), Some(timeout)) = (self.count, self.timeout) else { return Ok(()) };
        let (seconds, of) = (timeout.as_secs_f64(), if told == 1 { "line" } else { "lines" });
        Err(Failure::Ours(format!("watch: {told} {of} of {count} in {seconds} seconds")))
    }

    fn tell(&self, ctx: &mut Context, dev: DeviceNumber, seen: &Seen, happened: &Happened) {
        let time = moment(SystemTime::now());
        let name = ctx.shown_name(&seen.name);
        let words = match happened {
            Happened::Present => "present".to_owned(),
            Happened::Created => "created".into(),
            Happened::Removed => "removed".into(),
            Happened::Renamed(old) => format!("renamed from {}", ctx.shown_name(old)),
            Happened::UuidSet => format!("uuid {}", ctx.shown_name(&seen.uuid)),
            Happened::Loaded => "table loaded".into(),
            Happened::Dropped => "loaded table dropped".into(),
            Happened::TableChanged => "table changed".into(),
            Happened::Suspended => "suspended".into(),
            Happened::Resumed => "resumed".into(),
            Happened::Event(number) => format!("event {number}"),
        };
        let mut old_name = Value::Null;
        if let Happened::Renamed(old) = happened {
            old_name = ctx.shown_name(old).to_string().into();
        }
        let uuid = ctx.shown_name(&seen.uuid).to_string();
        let Some(document) = &mut ctx.json else {
            let mut line = format!("{time} ").into_bytes();
            line.extend_from_slice(&name);
            line.extend_from_slice(format!(" {words}\n").as_bytes());
            ctx.out.print(line);
            return;
        };
        document.in_lines = true;
        document.set("time", time);
        document.set("device", name.to_string());
        document.set("uuid", Some(uuid).filter(|uuid| !uuid.is_empty()));
        document.set("number", json!({ "major": dev.major, "minor": dev.minor }));
        document.set("event", happened.word());
        document.set("event_number", seen.event_nr);
        document.set("suspended", seen.suspended);
        document.set("old_name", old_name);
        ctx.write_document();
    }
}

impl Happened {
    /// The word of the JSON documents.
    fn word(&self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Created => "created",
            Self::Removed => "removed",
            Self::Renamed(_) => "renamed",
            Self::UuidSet => "uuid_set",
            Self::Loaded => "table_loaded",
            Self::Dropped => "loaded_table_dropped",
            Self::TableChanged => "table_changed",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::Event(_) => "event",
        }
    }
}

/// Every device as it is now.
fn look(ctx: &mut Context) -> Result<Look, Failure> {
    let listed = ctx.perform(Request::global(Command::ListDevices))?;
    let mut look = Look::new();
    for device in listed.devices() {
        // One that is suspended is not to be waited for, and keys are nobody's business.
        let flags = Flags::STATUS_TABLE | Flags::NOFLUSH | Flags::SECURE_DATA;
        let request = Request::new(DeviceId::by_number(device.dev), Command::TableStatus).with_flags(flags);
        match ctx.perform(request) {
            Ok(reply) => {
                look.insert(device.dev, Seen::of(&reply));
            }
            // It is gone since.
            Err(failure) if failure.is(Errno::ENXIO) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(look)
}

impl Seen {
    fn of(reply: &Reply) -> Self {
        let mut table = DefaultHasher::new();
        for line in reply.lines() {
            (line.start.0, line.length.0, &line.target, &line.params).hash(&mut table);
        }
        Self {
            name: reply.device.name.clone(),
            uuid: reply.device.uuid.clone(),
            event_nr: reply.event_nr,
            suspended: reply.flags.contains(Flags::SUSPEND),
            loaded: reply.flags.contains(Flags::INACTIVE_PRESENT),
            table: table.finish(),
        }
    }

    /// What happened since that look; nothing where it is another device of the same number.
    fn since(&self, old: &Self) -> Option<Vec<Happened>> {
        let is_other = !old.uuid.is_empty() && self.uuid != old.uuid || self.event_nr < old.event_nr;
        if is_other {
            return None;
        }
        let mut happened = Vec::new();
        let mut add = |is_so: bool, what| happened.extend(is_so.then_some(what));
        add(self.name != old.name, Happened::Renamed(old.name.clone()));
        add(self.uuid != old.uuid, Happened::UuidSet);
        add(self.event_nr != old.event_nr, Happened::Event(self.event_nr));
        add(self.suspended && !old.suspended, Happened::Suspended);
        add(self.loaded && !old.loaded, Happened::Loaded);
        add(self.table != old.table, Happened::TableChanged);
        add(!self.loaded && old.loaded && self.table == old.table, Happened::Dropped);
        add(!self.suspended && old.suspended, Happened::Resumed);
        Some(happened)
    }
}

/// What happened to each device between two looks; of the first look nothing is told, or that each is there.
fn compare(before: Option<&Look>, now: &Look, initial: bool) -> Vec<(DeviceNumber, Seen, Happened)> {
    let Some(before) = before else {
        let there = now.iter().filter(|_| initial);
        return there.map(|(dev, seen)| (*dev, seen.clone(), Happened::Present)).collect();
    };
    let mut happened = Vec::new();
    for (dev, old) in before {
        if now.get(dev).is_none_or(|seen| seen.since(old).is_none()) {
            happened.push((*dev, old.clone(), Happened::Removed));
        }
    }
    for (dev, seen) in now {
        match before.get(dev).and_then(|old| seen.since(old)) {
            Some(told) => happened.extend(told.into_iter().map(|what| (*dev, seen.clone(), what))),
            None => happened.push((*dev, seen.clone(), Happened::Created)),
        }
    }
    happened
}

/// A moment as RFC 3339 writes it, in UTC, to the millisecond.
fn moment(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86400, since.as_secs() % 86400);
    // Years that begin in March, so that a leap day is a year's last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}.{:03}Z",
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_that_of_the_calendar() {
        let at = |seconds: u64| moment(SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_795_349_656), "2026-11-22T12:14:16.007Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.007Z");
    }

    fn seen(name: &str) -> Seen {
        Seen { name: name.into(), uuid: Text::new(), event_nr: 0, suspended: false, loaded: false, table: 1 }
    }

    #[test]
    fn two_looks_tell_what_happened_between() {
        let dev = DeviceNumber::new(240, 0);
        let told = |old: Option<Seen>, new: Option<Seen>| -> Vec<Happened> {
            let look = |seen: Option<Seen>| seen.into_iter().map(|seen| (dev, seen)).collect::<Look>();
            compare(Some(&look(old)), &look(new), false).into_iter().map(|(_, _, what)| what).collect()
        };
        let a = seen("a");
        assert_eq!(told(None, Some(a.clone())), [Happened::Created]);
        assert_eq!(told(Some(a.clone()), None), [Happened::Removed]);
        assert_eq!(told(Some(a.clone()), Some(a.clone())), []);
        let b = Seen { event_nr: 2, suspended: true, loaded: true, ..seen("b") };
        let all = [Happened::Renamed("a".into()), Happened::Event(2), Happened::Suspended, Happened::Loaded];
        assert_eq!(told(Some(a.clone()), Some(b.clone())), all);
        let swapped = Seen { event_nr: 2, table: 7, ..seen("b") };
        assert_eq!(told(Some(b.clone()), Some(swapped)), [Happened::TableChanged, Happened::Resumed]);
        let dropped = Seen { loaded: false, ..b.clone() };
        assert_eq!(told(Some(b), Some(dropped)), [Happened::Dropped]);
        // Another device that was given the same number.
        let other = Seen { uuid: "U".into(), ..seen("a") };
        assert_eq!(told(Some(other), Some(a)), [Happened::Removed, Happened::Created]);
    }
}
