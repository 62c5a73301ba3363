//! `flakey`: a device that is up for some seconds and then down for some, with what goes wrong meanwhile.

use super::texts::{EMPTY, Kind, Part, Texts, one};
use super::{Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::{BlockDevice, Pdev};
use crate::dm::{Bytes, Errno, Fault, Role, Sectors, Text, Use, Version, roles};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

mod features;

use features::Features;

#[derive(Debug)]
struct Flakey {
    pdev: Arc<Pdev>,
    offset: Sectors,
    length: Sectors,
    /// Seconds that it is up, and then down, from the loading of its table on.
    up: u32,
    down: u32,
    loaded: Loaded,
    features: Features,
}

/// When the table was loaded.
#[derive(Debug)]
struct Loaded {
    /// Milliseconds since 1970 by the clock, which another process understands too.
    at: u64,
    /// How long ago that was, by the same clock, at an instant that nobody sets.
    before: Duration,
    since: Instant,
}

impl Loaded {
    /// When `memory` says, or now.
    fn remembered(memory: &Text) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let at = memory.to_string().parse().unwrap_or(now);
        Self { at, before: Duration::from_millis(now.saturating_sub(at)), since: Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        self.before + self.since.elapsed()
    }
}

// In the kernel's order, so that what is wrong twice has its errno. Words behind the features are no fault to it.
fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    init.at_least(4)?;
    let offset = init.sectors(1)?;
    let up = init.within(2, 0..=u32::MAX, "seconds")?;
    let down = init.within(3, 0..=u32::MAX, "seconds")?;
    if up.checked_add(down).is_none_or(|both| both == 0) {
        let wrong = format!("{up} and {down} seconds: together they must be above 0 and below 2^32");
        return Err(init.refuse(3, &wrong));
    }
    let features = Features::parse(init)?;
    let (loaded, length) = (Loaded::remembered(init.memory), init.length);
    Ok(Box::new(Flakey { pdev: init.pdev(0)?, offset, length, up, down, loaded, features }))
}

impl Flakey {
    fn is_down(&self) -> bool {
        let cycle = u64::from(self.up) + u64::from(self.down);
        self.loaded.elapsed().as_secs().checked_rem(cycle).is_some_and(|second| second >= self.up.into())
    }

    fn place(&self, sector: Sectors) -> Option<Sectors> {
        self.offset.checked_add(sector)
    }

    fn at(&self, sector: Sectors) -> Result<Bytes, Errno> {
        self.place(sector).and_then(Sectors::to_bytes).ok_or(Errno::EIO)
    }
}

