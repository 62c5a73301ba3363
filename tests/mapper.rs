//! The userspace mapper, asked directly: stacking, saved state, and any sequence of requests at all.
//!
//! That it answers as Linux does is `tests/kernel`'s to show; this is about what Linux has no part in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use arbitrary::{Arbitrary, Unstructured};
#[cfg(target_os = "linux")]
use rdmsetup::block::Access;
use rdmsetup::block::BlockDevice;
use rdmsetup::dm::{
    Bytes, Command, CommandKind, DeviceId, DeviceNumber, Errno, Flags, Reply, Request, Sectors, SourceTable,
    Text,
};
use rdmsetup::mapper::{MAJOR, Mapper, Outcome, State};
use rdmsetup::wire::linux;
use std::fs::{self, File};
use std::path::PathBuf;
use tempfile::TempDir;

/// A mapper, and a directory for its files.
struct Bench {
    mapper: Mapper,
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { mapper: Mapper::new(), directory: tempfile::tempdir().unwrap() }
    }

    /// A file of that many sectors; its path.
    fn file(&self, name: &str, sectors: u64) -> PathBuf {
        let path = self.directory.path().join(name);
        File::create(&path).unwrap().set_len(sectors * 512).unwrap();
        path.canonicalize().unwrap()
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Errno> {
        match self.mapper.perform(request) {
            Ok(Outcome::Reply(reply)) => Ok(reply),
            Ok(Outcome::Waiting(dev, _)) => panic!("{request:?} waits for {dev}"),
            Err(fault) => {
                assert!(!fault.reason.is_empty(), "{request:?}: a refusal without a reason");
                Err(fault.errno)
            }
        }
    }

    fn create(&mut self, name: &str) {
        self.ask(&Request::new(DeviceId::by_name(name), Command::DevCreate)).unwrap();
    }

    fn load(&mut self, name: &str, table: &str) -> Result<Reply, Errno> {
        let table = SourceTable::parse(table.as_bytes()).unwrap().table;
        self.ask(&Request::new(DeviceId::by_name(name), Command::TableLoad(table)))
    }

    /// A device with that table, at work.
    fn make(&mut self, name: &str, table: &str) {
        self.create(name);
        self.load(name, table).unwrap();
        self.ask(&Request::resume(DeviceId::by_name(name))).unwrap();
    }

    fn remove(&mut self, name: &str) -> Result<Reply, Errno> {
        self.ask(&Request::new(DeviceId::by_name(name), Command::DevRemove))
    }

    fn table(&mut self, name: &str, flags: Flags) -> Vec<String> {
        let request = Request::new(DeviceId::by_name(name), Command::TableStatus);
        let reply = self.ask(&request.with_flags(Flags::STATUS_TABLE | flags)).unwrap();
        reply
            .lines()
            .iter()
            .map(|line| format!("{} {} {} {}", line.start, line.length, line.target, line.params))
            .collect()
    }

    fn names(&mut self) -> Vec<Text> {
        let reply = self.ask(&Request::global(Command::ListDevices)).unwrap();
        reply.devices().iter().map(|device| device.name.clone()).collect()
    }

    /// The same mapper after its state was saved and loaded.
    fn reload(&mut self) {
        let saved = self.mapper.state().to_bytes();
        self.mapper = Mapper::restore(&State::parse(&saved).unwrap()).unwrap();
        // All but how often it was saved.
        let content =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).split_once("\"devices\"").unwrap().1.to_owned();
        assert_eq!(
            content(&self.mapper.state().to_bytes()),
            content(&saved),
            "what is loaded is what was saved"
        );
    }
}

