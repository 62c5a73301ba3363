//! What one driver left is continued by the other, and what one refuses so does the other: mirrors, multipaths, the log of
//! log-writes.

use super::sides::{KernelSide, MapperSide, Side};
use super::{DISK_SECTORS, Device, Rng};
use crate::guest::{self, DISK_A, DISK_B};
use crate::replies::ask;
use rdmsetup::backend::Kernel;
use rdmsetup::block::BlockDevice;
use rdmsetup::dm::{Bytes, Command, DeviceId, Flags, Reply, Request, Sectors, SourceTable};
use rdmsetup::mapper::{self, Mapper, Outcome};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command as Process;
use std::thread::sleep;
use std::time::{Duration, Instant};

const LEG: usize = 240 * 512;
const REGION: usize = 16 * 512;
const SECOND: usize = 300 * 512;
const LOG: usize = 700 * 512;

fn side(is_kernel: bool, disks: &[Vec<u8>; 2]) -> Box<dyn Side> {
    if is_kernel { Box::new(KernelSide::new(disks)) } else { Box::new(MapperSide::new(disks)) }
}

fn status(side: &mut dyn Side, name: &str) -> String {
    let reply = side.ask(&Request::new(DeviceId::by_name(name), Command::TableStatus)).unwrap();
    reply.lines()[0].params.to_string()
}

fn until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "it does not come about");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_mirrors_log_is_continued_by_the_other_driver() {
    guest::run("sequences::crossing::a_mirrors_log_is_continued_by_the_other_driver", || {
        let devices = [
            Device::new("log", "0 16 linear A 700"),
            Device::new("vol", "0 240 mirror disk 2 @log 16 2 A 0 B 300"),
        ];
        for kernel_first in [true, false] {
            let mut rng = Rng(7);
            let disks = [0, 1].map(|_| rng.bytes(usize::try_from(DISK_SECTORS * 512).unwrap()));
            let mut first = side(kernel_first, &disks);
            first.make(&devices);
            until(|| status(first.as_mut(), "vol").contains(" 15/15 1 AA "));
            let data = rng.bytes(REGION * 2);
            first.write(1, 8, &data).unwrap();
            first.flush(1).unwrap();
            let mut disks = first.end();
            drop(first);
            assert!(disks[0][..LEG] == disks[1][SECOND..SECOND + LEG]);
            assert_eq!(disks[0][LOG..LOG + 16], *b"rRiM\x02\0\0\0\x0f\0\0\0\0\0\0\0");
            assert_eq!(disks[0][LOG + 1024..LOG + 1032], [0xff, 0x7f, 0, 0, 0, 0, 0, 0]);

            // A crash in regions 3 and 9; what is wrong in region 5 no log knows of.
            disks[0][LOG + 1024] &= !(1 << 3);
            disks[0][LOG + 1025] &= !(1 << 1);
            for (region, fill) in [(3, 0x11), (5, 0x22), (9, 0x33)] {
                disks[1][SECOND + region * REGION..][..REGION].fill(fill);
            }
            let mut second = side(!kernel_first, &disks);
            second.make(&devices);
            until(|| status(second.as_mut(), "vol").contains(" 15/15 1 AA "));
            assert!(second.read(1, 8, 32).unwrap() == data);
            let after = second.end();
            for region in 0..15 {
                let at = region * REGION;
                let [a, b] = [&after[0][at..at + REGION], &after[1][SECOND + at..SECOND + at + REGION]];
                assert_eq!(a == b, region != 5, "region {region}, kernel first: {kernel_first}");
            }
            assert!(after[1][SECOND + 5 * REGION..][..REGION].iter().all(|&byte| byte == 0x22));
            assert_eq!(after[0][LOG + 1024..LOG + 1032], [0xff, 0x7f, 0, 0, 0, 0, 0, 0]);
            assert!(after[0][..LEG] == disks[0][..LEG], "the first leg is as it was");
        }
    });
}

