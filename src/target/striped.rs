//! `striped`: chunks dealt out to several devices in turn (RAID 0).

use super::texts::{Kind, Part, Texts, one, word};
use super::{Ended, Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::Pdev;
use crate::dm::{Errno, Fault, Role, Sectors, Text, Use, Version, roles};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Errors of one stripe that are no longer events, so that a dead disk does not keep waiters awake.
const EVENT_ERRORS: u32 = 15;

#[derive(Debug)]
struct Striped {
    /// One for each device argument, in their order; as many as a table line has room for.
    stripes: Vec<Stripe>,
    /// Sectors of a chunk.
    chunk: NonZeroU32,
    /// Sectors of each stripe, whole chunks.
    width: Sectors,
}

#[derive(Debug)]
struct Stripe {
    pdev: Arc<Pdev>,
    /// Where on `pdev` the stripe's first sector is.
    offset: Sectors,
    errors: AtomicU32,
}

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    // The order of these checks is the kernel's: it decides which errno a line that is wrong twice has.
    init.at_least(2)?;
    let above_zero = |count: u32, index: usize, what: &str| {
        NonZeroU32::new(count).ok_or_else(|| init.refuse(index, &format!("{what} must be above 0")))
    };
    let count = above_zero(init.count(0, "stripes")?, 0, "the number of stripes")?;
    let chunk = above_zero(init.count(1, "sectors")?, 1, "the chunk size")?;
    let width = divided(init, count, chunk)?;
    refuse_miscounted(init, count)?;
    let mut stripes = Vec::new();
    let memory = init.memory.to_string();
    let mut errors = memory.split(' ').map(|word| word.parse().unwrap_or(0));
    for index in (2..init.arguments.len()).step_by(2) {
        let offset = init.sectors(index + 1)?;
        let errors = AtomicU32::new(errors.next().unwrap_or(0));
        stripes.push(Stripe { pdev: init.pdev(index)?, offset, errors });
    }
    Ok(Box::new(Striped { stripes, chunk, width }))
}

/// How many sectors of the line each stripe gets: EINVAL unless that is whole chunks.
fn divided(init: &Init<'_>, count: NonZeroU32, chunk: NonZeroU32) -> Result<Sectors, Fault> {
    let (length, count, chunk) = (init.length.0, u64::from(count.get()), u64::from(chunk.get()));
    if !length.is_multiple_of(count) {
        let wrong = format!("the line's {length} sectors cannot be shared evenly by {count} stripes");
        return Err(init.refuse(0, &wrong));
    }
    let width = length / count;
    if !width.is_multiple_of(chunk) {
        let wrong = format!("the {width} sectors of a stripe are not whole chunks of {chunk} sectors");
        return Err(init.refuse(1, &wrong));
    }
    Ok(Sectors(width))
}

/// EINVAL unless each stripe has its two arguments.
fn refuse_miscounted(init: &Init<'_>, count: NonZeroU32) -> Result<(), Fault> {
    let (given, wanted) = (init.arguments.len() as u64, 2 + 2 * u64::from(count.get()));
    if given == wanted {
        return Ok(());
    }
    let (given_places, wanted_places) = (given.saturating_sub(2), wanted - 2);
    let wrong = format!(
        "the number of stripes, {count}, calls for {wanted_places} arguments DEVICE SECTOR..., not {given_places}"
    );
    Err(init.refuse(usize::try_from(wanted.min(given)).unwrap_or(usize::MAX), &wrong))
}

