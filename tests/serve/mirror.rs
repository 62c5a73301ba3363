//! A mirror whose server is killed: the log brings the legs together again, and nothing that was promised is lost.

use crate::sandbox::Sandbox;
use crate::server::{Server, eventually};
use rdmsetup::backend::{Backend, User};
use rdmsetup::block::BlockDevice;
use rdmsetup::dm::{Bytes, DeviceId};
use rdmsetup::mapper::StateDir;
use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const TABLE: &str = "0 8192 mirror disk 2 log.img 64 2 a.img 0 b.img 0";
const SIZE: usize = 8192 * 512;
const BLOCK: usize = 4096;

/// How often the server is killed; a variable, as in `tests/killed.rs`, for a longer run.
fn kills() -> u64 {
    std::env::var("RDMSETUP_KILLS").map_or(100, |count| count.parse().unwrap())
}

/// What a block may hold: what was in it when it was flushed last, and what was written since.
#[derive(Default)]
struct Promise(HashMap<usize, Vec<u64>>);

/// Any number; another at each call.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

fn below(end: usize) -> usize {
    usize::try_from(random() % end as u64).unwrap()
}

/// Writes blocks, and flushes, until the server is gone.
fn write_until_killed(volume: &Arc<dyn BlockDevice>, promise: &mut Promise) {
    for count in 0.. {
        let (block, value) = (below(SIZE / BLOCK), random());
        promise.0.get_mut(&block).unwrap().push(value);
        let data = value.to_le_bytes().repeat(BLOCK / 8);
        if volume.write_at(&data, Bytes((block * BLOCK) as u64)).is_err() {
            return;
        }
        if count % 8 == 7 {
            if volume.flush().is_err() {
                return;
            }
            // The last write to each block has come: only it may be there from now on.
            promise.0.values_mut().for_each(|values| drop(values.drain(..values.len() - 1)));
        }
    }
}

fn value_of(block: &[u8]) -> u64 {
    assert!(block.chunks(8).all(|word| word == &block[..8]), "a block is torn");
    u64::from_le_bytes(block[..8].try_into().unwrap())
}

#[test]
fn a_server_killed_a_hundred_times_loses_nothing_and_leaves_the_legs_alike() {
    let sandbox = Sandbox::new();
    ["a.img", "b.img"].iter().for_each(|leg| sandbox.disk(leg, SIZE as u64));
    sandbox.disk("log.img", 65536);
    let values: Vec<u64> = (0..SIZE / BLOCK).map(|_| random()).collect();
    let content: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes().repeat(BLOCK / 8)).collect();
    fs::write(sandbox.path().join("a.img"), content).unwrap();
    let mut promise = Promise(values.into_iter().map(|value| vec![value]).enumerate().collect());
    sandbox.ok(&["create", "m", "--table", TABLE]);
    let mut resynchronized = 0;
    for round in 0..kills() {
        let leg = File::options().write(true).open(sandbox.path().join("b.img")).unwrap();
        let log = File::options().read(true).write(true).open(sandbox.path().join("log.img")).unwrap();
        if round % 3 == 0 {
            // The second leg is new: all of it is copied, and the kill may come in between.
            leg.write_all_at(&vec![0x55; SIZE], 0).unwrap();
            log.write_all_at(&[0; 16], 0).unwrap();
        }
        let server = Server::start(&sandbox, &[]);
        let state = StateDir::new(Some(&sandbox.path().join("state"))).unwrap();
        let mut user = User::new(state);
        let volume = user.volume(&DeviceId::by_name("m"), true).unwrap();
        let writer = thread::spawn(move || {
            write_until_killed(&volume, &mut promise);
            promise
        });
        thread::sleep(Duration::from_micros(random() % 60_000));
        server.end("-KILL");
        promise = writer.join().unwrap();
        let mut bits = [0; 16];
        log.read_exact_at(&mut bits, 1024).unwrap();
        resynchronized += u64::from(bits != [0xff; 16]);

        let server = Server::start(&sandbox, &[]);
        eventually("the legs are in sync", || sandbox.ok(&["status", "m"]).contains(" 128/128 1 AA "));
        server.stop();
        log.read_exact_at(&mut bits, 1024).unwrap();
        assert_eq!(bits, [0xff; 16], "round {round}: clean in the log");
        let [a, b] = ["a.img", "b.img"].map(|leg| fs::read(sandbox.path().join(leg)).unwrap());
        assert!(a == b, "round {round}: the legs differ");
        for (block, data) in a.chunks(BLOCK).enumerate() {
            let values = promise.0.get_mut(&block).unwrap();
            let value = value_of(data);
            assert!(values.contains(&value), "round {round}: block {block} is lost");
            *values = vec![value];
        }
    }
    assert!(resynchronized > kills() / 4, "{resynchronized} kills only left anything to do");
}