/// No driver reads a log: each begins a new one over whatever is there, so that the same was written whoever was first and
/// whoever came then, and what is behind its end is the first one's.
#[test]
fn a_log_of_writes_is_begun_anew_over_the_other_drivers() {
    guest::run("sequences::crossing::a_log_of_writes_is_begun_anew_over_the_other_drivers", || {
        let devices = [Device::new("vol", "0 400 log-writes A B")];
        let play = |driver: bool, mut disks: [Vec<u8>; 2], writes: u64| {
            let mut side = side(driver, &disks);
            side.make(&devices);
            let mut rng = Rng(writes);
            for count in 0..writes {
                let (at, data) = (rng.below(300), rng.bytes(2048));
                if count % 3 == 0 {
                    side.write_through(0, at, &data).unwrap();
                } else {
                    side.write(0, at, &data).unwrap();
                }
            }
            side.discard(0, 8, 8).unwrap();
            let mark = Command::TargetMsg { sector: Sectors(0), message: "mark here".into() };
            side.ask(&Request::new(DeviceId::by_name("vol"), mark)).unwrap();
            side.flush(0).unwrap();
            disks = side.end();
            disks
        };
        let disks = [0, 1].map(|_| vec![0; usize::try_from(DISK_SECTORS * 512).unwrap()]);
        let ends: Vec<_> = [(true, true), (true, false), (false, true), (false, false)]
            .map(|(first, second)| play(second, play(first, disks.clone(), 20), 7))
            .to_vec();
        assert_eq!(ends[0][1][..8], *b"rhswfsj\0");
        // Seven writes, three of them through the cache and with a flush; a discard, the mark, a flush, the last mark.
        assert_eq!(ends[0][1][16..24], 14u64.to_le_bytes());
        for (who, end) in ["kernel, mapper", "mapper, kernel", "mapper, mapper"].iter().zip(&ends[1..]) {
            assert!(end == &ends[0], "{who}: not what the kernel alone leaves");
        }
    });
}