#[test]
fn a_file_has_a_loop_devices_number_for_as_long_as_a_table_names_it() {
    let mut bench = Bench::new();
    let (a, b) = (bench.file("a", 100), bench.file("b", 100));
    bench.make("one", &format!("0 10 linear {} 0", a.display()));
    bench.make("two", &format!("0 10 linear {} 0\n10 10 linear {} 5", b.display(), a.display()));
    assert_eq!(bench.table("two", Flags::NONE), ["0 10 linear 7:1 0", "10 10 linear 7:0 5"]);
    let by_path = format!("0 10 linear {} 0", b.display());
    assert_eq!(bench.table("two", Flags::PATHS)[0], by_path);
    bench.reload();
    bench.remove("one").unwrap();
    assert_eq!(bench.table("two", Flags::NONE)[1], "10 10 linear 7:0 5", "still named by the other");
    bench.remove("two").unwrap();
    bench.make("three", &format!("0 10 linear {} 0", b.display()));
    assert_eq!(bench.table("three", Flags::NONE), ["0 10 linear 7:0 0"], "the numbers are free again");
}

#[test]
fn devices_stand_on_devices_by_name_path_and_number() {
    let mut bench = Bench::new();
    let disk = bench.file("disk", 100);
    bench.make("low", &format!("0 100 linear {} 0", disk.display()));
    for (name, word) in [("n", "low"), ("p", "/dev/mapper/low"), ("d", &format!("{MAJOR}:0"))] {
        bench.make(name, &format!("0 50 linear {word} 25"));
        assert_eq!(bench.table(name, Flags::PATHS), [format!("0 50 linear {MAJOR}:0 25")]);
    }
    assert_eq!(bench.remove("low"), Err(Errno::EBUSY));
    let upper = bench.mapper.volume(&DeviceId::by_name("n"), true).unwrap();
    upper.write_at(b"through two", Bytes(512)).unwrap();
    let bytes = fs::read(&disk).unwrap();
    assert_eq!(&bytes[26 * 512..][..11], b"through two");
    assert_eq!(bench.remove("n"), Err(Errno::EBUSY), "it is being read");
    drop(upper);
    bench.remove("n").unwrap();
}

#[test]
fn circles_and_towers_are_refused() {
    let mut bench = Bench::new();
    bench.make("d0", "0 8 zero");
    assert_eq!(bench.load("d0", "0 8 linear d0 0"), Err(Errno::EINVAL));
    bench.make("d1", "0 8 linear d0 0");
    bench.make("d2", "0 8 linear d1 0");
    assert_eq!(bench.load("d0", "0 8 linear d2 0"), Err(Errno::EINVAL), "three in a circle");
    let deepest = (3..200).find(|level| {
        bench.create(&format!("d{level}"));
        bench.load(&format!("d{level}"), &format!("0 8 linear d{} 0", level - 1)).is_err()
    });
    assert_eq!(deepest, Some(32));
    // What is too deep from above is refused as well: a new floor under the tower.
    bench.make("floor", "0 8 zero");
    assert_eq!(bench.load("d0", "0 8 linear floor 0"), Err(Errno::EINVAL));
    bench.reload();
}

#[test]
fn a_file_and_a_device_of_one_name_are_not_guessed_between() {
    let mut bench = Bench::new();
    // The tests' own directory has a Cargo.toml.
    bench.make("Cargo.toml", "0 8 zero");
    bench.create("upper");
    let mut load = |word: &str| {
        let table = SourceTable::parse(format!("0 1 linear {word} 0").as_bytes()).unwrap().table;
        let load =
            Request::new(DeviceId::by_name("upper"), Command::TableLoad(table)).with_flags(Flags::READONLY);
        let loaded = bench.ask(&load).map(drop);
        bench.ask(&Request::new(DeviceId::by_name("upper"), Command::TableClear)).unwrap();
        loaded
    };
    assert_eq!(load("Cargo.toml"), Err(Errno::EINVAL));
    assert_eq!(load("/dev/mapper/Cargo.toml"), Ok(()));
    assert_eq!(load("./Cargo.toml"), Ok(()));
}

#[test]
fn what_is_gone_is_missed_only_by_who_reads_it() {
    let mut bench = Bench::new();
    let disk = bench.file("disk", 100);
    bench.make("vol", &format!("0 100 linear {} 0", disk.display()));
    bench.reload();
    fs::remove_file(&disk).unwrap();
    assert_eq!(bench.table("vol", Flags::PATHS), [format!("0 100 linear {} 0", disk.display())]);
    assert_eq!(bench.names(), [Text::from("vol")]);
    let fault = bench.mapper.volume(&DeviceId::by_name("vol"), false).unwrap_err();
    assert_eq!(fault.errno, Errno::ENODEV);
    assert!(fault.reason.contains(disk.to_str().unwrap()), "{fault}");
    bench.remove("vol").unwrap();
}

