//! Random sequences: the same reads, writes, discards, flushes, messages, suspends and reloads on the kernel over its
//! disks and on the mapper over files with the same bytes. After each step both say the same of every device (flags,
//! counters, status, table), each step gives the same data, answer or errno, and at the end the disks hold the same
//! bytes, metadata and all.
//!
//! To add a target, write `sequences/NAME.rs` with a type that implements [`Kind`] (its devices and their tables, most
//! often all that is needed) and a test that calls [`run`], and add its name to the list of modules below. In a table `A`
//! and `B` stand for the disks, of [`DISK_SECTORS`] sectors each, and `@NAME` for another device of the sequence; status
//! and table lines are compared with the same words in them. No two parts of a table may lie on the same sectors: the
//! kernel sends the parts of one request off together, and which comes last is chance. What cannot be equal, since it is a matter of time, is made
//! comparable by [`Kind::comparable`], which says why.
//!
//! `RDMSETUP_SEED=N` plays the sequence that a failure names, and that one alone; `RDMSETUP_SEQUENCES=N` plays that many
//! in place of 200; `RDMSETUP_SEQUENCE_SECONDS=N` ends a run early, which is told. The first seed changes from run to run, but
//! under CI, where a change is to be judged by itself and not by the day's luck.

mod arguments;
mod crossing;
mod delay;
mod dust;
mod flakey;
mod linear;
mod log_writes;
mod mirror;
mod multipath;
mod sides;
mod snapshot;
mod striped;
mod switch;
mod unstriped;

use crate::guest::{self, DISK_A, DISK_B};
use rdmsetup::dm::{Errno, Flags};
use sides::{Given, KernelSide, MapperSide, Side};
use std::env;
use std::time::{Duration, Instant, SystemTime};

/// Sectors of each disk that tables may use: few, so that requests meet and all can be compared.
pub(crate) const DISK_SECTORS: u64 = 1024;

const SEED: &str = "RDMSETUP_SEED";
const COUNT: &str = "RDMSETUP_SEQUENCES";
const SEED_OF_CI: u64 = 1;

/// How many seconds one target's sequences may take, under CI and elsewhere; and of how many seconds one must be played.
const SECONDS: &str = "RDMSETUP_SEQUENCE_SECONDS";
const BUDGETS: (u64, u64) = (15, 100);
const SLOWEST: u64 = 3;

/// How long both sides may take to say the same where a thread of the kernel has work to do.
const PATIENCE: Duration = Duration::from_secs(3);

/// Numbers that look random and are the same for the same seed (splitmix64).
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From `first` to `last`, both included.
    pub(crate) fn within(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True `times` out of `of`.
    pub(crate) fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&self.next().to_le_bytes()[..piece.len()]);
        }
        bytes
    }
}

/// A device of a sequence.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) name: &'static str,
    /// Its first table: lines, with `A`, `B` and `@NAME` for what is under it.
    pub(crate) table: String,
    /// Whether the sequence reads and writes it itself.
    pub(crate) io: bool,
    /// Whether it stays as it is made: neither suspended nor reloaded.
    pub(crate) fixed: bool,
}

impl Device {
    pub(crate) fn new(name: &'static str, table: impl Into<String>) -> Self {
        Self { name, table: table.into(), io: true, fixed: false }
    }

    /// A device that is only there for others to stand on.
    pub(crate) fn below(name: &'static str, table: impl Into<String>) -> Self {
        Self { name, table: table.into(), io: false, fixed: true }
    }
}

/// What is compared of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Events {
    /// Their number.
    Counted,
    /// Whether there was one: the kernel counts what happens while a thread of it waits to tell as one.
    Any,
    /// Their number, where one of both may have told of some more: [`Kind::events_by_chance`].
    About,
}

/// What is compared: a target, or some together.
pub(crate) trait Kind {
    /// The devices, in the order in which they are made.
    fn devices(&self, rng: &mut Rng) -> Vec<Device>;