impl Target for Flakey {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let Some(place) = self.place(sector) else { return Mapping::Fail { errno: Errno::EIO, length } };
        if self.is_down() {
            let features = &self.features;
            if features.fails(operation) {
                return Mapping::Fail { errno: Errno::EIO, length };
            }
            if features.drops(operation) {
                return Mapping::Zero { length };
            }
            if features.may_corrupt(operation) {
                return Mapping::Handle { length };
            }
        }
        Mapping::Remap { pdev: &self.pdev, sector: place, length }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let text = format!(" {} {} {} {}", self.offset, self.up, self.down, self.features);
        [name(&self.pdev).as_bytes(), text.as_bytes()].concat().into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        vec![Used { pdev: &self.pdev, start: self.offset, length: self.length }]
    }

    /// A flush is a write: refused where writes are.
    fn flush_asked(&self) -> Result<(), Errno> {
        if self.is_down() && self.features.fails(Operation::Write) { Err(Errno::EIO) } else { Ok(()) }
    }

    fn memory(&self) -> Text {
        self.loaded.at.to_string().into()
    }

    fn read(&self, sector: Sectors, buffer: &mut [u8]) -> Result<(), Errno> {
        self.pdev.read_at(buffer, self.at(sector)?)?;
        self.features.corrupt(Operation::Read, buffer);
        Ok(())
    }

    fn write(&self, sector: Sectors, data: &[u8]) -> Result<(), Errno> {
        let mut data = data.to_vec();
        self.features.corrupt(Operation::Write, &mut data);
        self.pdev.write_at(&data, self.at(sector)?)
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "flakey",
    version: Version::new(1, 5, 0),
    usage: "DEVICE SECTOR UP DOWN [COUNT FEATURE...]",
    help: "Maps to DEVICE from SECTOR on for UP seconds, fails for DOWN seconds, and so on, from the loading of the table. \
           Features, COUNT words of them, say what goes wrong meanwhile in place of all: error_reads, drop_writes, \
           error_writes, corrupt_bio_byte NTH r|w VALUE FLAGS (the byte counted from 1 of each request that has the flags \
           of the kernel's bio), random_read_corrupt and random_write_corrupt PROBABILITY (of 1000000000).",
    roles: |words| roles(words, &[Role::Device(Use::Whole), Role::Offset], &[]),
    example: "0 2097152 flakey /dev/sdb 0 60 5 2 error_reads drop_writes",
    rewords: false,
    texts: Texts {
        table: &[
            one("device", Kind::Device, "the device under it"),
            one("offset_bytes", Kind::Sectors, "where on the device it begins"),
            one("up_seconds", Kind::Number, "how long it works"),
            one("down_seconds", Kind::Number, "how long it fails then"),
            Part::Maybe(&[Part::Count("features"), Part::Within("features", features::FORM)]),
        ],
        status: EMPTY,
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;

    const OPERATIONS: [Operation; 4] =
        [Operation::Read, Operation::Write, Operation::Discard, Operation::WriteZeroes];

    /// What becomes of each operation while a device with those features is down: Pass, Fail, Drop, Handle.
    fn down(features: &str) -> String {
        let target = make(&format!("0 8 flakey 7:0 8 0 60 {features}")).unwrap();
        let letter = |operation| match target.strategy(operation, Sectors(1), Sectors(7)) {
            Mapping::Remap { sector: Sectors(9), .. } => 'P',
            Mapping::Remap { .. } => '?',
            Mapping::Fail { errno, .. } if errno == Errno::EIO => 'F',
            Mapping::Fail { .. } => '?',
            Mapping::Zero { .. } => 'D',
            Mapping::Handle { .. } => 'H',
        };
        let flush = if target.flush_asked().is_ok() { 'P' } else { 'F' };
        OPERATIONS.map(letter).into_iter().chain([flush]).collect()
    }

    #[test]
    fn features_say_what_goes_wrong() {
        for (features, expected) in [
            ("", "FFFFF"),
            ("0", "FFFFF"),
            ("1 drop_writes", "PDDDP"),
            ("1 ERROR_writes", "PFFFF"),
            ("1 error_reads", "FPPPP"),
            ("2 error_reads drop_writes", "FDDDP"),
            ("5 corrupt_bio_byte 3 r 1 0", "HPPPP"),
            ("5 corrupt_bio_byte 3 w 1 0", "PHPPP"),
            ("6 drop_writes corrupt_bio_byte 3 r 1 0", "HDDDP"),
            ("2 random_write_corrupt 5", "PHPPP"),
            ("4 random_read_corrupt 5 random_write_corrupt 5", "HHPPP"),
        ] {
            assert_eq!(down(features), expected, "{features}");
        }
        let up = make("0 8 flakey 7:0 8 60 1").unwrap();
        assert!(OPERATIONS.iter().all(|operation| matches!(
            up.strategy(*operation, Sectors(0), Sectors(8)),
            Mapping::Remap { sector: Sectors(8), .. }
        )));
    }

    #[test]
    fn seconds_count_from_the_loading_of_the_table() {
        let (loaded, now) = (Loaded::remembered(&"1000".into()), Loaded::remembered(&Text::new()));
        assert!(loaded.at == 1000 && loaded.elapsed() > Duration::from_secs(1_000_000_000));
        assert!(now.elapsed() < Duration::from_secs(100));
        assert_eq!(Loaded::remembered(&now.at.to_string().into()).at, now.at);
    }

    #[test]
    fn text_is_that_of_the_first_kernel_that_knows_the_features() {
        let text = |params: &str| make(&format!("0 8 flakey {params}")).unwrap().params(&numbers).to_string();
        assert_eq!(text("7:0 0 1 2"), "7:0 0 1 2 0 ");
        assert_eq!(text("7:0 0 1 2 0 more words"), "7:0 0 1 2 0 ");
        assert_eq!(text("7:0 0 1 2 1 Drop_Writes"), "7:0 0 1 2 1 drop_writes ");
        let both = "7:0 0 1 2 6 error_writes corrupt_bio_byte 3 r 255 4 ";
        assert_eq!(text("7:0 0 1 2 6 corrupt_bio_byte 3 R 255 4 error_writes"), both);
        for new in ["7:0 0 1 2 1 error_reads", "7:0 0 1 2 3 drop_writes random_read_corrupt 1000000000"] {
            assert_eq!(text(new), new);
        }
    }

    #[test]
    fn refusals_are_the_kernels_in_its_order() {
        for (params, errno, at) in [
            ("no 0 1", Errno::EINVAL, 3),
            ("no x 1 1", Errno::EINVAL, 1),
            ("no 0 +1 1", Errno::EINVAL, 2),
            ("no 0 0 0", Errno::EINVAL, 3),
            ("no 0 1 4294967295", Errno::EINVAL, 3),
            ("no 0 1 1 x", Errno::EINVAL, 4),
            ("no 0 1 1 12", Errno::EINVAL, 4),
            ("no 0 1 1 1", Errno::EINVAL, 5),
            ("no 0 1 1 1 nonesuch", Errno::EINVAL, 5),
            ("no 0 1 1 2 drop_writes drop_writes", Errno::EINVAL, 6),
            ("no 0 1 1 2 drop_writes error_writes", Errno::EINVAL, 6),
            ("no 0 1 1 2 error_writes drop_writes", Errno::EINVAL, 6),
            ("no 0 1 1 4 corrupt_bio_byte 1 r 1", Errno::EINVAL, 5),
            ("no 0 1 1 4 corrupt_bio_byte 1 r 1 0", Errno::EINVAL, 5),
            ("no 0 1 1 5 corrupt_bio_byte 0 r 1 0", Errno::EINVAL, 6),
            ("no 0 1 1 5 corrupt_bio_byte 1 x 1 0", Errno::EINVAL, 7),
            ("no 0 1 1 5 corrupt_bio_byte 1 r 256 0", Errno::EINVAL, 8),
            ("no 0 1 1 5 corrupt_bio_byte 1 r 1 -1", Errno::EINVAL, 9),
            ("no 0 1 1 6 drop_writes corrupt_bio_byte 1 w 1 0", Errno::EINVAL, 4),
            ("no 0 1 1 3 error_writes random_write_corrupt 1", Errno::EINVAL, 4),
            ("no 0 1 1 3 error_reads random_read_corrupt 1", Errno::EINVAL, 4),
            ("no 0 1 1 2 random_read_corrupt 1000000001", Errno::EINVAL, 6),
            ("no 0 1 1 1 random_read_corrupt", Errno::EINVAL, 5),
            ("no 0 1 1", Errno::ENODEV, 0),
        ] {
            let fault = make(&format!("0 8 flakey {params}")).expect_err(params);
            assert_eq!((fault.errno, fault.argument), (errno, Some(at)), "{params}");
        }
    }
}