#[test]
fn a_leg_that_fails_is_told_of_and_the_other_goes_on() {
    let sandbox = Sandbox::new();
    ["a.img", "b.img"].iter().for_each(|leg| sandbox.disk(leg, SIZE as u64));
    sandbox.ok(&["create", "a", "--table", "0 8192 linear a.img 0"]);
    sandbox.ok(&["create", "b", "--table", "0 8192 linear b.img 0"]);
    let server = Server::start(&sandbox, &[]);
    let table = "0 8192 mirror core 2 64 nosync 2 /dev/mapper/a 0 /dev/mapper/b 0 2 handle_errors keep_log";
    sandbox.ok(&["create", "m", "--table", table]);
    sandbox.ok(&["load", "a", "--table", "0 8192 error"]);
    sandbox.ok(&["resume", "a"]);
    let events = sandbox.ok(&["info", "-c", "--noheadings", "-o", "events", "m"]);
    // Read from the leg that is left, written to it, told as dead for a read and a write.
    assert_eq!(sandbox.ok(&["read", "m", "--length", "1"]).len(), 512);
    assert!(sandbox.ok(&["status", "m"]).contains(" 128/128 1 RA 1 core"));
    let written = sandbox.run_with(&["write", "m", "--start", "8"], &[7; 512]);
    assert!(written.succeeded, "{written:?}");
    assert!(sandbox.ok(&["status", "m"]).contains(" 127/128 1 DA 1 core"));
    assert_ne!(sandbox.ok(&["info", "-c", "--noheadings", "-o", "events", "m"]), events);
    assert_eq!(sandbox.run(&["read", "m", "--start", "8", "--length", "1"]).stdout, [7; 512]);
    server.stop();
}

/// `sync` and `nosync` say how a table's log begins. A table that goes on in another process has begun it.
#[test]
fn the_log_of_a_killed_server_is_believed_whatever_the_table_says_of_a_new_one() {
    for sync in ["sync", "nosync"] {
        let sandbox = Sandbox::new();
        ["a.img", "b.img"].iter().for_each(|leg| sandbox.disk(leg, SIZE as u64));
        sandbox.disk("log.img", 65536);
        let server = Server::start(&sandbox, &[]);
        sandbox.ok(&[
            "create",
            "m",
            "--table",
            &TABLE.replace("2 log.img 64", &format!("3 log.img 64 {sync}")),
        ]);
        let in_sync = || sandbox.ok(&["status", "m"]).contains(" 128/128 1 AA ");
        eventually("the legs are in sync", in_sync);
        let events = sandbox.ok(&["info", "-c", "--noheadings", "-o", "events", "m"]);
        assert!(sandbox.run_with(&["write", "m"], &[7; 512]).succeeded);
        server.end("-KILL");
        // As if the write had not come to the second leg; and what no log knows of.
        let leg = File::options().write(true).open(sandbox.path().join("b.img")).unwrap();
        leg.write_all_at(&[0; 512], 0).unwrap();
        leg.write_all_at(&[9; 512], 64 * 512).unwrap();
        let server = Server::start(&sandbox, &[]);
        eventually("the legs are in sync", in_sync);
        let told = sandbox.ok(&["info", "-c", "--noheadings", "-o", "events", "m"]);
        server.stop();
        let b = fs::read(sandbox.path().join("b.img")).unwrap();
        assert_eq!(
            (b[0], b[64 * 512]),
            (7, 9),
            "{sync}: what the log calls dirty is copied, and nothing else"
        );
        assert_ne!(events, told, "{sync}: the end of the copying is told of");
        // Nothing was left to do then, and nothing is told.
        let server = Server::start(&sandbox, &[]);
        eventually("the legs are in sync", in_sync);
        assert_eq!(sandbox.ok(&["info", "-c", "--noheadings", "-o", "events", "m"]), told, "{sync}");
        server.stop();
    }
}
