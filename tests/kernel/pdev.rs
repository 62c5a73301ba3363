//! Disks of a real kernel under a table: what an ordinary file in a unit test cannot show.

use crate::guest::{self, DISK_A, DISK_SIZE};
use rdmsetup::block::{Allocation, BlockDevice, Pdev};
use rdmsetup::dm::{Bytes, DeviceNumber, Errno, Sectors};
use std::fs::File;
use std::path::Path;
use std::process::Command;

fn open(path: &Path, writable: bool) -> Pdev {
    let file = File::options().read(true).write(writable).open(path).unwrap();
    Pdev::file(DeviceNumber::new(98, 0), path, file, writable).unwrap()
}

/// What any disk does, wherever its blocks begin.
fn check(disk: &Pdev) {
    assert_eq!((disk.size(), disk.is_read_only()), (Bytes(DISK_SIZE), false));
    disk.write_at(&[0x55; 65536], Bytes(0)).unwrap();
    disk.write_zeroes(Bytes(4096), Bytes(4096), false).unwrap();
    disk.write_zeroes(Bytes(8192), Bytes(4096), true).unwrap();
    // Not whole blocks of any disk.
    disk.write_zeroes(Bytes(16384 + 100), Bytes(9000), true).unwrap();
    disk.discard(Bytes(32768 + 100), Bytes(100)).unwrap();
    let mut found = vec![0xee; 32768];
    disk.read_at(&mut found, Bytes(0)).unwrap();
    let zeroed = |at: usize| (4096..12288).contains(&at) || (16484..25484).contains(&at);
    for (at, byte) in found.iter().enumerate() {
        assert_eq!(*byte, if zeroed(at) { 0 } else { 0x55 }, "byte {at}");
    }
    let mut edge = [0xee; 300];
    disk.read_at(&mut edge, Bytes(32768)).unwrap();
    assert_eq!(edge, [0x55; 300], "a discard of no whole block has changed something");
    disk.discard(Bytes(0), disk.size()).unwrap();
    disk.flush().unwrap();
    assert_eq!(disk.allocation(Bytes(0), Bytes(8192)), Ok(Allocation::Data(Bytes(8192))));
}

#[test]
fn a_disk_has_its_own_size_and_is_written_zeroed_and_discarded() {
    guest::run("pdev::a_disk_has_its_own_size_and_is_written_zeroed_and_discarded", || {
        let disk = open(Path::new(DISK_A), true);
        assert_eq!((disk.sectors(), disk.block_size()), (Sectors(DISK_SIZE / 512), Bytes(512)));
        assert_eq!(disk.path().map(|path| path.as_bytes()), Some(DISK_A.as_bytes()));
        check(&disk);
        let reader = open(Path::new(DISK_A), false);
        assert_eq!(reader.write_at(&[0; 512], Bytes(0)), Err(Errno::EROFS));
        assert_eq!(reader.discard(Bytes(0), Bytes(4096)), Err(Errno::EROFS));
    });
}

#[test]
fn a_disk_of_large_blocks_says_so_and_takes_any_position() {
    guest::run("pdev::a_disk_of_large_blocks_says_so_and_takes_any_position", || {
        let losetup = Command::new("losetup")
            .args(["--find", "--show", "--sector-size", "4096"])
            .arg(DISK_A)
            .output()
            .unwrap();
        assert!(losetup.status.success(), "{}", String::from_utf8_lossy(&losetup.stderr));
        let disk = open(Path::new(String::from_utf8(losetup.stdout).unwrap().trim_end()), true);
        assert_eq!(disk.block_size(), Bytes(4096));
        check(&disk);
    });
}
