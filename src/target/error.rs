//! `error`: all I/O fails.

use super::texts::{EMPTY, Texts};
use super::{Init, Mapping, Operation, Target, TargetType};
use crate::block::Pdev;
use crate::dm::{Errno, Fault, Sectors, Text, Version, roles};

#[derive(Debug)]
struct AlwaysError;

// Any arguments will do, as in the kernel: a line is turned into an error by its type's name alone.
fn init(_init: &mut Init<'_>) -> Result<Box<dyn Target>, Fault> {
    Ok(Box::new(AlwaysError))
}

impl Target for AlwaysError {
    fn strategy(&self, _operation: Operation, _sector: Sectors, length: Sectors) -> Mapping<'_> {
        Mapping::Fail { errno: Errno::EIO, length }
    }

    fn params(&self, _name: &dyn Fn(&Pdev) -> Text) -> Text {
        Text::new()
    }
}

/// The type.
pub(super) static TARGET: TargetType = TargetType {
    name: "error",
    version: Version::new(1, 5, 0),
    usage: "",
    help: "Fails every read and write with an input/output error. It stands for what is missing from a device, and \
           for a bad disk in tests. Arguments are ignored.",
    roles: |words| roles(words, &[], &[]),
    example: "0 2097152 error",
    rewords: false,
    texts: Texts { table: EMPTY, status: EMPTY },
    init,
};

#[cfg(test)]
mod tests {
    use super::super::testing::{make, numbers};
    use super::*;

    #[test]
    fn everything_fails_and_arguments_are_forgotten() {
        let error = make("0 8 error 7:0 what ever").unwrap();
        for operation in [Operation::Read, Operation::Write, Operation::Discard, Operation::WriteZeroes] {
            let mapping = error.strategy(operation, Sectors(3), Sectors(5));
            assert!(matches!(mapping, Mapping::Fail { errno: Errno::EIO, length: Sectors(5) }));
        }
        assert!(error.params(&numbers).is_empty() && error.status(&numbers).is_empty());
    }
}