    /// Another table for that device, for a reload; by default the same again.
    fn reload(&self, _rng: &mut Rng, device: &Device) -> String {
        device.table.clone()
    }

    /// A message for that device: the sector, and the words; by default there are none.
    fn message(&self, _rng: &mut Rng, _device: &Device) -> Option<(u64, String)> {
        None
    }

    /// Puts something on the disks, which are full of random bytes, before the devices are made; by default nothing.
    fn prepare(&self, _disks: &mut [Vec<u8>; 2], _devices: &[Device]) {}

    /// Takes from the disks what cannot be equal at the end; by default nothing.
    fn mask(&self, _disks: &mut [Vec<u8>; 2], _devices: &[Device]) {}

    /// A device's status line, or the line of its flags and counters, without what cannot be equal.
    fn comparable(&self, status: String) -> String {
        status
    }

    /// How the events that both have told of are compared.
    fn events(&self) -> Events {
        Events::Counted
    }

    /// How many events more than the other the kernel and the mapper may have told of, given all that was done.
    fn events_by_chance(&self, _told: &[String]) -> (u32, u32) {
        (0, 0)
    }

    /// Whether some writes are to be on stable storage when they end (FUA), where the target tells those from others.
    fn writes_through(&self) -> bool {
        false
    }

    /// Whether a device with that status, which is not suspended, has no more work to do in the background: both sides are
    /// waited for.
    fn is_settled(&self, _status: &str) -> bool {
        true
    }

    /// Whether it works in the background, and is given the time to end that before the disks are compared.
    fn settles(&self) -> bool {
        false
    }

    /// Whether the mapper's process may end and another go on: what a target learned from messages and failures is lost
    /// where it does not keep it.
    fn restarts(&self) -> bool {
        true
    }

    /// Sectors that one discard or write of zeroes may have: the kernel cuts longer ones as its disk likes it.
    fn longest_discard(&self) -> u64 {
        64
    }
}

/// One step of a sequence; `device` counts from 0, positions and lengths are sectors.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Read {
        device: usize,
        at: u64,
        length: u64,
    },
    Write {
        device: usize,
        at: u64,
        length: u64,
        fill: u64,
    },
    /// A write that is to be on stable storage when it ends, and the flush that the kernel sends behind each such.
    WriteThrough {
        device: usize,
        at: u64,
        length: u64,
        fill: u64,
    },
    Discard {
        device: usize,
        at: u64,
        length: u64,
    },
    Zero {
        device: usize,
        at: u64,
        length: u64,
    },
    Flush {
        device: usize,
    },
    Message {
        device: usize,
        sector: u64,
        words: String,
    },
    Suspend {
        device: usize,
        flags: Flags,
    },
    Resume {
        device: usize,
    },
    Load {
        device: usize,
        table: String,
    },
    Clear {
        device: usize,
    },
    /// The devices are flushed, the mapper's process ends, and the next one goes on from what was saved.
    Restart,
}

/// Plays the sequences of a kind in a guest; `name` is the test's full name.
pub(crate) fn run(name: &str, kind: &dyn Kind) {
    let asked = |variable: &str| env::var(variable).ok().map(|value| value.parse::<u64>().unwrap());
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let is_ci = env::var_os("CI").is_some();
    let any = || if is_ci { SEED_OF_CI } else { u64::try_from(clock() % 1_000_000_000).unwrap() };
    let first = asked(SEED).unwrap_or_else(any);
    let count = asked(COUNT).unwrap_or(if asked(SEED).is_some() { 1 } else { 200 });
    eprintln!("{name}: {count} sequences from seed {first}");
    let usual = if is_ci { BUDGETS.0 } else { BUDGETS.1 };
    let seconds = asked(SECONDS).unwrap_or(usual);
    let settings = [format!("{SEED}={first}"), format!("{COUNT}={count}"), format!("{SECONDS}={seconds}")];
    let [seed, number, time] = settings.each_ref().map(String::as_str);
    let options = ["--env", seed, "--env", number, "--env", time, "--timeout", "180"];
    guest::run_with(name, &options, &[], || {
        let start = Instant::now();
        let done = (first..first + count)
            .take_while(|seed| {
                let in_time = start.elapsed() < Duration::from_secs(seconds);
                if in_time {
                    play(kind, *seed);
                }
                in_time
            })
            .count() as u64;
        eprintln!("{name}: {done} of {count} sequences in {:?}", start.elapsed());
        assert!(done >= count.min(seconds / SLOWEST), "{done} of {count} sequences only, in {seconds} s");
    });
}

