//! A mirror made without a disk: its texts, its refusals, and which leg is read.

use super::super::testing::{make, numbers};
use super::*;

#[test]
fn text_is_the_kernels() {
    let mirror = make("0 100 mirror core 2 8 nosync 2 7:0 0 7:1 16 2 keep_log handle_errors").unwrap();
    assert_eq!(mirror.params(&numbers), "core 2 8 nosync 2 7:0 0 7:1 16 2 handle_errors keep_log");
    assert_eq!(mirror.status(&numbers), "2 7:0 7:1 13/13 1 AA 1 core");
    let mirror = make("0 100 mirror core 1 64 2 7:0 0 7:1 16 0").unwrap();
    assert_eq!(mirror.params(&numbers), "core 1 64 2 7:0 0 7:1 16");
    assert_eq!(mirror.status(&numbers), "2 7:0 7:1 0/2 1 AA 1 core");
}

#[test]
fn a_leg_that_cannot_be_read_is_left_for_the_next_until_none_is_left() {
    let mirror = make("0 100 mirror core 2 64 nosync 2 7:0 5 7:1 16").unwrap();
    let read = |sector| mirror.strategy(Operation::Read, Sectors(sector), Sectors(90 - sector));
    for (minor, first, letters) in [(0, 5, "RA"), (1, 16, "RR")] {
        let Mapping::Remap { pdev, sector, length } = read(60) else { panic!("not remapped") };
        assert_eq!((pdev.number().minor, sector, length), (minor, Sectors(first + 60), Sectors(4)));
        assert_eq!(mirror.end_io(pdev, Errno::EOPNOTSUPP), Ended::Failed);
        assert_eq!(mirror.end_io(pdev, Errno::EIO), Ended::Again);
        assert_eq!(mirror.status(&numbers).to_string(), format!("2 7:0 7:1 2/2 1 {letters} 1 core"));
    }
    assert!(matches!(read(60), Mapping::Fail { errno: Errno::EIO, length: Sectors(4) }));
}

#[test]
fn refusals_say_what_and_where() {
    let refusal = |line: &str| {
        let fault = make(line).expect_err(line);
        (fault.argument.unwrap(), fault.reason.strip_prefix("mirror: ").unwrap_or(&fault.reason).to_owned())
    };
    let old = refusal("0 100 mirror core 2 8 block_on_error 2 7:0 0 7:1 0");
    assert!(old.0 == 3 && old.1.contains("became the feature handle_errors"), "{old:?}");
    assert_eq!(refusal("0 100 mirror core 1 8 1 7:0 0"), (3, "a mirror has 2 to 9 legs, not 1".into()));
    assert_eq!(
        refusal("0 100 mirror core 1 12 2 7:0 0 7:1 0"),
        (2, "a region has a power of two of sectors, from 2 to the line's 100, not 12".into())
    );
    let log = refusal("0 100 mirror disk 2 7:2 8 2 7:0 0 7:1 0");
    assert!(log.0 == 2 && log.1.contains("the log of 13 regions needs 1536 bytes"), "{log:?}");
}
