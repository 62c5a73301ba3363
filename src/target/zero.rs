//! `zero`: reads as zeros, forgets what is written.

use super::texts::{EMPTY, Texts};
use super::{Init, Mapping, Operation, Target, TargetType};
use crate::block::Pdev;
use crate::dm::{Fault, Sectors, Text, Version, roles};

#[derive(Debug)]
struct Zero;

fn init(init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    init.exactly(0)?;
    Ok(Box::new(Zero))
}

impl Target for Zero {
    fn strategy(&self, _operation: Operation, _sector: Sectors, length: Sectors) -> Mapping<'_> {
        Mapping::Zero { length }
    }

    fn params(&self, _name: &dyn Fn(&Pdev) -> Text) -> Text {
        Text::new()
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "zero",
    version: Version::new(1, 1, 0),
    usage: "",
    help: "Reads as zeros; what is written is dropped without an error. It takes no arguments and needs no device, so \
           it stands for as large a disk as wanted, most often below a snapshot.",
    roles: |words| roles(words, &[], &[]),
    example: "0 2097152 zero",
    rewords: false,
    texts: Texts { table: EMPTY, status: EMPTY },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;

    #[test]
    fn everything_is_zeros_for_as_far_as_asked() {
        let zero = make("0 18446744073709551615 zero").unwrap();
        for operation in [Operation::Read, Operation::Write, Operation::Discard, Operation::WriteZeroes] {
            let length = Sectors(u64::MAX - 1);
            let mapping = zero.strategy(operation, Sectors(1), length);
            assert!(matches!(mapping, Mapping::Zero { length: answered } if answered == length));
        }
        assert!(zero.params(&numbers).is_empty() && zero.pdevs().is_empty());
    }

    #[test]
    fn arguments_are_refused() {
        let fault = make("0 8 zero 7:0").unwrap_err();
        assert_eq!((fault.reason.as_str(), fault.argument), ("zero takes no arguments, not 1", Some(0)));
    }
}