/// One sequence: its seed says all of it.
fn play(kind: &dyn Kind, seed: u64) {
    let mut rng = Rng(seed);
    let devices = kind.devices(&mut rng);
    let mut disks = [DISK_A, DISK_B].map(|_| rng.bytes(usize::try_from(DISK_SECTORS * 512).unwrap()));
    kind.prepare(&mut disks, &devices);
    let mut sides: [Box<dyn Side>; 2] =
        [Box::new(KernelSide::new(&disks)), Box::new(MapperSide::new(&disks))];
    eprintln!("seed {seed}");
    let is_replay = env::var(COUNT).is_ok_and(|count| count == "1");
    let mut told = vec![format!("seed {seed}: {devices:#?}")];
    for side in &mut sides {
        side.make(&devices);
    }
    agree(kind, &mut sides, &told);
    let mut suspended = vec![false; devices.len()];
    for _ in 0..rng.within(10, 50) {
        let Some(step) = next(kind, &mut rng, &devices, &suspended, sides[1].as_ref()) else { continue };
        told.push(format!("{step:?}"));
        if is_replay {
            // A step that does not end is the last one shown.
            eprintln!("{step:?}");
        }
        let [theirs, ours] = &mut sides;
        let expected = theirs.perform(&step);
        if matches!(step, Step::Discard { .. }) && expected == Err(Errno::EOPNOTSUPP) {
            // The kernel's device discards nothing when one of its lines cannot; the mapper judges line by line.
            continue;
        }
        let given = ours.perform(&step);
        if expected != given {
            panic!("{}\n{}", told.join("\n"), difference(&expected, &given));
        }
        agree(kind, &mut sides, &told);
        // A resume that fails leaves a device suspended that was not, where it came as far as to swap the table.
        if let Step::Suspend { device, .. } | Step::Resume { device } = step {
            suspended[device] = sides[1].is_suspended(device);
        }
    }
    told.push("the end".into());
    for (device, _) in suspended.iter().enumerate().filter(|(_, suspended)| kind.settles() && **suspended) {
        let [expected, given] = sides.each_mut().map(|side| side.perform(&Step::Resume { device }));
        assert_eq!(expected, given, "{}", told.join("\n"));
    }
    agree(kind, &mut sides, &told);
    let [theirs, ours] = &mut sides;
    let (mut expected, mut given) = (theirs.end(), ours.end());
    kind.mask(&mut expected, &devices);
    kind.mask(&mut given, &devices);
    for (disk, (expected, given)) in ["A", "B"].iter().zip(expected.iter().zip(&given)) {
        if expected != given {
            let (expected, given) = (Ok(expected.clone()), Ok(given.clone()));
            panic!("{}\ndisk {disk}: {}", told.join("\n"), difference(&expected, &given));
        }
    }
}

