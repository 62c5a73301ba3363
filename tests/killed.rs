//! The server is killed at random instants while snapshots and merges are at work; what was flushed is there afterwards,
//! what was not is there or is not, sector by sector, and nothing else ever is. `tests/serve/mirror.rs` does the same with a
//! mirror: `cargo test --test killed --test serve kill` plays all three, each with 100 kills, under CI and elsewhere;
//! `RDMSETUP_KILLS=N` makes it N.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::cast_possible_truncation, reason = "the devices here are small")]
#![allow(clippy::print_stderr, reason = "a failure can be played again")]

use rdmsetup::backend::{Client, User};
use rdmsetup::block::BlockDevice;
use rdmsetup::dm::{Bytes, Command as Asked, DeviceId, Errno, Flags, Reply, Request, SourceTable};
use rdmsetup::mapper::StateDir;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Sectors of the origin.
const SIZE: u64 = 2048;

/// How often each kind of work is killed; a variable, for a longer run.
fn rounds() -> u64 {
    std::env::var("RDMSETUP_KILLS").map_or(100, |count| count.parse().unwrap())
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// What each sector of a device may hold: the number that fills it.
#[derive(Clone, Default)]
struct Expected {
    /// As of the last flush.
    promised: Vec<u64>,
    /// Written since, perhaps.
    since: HashMap<u64, Vec<u64>>,
}

impl Expected {
    fn blank() -> Self {
        Self { promised: vec![0; SIZE as usize], since: HashMap::new() }
    }

    fn wrote(&mut self, at: u64, number: u64) {
        self.since.entry(at).or_default().push(number);
    }

    /// After a flush: the last write counts, and no other.
    fn flushed(&mut self) {
        for (at, numbers) in self.since.drain() {
            self.promised[at as usize] = *numbers.last().unwrap();
        }
    }

    /// Compares, and takes what is found for the promise of the next server.
    fn check(&mut self, what: &str, content: &[u8]) {
        for (at, sector) in content.chunks(512).enumerate() {
            let number = u64::from_le_bytes(sector[..8].try_into().unwrap());
            assert!(sector.chunks(8).all(|eight| eight == &sector[..8]), "{what}: sector {at} is torn");
            let since = self.since.get(&(at as u64));
            let fine = self.promised[at] == number || since.is_some_and(|since| since.contains(&number));
            let promised = self.promised[at];
            assert!(fine, "{what}: sector {at} holds {number}, not {promised} or {since:?}");
            self.promised[at] = number;
        }
        self.since.clear();
    }
}

/// A directory with a state and files, and the server that has it.
struct Place {
    directory: TempDir,
    server: Option<Child>,
    client: Client,
}

fn id(name: &str) -> DeviceId {
    DeviceId::by_name(name)
}

fn client(directory: &TempDir) -> Client {
    let state = StateDir::new(Some(&directory.path().join("state"))).unwrap();
    Client::new(Box::new(User::new(state)))
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = client(&directory);
        let mut place = Self { directory, server: None, client };
        place.file("origin", SIZE);
        place.start();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file of zeros, whatever it was before.
    fn file(&self, name: &str, sectors: u64) {
        File::create(self.path(name)).unwrap().set_len(sectors * 512).unwrap();
    }

    fn start(&mut self) {
        let mut server = Command::new(env!("CARGO_BIN_EXE_rdmsetup"))
            .arg("serve")
            .env("RDMSETUP_STATE", self.path("state"))
            .env("RDMSETUP_BACKEND", "user")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("ready"), "{line}");
        self.server = Some(server);
        self.client = client(&self.directory);
    }

    fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Errno> {
        let reply = self.client.perform(request).map_err(|error| {
            eprintln!("{request:?}: {error}");
            Errno::EIO
        });
        self.client.commit().unwrap();
        reply
    }

    fn load(&mut self, name: &str, table: &str) {
        let table = SourceTable::parse(table.as_bytes()).unwrap().table;
        self.ask(&Request::new(id(name), Asked::TableLoad(table))).unwrap();
    }

    fn make(&mut self, name: &str, table: &str) {
        self.ask(&Request::new(id(name), Asked::DevCreate)).unwrap();
        self.load(name, table);
        self.resume(name);
    }

    fn resume(&mut self, name: &str) {
        self.ask(&Request::resume(id(name))).unwrap();
    }

    fn suspend(&mut self, name: &str) {
        self.ask(&Request::new(id(name), Asked::DevSuspend).with_flags(Flags::SUSPEND)).unwrap();
    }

    fn remove(&mut self, name: &str) {
        self.ask(&Request::new(id(name), Asked::DevRemove)).unwrap();
    }

    fn status(&mut self, name: &str) -> String {
        let reply = self.ask(&Request::new(id(name), Asked::TableStatus)).unwrap();
        reply.lines()[0].params.to_string()
    }

    fn origin_table(&self) -> String {
        format!("0 {SIZE} snapshot-origin {}", self.path("origin").display())
    }

    fn snapshot_table(&self, target: &str, name: &str, chunk: u64) -> String {
        let (origin, cow) = (self.path("origin"), self.path(&format!("{name}.cow")));
        format!("0 {SIZE} {target} {} {} P {chunk}", origin.display(), cow.display())
    }

    fn make_snapshot(&mut self, name: &str, chunk: u64) {
        self.file(&format!("{name}.cow"), 2 * SIZE + 512);
        self.suspend("base");
        let table = self.snapshot_table("snapshot", name, chunk);
        self.make(name, &table);
        self.resume("base");
    }

    fn open(&mut self, name: &str) -> Arc<dyn BlockDevice> {
        self.client.volume(&id(name), true).unwrap()
    }

    fn check(&mut self, name: &str, expected: &mut Expected) {
        let mut content = vec![0; SIZE as usize * 512];
        self.open(name).read_at(&mut content, Bytes(0)).unwrap();
        expected.check(name, &content);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.kill();
        }
    }
}

