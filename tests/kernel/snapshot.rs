//! Snapshot stores that change hands: what the kernel made the mapper goes on with, and the other way round.

use crate::guest::{self, DISK_A, DISK_B};
use rdmsetup::backend::{Backend, Client, Kernel, User};
use rdmsetup::dm::{Command as Asked, DeviceId, Flags, Request, SourceTable};
use rdmsetup::mapper::StateDir;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

/// Sectors of the origin.
const SIZE: u64 = 1024;

fn id(name: &str) -> DeviceId {
    DeviceId::by_name(name)
}

/// One of the two drivers.
struct Driver {
    client: Client,
    is_kernel: bool,
}

impl Driver {
    fn new(is_kernel: bool) -> Self {
        let backend: Box<dyn Backend> = if is_kernel {
            Box::new(Kernel::open(Path::new("/dev"), true).unwrap())
        } else {
            Box::new(User::new(StateDir::new(Some(Path::new("/tmp/state"))).unwrap()))
        };
        Self { client: Client::new(backend), is_kernel }
    }

    fn ask(&mut self, request: &Request) -> rdmsetup::dm::Reply {
        self.client.perform(request).unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    fn load(&mut self, name: &str, table: &str) {
        let table = SourceTable::parse(table.as_bytes()).unwrap().table;
        self.ask(&Request::new(id(name), Asked::TableLoad(table)));
    }

    fn make(&mut self, name: &str, table: &str) {
        self.ask(&Request::new(id(name), Asked::DevCreate));
        self.load(name, table);
        self.ask(&Request::resume(id(name)));
    }

    fn remove(&mut self, name: &str) {
        self.ask(&Request::new(id(name), Asked::DevRemove));
        self.client.commit().unwrap();
    }

    fn status(&mut self, name: &str) -> String {
        self.ask(&Request::new(id(name), Asked::TableStatus)).lines()[0].params.to_string()
    }

    fn node(&mut self, name: &str) -> fs::File {
        let status = self.ask(&Request::new(id(name), Asked::DevStatus));
        let path = format!("/dev/dm-{}", status.device.dev.unwrap().minor);
        OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_SYNC).open(path).unwrap()
    }

    fn read(&mut self, name: &str, length: usize) -> Vec<u8> {
        let mut content = vec![0; length];
        if self.is_kernel {
            self.node(name).read_exact_at(&mut content, 0).unwrap();
        } else {
            let volume = self.client.volume(&id(name), false).unwrap();
            volume.read_at(&mut content, rdmsetup::dm::Bytes(0)).unwrap();
        }
        content
    }

    fn write(&mut self, name: &str, at: u64, data: &[u8]) {
        if self.is_kernel {
            self.node(name).write_all_at(data, at).unwrap();
        } else {
            let volume = self.client.volume(&id(name), true).unwrap();
            volume.write_at(data, rdmsetup::dm::Bytes(at)).unwrap();
            volume.flush().unwrap();
        }
    }

    /// The devices go, and what the kernel has cached of the disks with them: the other driver comes.
    fn end(mut self, names: &[&str]) {
        names.iter().for_each(|name| self.remove(name));
        nix::unistd::sync();
        fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
        for disk in [DISK_A, DISK_B] {
            let disk = OpenOptions::new().read(true).open(disk).unwrap();
            let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
            nix::fcntl::posix_fadvise(&disk, 0, 0, advice).unwrap();
        }
    }
}