#[test]
fn a_suspended_or_read_only_device_says_so() {
    let mut bench = Bench::new();
    let disk = bench.file("disk", 8);
    let table = SourceTable::parse(format!("0 8 linear {} 0", disk.display()).as_bytes()).unwrap().table;
    bench.create("ro");
    let load = Request::new(DeviceId::by_name("ro"), Command::TableLoad(table)).with_flags(Flags::READONLY);
    bench.ask(&load).unwrap();
    bench.ask(&Request::resume(DeviceId::by_name("ro"))).unwrap();
    let open = |bench: &mut Bench, writable| {
        bench.mapper.volume(&DeviceId::by_name("ro"), writable).map_err(|f| f.errno)
    };
    assert_eq!(open(&mut bench, true).unwrap_err(), Errno::EROFS);
    let volume = open(&mut bench, false).unwrap();
    assert_eq!(volume.write_at(b"x", Bytes(0)), Err(Errno::EROFS));
    bench.ask(&Request::suspend(DeviceId::by_name("ro"))).unwrap();
    assert!(bench.mapper.is_suspended(&DeviceId::by_name("ro")).unwrap());
    let reader = std::thread::spawn(move || volume.read_at(&mut [0; 512], Bytes(0)));
    let later = open(&mut bench, false).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!reader.is_finished(), "I/O of a suspended device waits");
    bench.ask(&Request::resume(DeviceId::by_name("ro"))).unwrap();
    assert_eq!(reader.join().unwrap(), Ok(()));
    assert_eq!(later.read_at(&mut [0; 512], Bytes(0)), Ok(()));
}

/// What is done in place is I/O in flight: no suspension ends before it.
#[cfg(target_os = "linux")]
#[test]
fn a_range_is_in_place_until_its_user_is_done_with_it() {
    let mut bench = Bench { directory: tempfile::tempdir_in("/dev/shm").unwrap(), ..Bench::new() };
    let (disk, hole) = (bench.file("disk", 64), bench.file("hole", 64));
    fs::write(&disk, [7; 64 * 512]).unwrap();
    let table = |other: &str| {
        let (disk, hole) = (disk.display(), hole.display());
        format!("0 16 linear {disk} 8\n16 8 {other}\n24 8 linear {disk} 40\n32 16 linear {hole} 0")
    };
    bench.make("vol", &table("zero"));
    let id = || DeviceId::by_name("vol");
    let volume = bench.mapper.volume(&id(), true).unwrap();
    let range = |sector: u64| Bytes(sector * 512)..Bytes(sector * 512 + 4096);
    let mut parts = |access, sectors: &[u64], is_done| {
        let ranges: Vec<_> = sectors.iter().copied().map(range).collect();
        let mut seen = 0;
        let done = volume.in_place(access, &ranges, &mut |parts| {
            seen = parts.iter().filter(|part| part.length() == 4096).count();
            let asked = bench.mapper.perform(&Request::suspend(id())).unwrap();
            assert!(matches!(asked, Outcome::Waiting(..)), "{asked:?}");
            is_done
        });
        if seen > 0 {
            assert!(matches!(bench.mapper.perform(&Request::suspend(id())).unwrap(), Outcome::Reply(_)));
            bench.mapper.perform(&Request::resume(id())).unwrap();
        }
        (done, seen)
    };
    assert_eq!(parts(Access::Read, &[0, 24, 8], true), (3, 3));
    assert_eq!(parts(Access::Read, &[0], false), (0, 1), "said to be undone");
    assert_eq!(parts(Access::Read, &[8, 12, 24], true), (1, 1), "in two pieces");
    assert_eq!(parts(Access::Read, &[16], true), (0, 0), "nowhere");
    assert_eq!(parts(Access::Read, &[0, 32], true), (1, 1), "a hole");
    assert_eq!(parts(Access::Write, &[0, 32], true), (2, 2));
    // Where a disk is another device it has a gate of its own.
    bench.make("whole", &table("zero"));
    bench.make("over", "0 48 linear /dev/mapper/whole 0");
    let over = bench.mapper.volume(&DeviceId::by_name("over"), true).unwrap();
    assert_eq!(over.in_place(Access::Read, &[range(0)], &mut |_| panic!("in place")), 0);
}

