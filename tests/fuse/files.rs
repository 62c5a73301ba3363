//! What system calls see of a device's file: the rules of a disk's node, where they differ from a file's.

use crate::mounted::{Mounted, can_run};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::unistd::{Whence, lseek};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

const MIB: u64 = 1 << 20;
const LINEAR: &str = "0 131072 linear disk 0";

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Option<Errno> {
    result.unwrap_err().raw_os_error().map(Errno::from_raw)
}

fn noise(bytes: u64, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .collect()
}

#[test]
fn each_device_is_a_file_of_its_size() {
    if !can_run("each_device_is_a_file_of_its_size", &[]) {
        return;
    }
    let odd = "it's a \"name\", \u{e9}\\x20";
    let mut mounted = Mounted::start(&[("vol", LINEAR), ("a+b", "0 8 zero")]);
    mounted.sandbox.ok(&["create", "-r", "ro", "--table", "0 16 linear disk 0"]);
    mounted.sandbox.ok(&["create", "--notable", "none"]);
    mounted.sandbox.ok(&["--manglename", "none", "create", odd, "--table", "0 8 zero"]);
    let mut names = mounted.names();
    names.sort();
    assert_eq!(names, ["a+b", odd, "none", "ro", "vol"]);
    let look = |name: &str| {
        let found = fs::metadata(mounted.file(name)).unwrap();
        (found.len(), found.mode() & 0o7777)
    };
    assert_eq!(look("vol"), (64 * MIB, 0o600));
    assert_eq!((look("ro"), look("none")), ((8192, 0o400), (0, 0o600)));
    assert_eq!(errno(fs::metadata(mounted.file("other"))), Some(Errno::ENOENT));
    assert_eq!(errno(File::options().write(true).open(mounted.file("ro"))), Some(Errno::EROFS));
    let inode = |name: &str| fs::metadata(mounted.file(name)).unwrap().ino();
    assert_ne!(inode("vol"), inode("ro"));
    let before = inode("vol");
    mounted.sandbox.ok(&["remove", "vol"]);
    mounted.sandbox.ok(&["create", "vol", "--table", LINEAR]);
    assert_ne!(inode("vol"), before, "another device of that name");
    mounted.stop();
}

#[test]
fn every_read_and_write_is_the_disks() {
    if !can_run("every_read_and_write_is_the_disks", &[]) {
        return;
    }
    // Over pieces of one page and of many, of two lines, with zeros between them.
    let table = "0 40960 striped 2 8 disk 0 disk 65536\n40960 8192 zero\n49152 16384 linear disk 24576";
    for mut mounted in Mounted::both(&[("vol", table)]) {
        let file = open(&mounted.file("vol"));
        let mut model = noise(32 * MIB, 5);
        file.write_all_at(&model, 0).unwrap();
        model[20 << 20..24 << 20].fill(0);
        let mut state = 1u64;
        let mut random = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        for round in 0..200 {
            let length = 1 + random(if round % 2 == 0 { 3 * MIB } else { 8192 });
            let at = random(32 * MIB - length);
            let range = usize::try_from(at).unwrap()..usize::try_from(at + length).unwrap();
            if round % 3 == 0 {
                let data = noise(length, round);
                file.write_all_at(&data, at).unwrap();
                model[range].copy_from_slice(&data);
                model[20 << 20..24 << 20].fill(0);
                continue;
            }
            let mut read = vec![0xee; range.len()];
            file.read_exact_at(&mut read, at).unwrap();
            assert!(read == model[range.clone()], "{range:?}");
        }
        drop(file);
        mounted.stop();
    }
}

