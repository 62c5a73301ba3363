//! A multipath made without a disk: its texts, its messages, and which path is taken.

use super::super::testing::{make, numbers};
use super::*;

/// The minor number of the device that the next request goes to.
fn next(target: &dyn Target) -> Option<u32> {
    match target.strategy(Operation::Read, Sectors(0), Sectors(8)) {
        Mapping::Remap { pdev, .. } => Some(pdev.number().minor),
        Mapping::Fail { errno: Errno::EIO, .. } => None,
        other @ (Mapping::Zero { .. } | Mapping::Fail { .. } | Mapping::Handle { .. }) => panic!("{other:?}"),
    }
}

fn tell(target: &dyn Target, message: &str) -> Result<Option<Text>, Fault> {
    target.message(&Text::from(message).words())
}

#[test]
fn each_selector_deals_requests_as_it_says() {
    let paths = |selector: &str| format!("0 64 multipath 0 0 1 1 {selector}");
    let turns = make(&paths("round-robin 0 3 0 7:0 7:1 7:2")).unwrap();
    assert_eq!([0; 4].map(|_| next(turns.as_ref()).unwrap()), [0, 1, 2, 0]);
    let least = make(&paths("queue-length 0 2 0 7:0 7:1")).unwrap();
    let busy = Arc::clone(least.pdevs()[0].pdev);
    least.start_io(&busy, Bytes(512));
    assert_eq!([0; 3].map(|_| next(least.as_ref()).unwrap()), [1, 1, 1]);
    assert!(least.status(&numbers).ends_with(b"A 0 2 1 7:0 A 0 1 7:1 A 0 0 "));
    least.finish_io(&busy, Bytes(512));
    let fast = make(&paths("service-time 0 2 2 7:0 1 1 7:1 1 100")).unwrap();
    let busy = Arc::clone(fast.pdevs()[1].pdev);
    fast.start_io(&busy, Bytes(4096));
    assert_eq!(next(fast.as_ref()), Some(1), "8 KiB at a hundred times the speed");
}

#[test]
fn a_device_that_stands_twice_fails_where_it_was_used() {
    let target = make("0 64 multipath 0 0 1 1 round-robin 0 3 0 7:0 7:1 7:0").unwrap();
    let target = target.as_ref();
    assert_eq!([0; 3].map(|_| next(target).unwrap()), [0, 1, 0]);
    let twice = Arc::clone(target.pdevs()[0].pdev);
    assert_eq!(target.end_io(&twice, Errno::EIO), Ended::Again);
    assert_eq!(target.status(&numbers), "2 0 0 0 1 1 A 0 3 0 7:0 A 0 7:1 A 0 7:0 F 1 ");
    assert_eq!(next(target), Some(0));
    assert_eq!(target.end_io(&twice, Errno::EIO), Ended::Again);
    assert_eq!(target.status(&numbers), "2 0 0 0 1 1 A 0 3 0 7:0 F 1 7:1 A 0 7:0 F 1 ");
}

#[test]
fn the_next_group_is_used_when_the_first_has_no_path() {
    let target = make("0 64 multipath 0 0 2 1 round-robin 0 1 1 7:0 1 round-robin 0 1 1 7:1 1").unwrap();
    let target = target.as_ref();
    assert_eq!(target.status(&numbers), "2 1 0 0 2 1 E 0 1 0 7:0 A 0 E 0 1 0 7:1 A 0 ");
    assert_eq!(next(target), Some(0));
    assert_eq!(target.status(&numbers), "2 0 0 0 2 1 A 0 1 0 7:0 A 0 E 0 1 0 7:1 A 0 ");
    let first = Arc::clone(target.pdevs()[0].pdev);
    assert_eq!(target.end_io(&first, Errno::ENOSPC), Ended::Failed);
    assert_eq!(target.end_io(&first, Errno::EIO), Ended::Again);
    assert_eq!(next(target), Some(1));
    assert_eq!(target.status(&numbers), "2 0 0 0 2 2 E 0 1 0 7:0 F 1 A 0 1 0 7:1 A 0 ");
    tell(target, "fail_path 7:1").unwrap();
    assert_eq!(next(target), None);
    tell(target, "reinstate_path 7:0").unwrap();
    tell(target, "switch_group 2").unwrap();
    assert_eq!(next(target), Some(0));
    tell(target, "queue_if_no_path").unwrap();
    assert!(target.params(&numbers).starts_with(b"1 queue_if_no_path 0 2 1 "));
    for bad in ["switch_group 3", "fail_path 7:9", "fail_path", "nonsense 1"] {
        assert_eq!(tell(target, bad).unwrap_err().errno, Errno::EINVAL, "{bad}");
    }
}
