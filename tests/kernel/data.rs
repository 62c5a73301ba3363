//! The same sectors: what is written through the kernel's devices is read through the mapper's, and the other way.

use crate::guest::{self, DISK_A, DISK_B};
use rdmsetup::backend::{Backend, Client, Kernel, User};
use rdmsetup::block::BlockDevice;
use rdmsetup::dm::{Bytes, Command, DeviceId, Flags, Request, SourceTable};
use rdmsetup::mapper::StateDir;
use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Tables over both disks, each 256 sectors long.
const TABLES: &[&str] = &[
    "0 256 linear /dev/ubda 384",
    "0 100 linear /dev/ubdb 8\n100 156 linear /dev/ubda 0",
    "0 256 striped 2 8 /dev/ubda 16 /dev/ubdb 32",
    "0 252 striped 3 4 /dev/ubda 16 /dev/ubdb 32 /dev/ubda 1000\n252 4 linear /dev/ubdb 4000",
    "0 128 striped 1 128 /dev/ubdb 0\n128 128 zero",
];

/// Bytes in each of them.
const SIZE: usize = 256 * 512;

fn make(client: &mut Client, table: &str) {
    let device = || DeviceId::by_name("vol");
    let table = SourceTable::parse(table.as_bytes()).unwrap().table;
    for request in [
        Request::new(device(), Command::DevCreate),
        Request::new(device(), Command::TableLoad(table)),
        Request::resume(device()),
    ] {
        client.perform(&request).unwrap();
    }
}

/// The kernel's device as a file, past the page cache that the disks' own users do not share.
fn kernel_device(client: &mut Client) -> std::fs::File {
    let status = client.perform(&Request::new(DeviceId::by_name("vol"), Command::DevStatus)).unwrap();
    let path = Path::new("/dev").join(format!("dm-{}", status.device.dev.unwrap().minor));
    let node = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_SYNC).open(&path).unwrap();
    assert_eq!(nix::sys::stat::minor(node.metadata().unwrap().rdev()), 0);
    node
}

/// Throws away what the kernel has cached of the disks.
fn drop_caches() {
    nix::unistd::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
    for disk in [DISK_A, DISK_B] {
        let disk = OpenOptions::new().read(true).open(disk).unwrap();
        let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        nix::fcntl::posix_fadvise(&disk, 0, 0, advice).unwrap();
    }
}

/// Bytes in which no two sectors are alike.
fn pattern(seed: u8) -> Vec<u8> {
    let sectors = (0..=u8::MAX).cycle().take(SIZE / 512);
    sectors.flat_map(|sector| [sector.wrapping_mul(31) ^ seed; 512]).collect()
}

#[test]
fn both_drivers_put_the_same_bytes_in_the_same_places() {
    guest::run("data::both_drivers_put_the_same_bytes_in_the_same_places", || {
        for (seed, table) in (1..).zip(TABLES) {
            let mut kernel = Client::new(Box::new(Kernel::open(Path::new("/dev"), true).unwrap()));
            let state = StateDir::new(Some(Path::new("/tmp/state"))).unwrap();
            let mut user: Client = Client::new(Box::new(User::new(state)) as Box<dyn Backend>);
            make(&mut kernel, table);
            make(&mut user, table);
            let theirs = kernel_device(&mut kernel);
            let ours: Arc<dyn BlockDevice> = user.volume(&DeviceId::by_name("vol"), true).unwrap();
            assert_eq!(ours.size(), Bytes(SIZE as u64), "{table}");

            let (mut written, mut read) = (pattern(seed), vec![0; SIZE]);
            theirs.write_all_at(&written, 0).unwrap();
            drop_caches();
            ours.read_at(&mut read, Bytes(0)).unwrap();
            if table.ends_with("zero") {
                written[SIZE / 2..].fill(0);
            }
            assert!(read == written, "written by the kernel: {table}");

            written = pattern(seed ^ 0xff);
            ours.write_at(&written, Bytes(0)).unwrap();
            ours.flush().unwrap();
            drop_caches();
            drop(theirs);
            let theirs = kernel_device(&mut kernel);
            theirs.read_exact_at(&mut read, 0).unwrap();
            if table.ends_with("zero") {
                written[SIZE / 2..].fill(0);
            }
            assert!(read == written, "written by the mapper: {table}");

            drop((theirs, ours));
            for client in [&mut kernel, &mut user] {
                client.perform(&Request::new(DeviceId::by_name("vol"), Command::DevRemove)).unwrap();
                client.commit().unwrap();
            }
        }
    });
}

#[test]
fn a_reply_that_does_not_fit_at_first_is_read_whole() {
    guest::run("data::a_reply_that_does_not_fit_at_first_is_read_whole", || {
        let mut kernel = Client::new(Box::new(Kernel::open(Path::new("/dev"), true).unwrap()));
        let lines: Vec<String> =
            (0..3000).map(|line| format!("{line} 1 linear 98:0 {}", line % 8000)).collect();
        make(&mut kernel, &lines.join("\n"));
        let request =
            Request::new(DeviceId::by_name("vol"), Command::TableStatus).with_flags(Flags::STATUS_TABLE);
        let reply = kernel.perform(&request).unwrap();
        let told = reply
            .lines()
            .iter()
            .map(|line| format!("{} {} {} {}", line.start, line.length, line.target, line.params));
        assert_eq!(told.collect::<Vec<_>>(), lines);
        for device in 0..400 {
            let name = format!("device-{device:0100}");
            kernel.perform(&Request::new(DeviceId::by_name(name), Command::DevCreate)).unwrap();
        }
        let listed = kernel.perform(&Request::global(Command::ListDevices)).unwrap();
        assert_eq!(listed.devices().len(), 401);
        kernel.perform(&Request::global(Command::RemoveAll)).unwrap();
    });
}