/// Lines that one of the two takes or refuses.
const LINES: &[&str] = &[
    "mirror",
    "mirror core",
    "mirror core 1",
    "mirror core 1 8 2 A 0 B 0",
    "mirror core 1 1 2 A 0 B 0",
    "mirror core 1 12 2 A 0 B 0",
    "mirror core 1 128 2 A 0 B 0",
    "mirror core 0 2 A 0 B 0",
    "mirror core 3 8 nosync block_on_error 2 A 0 B 0",
    "mirror core 2 8 nosync 2 A 0 B 0",
    "mirror core 2 8 block_on_error 2 A 0 B 0",
    "mirror core 2 8 sync 3 A 0 B 0 A 200 2 keep_log handle_errors",
    "mirror core 1 8 1 A 0",
    "mirror core 1 8 10 A 0 B 0 A 0 B 0 A 0 B 0 A 0 B 0 A 0 B 0",
    "mirror core 1 8 2 A 0 B",
    "mirror core 1 8 2 A 0 nope 0",
    "mirror core 1 8 2 nope x B 0",
    "mirror core 1 8 2 A 0 B 0 1 keep_log",
    "mirror core 1 8 2 A 0 B 0 1 handle_errors",
    "mirror core 1 8 2 A 0 B 0 2 handle_errors",
    "mirror core 1 8 2 A 0 B 0 1 other",
    "mirror core 1 8 2 A 0 B 0 0",
    "mirror core 1 8 2 A 0 B 0 0 x",
    "mirror core 1 8 2 A 0 B 999999999",
    "mirror core 1 +8 2 A 0 B 0",
    "mirror disk 1 8 2 A 0 B 0",
    "mirror disk 2 nope 8 2 A 0 B 0",
    "mirror disk 2 A 8 2 A 0 B 0",
    "mirror disk 3 B 8 sync 2 A 0 B 100 1 handle_errors",
    "mirror disk 4 B 8 sync x 2 A 0 B 100",
    "mirror clustered 2 A 8 2 A 0 B 0",
    "multipath",
    "multipath 0",
    "multipath 0 0 0 0",
    "multipath 0 0 0 1",
    "multipath 0 0 1 0",
    "multipath 0 0 1 1",
    "multipath 0 0 1 1 round-robin 0 1 1 A 1",
    "multipath 0 0 1 1 round-robin 0 1 0 A",
    "multipath 0 0 1 1 round-robin 0 2 1 A 1 B 1000",
    "multipath 0 0 1 2 round-robin 0 1 1 A 1",
    "multipath 0 0 2 1 round-robin 0 1 1 A 1",
    "multipath 0 0 2 2 round-robin 0 1 1 A 1 service-time 0 1 2 B 1 7",
    "multipath 1 queue_if_no_path 0 1 1 queue-length 0 1 1 A 1",
    "multipath 3 queue_if_no_path pg_init_retries 50 0 1 1 queue-length 0 1 1 A 1",
    "multipath 2 pg_init_retries 51 0 1 1 queue-length 0 1 1 A 1",
    "multipath 1 pg_init_retries 0 1 1 queue-length 0 1 1 A 1",
    "multipath 2 pg_init_delay_msecs 60000 0 1 1 queue-length 0 1 1 A 1",
    "multipath 2 queue_mode rq 0 1 1 queue-length 0 1 1 A 1",
    "multipath 2 queue_mode mq 0 1 1 queue-length 0 1 1 A 1",
    "multipath 2 queue_mode bio 1 alua 1 1 queue-length 0 1 1 A 1",
    "multipath 2 queue_mode other 0 1 1 queue-length 0 1 1 A 1",
    "multipath 1 Retain_Attached_HW_Handler 0 1 1 queue-length 0 1 1 A 1",
    "multipath 9 x 0 1 1 queue-length 0 1 1 A 1",
    "multipath 1 other 0 1 1 queue-length 0 1 1 A 1",
    "multipath 0 0 1 1 other 0 1 1 A 1",
    "multipath 0 0 1 1 round-robin 0 0 1 A 1",
    "multipath 0 0 1 1 round-robin 0 1 1 A",
    "multipath 0 0 1 1 round-robin 0 1 1 A x",
    "multipath 0 0 1 1 round-robin 0 1 2 A 1 1",
    "multipath 0 0 1 1 service-time 0 1 2 A 1 101",
    "multipath 0 0 1 1 service-time 0 1 2 A 1 100",
    "multipath 0 0 1 1 service-time 0 1 3 A 1 1 1",
    "multipath 0 0 1 1 round-robin 0 1 1 nope 1",
    "multipath 0 0 1 1 round-robin 0 1 1 nope x",
    "multipath 0 0 1 1 round-robin 0 1 1 A 1 x",
    "multipath 0 1 alua 1 1 round-robin 0 1 1 A 1",
    "multipath 0 3 alua 1 x 1 1 round-robin 0 1 1 A 1",
    "multipath 0 2 alua 1 1 round-robin 0 1 1 A 1",
    "multipath 0 0 1025 1 round-robin 0 1 1 A 1",
];

#[test]
fn bad_lines_have_the_same_numbers_and_good_ones_the_same_text() {
    guest::run("sequences::crossing::bad_lines_have_the_same_numbers_and_good_ones_the_same_text", || {
        let disks = [0, 1].map(|_| vec![0; usize::try_from(DISK_SECTORS * 512).unwrap()]);
        let mut sides = [side(true, &disks), side(false, &disks)];
        let mut wrong = Vec::new();
        for line in LINES {
            let [theirs, ours] = sides.each_mut().map(|side| {
                let id = || DeviceId::by_name("vol");
                side.ask(&Request::new(id(), Command::DevCreate)).unwrap();
                let load = side.load(&format!("0 100 {line}"));
                let loaded = side.ask(&Request::new(id(), load)).map(|_| ());
                let flags = Flags::QUERY_INACTIVE_TABLE | side.paths();
                let mut shown = Vec::new();
                for flags in [flags, flags | Flags::STATUS_TABLE] {
                    let status = Request::new(id(), Command::TableStatus).with_flags(flags);
                    let reply = side.ask(&status).unwrap();
                    shown.extend(reply.lines().iter().map(|line| line.params.to_string()));
                }
                let shown: Vec<String> = shown.iter().map(|text| side.shown(text)).collect();
                side.ask(&Request::new(id(), Command::DevRemove)).unwrap();
                (loaded, shown)
            });
            if theirs != ours {
                wrong.push(format!("{line}\n  kernel {theirs:?}\n  mapper {ours:?}"));
            }
        }
        assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), LINES.len(), wrong.join("\n"));
    });
}