#[test]
fn the_end_is_a_disks_end() {
    if !can_run("the_end_is_a_disks_end", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", "0 24 linear disk 0")]);
    let mut file = open(&mounted.file("vol"));
    assert_eq!(file.seek(SeekFrom::End(0)).unwrap(), 24 * 512);
    assert_eq!(errno(file.write(b"x")), Some(Errno::ENOSPC));
    assert_eq!(file.read(&mut [0; 10]).unwrap(), 0);
    assert_eq!(file.read_at(&mut [0; 10], 24 * 512 + 5).unwrap(), 0);
    assert_eq!(file.write_at(&[1; 1000], 24 * 512 - 10).unwrap(), 10);
    assert_eq!(file.read_at(&mut [0; 1000], 24 * 512 - 10).unwrap(), 10);
    assert_eq!(fs::metadata(mounted.disk()).unwrap().len(), 64 * MIB);
    // Cutting it: opening so does nothing, as with a disk's node, and all else is refused.
    drop(File::options().write(true).create(true).truncate(true).open(mounted.file("vol")).unwrap());
    file.set_len(24 * 512).unwrap();
    for size in [0, 100, 1 << 30] {
        assert_eq!(errno(file.set_len(size)), Some(Errno::EINVAL));
    }
    assert_eq!(file.metadata().unwrap().len(), 24 * 512);
    drop(file);
    mounted.stop();
}

#[test]
fn nothing_comes_or_goes_through_the_directory() {
    if !can_run("nothing_comes_or_goes_through_the_directory", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", "0 8 zero")]);
    let (vol, other) = (mounted.file("vol"), mounted.file("other"));
    // Who is not root is stopped by the directory's permissions already.
    let refused =
        |result: Option<Errno>| assert!(matches!(result, Some(Errno::EPERM | Errno::EACCES)), "{result:?}");
    refused(errno(File::create(&other)));
    refused(errno(fs::create_dir(&other)));
    refused(errno(fs::rename(&vol, &other)));
    refused(errno(fs::hard_link(&vol, &other)));
    refused(errno(std::os::unix::fs::symlink("x", &other)));
    refused(errno(fs::remove_file(&vol)));
    let wider = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    refused(errno(fs::set_permissions(&vol, wider)));
    assert_eq!(mounted.names(), ["vol"]);
    mounted.stop();
}

#[test]
fn holes_and_zeros_reach_the_disk() {
    if !can_run("holes_and_zeros_reach_the_disk", &[]) {
        return;
    }
    for mut mounted in Mounted::both(&[("vol", "0 65536 linear disk 65536\n65536 8 zero")]) {
        let file = open(&mounted.file("vol"));
        let size = i64::try_from(32 * MIB + 4096).unwrap();
        file.write_all_at(&noise(8 * MIB, 3), 0).unwrap();
        let stored = || fs::metadata(mounted.disk()).unwrap().blocks() * 512;
        let before = stored();
        let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&file, punch, 2 << 20, 3 << 20).unwrap();
        assert_eq!(stored(), before - 3 * MIB);
        fallocate(&file, FallocateFlags::FALLOC_FL_ZERO_RANGE, 6 << 20, 4096).unwrap();
        let mut model = noise(8 * MIB, 3);
        model[2 << 20..5 << 20].fill(0);
        model[6 << 20..(6 << 20) + 4096].fill(0);
        let mut read = vec![0; 8 << 20];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == model);
        let seek = |at, whence| lseek(&file, at, whence);
        assert_eq!(seek(0, Whence::SeekHole), Ok(2 << 20));
        assert_eq!(seek(2 << 20, Whence::SeekData), Ok(5 << 20));
        assert_eq!(seek(3 << 20, Whence::SeekHole), Ok(3 << 20));
        assert_eq!(seek(9 << 20, Whence::SeekData), Err(Errno::ENXIO));
        assert_eq!(seek(size, Whence::SeekHole), Err(Errno::ENXIO));
        // What a disk's node does not do either: past the end, and promising space.
        assert_eq!(fallocate(&file, punch, size, 4096), Err(Errno::EINVAL));
        assert_eq!(
            fallocate(&file, FallocateFlags::FALLOC_FL_ZERO_RANGE, size - 1, 2),
            Err(Errno::EFBIG).or(Err(Errno::EINVAL))
        );
        assert_eq!(fallocate(&file, FallocateFlags::empty(), 0, 4096), Err(Errno::EOPNOTSUPP));
        drop(file);
        mounted.stop();
    }
}

#[test]
fn direct_and_mapped_access_see_the_same() {
    if !can_run("direct_and_mapped_access_see_the_same", &["python3"]) {
        return;
    }
    for mut mounted in Mounted::both(&[("vol", LINEAR)]) {
        let path = mounted.file("vol");
        open(&path).write_all_at(b"plain", 4096).unwrap();
        let script = "
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(fd, 1 << 20)
assert memory[4096:4101] == b'plain', memory[4096:4101]
memory[8192:8198] = b'mapped'
memory.flush()
assert os.pread(fd, 6, 8192) == b'mapped'
direct = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
page = mmap.mmap(-1, 4096)
page[:6] = b'direct'
assert os.pwritev(direct, [page], 12288) == 4096
assert os.preadv(direct, [page], 8192) == 4096 and page[:6] == b'mapped'
assert memory[12288:12294] == b'direct', memory[12288:12294]
";
        mounted.ok(&["python3", "-c", script, path.to_str().unwrap()]);
        let disk = fs::read(mounted.disk()).unwrap();
        assert!(disk[8192..].starts_with(b"mapped") && disk[12288..].starts_with(b"direct"));
        let direct = File::options().read(true).custom_flags(nix::libc::O_DIRECT).open(&path).unwrap();
        drop(direct);
        mounted.stop();
    }
}

#[test]
fn a_fault_of_the_disk_is_that_requests_alone() {
    if !can_run("a_fault_of_the_disk_is_that_requests_alone", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", LINEAR), ("bad", "0 8 linear disk 0\n8 8 error\n16 8 zero")]);
    let (vol, bad) = (open(&mounted.file("vol")), open(&mounted.file("bad")));
    vol.write_all_at(&noise(64 * MIB, 9), 0).unwrap();
    let mut buffer = vec![0; 1 << 20];
    assert_eq!(errno(bad.read_exact_at(&mut buffer[..8192], 0)), Some(Errno::EIO));
    bad.read_exact_at(&mut buffer[..4096], 0).unwrap();
    bad.read_exact_at(&mut buffer[..4096], 8192).unwrap();
    assert_eq!(errno(bad.write_at(&buffer[..4096], 4096)), Some(Errno::EIO));
    // Cut under the server: what is gone is an error, for large reads and for small, and the rest is there.
    open(&mounted.disk()).set_len(MIB).unwrap();
    assert_eq!(errno(vol.read_exact_at(&mut buffer, MIB / 2)), Some(Errno::EIO));
    assert_eq!(errno(vol.read_at(&mut buffer[..4096], 2 * MIB)), Some(Errno::EIO));
    vol.read_exact_at(&mut buffer, 0).unwrap();
    assert!(buffer == noise(MIB, 9));
    drop((vol, bad));
    mounted.stop();
}
