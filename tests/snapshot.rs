//! Snapshots against a model of them: plain copies of bytes, whatever is done to the devices.
//!
//! That the stores are the kernel's, byte for byte, is `tests/kernel`'s to show.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::cast_possible_truncation, reason = "the devices here are small")]

use arbitrary::Unstructured;
use arbtest::arbtest;
use rdmsetup::block::BlockDevice;
use rdmsetup::dm::{Bytes, Command, DeviceId, Errno, Flags, Reply, Request, SourceTable};
use rdmsetup::mapper::{Mapper, Outcome, State, Waiting};
use std::collections::BTreeMap;
use std::fs::File;
use tempfile::TempDir;

/// Sectors of the origin.
const SIZE: u64 = 256;

/// A mapper over files, and what its devices have to hold.
struct Bench {
    mapper: Mapper,
    directory: TempDir,
    serves: bool,
    contents: BTreeMap<String, Vec<u8>>,
}

fn id(name: &str) -> DeviceId {
    DeviceId::by_name(name)
}

impl Bench {
    fn new(serves: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Self { mapper: Mapper::new(), directory, serves, contents: BTreeMap::new() };
        if serves {
            bench.mapper.serve();
        }
        bench.file("origin", SIZE);
        bench
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, sectors: u64) {
        File::create(self.path(name)).unwrap().set_len(sectors * 512).unwrap();
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Errno> {
        for _ in 0..10_000 {
            match self.mapper.perform(request) {
                Ok(Outcome::Reply(reply)) => return Ok(reply),
                Ok(Outcome::Waiting(dev, Waiting::Flush)) => {
                    let result = self.mapper.flusher(dev).unwrap().flush();
                    self.mapper.flushed(dev, result);
                }
                Ok(Outcome::Waiting(..)) => std::thread::yield_now(),
                Err(fault) => return Err(fault.errno),
            }
        }
        panic!("{request:?} waits for ever")
    }

    fn load(&mut self, name: &str, table: &str) -> Result<Reply, Errno> {
        let table = SourceTable::parse(table.as_bytes()).unwrap().table;
        self.ask(&Request::new(id(name), Command::TableLoad(table)))
    }

    fn create(&mut self, name: &str) {
        self.ask(&Request::new(id(name), Command::DevCreate)).unwrap();
    }

    fn resume(&mut self, name: &str) -> Result<Reply, Errno> {
        self.ask(&Request::resume(id(name)))
    }

    fn suspend(&mut self, name: &str) {
        self.ask(&Request::new(id(name), Command::DevSuspend).with_flags(Flags::SUSPEND)).unwrap();
    }

    fn make(&mut self, name: &str, table: &str) {
        self.create(name);
        self.load(name, table).unwrap();
        self.resume(name).unwrap();
    }

    fn remove(&mut self, name: &str) {
        self.ask(&Request::new(id(name), Command::DevRemove)).unwrap();
    }

    /// A snapshot-origin, with something in it.
    fn make_origin(&mut self) {
        let table = format!("0 {SIZE} snapshot-origin {}", self.path("origin"));
        self.make("base", &table);
        self.contents.insert("base".into(), vec![0; SIZE as usize * 512]);
        self.write("base", 0, &(0..SIZE * 512).map(|at| (at / 100) as u8).collect::<Vec<_>>());
    }

    fn table(&self, target: &str, cow: &str, store: &str, chunk: u64) -> String {
        format!("0 {SIZE} {target} {} {} {store} {chunk}", self.path("origin"), self.path(cow))
    }

    /// A snapshot, made as the manual says: while its origin is suspended.
    fn make_snapshot(&mut self, name: &str, store: &str, chunk: u64, sectors: u64) {
        let cow = format!("{name}.cow");
        self.file(&cow, sectors);
        self.suspend("base");
        let table = self.table("snapshot", &cow, store, chunk);
        self.make(name, &table);
        self.resume("base").unwrap();
        let content = self.contents["base"].clone();
        self.contents.insert(name.into(), content);
    }

    fn status(&mut self, name: &str) -> String {
        let reply = self.ask(&Request::new(id(name), Command::TableStatus)).unwrap();
        reply.lines()[0].params.to_string()
    }

    fn try_write(&mut self, name: &str, at: u64, data: &[u8]) -> Result<(), Errno> {
        let volume = self.mapper.volume(&id(name), true).unwrap();
        if at.is_multiple_of(3) {
            // What is announced may never come, and come twice.
            let end = at + data.len() as u64;
            let other = at / 2..(at / 2 + 5000).min(SIZE * 512);
            volume
                .expect_writes(&[at..end, other, at..end].map(|range| Bytes(range.start)..Bytes(range.end)));
        }
        volume.write_at(data, Bytes(at))
    }

    fn write(&mut self, name: &str, at: u64, data: &[u8]) {
        self.try_write(name, at, data).unwrap();
        let content = self.contents.get_mut(name).unwrap();
        content[at as usize..][..data.len()].copy_from_slice(data);
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>, Errno> {
        let mut content = vec![0xee; SIZE as usize * 512];
        self.mapper.volume(&id(name), false).unwrap().read_at(&mut content, Bytes(0))?;
        Ok(content)
    }

    fn check(&mut self) {
        for (name, content) in self.contents.clone() {
            let found = self.read(&name).unwrap();
            let differs = found.iter().zip(&content).position(|(one, other)| one != other);
            assert_eq!(differs, None, "{name}: byte");
        }
    }

    /// The same mapper in another process.
    fn restart(&mut self) {
        let saved = self.mapper.state().to_bytes();
        self.mapper = Mapper::restore(&State::parse(&saved).unwrap()).unwrap();
        if self.serves {
            self.mapper.serve();
        }
    }

    /// Waits until all is merged.
    fn merged(&mut self, name: &str) {
        for _ in 0..5_000 {
            let status = self.status(name);
            let (allocated, metadata) =
                (status.split('/').next().unwrap(), status.split(' ').nth(1).unwrap_or("none"));
            if allocated == metadata {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("never merged: {}", self.status(name))
    }
}

fn data(u: &mut Unstructured<'_>) -> arbitrary::Result<(u64, Vec<u8>)> {
    let at = u.int_in_range(0..=SIZE * 512 - 1)?;
    let longest = (SIZE * 512 - at).min(if u.ratio(1, 4)? { 40_000 } else { 3_000 });
    let length = u.int_in_range(1..=longest)?;
    let byte: u8 = u.arbitrary()?;
    // Whole sectors more often than not, as they come from file systems.
    let (at, length) =
        if u.ratio(2, 3)? { (at - at % 512, length.next_multiple_of(512)) } else { (at, length) };
    let length = length.min(SIZE * 512 - at);
    Ok((at, vec![byte; length as usize]))
}

#[test]
fn snapshots_are_copies_whatever_happens() {
    arbtest(|u| {
        let serves = u.arbitrary()?;
        let mut bench = Bench::new(serves);
        bench.make_origin();
        let mut transient = false;
        for step in 0..u.int_in_range(1..=30)? {
            let names: Vec<String> = bench.contents.keys().cloned().collect();
            let name = u.choose(&names)?.clone();
            match u.int_in_range(0..=9)? {
                0 | 1 if names.len() < 5 => {
                    let store = *u.choose(&["P", "PO", "N"])?;
                    transient |= store == "N";
                    let chunk = 1 << u.int_in_range(0..=5)?;
                    bench.make_snapshot(&format!("s{step}"), store, chunk, 2000);
                }
                2 if name != "base" => {
                    bench.remove(&name);
                    bench.contents.remove(&name);
                }
                3 if !transient => bench.restart(),
                4 => {
                    bench.suspend(&name);
                    if name != "base" && u.arbitrary()? {
                        // A reload takes the state over; what it says of chunks does not count.
                        let cow = format!("{name}.cow");
                        let table = bench.ask(
                            &Request::new(id(&name), Command::TableStatus).with_flags(Flags::STATUS_TABLE),
                        );
                        let store = if table.unwrap().lines()[0].params.contains(&b'N') { "N" } else { "P" };
                        let table = bench.table("snapshot", &cow, store, 64);
                        bench.load(&name, &table).unwrap();
                    }
                    if name != "base" && u.arbitrary()? {
                        let (at, data) = data(u)?;
                        bench.write("base", at, &data);
                    }
                    bench.resume(&name).unwrap();
                }
                5 => bench.check(),
                6 => {
                    let volume = bench.mapper.volume(&id(&name), true).unwrap();
                    let (at, data) = data(u)?;
                    volume.write_zeroes(Bytes(at), Bytes(data.len() as u64), true).unwrap();
                    bench.contents.get_mut(&name).unwrap()[at as usize..][..data.len()].fill(0);
                }
                _ => {
                    let (at, data) = data(u)?;
                    bench.write(&name, at, &data);
                }
            }
        }
        bench.check();
        Ok(())
    })
    .budget_ms(4_000);
}

#[test]
fn a_merge_makes_the_origin_the_snapshot_and_keeps_the_others() {
    arbtest(|u| {
        let serves = u.arbitrary()?;
        let mut bench = Bench::new(serves);
        bench.make_origin();
        let (chunk, other) = (1 << u.int_in_range(0..=5)?, 1 << u.int_in_range(0..=5)?);
        bench.make_snapshot("s1", "P", chunk, 2000);
        bench.make_snapshot("s2", "P", other, 2000);
        for _ in 0..u.int_in_range(0..=20)? {
            let name = *u.choose(&["base", "s1", "s2"])?;
            let (at, data) = data(u)?;
            bench.write(name, at, &data);
        }
        if u.arbitrary()? {
            bench.restart();
        }
        let table = bench.table("snapshot-merge", "s1.cow", "P", chunk);
        bench.load("base", &table).unwrap();
        assert_eq!(bench.resume("base").map(drop), Err(Errno::EINVAL), "the snapshot is not suspended");
        bench.suspend("s1");
        bench.resume("base").unwrap();
        assert_eq!(bench.status("s1"), "Invalid");
        bench.remove("s1");
        let merged = bench.contents.remove("s1").unwrap();
        bench.contents.insert("base".into(), merged);
        for _ in 0..u.int_in_range(0..=6)? {
            match u.int_in_range(0..=4)? {
                0 => bench.restart(),
                1 => {
                    bench.suspend("base");
                    bench.resume("base").unwrap();
                }
                2 => bench.check(),
                _ => {
                    let (at, data) = data(u)?;
                    bench.write(u.choose(&["base", "s2"])?, at, &data);
                }
            }
        }
        bench.check();
        bench.merged("base");
        bench.check();
        bench.suspend("base");
        let table = format!("0 {SIZE} snapshot-origin {}", bench.path("origin"));
        bench.load("base", &table).unwrap();
        bench.resume("base").unwrap();
        bench.check();
        Ok(())
    })
    .budget_ms(4_000);
}

#[test]
fn a_full_snapshot_is_given_up_or_overflows() {
    for serves in [false, true] {
        let mut bench = Bench::new(serves);
        bench.make_origin();
        for (name, store) in [("p", "P"), ("po", "PO"), ("n", "N")] {
            // Room for header, area and two chunks; the transient one has neither header nor area.
            bench.make_snapshot(name, store, 8, if store == "N" { 16 } else { 32 });
        }
        let names = ["p", "po", "n"];
        assert_eq!(names.map(|name| bench.status(name)), ["16/32 16", "16/32 16", "0/16 0"]);
        for name in names {
            assert_eq!(bench.try_write(name, 0, &[1; 3 * 4096]), Err(Errno::EIO), "{name}");
        }
        assert_eq!(names.map(|name| bench.status(name)), ["Invalid", "Overflow", "Invalid"]);
        assert_eq!(bench.read("p"), Err(Errno::EIO));
        let content = bench.read("po").unwrap();
        assert_eq!((content[8191], content[8192]), (1, 81), "what had room is written");
        let opened = |name: &str, bench: &mut Bench| {
            let reply = bench.ask(&Request::new(id(name), Command::DevStatus)).unwrap();
            reply.event_nr
        };
        assert_eq!(names.map(|name| opened(name, &mut bench)), [1, 0, 1]);
        bench.try_write("base", 8 * 4096, b"x").unwrap();
        assert_eq!(bench.status("po"), "Invalid", "the origin's write found no room");
        bench.restart();
        assert_eq!(bench.status("p"), "Invalid");
        assert_eq!(bench.status("po"), "Invalid");
    }
}

#[test]
fn what_is_no_store_is_refused_and_not_overwritten() {
    let mut bench = Bench::new(false);
    bench.make_origin();
    std::fs::write(bench.path("cow"), vec![0x55; 100 * 512]).unwrap();
    bench.create("s");
    let table = bench.table("snapshot", "cow", "P", 8);
    assert_eq!(bench.load("s", &table).map(drop), Err(Errno::ENXIO));
    assert_eq!(std::fs::read(bench.path("cow")).unwrap(), vec![0x55; 100 * 512]);
    // A store of chunks larger than any, or than the device, is no reason to take memory for them.
    for chunk in [1u32 << 31, 1 << 20, 3] {
        let mut header = [0x7041_6e53, 1, 1, chunk].map(u32::to_le_bytes).concat();
        header.resize(100 * 512, 0);
        std::fs::write(bench.path("cow"), header).unwrap();
        assert!(bench.load("s", &table).is_err(), "{chunk}");
    }
}