#[test]
fn reads_and_writes_cross_lines_at_any_byte() {
    let mut bench = Bench::new();
    let (a, b) = (bench.file("a", 64), bench.file("b", 64));
    let table = format!(
        "0 3 linear {a} 1\n3 4 striped 2 1 {a} 8 {b} 0\n7 1 zero\n8 2 linear {b} 20",
        a = a.display(),
        b = b.display()
    );
    bench.make("vol", &table);
    let volume = bench.mapper.volume(&DeviceId::by_name("vol"), true).unwrap();
    let mut model = vec![0; 10 * 512];
    arbtest::arbtest(|u| {
        let at = u.int_in_range(0..=model.len() - 1)?;
        let length = u.int_in_range(1..=(model.len() - at).min(2000))?;
        let data: Vec<u8> = (0..length).map(|_| u.arbitrary()).collect::<Result<_, _>>()?;
        volume.write_at(&data, Bytes(at as u64)).unwrap();
        model[at..at + length].copy_from_slice(&data);
        model[7 * 512..8 * 512].fill(0);
        let mut read = vec![1; model.len()];
        volume.read_at(&mut read, Bytes(0)).unwrap();
        assert!(read == model);
        Ok(())
    })
    .budget_ms(300);
    assert_eq!(volume.read_at(&mut [0; 2], Bytes(10 * 512 - 1)), Err(Errno::EIO), "the end is the end");
}

#[test]
fn our_own_client_is_told_how_much_room_a_reply_takes() {
    let mut bench = Bench::new();
    let lines: Vec<String> = (0..100).map(|line| format!("{} 8 zero", line * 8)).collect();
    bench.make("vol", &lines.join("\n"));
    let request =
        Request::new(DeviceId::by_name("vol"), Command::TableStatus).with_flags(Flags::STATUS_TABLE);
    let mut ask = |flags: Flags, size: usize| {
        let mut buffer = linux::encode_request(&request.clone().with_flags(flags), size).unwrap();
        bench.mapper.ioctl(linux::ioctl_number(CommandKind::TableStatus), &mut buffer).unwrap();
        linux::buffer_is_full(&buffer).then(|| linux::wanted_size(&buffer))
    };
    let wanted = ask(Flags::PATHS, 400).expect("100 lines do not fit in 400 bytes");
    assert_eq!(ask(Flags::PATHS, wanted), None);
    assert_eq!(ask(Flags::PATHS, wanted - 1), Some(wanted));
    assert!(ask(Flags::NONE, 400).is_some_and(|told| told < 400), "others are told what Linux tells");
}

#[test]
fn what_is_no_storage_is_not_even_opened() {
    let mut bench = Bench::new();
    bench.create("vol");
    let pipe = bench.directory.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let directory = bench.directory.path().to_path_buf();
    for path in [pipe, directory, "/dev/null".into()] {
        let table = SourceTable::parse(format!("0 8 linear {} 0", path.display()).as_bytes()).unwrap().table;
        let load = Request::new(DeviceId::by_name("vol"), Command::TableLoad(table));
        // Read-only, since a pipe opened so waits for a writer.
        assert_eq!(bench.ask(&load.with_flags(Flags::READONLY)), Err(Errno::ENOTBLK), "{}", path.display());
    }
}

/// Few names, so that requests meet.
const NAMES: &[&str] = &["a", "b", "c", "", "x/y", "/dev/zero"];

fn any_device(u: &mut Unstructured<'_>) -> arbitrary::Result<DeviceId> {
    let mut device = DeviceId::default();
    if u.ratio(5, 6)? {
        device.name = (*u.choose(NAMES)?).into();
    }
    if u.ratio(1, 6)? {
        device.uuid = (*u.choose(&["u", "v"])?).into();
    }
    if u.ratio(1, 6)? {
        device.dev = Some(DeviceNumber::new(*u.choose(&[MAJOR, 7, 0])?, u.int_in_range(0..=3)?));
    }
    Ok(device)
}