const MAKE: &str = "
set -e
pvcreate -q --metadatasize 64k --dataalignment 64k /dev/ubda /dev/ubdb
vgcreate -q -s 64k vg /dev/ubda /dev/ubdb
lvcreate -qy --type mirror -m1 --mirrorlog disk --alloc anywhere -R 32k -l 16 -n m vg --config activation/monitoring=0
";

#[test]
fn a_mirror_made_by_lvm_opens_in_the_mapper() {
    guest::run_with("sequences::crossing::a_mirror_made_by_lvm_opens_in_the_mapper", &[], &["lvm"], || {
        let run = |script: &str| {
            let output = Process::new("sh").args(["-c", script]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(MAKE);
        let mut kernel = Kernel::open(Path::new("/dev"), true).unwrap();
        let mut tell = |request: &Request| ask(&mut kernel, request).unwrap();
        let named = |name: &str| Request::new(DeviceId::by_name(name), Command::TableStatus);
        until(|| tell(&named("vg-m")).lines()[0].params.to_string().contains(" 32/32 1 AA "));
        let data = Rng(3).bytes(1 << 20);
        let volume = OpenOptions::new().write(true).open("/dev/vg/m").unwrap();
        volume.write_all_at(&data, 0).unwrap();
        volume.sync_all().unwrap();
        drop(volume);
        let listed = tell(&Request::global(Command::ListDevices));
        let mut tables: Vec<(String, u32, Reply)> = Vec::new();
        for device in listed.devices() {
            let name = device.name.to_string();
            let table = tell(&named(&name).with_flags(Flags::STATUS_TABLE));
            tables.push((name, device.dev.minor, table));
        }
        run("vgchange -qan vg; sync; echo 3 >/proc/sys/vm/drop_caches");

        // What stands on others comes last.
        tables.sort_by_key(|(_, _, table)| table.lines()[0].target == *"mirror");
        assert_eq!(tables.len(), 4, "the mirror, its legs, its log");
        let mut mapper = Mapper::new();
        mapper.serve();
        let mut perform = |request: Request| match mapper.perform(&request) {
            Ok(Outcome::Reply(reply)) => reply,
            other => panic!("{request:?}: {other:?}"),
        };
        let mut words = vec![("98:0".to_owned(), DISK_A.to_owned()), ("98:16".to_owned(), DISK_B.to_owned())];
        for (name, minor, table) in &tables {
            let id = || DeviceId::by_name(name.as_str());
            let made = perform(Request::new(id(), Command::DevCreate)).device.dev.unwrap();
            let mut lines = Vec::new();
            for line in table.lines() {
                let params = line.params.to_string();
                let own = params.split(' ').map(|word| {
                    let known = words.iter().find(|(theirs, _)| theirs == word);
                    known.map_or(word, |(_, ours)| ours.as_str())
                });
                let own: Vec<&str> = own.collect();
                lines.push(format!("{} {} {} {}", line.start, line.length, line.target, own.join(" ")));
            }
            let load = Command::TableLoad(SourceTable::parse(lines.join("\n").as_bytes()).unwrap().table);
            perform(Request::new(id(), load));
            perform(Request::resume(id()));
            words.push((
                format!("{}:{minor}", guest::kernel_major()),
                format!("{}:{}", mapper::MAJOR, made.minor),
            ));
        }
        let status = perform(named("vg-m")).lines()[0].params.to_string();
        assert!(status.contains(" 32/32 1 AA 3 disk "), "known to be in sync: {status}");
        let mut read = vec![0; data.len()];
        mapper.volume(&DeviceId::by_name("vg-m"), true).unwrap().read_at(&mut read, Bytes(0)).unwrap();
        assert!(read == data);
    });
}