/// What comes next, if it can be done now.
fn next(
    kind: &dyn Kind,
    rng: &mut Rng,
    devices: &[Device],
    suspended: &[bool],
    side: &dyn Side,
) -> Option<Step> {
    let device = usize::try_from(rng.below(devices.len() as u64)).unwrap();
    // A request for a device above one that is suspended waits too.
    let size = side.sectors(device);
    let can_wait = suspended.contains(&true) || !devices[device].io || size == 0;
    let range = |rng: &mut Rng, longest: u64| {
        let at = rng.below(size.max(1));
        (at, rng.within(1, longest.min(size - at).max(1)))
    };
    let long = if rng.chance(1, 4) { 128 } else { 16 };
    match rng.below(100) {
        0..70 if can_wait => None,
        84.. if devices[device].fixed => None,
        0..22 => range(rng, long).map_into(|(at, length)| Step::Read { device, at, length }),
        22..50 => {
            let fill = rng.next();
            let is_through = kind.writes_through() && rng.chance(1, 4);
            range(rng, long).map_into(|(at, length)| match is_through {
                true => Step::WriteThrough { device, at, length, fill },
                false => Step::Write { device, at, length, fill },
            })
        }
        50..58 => {
            range(rng, kind.longest_discard()).map_into(|(at, length)| Step::Discard { device, at, length })
        }
        58..62 => {
            range(rng, kind.longest_discard()).map_into(|(at, length)| Step::Zero { device, at, length })
        }
        62..70 => Some(Step::Flush { device }),
        70..84 => {
            let (sector, words) = kind.message(rng, &devices[device])?;
            Some(Step::Message { device, sector, words })
        }
        84..88 => {
            // The mapper's suspend flushes the disks, which waits for a device below that is suspended.
            let quick = rng.chance(1, 3) || suspended.contains(&true);
            let flags = if quick { Flags::NOFLUSH | Flags::SKIP_LOCKFS } else { Flags::NONE };
            Some(Step::Suspend { device, flags })
        }
        88..94 => Some(Step::Resume { device }),
        94..97 => Some(Step::Load { device, table: kind.reload(rng, &devices[device]) }),
        97 => Some(Step::Clear { device }),
        _ => (kind.restarts() && !suspended.contains(&true)).then_some(Step::Restart),
    }
}

/// So that a range becomes a step on one line.
trait MapInto: Sized {
    fn map_into<T>(self, into: impl FnOnce(Self) -> T) -> Option<T> {
        Some(into(self))
    }
}

impl MapInto for (u64, u64) {}

/// Both sides say the same of every device, at once or after a while.
fn agree(kind: &dyn Kind, sides: &mut [Box<dyn Side>; 2], told: &[String]) {
    let start = Instant::now();
    loop {
        let [expected, given] = sides.each_mut().map(|side| side.look(kind));
        let (more_there, more_here) = kind.events_by_chance(told);
        let is_so =
            |(theirs, ours): (&u32, &u32)| *theirs <= ours + more_there && *ours <= theirs + more_here;
        let missed = kind.events() == Events::About && !expected.events.iter().zip(&given.events).all(is_so);
        if expected.said == given.said && expected.is_settled && given.is_settled && !missed {
            return;
        }
        if start.elapsed() > PATIENCE {
            panic!(
                "{}\nkernel, events {:?}:\n{}mapper, events {:?}:\n{}",
                told.join("\n"),
                expected.events,
                expected.said,
                given.events,
                given.said
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Where two results part.
fn difference(expected: &Given, given: &Given) -> String {
    let (Ok(theirs), Ok(ours)) = (expected, given) else {
        let short = |result: &Given| match result {
            Ok(bytes) => format!("{} bytes, {}", bytes.len(), bytes[..bytes.len().min(80)].escape_ascii()),
            Err(errno) => format!("{errno:?}"),
        };
        return format!("kernel {}\nmapper {}", short(expected), short(given));
    };
    let at = theirs.iter().zip(ours).position(|(theirs, ours)| theirs != ours);
    let at = at.unwrap_or(theirs.len().min(ours.len()));
    let part = |bytes: &[u8]| format!("{}", bytes[at..bytes.len().min(at + 64)].escape_ascii());
    format!(
        "{} and {} bytes, which part at byte {at} (sector {}):\nkernel {}\nmapper {}",
        theirs.len(),
        ours.len(),
        at / 512,
        part(theirs),
        part(ours)
    )
}