fn any_table(u: &mut Unstructured<'_>, disk: &str) -> arbitrary::Result<Command> {
    let mut text = String::new();
    let mut start = 0;
    for _ in 0..u.int_in_range(0..=4)? {
        let length = *u.choose(&[0, 8, 16, 64, u64::MAX])?;
        let word = *u.choose(&["a", "b", "240:0", "240:1", "7:0", "/nonesuch", disk])?;
        let target = *u.choose(&[
            "zero",
            "error x",
            "nonesuch",
            "linear W 0",
            "linear W 18446744073709551615",
            "striped 2 8 W 0 W 64",
            "striped W",
        ])?;
        text.push_str(&format!("{start} {length} {}\n", target.replace('W', word)));
        start = if u.ratio(9, 10)? { length.saturating_add(start) } else { u.arbitrary()? };
    }
    Ok(Command::TableLoad(SourceTable::parse(text.as_bytes()).unwrap().table))
}

fn any_request(u: &mut Unstructured<'_>, disk: &str) -> arbitrary::Result<Request> {
    let command = match u.int_in_range(0..=14)? {
        0..=2 => Command::DevCreate,
        3..=5 => any_table(u, disk)?,
        6..=8 => Command::DevSuspend,
        9 => Command::DevRemove,
        10 => Command::DevRename((*u.choose(NAMES)?).into()),
        11 => Command::TableClear,
        12 => Command::TableStatus,
        13 => Command::TargetMsg {
            sector: Sectors(u.arbitrary()?),
            message: (*u.choose(&["", "hi", "@x"])?).into(),
        },
        _ => Command::RemoveAll,
    };
    let flags =
        [Flags::SUSPEND, Flags::READONLY, Flags::UUID, Flags::DEFERRED_REMOVE, Flags::QUERY_INACTIVE_TABLE];
    let flags = flags.into_iter().try_fold(Flags::NONE, |all, flag| Ok(all.set(flag, u.ratio(1, 5)?)))?;
    Ok(Request { flags, event_nr: u32::arbitrary(u)?, ..Request::new(any_device(u)?, command) })
}

#[test]
fn any_requests_leave_a_state_that_can_be_saved() {
    let disk = Bench::new();
    let path = disk.file("disk", 128).display().to_string();
    arbtest::arbtest(|u| {
        let mut bench = Bench::new();
        for _ in 0..u.int_in_range(1..=60)? {
            let request = any_request(u, &path)?;
            let _ = bench.ask(&request);
            bench.reload();
        }
        Ok(())
    })
    .budget_ms(3000);
}

#[test]
fn damaged_state_is_an_error_or_a_state() {
    let mut bench = Bench::new();
    let disk = bench.file("disk", 128);
    bench.make("low", &format!("0 100 linear {} 0", disk.display()));
    bench.make("high", "0 50 linear low 0\n50 2 zero");
    let bytes = bench.mapper.state().to_bytes();
    arbtest::arbtest(|u| {
        let mut damaged = bytes.clone();
        for _ in 0..u.int_in_range(1..=4)? {
            let at = u.choose_index(damaged.len())?;
            match u.int_in_range(0..=2)? {
                0 => damaged[at] = u.arbitrary()?,
                1 => damaged[at] = *u.choose(b"0123456789\",:[]{}\\")?,
                _ => drop(damaged.drain(at..(at + u.int_in_range(1..=9)?).min(damaged.len()))),
            }
            if damaged.is_empty() {
                return Ok(());
            }
        }
        let restored = State::parse(&damaged).and_then(|state| Mapper::restore(&state));
        match restored {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(mut mapper) => {
                let _ = mapper.volume(&DeviceId::by_name("high"), true);
                let _ = mapper.perform(&Request::new(DeviceId::by_name("high"), Command::TableStatus));
            }
        }
        Ok(())
    })
    .budget_ms(1000);
}