/// Writes and flushes until the server is gone; gives what is to be expected then.
fn work(device: &dyn BlockDevice, mut expected: Expected, seed: u64) -> Expected {
    let mut rng = Rng(seed);
    loop {
        if rng.below(8) == 0 {
            match device.flush() {
                Ok(()) => expected.flushed(),
                Err(_) => return expected,
            }
            continue;
        }
        let at = rng.below(SIZE);
        let sectors = (1 + rng.below(24)).min(SIZE - at);
        let number = rng.next() | 1;
        (at..at + sectors).for_each(|at| expected.wrote(at, number));
        let data = number.to_le_bytes().repeat(sectors as usize * 64);
        if device.write_at(&data, Bytes(at * 512)).is_err() {
            return expected;
        }
    }
}

/// Works on the devices at once until the server is killed, and starts it again.
fn kill_at_work(place: &mut Place, devices: &mut [(&str, &mut Expected)], rng: &mut Rng) {
    let seed = rng.next();
    let workers: Vec<_> = devices
        .iter()
        .zip(seed..)
        .map(|((name, expected), seed)| {
            let (device, expected) = (place.open(name), Expected::clone(expected));
            thread::spawn(move || work(device.as_ref(), expected, seed))
        })
        .collect();
    thread::sleep(Duration::from_micros(500 + rng.below(25_000)));
    place.kill();
    for (worker, (_, expected)) in workers.into_iter().zip(devices.iter_mut()) {
        **expected = worker.join().unwrap();
    }
    place.start();
}

#[test]
fn snapshots_are_whole_after_a_kill() {
    let mut place = Place::new();
    let table = place.origin_table();
    place.make("base", &table);
    let mut base = Expected::blank();
    let mut copied = 0;
    for round in 0..rounds() {
        let mut rng = Rng(round);
        // `one` is written too, `other` is not: it is what the origin was.
        place.make_snapshot("one", 1 << rng.below(5));
        place.make_snapshot("other", 1 << rng.below(5));
        let (mut one, mut other) = (base.clone(), base.clone());
        kill_at_work(&mut place, &mut [("base", &mut base), ("one", &mut one)], &mut rng);
        for (name, expected) in [("base", &mut base), ("one", &mut one), ("other", &mut other)] {
            place.check(name, expected);
        }
        // Another server, the same again.
        kill_at_work(&mut place, &mut [("base", &mut base), ("one", &mut one)], &mut rng);
        for (name, expected) in [("base", &mut base), ("one", &mut one), ("other", &mut other)] {
            place.check(name, expected);
            copied += u64::from(name != "base" && !place.status(name).starts_with("Invalid"));
        }
        place.remove("one");
        place.remove("other");
    }
    assert_eq!(copied, 2 * rounds(), "no snapshot was given up");
}

#[test]
fn a_device_can_go_as_soon_as_it_is_closed() {
    let mut place = Place::new();
    let table = place.origin_table();
    for _ in 0..500 {
        place.make("vol", &table);
        drop(place.open("vol"));
        place.remove("vol");
    }
}

#[test]
fn merges_are_whole_after_a_kill() {
    let mut place = Place::new();
    let table = place.origin_table();
    place.make("base", &table);
    let mut base = Expected::blank();
    let (mut kills, mut interrupted, mut round) = (0, 0, 0);
    while kills < rounds() {
        let mut rng = Rng(round);
        round += 1;
        let chunk = 1 << rng.below(3);
        place.make_snapshot("one", chunk);
        place.make_snapshot("other", 1 << rng.below(5));
        let (mut one, mut other) = (base.clone(), base.clone());
        for number in 0..400u64 {
            let at = rng.below(SIZE);
            let device = if number % 4 == 0 { ("base", &mut base) } else { ("one", &mut one) };
            place.open(device.0).write_at(&(number + 1).to_le_bytes().repeat(64), Bytes(at * 512)).unwrap();
            device.1.wrote(at, number + 1);
        }
        for (name, expected) in [("base", &mut base), ("one", &mut one)] {
            place.open(name).flush().unwrap();
            expected.flushed();
        }
        place.suspend("one");
        let table = place.snapshot_table("snapshot-merge", "one", chunk);
        place.suspend("base");
        place.load("base", &table);
        place.resume("base");
        place.remove("one");
        base = one;
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let status = place.status("base");
            let (used, metadata) =
                (status.split('/').next().unwrap(), status.split(' ').nth(1).unwrap_or("-"));
            if used == metadata {
                break;
            }
            assert!(Instant::now() < end, "never merged: {status}");
            kills += 1;
            kill_at_work(&mut place, &mut [("base", &mut base), ("other", &mut other)], &mut rng);
            interrupted += u64::from(place.status("base") != status);
            place.check("base", &mut base);
            place.check("other", &mut other);
        }
        place.check("base", &mut base);
        let mut content = vec![0; SIZE as usize * 512];
        File::open(place.path("origin")).unwrap().read_exact_at(&mut content, 0).unwrap();
        base.check("the origin's own file", &content);
        let table = place.origin_table();
        place.suspend("base");
        place.load("base", &table);
        place.resume("base");
        place.check("other", &mut other);
        place.remove("other");
    }
    assert!(interrupted > kills / 10, "{interrupted} of {kills} kills met a merge under way");
}