impl Target for Striped {
    fn strategy(&self, _operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        let (chunk, stripes) = (u64::from(self.chunk.get()), self.stripes.len() as u64);
        let (number, within) = (sector.0 / chunk, sector.0 % chunk);
        let length = Sectors(length.0.min(chunk - within));
        let stripe = usize::try_from(number % stripes).ok().and_then(|index| self.stripes.get(index));
        // No product here exceeds `sector`; only the offset can lead past 2^64.
        let place = Sectors(number / stripes * chunk + within);
        match stripe.and_then(|stripe| Some((stripe, stripe.offset.checked_add(place)?))) {
            Some((stripe, sector)) => Mapping::Remap { pdev: &stripe.pdev, sector, length },
            None => Mapping::Fail { errno: Errno::EIO, length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let mut text = format!("{} {}", self.stripes.len(), self.chunk).into_bytes();
        for Stripe { pdev, offset, .. } in &self.stripes {
            text.extend([b" ", name(pdev).as_bytes(), format!(" {offset}").as_bytes()].concat());
        }
        text.into()
    }

    /// The number of stripes, their devices, and a letter for each: `A` alive, `D` one that has had an error.
    fn status(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let mut text = format!("{} ", self.stripes.len()).into_bytes();
        for stripe in &self.stripes {
            text.extend([name(&stripe.pdev).as_bytes(), b" "].concat());
        }
        text.extend(b"1 ");
        text.extend(self.stripes.iter().map(|stripe| match stripe.errors.load(Ordering::Relaxed) {
            0 => b'A',
            _ => b'D',
        }));
        text.into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        self.stripes
            .iter()
            .map(|stripe| Used { pdev: &stripe.pdev, start: stripe.offset, length: self.width })
            .collect()
    }

    /// The errors of each stripe, once there are any.
    fn memory(&self) -> Text {
        let errors: Vec<u32> =
            self.stripes.iter().map(|stripe| stripe.errors.load(Ordering::Relaxed)).collect();
        if errors.iter().all(|errors| *errors == 0) {
            return Text::new();
        }
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into()
    }

    fn end_io(&self, pdev: &Pdev, errno: Errno) -> Ended {
        // A disk that cannot discard is not a broken one.
        if errno == Errno::EOPNOTSUPP {
            return Ended::Failed;
        }
        let mut event = false;
        for stripe in self.stripes.iter().filter(|stripe| stripe.pdev.number() == pdev.number()) {
            let more = |errors: u32| errors.checked_add(1);
            let before = stripe.errors.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
            event |= before.is_ok_and(|before| before + 1 < EVENT_ERRORS);
        }
        if event { Ended::Event } else { Ended::Failed }
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "striped",
    version: Version::new(1, 6, 0),
    usage: "STRIPES CHUNK DEVICE SECTOR...",
    help: "Deals the line's sectors, CHUNK at a time, to STRIPES devices in turn, so that they work side by side; \
           each DEVICE is used from its SECTOR on. The line's length must be a multiple of STRIPES times CHUNK.",
    roles: |words| {
        let stripes = words.first().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        let share = Role::Device(Use::Share(stripes.unwrap_or(1)));
        roles(words, &[Role::Plain, Role::Sectors], &[share, Role::Offset])
    },
    example: "0 2097152 striped 2 128 /dev/sdb 0 /dev/sdc 384",
    rewords: false,
    texts: Texts {
        table: &[
            Part::Count("stripes"),
            one("chunk_bytes", Kind::Sectors, "how much goes to one device before the next has its turn"),
            Part::Each(
                "stripes",
                "the devices in turn",
                Some("stripes"),
                &[
                    one("device", Kind::Device, "the device"),
                    one("offset_bytes", Kind::Sectors, "where on the device it begins"),
                ],
            ),
        ],
        status: &[
            Part::Count("stripes"),
            Part::Many(word("devices", Kind::Device, "the devices in turn"), "stripes"),
            Part::Fixed("1"),
            Part::Letters("health", "for each device A, alive, or D, has had an error"),
        ],
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;
    use arbtest::arbtest;
    use std::collections::HashSet;

    fn striped(length: u64, stripes: u64, chunk: u64, offset: u64) -> Box<dyn Target> {
        let devices: Vec<String> = (0..stripes).map(|stripe| format!("7:{stripe} {offset}")).collect();
        make(&format!("0 {length} striped {stripes} {chunk} {}", devices.join(" "))).unwrap()
    }

    /// Each sector's device and place there, found by dealing them out one by one.
    fn dealt(length: u64, stripes: u32, chunk: u64, offset: u64) -> Vec<(u32, u64)> {
        let mut next = vec![offset; stripes as usize];
        let mut places = Vec::new();
        for stripe in (0..stripes).cycle() {
            for _ in 0..chunk {
                if places.len() as u64 == length {
                    return places;
                }
                places.push((stripe, next[stripe as usize]));
                next[stripe as usize] += 1;
            }
        }
        places
    }

    #[test]
    fn the_mapping_is_that_of_dealing_cards() {
        arbtest(|u| {
            let (stripes, chunk): (u32, u64) = (u.int_in_range(1..=5)?, u.int_in_range(1..=9)?);
            let length = u64::from(stripes) * chunk * u.int_in_range(1..=6)?;
            let offset = u.int_in_range(0..=100)?;
            let target = striped(length, stripes.into(), chunk, offset);
            let expected = dealt(length, stripes, chunk, offset);
            let (mut at, mut found) = (0, Vec::new());
            while at < length {
                let asked = u.int_in_range(1..=length - at)?;
                let Mapping::Remap { pdev, sector, length: run } =
                    target.strategy(Operation::Read, Sectors(at), Sectors(asked))
                else {
                    panic!("sector {at} is not mapped")
                };
                assert!((1..=asked).contains(&run.0));
                found.extend((0..run.0).map(|step| (pdev.number().minor, sector.0 + step)));
                at += run.0;
            }
            assert_eq!(found, expected);
            assert_eq!(found.iter().collect::<HashSet<_>>().len() as u64, length, "two sectors in one place");
            Ok(())
        });
    }

    #[test]
    fn text_is_the_kernels() {
        let target = striped(8, 2, 4, 0);
        assert_eq!(target.params(&numbers), "2 4 7:0 0 7:1 0");
        assert_eq!(target.status(&numbers), "2 7:0 7:1 1 AA");
        assert_eq!(make("0 8 striped +2 +4 7:0 0 7:1 0").unwrap().params(&numbers), "2 4 7:0 0 7:1 0");
        let used: Vec<_> =
            target.pdevs().iter().map(|used| (used.pdev.number().minor, used.length.0)).collect();
        assert_eq!(used, [(0, 4), (1, 4)]);
    }

    #[test]
    fn an_error_marks_every_stripe_on_that_device_and_is_an_event_fourteen_times() {
        let target = make("0 12 striped 3 4 7:0 0 7:1 0 7:0 4").unwrap();
        let bad = Arc::clone(target.pdevs()[0].pdev);
        assert_eq!(target.end_io(&bad, Errno::EOPNOTSUPP), Ended::Failed);
        assert_eq!(target.status(&numbers), "3 7:0 7:1 7:0 1 AAA");
        assert_eq!(target.memory(), "");
        let events = (0..20).filter(|_| target.end_io(&bad, Errno::EIO) == Ended::Event).count();
        assert_eq!((events, target.status(&numbers)), (14, "3 7:0 7:1 7:0 1 DAD".into()));
        assert_eq!(target.memory(), "20 0 20");
    }

    #[test]
    fn refusals_are_the_kernels_in_its_order() {
        let refusal = |line: &str| {
            let fault = make(line).expect_err(line);
            (fault.errno, fault.argument.unwrap(), fault.reason.strip_prefix("striped").unwrap().to_owned())
        };
        let invalid = |at, reason: &str| (Errno::EINVAL, at, String::from(reason));
        assert_eq!(
            refusal("0 8 striped"),
            invalid(0, " takes 2 or more arguments, STRIPES CHUNK DEVICE SECTOR..., not 0")
        );
        assert_eq!(refusal("0 8 striped 0 4"), invalid(0, ": the number of stripes must be above 0"));
        assert_eq!(refusal("0 8 striped 2x 0"), invalid(0, ": \"2x\" is not a number of stripes"));
        assert_eq!(
            refusal("0 8 striped 4294967296 1"),
            invalid(0, ": 4294967296 is too large a number of stripes")
        );
        assert_eq!(refusal("0 9 striped 2 0"), invalid(1, ": the chunk size must be above 0"));
        assert_eq!(
            refusal("0 9 striped 2 3"),
            invalid(0, ": the line's 9 sectors cannot be shared evenly by 2 stripes")
        );
        assert_eq!(
            refusal("0 8 striped 2 3"),
            invalid(1, ": the 4 sectors of a stripe are not whole chunks of 3 sectors")
        );
        assert_eq!(
            refusal("0 8 striped 2 4 nope x"),
            invalid(4, ": the number of stripes, 2, calls for 4 arguments DEVICE SECTOR..., not 2")
        );
        assert_eq!(refusal("0 8 striped 2 4 nope x 7:0 0"), invalid(3, ": \"x\" is not a number of sectors"));
        // A device that is not there comes before a later stripe's bad number.
        assert_eq!(refusal("0 8 striped 2 4 nope 0 7:0 x").0, Errno::ENODEV);
    }

    #[test]
    fn the_largest_number_of_stripes_is_counted_without_room_for_them() {
        let fault = make("0 4294967295 striped 4294967295 1 7:0 0").unwrap_err();
        assert_eq!(
            fault.reason,
            "striped: the number of stripes, 4294967295, calls for 8589934590 arguments DEVICE SECTOR..., not 2"
        );
        // 2 + 2 * 2^31 is 2 in 32 bits, where the kernel counts.
        assert_eq!(make("0 4294967296 striped 2147483648 1").unwrap_err().argument, Some(2));
    }

    #[test]
    fn positions_near_the_last_of_all_do_not_wrap() {
        let target = striped(u64::MAX - 1, 2, 1, u64::MAX - 1);
        let answer = |sector| target.strategy(Operation::Read, Sectors(sector), Sectors(1));
        assert!(matches!(answer(3), Mapping::Remap { sector: Sectors(u64::MAX), .. }));
        assert!(matches!(answer(4), Mapping::Fail { errno: Errno::EIO, .. }));
        assert!(matches!(answer(u64::MAX - 2), Mapping::Fail { errno: Errno::EIO, .. }));
    }
}
