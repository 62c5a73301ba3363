//! A disk over a file: what it reads, drops, and says of its holes.

use super::*;
use std::fs;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A file of that size with `0x55` in its first MiB and a hole behind it.
fn sparse(directory: &TempDir, size: u64) -> (Pdev, File) {
    let path = directory.path().join("disk.img");
    fs::write(&path, vec![0x55; usize::try_from(size.min(MIB)).unwrap()]).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    file.set_len(size).unwrap();
    let pdev = Pdev::file(DeviceNumber::new(7, 0), &path, file.try_clone().unwrap(), true).unwrap();
    (pdev, file)
}

fn bytes(pdev: &Pdev, at: u64, length: usize) -> Vec<u8> {
    let mut buffer = vec![0xee; length];
    pdev.read_at(&mut buffer, Bytes(at)).unwrap();
    buffer
}

#[test]
fn a_tail_that_is_no_sector_is_not_part_of_the_device() {
    let directory = TempDir::new().unwrap();
    let (pdev, _) = sparse(&directory, 3 * 512 + 511);
    assert_eq!((pdev.sectors(), pdev.size()), (Sectors(3), Bytes(1536)));
    assert_eq!(pdev.block_size(), Bytes(512));
    assert_eq!(pdev.path().map(|path| path.ends_with(b"/disk.img")), Some(true));
    let (empty, _) = sparse(&directory, 511);
    assert_eq!(empty.sectors(), Sectors(0));
}

#[test]
fn what_is_written_is_read_and_the_file_keeps_its_size() {
    let directory = TempDir::new().unwrap();
    let (pdev, file) = sparse(&directory, 4 * MIB);
    pdev.write_at(b"across", Bytes(MIB - 3)).unwrap();
    assert_eq!(bytes(&pdev, MIB - 4, 8), b"\x55across\0");
    pdev.write_zeroes(Bytes(100), Bytes(300_000), false).unwrap();
    pdev.write_zeroes(Bytes(400_000), Bytes(100), true).unwrap();
    assert_eq!(bytes(&pdev, 0, 100), [0x55; 100]);
    assert_eq!(bytes(&pdev, 100, 300_000), [0; 300_000]);
    assert_eq!(bytes(&pdev, 300_100, 4), [0x55; 4]);
    assert_eq!(bytes(&pdev, 399_999, 102), [&[0x55][..], &[0; 100], &[0x55]].concat());
    pdev.flush().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4 * MIB);
}

#[test]
#[allow(clippy::print_stdout, reason = "a skip says why")]
fn holes_are_told_from_data() {
    let directory = TempDir::new().unwrap();
    let (pdev, _) = sparse(&directory, 4 * MIB);
    let at = |at, length| pdev.allocation(Bytes(at), Bytes(length)).unwrap();
    assert_eq!(at(0, 4096), Allocation::Data(Bytes(4096)));
    if at(MIB, 1) == Allocation::Data(Bytes(1)) {
        println!("skipped: the file system of {} does not tell of holes", directory.path().display());
        return;
    }
    assert_eq!(at(0, 4 * MIB), Allocation::Data(Bytes(MIB)));
    assert_eq!(at(MIB, 3 * MIB), Allocation::Hole(Bytes(3 * MIB)));
    assert_eq!(at(2 * MIB, 512), Allocation::Hole(Bytes(512)));
    pdev.discard(Bytes(MIB / 4), Bytes(MIB / 4)).unwrap();
    assert_eq!(at(MIB / 4, MIB), Allocation::Hole(Bytes(MIB / 4)));
    assert_eq!(bytes(&pdev, MIB / 4, 4096), [0; 4096]);
    assert_eq!(at(4 * MIB - 1, 1), Allocation::Hole(Bytes(1)));
}

#[test]
fn a_file_truncated_under_us_gives_errors_and_no_zeros() {
    let directory = TempDir::new().unwrap();
    let (pdev, file) = sparse(&directory, 4 * MIB);
    file.set_len(MIB).unwrap();
    assert_eq!(pdev.size(), Bytes(4 * MIB));
    let mut buffer = [0; 1024];
    assert_eq!(pdev.read_at(&mut buffer, Bytes(MIB)), Err(Errno::EIO));
    assert_eq!(pdev.read_at(&mut buffer, Bytes(MIB - 512)), Err(Errno::EIO));
    assert_eq!(pdev.allocation(Bytes(2 * MIB), Bytes(MIB)), Ok(Allocation::Data(Bytes(MIB))));
    assert_eq!(pdev.allocation(Bytes(0), Bytes(2 * MIB)), Ok(Allocation::Data(Bytes(MIB))));
    pdev.discard(Bytes(2 * MIB), Bytes(MIB)).unwrap();
}

#[test]
fn a_read_only_file_is_read_and_not_changed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("disk.img");
    fs::write(&path, [7; 1024]).unwrap();
    let pdev = Pdev::file(DeviceNumber::new(7, 0), &path, File::open(&path).unwrap(), false).unwrap();
    assert!(pdev.is_read_only());
    assert_eq!(bytes(&pdev, 512, 512), [7; 512]);
    assert_eq!(pdev.write_at(&[1], Bytes(0)), Err(Errno::EROFS));
    assert_eq!(pdev.discard(Bytes(0), Bytes(512)), Err(Errno::EROFS));
    assert_eq!(pdev.write_zeroes(Bytes(0), Bytes(512), true), Err(Errno::EROFS));
    pdev.flush().unwrap();
}

#[test]
fn what_is_neither_file_nor_disk_is_refused() {
    let directory = TempDir::new().unwrap();
    for path in [directory.path(), Path::new("/dev/null")] {
        let file = File::open(path).unwrap();
        let error = Pdev::file(DeviceNumber::new(7, 0), path, file, false).unwrap_err();
        assert_eq!(Errno::from_io(&error), Errno::ENOTBLK, "{}", path.display());
    }
}

#[test]
fn a_stacked_device_answers_for_itself() {
    let directory = TempDir::new().unwrap();
    let (below, _) = sparse(&directory, MIB);
    let pdev = Pdev::stacked(DeviceNumber::new(253, 4), "vol0".into(), Arc::new(below));
    assert_eq!(
        (pdev.number(), pdev.path(), pdev.sectors()),
        (DeviceNumber::new(253, 4), None, Sectors(2048))
    );
    assert_eq!((pdev.name(), pdev.as_file().is_none()), (&"vol0".into(), true));
    pdev.write_at(b"x", Bytes(5)).unwrap();
    assert_eq!(bytes(&pdev, 4, 3), b"\x55x\x55");
}

#[test]
fn a_disks_discard_takes_whole_blocks_only() {
    let blocks =
        |at, length| whole_blocks(Bytes(at), Bytes(length), Bytes(4096)).map(|(at, length)| (at.0, length.0));
    assert_eq!(blocks(0, 8192), Some((0, 8192)));
    assert_eq!(blocks(512, 8192), Some((4096, 4096)));
    assert_eq!(blocks(512, 4096), None);
    assert_eq!(blocks(u64::MAX - 8192, 8192), Some((u64::MAX - 8191, 4096)));
    assert_eq!(blocks(u64::MAX, 1), None);
}
