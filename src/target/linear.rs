//! `linear`: a range of another device.

use super::texts::{EMPTY, Kind, Texts, one};
use super::{Init, Mapping, Operation, Target, TargetType, Used};
use crate::block::Pdev;
use crate::dm::{Errno, Fault, Role, Sectors, Text, Use, Version, roles};
use std::sync::Arc;

#[derive(Debug)]
struct Linear {
    pdev: Arc<Pdev>,
    /// Where on `pdev` the target's first sector is.
    offset: Sectors,
    length: Sectors,
}

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    init.exactly(2)?;
    // The number first, since the kernel's errno for a line that is wrong twice is EINVAL.
    let offset = init.sectors(1)?;
    Ok(Box::new(Linear { pdev: init.pdev(0)?, offset, length: init.length }))
}

impl Target for Linear {
    fn strategy(&self, _operation: Operation, sector: Sectors, length: Sectors) -> Mapping<'_> {
        match self.offset.checked_add(sector) {
            Some(sector) => Mapping::Remap { pdev: &self.pdev, sector, length },
            None => Mapping::Fail { errno: Errno::EIO, length },
        }
    }

    fn params(&self, name: &dyn Fn(&Pdev) -> Text) -> Text {
        [name(&self.pdev).as_bytes(), format!(" {}", self.offset).as_bytes()].concat().into()
    }

    fn pdevs(&self) -> Vec<Used<'_>> {
        vec![Used { pdev: &self.pdev, start: self.offset, length: self.length }]
    }

    fn is_window(&self) -> bool {
        true
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "linear",
    version: Version::new(1, 4, 0),
    usage: "DEVICE SECTOR",
    help: "Maps the line's sectors to those of DEVICE from SECTOR on. Several lines join parts of devices into one \
           device, or cut a device into several.",
    roles: |words| roles(words, &[Role::Device(Use::Whole), Role::Offset], &[]),
    example: "0 2097152 linear /dev/sdb 384",
    rewords: false,
    texts: Texts {
        table: &[
            one("device", Kind::Device, "the device under it"),
            one("offset_bytes", Kind::Sectors, "where on the device it begins"),
        ],
        status: EMPTY,
    },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{Disks, make, numbers};
    use super::*;

    #[test]
    fn sectors_move_by_the_offset() {
        let linear = make("0 100 linear 7:0 384").unwrap();
        let Mapping::Remap { pdev, sector, length } =
            linear.strategy(Operation::Write, Sectors(7), Sectors(93))
        else {
            panic!("not remapped")
        };
        assert_eq!((pdev.number().minor, sector, length), (0, Sectors(391), Sectors(93)));
        assert_eq!(linear.params(&numbers), "7:0 384");
        assert!(linear.status(&numbers).is_empty());
        let [used] = linear.pdevs()[..] else { panic!("one device") };
        assert_eq!((used.start, used.length), (Sectors(384), Sectors(100)));
    }

    #[test]
    fn a_position_past_the_last_of_all_is_an_error() {
        let linear = make("0 8 linear 7:0 18446744073709551615").unwrap();
        assert!(matches!(linear.strategy(Operation::Read, Sectors(0), Sectors(1)), Mapping::Remap { .. }));
        let Mapping::Fail { errno, length } = linear.strategy(Operation::Read, Sectors(1), Sectors(7)) else {
            panic!("mapped past 2^64")
        };
        assert_eq!((errno, length), (Errno::EIO, Sectors(7)));
    }

    #[test]
    fn refusals_are_the_kernels_in_its_order() {
        let refusal = |line: &str| {
            let fault = make(line).unwrap_err();
            (fault.errno, fault.argument.unwrap(), fault.reason)
        };
        let invalid = |at, reason: &str| (Errno::EINVAL, at, String::from(reason));
        assert_eq!(
            refusal("0 8 linear 7:0 0 x"),
            invalid(2, "linear takes 2 arguments, DEVICE SECTOR, not 3")
        );
        assert_eq!(refusal("0 8 linear nope"), invalid(1, "linear takes 2 arguments, DEVICE SECTOR, not 1"));
        assert_eq!(refusal("0 8 linear nope 38x"), invalid(1, "linear: \"38x\" is not a number of sectors"));
        for word in ["+38", "-38", "0x10", "3.0"] {
            assert_eq!(refusal(&format!("0 8 linear 7:0 {word}")).1, 1, "{word}");
        }
        assert_eq!(
            refusal("0 8 linear 7:0 18446744073709551616"),
            invalid(1, "linear: 18446744073709551616 is too large a number of sectors")
        );
        let (errno, at, reason) = refusal("0 8 linear nope 38");
        assert_eq!((errno, at), (Errno::ENODEV, 0));
        assert_eq!(reason, "linear: there is no device \"nope\"");
    }

    #[test]
    fn a_read_only_table_opens_for_reading_alone() {
        let mut disks = Disks::default();
        disks.make("0 8 linear 7:0 0", true).unwrap();
        disks.make("0 8 linear 7:0 0", false).unwrap();
        assert_eq!(disks.opened_for_writing, [false, true]);
    }
}