/// What the devices have to hold.
#[derive(Default)]
struct Contents(BTreeMap<&'static str, Vec<u8>>);

impl Contents {
    fn write(&mut self, driver: &mut Driver, name: &'static str, sector: u64, sectors: usize, byte: u8) {
        let (at, data) = (sector * 512, vec![byte; sectors * 512]);
        driver.write(name, at, &data);
        let start = usize::try_from(at).unwrap();
        self.0.get_mut(name).unwrap()[start..start + data.len()].copy_from_slice(&data);
    }

    fn check(&self, driver: &mut Driver, what: &str) {
        for (name, content) in &self.0 {
            let found = driver.read(name, content.len());
            let differs = found.iter().zip(content).position(|(one, other)| one != other);
            assert_eq!(differs, None, "{what}: {name}: byte");
        }
    }
}

fn make(driver: &mut Driver, chunk: u64) {
    driver.make("snap", &format!("0 {SIZE} snapshot {DISK_A} {DISK_B} P {chunk}"));
    driver.make("base", &format!("0 {SIZE} snapshot-origin {DISK_A}"));
}

#[test]
fn a_store_goes_from_one_driver_to_the_other_and_is_merged_by_either() {
    guest::run("snapshot::a_store_goes_from_one_driver_to_the_other_and_is_merged_by_either", || {
        for (round, (first_is_kernel, chunk)) in (0u8..).zip([(true, 8), (false, 8), (true, 1), (false, 32)])
        {
            let what = format!("chunks of {chunk} sectors, made by the kernel: {first_is_kernel}");
            fs::write(DISK_B, [0; 4096]).unwrap();
            let content: Vec<u8> =
                (0..SIZE * 512).map(|at| u8::try_from(at / 512 % 251).unwrap() ^ round).collect();
            fs::write(DISK_A, &content).unwrap();
            let mut contents = Contents::default();
            contents.0.extend([("base", content.clone()), ("snap", content)]);
            for turn in 0u8..4 {
                let mut driver = Driver::new(first_is_kernel == (turn % 2 == 0));
                make(&mut driver, chunk);
                contents.check(&mut driver, &what);
                // More than an area of 1-sector chunks tells of, and not in order.
                for step in (0..6u64).rev() {
                    let sector = u64::from(turn) * 150 + step * 40;
                    contents.write(&mut driver, "base", sector, 9, turn * 16 + 1);
                    contents.write(&mut driver, "snap", sector + 5, 7, turn * 16 + 2);
                }
                contents.check(&mut driver, &what);
                driver.end(&["base", "snap"]);
            }
            // The other merges: it has to find every chunk that the first told of, and none else.
            let mut driver = Driver::new(!first_is_kernel);
            driver.make("base", &format!("0 {SIZE} snapshot-merge {DISK_A} {DISK_B} P {chunk}"));
            let done = format!("{}/8192 {}", 2 * chunk, 2 * chunk);
            for _ in 0..500 {
                if driver.status("base") == done {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            assert_eq!(driver.status("base"), done, "{what}");
            let merged = contents.0.remove("snap").unwrap();
            contents.0.insert("base", merged);
            contents.check(&mut driver, &what);
            driver.end(&["base"]);
            let mut driver = Driver::new(first_is_kernel);
            make(&mut driver, chunk);
            assert_eq!(driver.status("snap"), done, "{what}: nothing is left in the store");
            contents.check(&mut driver, &what);
            driver.end(&["base", "snap"]);
        }
    });
}

#[test]
fn a_merge_that_one_driver_begins_the_other_ends() {
    guest::run("snapshot::a_merge_that_one_driver_begins_the_other_ends", || {
        for kernel_ends in [true, false] {
            fs::write(DISK_B, [0; 4096]).unwrap();
            fs::write(DISK_A, vec![0x11; 512 * 1024]).unwrap();
            let mut driver = Driver::new(!kernel_ends);
            make(&mut driver, 8);
            let mut contents = Contents::default();
            contents.0.insert("snap", vec![0x11; 512 * 1024]);
            // Every other chunk: as many steps to merge as chunks.
            for sector in (0..SIZE).step_by(16) {
                contents.write(&mut driver, "snap", sector, 8, u8::try_from(sector / 8).unwrap());
            }
            driver.end(&["base", "snap"]);
            // As after a merge that was interrupted: the last exceptions are off the list, and their chunks in the origin.
            let disk = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(nix::libc::O_SYNC)
                .open(DISK_B)
                .unwrap();
            let origin = OpenOptions::new().write(true).custom_flags(nix::libc::O_SYNC).open(DISK_A).unwrap();
            for entry in (56..64u64).rev() {
                let mut exception = [0; 16];
                disk.read_exact_at(&mut exception, 4096 + entry * 16).unwrap();
                let number = |at: usize| u64::from_le_bytes(exception[at..at + 8].try_into().unwrap());
                let mut chunk = [0; 4096];
                disk.read_exact_at(&mut chunk, number(8) * 4096).unwrap();
                origin.write_all_at(&chunk, number(0) * 4096).unwrap();
                disk.write_all_at(&[0; 16], 4096 + entry * 16).unwrap();
            }
            drop((disk, origin));
            let mut driver = Driver::new(kernel_ends);
            driver.make("base", &format!("0 {SIZE} snapshot-merge {DISK_A} {DISK_B} P 8"));
            for _ in 0..500 {
                if driver.status("base") == "16/8192 16" {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            assert_eq!(driver.status("base"), "16/8192 16");
            let merged = contents.0.remove("snap").unwrap();
            contents.0.insert("base", merged);
            contents.check(&mut driver, &format!("the kernel ends it: {kernel_ends}"));
            driver.end(&["base"]);
        }
    });
}

/// A volume with a snapshot, both written since, as lvm makes them; prints what dmsetup says of them.
const LVM: &str = r#"
set -e
truncate -s 32M /dev/shm/disk
disk=$(losetup -f --show /dev/shm/disk)
pvcreate -q $disk >&2
vgcreate -q vg $disk >&2
lvcreate -qy -L 8M -n one vg >&2
dd if=/dev/urandom of=/dev/vg/one bs=64k count=128 oflag=direct 2>/dev/null
lvcreate -qy -s -c 8k -L 4M -n snap vg/one >&2
dd if=/dev/urandom of=/dev/vg/one bs=8k seek=7 count=50 oflag=direct 2>/dev/null
dd if=/dev/urandom of=/dev/vg/snap bs=4k seek=301 count=77 oflag=direct 2>/dev/null
dmsetup info -c --noheadings --separator ' ' -o minor,name
echo
dmsetup table
cp /dev/vg/one /dev/shm/one
cp /dev/vg/snap /dev/shm/snap
vgchange -qan vg >&2
losetup -d $disk
"#;

/// The same volumes again.
const LVM_AGAIN: &str = "losetup -f --show /dev/shm/disk >&2; vgchange -qay vg >&2; cmp /dev/vg/one /dev/shm/one && \
                         cmp /dev/vg/snap /dev/shm/snap && lvconvert -q --merge vg/snap >&2 && lvs --noheadings -o lv_name vg && \
                         cmp /dev/vg/one /dev/shm/snap && echo merged";

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn snapshots_that_lvm_made_are_the_mappers_too() {
    let programs = ["lvm", "losetup"];
    guest::run_with("snapshot::snapshots_that_lvm_made_are_the_mappers_too", &[], &programs, || {
        let said = shell(LVM);
        let (minors, tables) = said.split_once("\n\n").unwrap();
        let names: BTreeMap<&str, &str> =
            minors.lines().map(|line| line.trim().split_once(' ').unwrap()).collect();
        let major = guest::kernel_major();
        // The words of the kernel's table, with its numbers put as the mapper's names.
        let own = |word: &str| match word.split_once(':') {
            Some(("7", _)) => "/dev/shm/disk".to_owned(),
            Some((number, minor)) if number == major.to_string() => format!("/dev/mapper/{}", names[minor]),
            Some(_) | None => word.to_owned(),
        };
        let mut tables: Vec<(&str, String)> = tables
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, table)| (name, table.split(' ').map(own).collect::<Vec<_>>().join(" ")))
            .collect();
        // What stands on nothing of theirs first, the origin last.
        tables.sort_by_key(|(_, table)| (table.contains("/dev/mapper/"), table.contains("snapshot-origin")));
        assert_eq!(tables.len(), 4, "{tables:?}");
        let mut driver = Driver::new(false);
        for (name, table) in &tables {
            driver.make(name, table);
        }
        for (name, copy) in [("vg-one", "/dev/shm/one"), ("vg-snap", "/dev/shm/snap")] {
            let mut expected = fs::read(copy).unwrap();
            assert!(driver.read(name, expected.len()) == expected, "{name}");
            driver.write(name, 100_000, &[0x77; 30_000]);
            expected[100_000..130_000].fill(0x77);
            fs::write(copy, expected).unwrap();
        }
        assert!(!driver.status("vg-snap").starts_with("Invalid"));
        for (name, _) in tables.iter().rev() {
            driver.remove(name);
        }
        let said = shell(LVM_AGAIN);
        assert!(said.ends_with("merged\n") && !said.contains("snap"), "{said}");
    });
}

#[test]
fn refusals_are_the_kernels() {
    guest::run("snapshot::refusals_are_the_kernels", || {
        let tables = [
            "snapshot",
            "snapshot-origin",
            "snapshot-origin A 0",
            "snapshot A B P",
            "snapshot A A P 8",
            "snapshot A nope P 8",
            "snapshot nope B P 8",
            "snapshot A B Q 8",
            "snapshot A B Px 8",
            "snapshot A B px 8",
            "snapshot A B P 7",
            "snapshot A B P +8",
            "snapshot A B P x",
            "snapshot A B P -8",
            "snapshot A B P 4194304",
            "snapshot A B P 8192",
            "snapshot A B N 0",
            "snapshot A B P 0",
            "snapshot A B Nanything 8",
            "snapshot A B POanything 8",
            "snapshot A B p 8 x",
            "snapshot A B p 8 3 a b c",
            "snapshot A B p 8 0",
            "snapshot A B p 8 0 more",
            "snapshot A B p 8 1",
            "snapshot A B p 8 1 no_such_feature",
            "snapshot A B p 8 1 discard_passdown_origin",
            "snapshot A B p 8 1 DISCARD_zeroes_cow",
            "snapshot A B p 8 1 discard_zeroes_cow more",
            "snapshot A B p 8 2 discard_passdown_origin discard_zeroes_cow",
            "snapshot nope B p 8 1 no_such_feature",
        ];
        let mut faults = Vec::new();
        for table in tables {
            let line = format!("0 8 {table}").replace(" A", &format!(" {DISK_A}"));
            let line = line.replace(" B", &format!(" {DISK_B}"));
            let answers = [true, false].map(|is_kernel| {
                fs::write(DISK_B, [0; 4096]).unwrap();
                nix::unistd::sync();
                let mut driver = Driver::new(is_kernel);
                driver.ask(&Request::new(id("s"), Asked::DevCreate));
                let parsed = SourceTable::parse(line.as_bytes()).unwrap().table;
                let loaded = driver.client.perform(&Request::new(id("s"), Asked::TableLoad(parsed)));
                let answer = match loaded {
                    Err(error) => Some(error.errno.0.to_string()),
                    Ok(_) => {
                        let flags = Flags::STATUS_TABLE | Flags::QUERY_INACTIVE_TABLE;
                        let table = Request::new(id("s"), Asked::TableStatus).with_flags(flags);
                        let params = driver.ask(&table).lines()[0].params.to_string();
                        // The disks' numbers, or with our own client their paths.
                        Some(params.replace("98:0", DISK_A).replace("98:16", DISK_B))
                    }
                };
                driver.remove("s");
                answer
            });
            if answers[0] != answers[1] {
                faults.push(format!("{table}: kernel {:?}, mapper {:?}", answers[0], answers[1]));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    });
}
