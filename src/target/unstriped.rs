//! `unstriped`: one of the disks that a striped device is dealt to.

use super::texts::{EMPTY, Kind, Texts, one};
use super::{Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::Pdev;
use crate::dm::{Errno, Fault, Role, Sectors, Text, Use, Version, roles};
use std::num::NonZeroU32;
use std::sync::Arc;

#[derive(Debug)]
struct Unstriped {
    stripes: NonZeroU32,
    chunk: NonZeroU32,
    /// Which of the stripes.
    stripe: u32,
    pdev: Arc<Pdev>,
    offset: Sectors,
    length: Sectors,
}

// In the kernel's order; all of its refusals are EINVAL, that of a missing device too.
fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    init.exactly(5)?;
    let above_zero = |index, unit, what: &str| {
        let number = NonZeroU32::new(init.count(index, unit)?);
        number.ok_or_else(|| init.refuse(index, &format!("the {what} must be above 0")))
    };
    let stripes = above_zero(0, "stripes", "number of stripes")?;
    let chunk = above_zero(1, "sectors", "chunk size")?;
    let stripe = init.count(2, "stripe, counted from 0,")?;
    // The kernel's own check, which lets one too many pass.
    if stripe > stripes.get() && stripes.get() > 1 {
        return Err(init.refuse(2, &format!("there is no stripe {stripe} among {stripes}")));
    }
    let pdev = init.pdev_or_invalid(3)?;
    let offset = init.sectors(4)?;
    let length = init.length;
    if !length.0.is_multiple_of(chunk.get().into()) {
        let wrong = format!("the line's {length} sectors are not whole chunks of {chunk} sectors");
        return Err(init.refuse(1, &wrong));
    }
    Ok(Box::new(Unstriped { stripes, chunk, stripe, pdev, offset, length }))
}

impl Unstriped {
    /// Where on the striped device a sector of the line is; `None` past 2^64.
    fn place(&self, sector: Sectors) -> Option<Sectors> {
        let (stripes, chunk) = (u64::from(self.stripes.get()), u64::from(self.chunk.get()));
        let others_before = (sector.0 / chunk).checked_mul((stripes - 1) * chunk)?;
        let first = self.offset.checked_add(Sectors(u64::from(self.stripe) * chunk))?;
        first.checked_add(sector)?.checked_add(Sectors(others_before))
    }
}

impl Target for Unstriped {
    fn strategy(&self, operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        if operation == Operation::Discard {
            // The kernel's does not discard.
            return Mapping::Fail { errno: Errno::EOPNOTSUPP, length };
        }
        let chunk = u64::from(self.chunk.get());
        let length = Sectors(length.0.min(chunk - sector.0 % chunk));
        // What the line is said to use is its own length, so the end of the disk is to be watched here.
        let fits = |place: &Sectors| place.checked_add(length).is_some_and(|end| end <= self.pdev.sectors());
        match self.place(sector).filter(fits) {
            Some(sector) => Mapping::Remap { pdev: &self.pdev, sector, length },
            None => Mapping::Fail { errno: Errno::EIO, length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        let mut text = format!("{} {} {} ", self.stripes, self.chunk, self.stripe).into_bytes();
        text.extend([name(&self.pdev).as_bytes(), format!(" {}", self.offset).as_bytes()].concat());
        text.into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        vec![Used { pdev: &self.pdev, start: self.offset, length: self.length }]
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "unstriped",
    version: Version::new(1, 1, 0),
    usage: "STRIPES CHUNK STRIPE DEVICE SECTOR",
    help: "Undoes striping: of DEVICE, which is dealt CHUNK sectors at a time to STRIPES disks from its SECTOR on, maps \
           what lies on the disk STRIPE, counted from 0. The line's length must be a multiple of CHUNK. It does not \
           discard.",
    roles: |words| {
        let stripes = words.first().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        let set = Role::Device(Use::Times(stripes.unwrap_or(1)));
        roles(words, &[Role::Plain, Role::Sectors, Role::Plain, set, Role::Offset], &[])
    },
    example: "0 2097152 unstriped 2 128 1 /dev/sdb 0",
    rewords: false,
    texts: Texts {
        table: &[
            one("stripe_count", Kind::Number, "how many disks the device is dealt to"),
            one("chunk_bytes", Kind::Sectors, "how much goes to one disk before the next has its turn"),
            one("stripe", Kind::Number, "which of the disks it is, from 0"),
            one("device", Kind::Device, "the striped device"),
            one("offset_bytes", Kind::Sectors, "where on the device it begins"),
        ],
        status: EMPTY,
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;

    #[test]
    fn each_stripe_has_every_so_many_chunks() {
        let target = Unstriped {
            stripes: NonZeroU32::new(3).unwrap(),
            chunk: NonZeroU32::new(4).unwrap(),
            stripe: 1,
            pdev: Arc::clone(make("0 8 linear 7:0 0").unwrap().pdevs()[0].pdev),
            offset: Sectors(100),
            length: Sectors(12),
        };
        let places: Vec<u64> = (0..9).map(|sector| target.place(Sectors(sector)).unwrap().0).collect();
        assert_eq!(places, [104, 105, 106, 107, 116, 117, 118, 119, 128]);
        assert_eq!(target.params(&numbers), "3 4 1 7:0 100");
        assert_eq!(target.place(Sectors(u64::MAX)), None);
    }

    #[test]
    fn what_is_behind_the_disk_fails_and_nothing_is_discarded() {
        // A disk of no sectors.
        let target = make("0 8 unstriped 2 8 0 7:0 0").unwrap();
        let answer = |operation| target.strategy(operation, Sectors(0), Sectors(8));
        assert!(matches!(answer(Operation::Write), Mapping::Fail { errno: Errno::EIO, .. }));
        assert!(matches!(answer(Operation::Discard), Mapping::Fail { errno: Errno::EOPNOTSUPP, .. }));
    }

    #[test]
    fn refusals_are_the_kernels_in_its_order() {
        let refusal = |line: &str| {
            let fault = make(line).expect_err(line);
            assert_eq!(fault.errno, Errno::EINVAL);
            (fault.argument.unwrap(), fault.reason.strip_prefix("unstriped").unwrap().to_owned())
        };
        assert_eq!(refusal("0 8 unstriped 0 x").0, 2);
        assert_eq!(
            refusal("0 8 unstriped 0 0 0 no x"),
            (0, ": the number of stripes must be above 0".into())
        );
        assert_eq!(refusal("0 8 unstriped 2 0 0 no x"), (1, ": the chunk size must be above 0".into()));
        assert_eq!(refusal("0 9 unstriped 2 8 3 no x"), (2, ": there is no stripe 3 among 2".into()));
        assert_eq!(refusal("0 9 unstriped 2 8 0 no x"), (3, ": there is no device \"no\"".into()));
        assert_eq!(refusal("0 9 unstriped 2 8 0 7:0 x"), (4, ": \"x\" is not a number of sectors".into()));
        let uneven = ": the line's 9 sectors are not whole chunks of 8 sectors";
        assert_eq!(refusal("0 9 unstriped 2 8 0 7:0 0"), (1, uneven.into()));
        // Lets pass what the kernel lets pass.
        make("0 8 unstriped 2 8 2 7:0 0").unwrap();
        make("0 8 unstriped 1 8 9 7:0 0").unwrap();
    }
}
