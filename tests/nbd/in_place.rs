//! Files that are memory, whose bytes go to clients without a copy of ours: they are what they were, holes stay holes,
//! and nobody sees what is none of his.

use crate::client::*;
use crate::sandbox::Sandbox;
use crate::server::Server;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const BLOCK: u64 = 4096;
const ZEROS: [u8; 4096] = [0; 4096];
const SIZE: u64 = 16 << 20;
/// Error numbers of the protocol.
const EIO: u32 = 5;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;

fn served() -> (Sandbox, Server, PathBuf) {
    let sandbox = Sandbox::in_memory();
    sandbox.disk("disk", SIZE);
    sandbox.ok(&["create", "vol", "--table", &format!("0 {} linear disk 0", SIZE / 512)]);
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    let socket = sandbox.path().join("nbd.sock");
    (sandbox, server, socket)
}

fn disk(sandbox: &Sandbox) -> File {
    File::options().read(true).write(true).open(sandbox.path().join("disk")).unwrap()
}

/// What a block is to hold that was written in that round.
fn content(block: u64, round: u8) -> Vec<u8> {
    (0..BLOCK).map(|at| u8::try_from((block * 31 + at * 7 + u64::from(round)) % 251).unwrap()).collect()
}

/// Sends requests for whole blocks at once; the answers in their order.
fn together(client: &mut Client, command: u16, blocks: &[(u64, Vec<u8>)]) -> Vec<Answer> {
    let length = u32::try_from(BLOCK).unwrap();
    let asked: Vec<_> = (0..)
        .zip(blocks)
        .map(|(cookie, (block, data))| request(0, command, cookie, block * BLOCK, length, data))
        .collect();
    client.say(&asked.concat());
    let mut answers: Vec<_> = blocks.iter().map(|_| None).collect();
    for _ in blocks {
        let place = |cookie: u64| blocks[usize::try_from(cookie).unwrap()].0 * BLOCK;
        let (cookie, answer) = client.answer(|cookie| (command == READ).then(|| (place(cookie), length)));
        assert!(answers[usize::try_from(cookie).unwrap()].replace(answer).is_none(), "{cookie} twice");
    }
    answers.into_iter().map(Option::unwrap).collect()
}

fn read(client: &mut Client, blocks: impl IntoIterator<Item = u64>) -> Vec<Answer> {
    let blocks: Vec<_> = blocks.into_iter().map(|block| (block, Vec::new())).collect();
    together(client, READ, &blocks)
}

#[test]
fn runs_of_requests_do_what_each_of_them_would() {
    let (sandbox, server, socket) = served();
    for (structured, round) in [(false, 1), (true, 2)] {
        let mut client = Client::work(&socket, "vol", structured);
        for first in [0, 1000, 2017] {
            let blocks: Vec<_> =
                (0..40).map(|at| (first + at * 37 % 500, content(first + at, round))).collect();
            assert!(together(&mut client, WRITE, &blocks).iter().all(|answer| *answer == Answer::Done));
            let found = read(&mut client, blocks.iter().map(|(block, _)| *block));
            for ((block, data), found) in blocks.iter().zip(found) {
                assert!(found == Answer::Data(data.clone()), "{block}");
                let mut stored = vec![0; data.len()];
                disk(&sandbox).read_exact_at(&mut stored, block * BLOCK).unwrap();
                assert!(stored == *data, "{block}");
            }
        }
        // One that cannot be, among others that can.
        let found = read(&mut client, [0, 1, SIZE / BLOCK, 2, 3]);
        assert_eq!(found[2], Answer::Failed(EINVAL));
        assert!(found.iter().enumerate().all(|(at, answer)| at == 2 || matches!(answer, Answer::Data(_))));
        let written: Vec<_> = [5, SIZE / BLOCK, 6].map(|block| (block, content(block, round))).into();
        let answers = together(&mut client, WRITE, &written);
        assert_eq!(answers, [Answer::Done, Answer::Failed(ENOSPC), Answer::Done]);
        assert!(read(&mut client, [6, 5]) == [6, 5].map(|block| Answer::Data(content(block, round))));
    }
    server.stop();
}

#[test]
fn holes_are_read_and_stay_holes() {
    let (sandbox, server, socket) = served();
    let mut client = Client::work(&socket, "vol", true);
    let data: Vec<_> = (0..SIZE / BLOCK).step_by(7).map(|block| (block, content(block, 3))).collect();
    together(&mut client, WRITE, &data);
    let stored = || disk(&sandbox).metadata().unwrap().blocks() * 512;
    assert_eq!(stored(), data.len() as u64 * BLOCK);
    for run in [1, 5, 8] {
        for first in (0..SIZE / BLOCK - run).step_by(usize::try_from(run).unwrap()) {
            let found = read(&mut client, first..first + run);
            for (block, found) in (first..).zip(found) {
                let expected = if block % 7 == 0 { content(block, 3) } else { ZEROS.to_vec() };
                assert!(found == Answer::Data(expected), "{block}");
            }
        }
        assert_eq!(stored(), data.len() as u64 * BLOCK, "in runs of {run}");
    }
    // What was known to be there is no longer.
    assert_eq!(client.call(0, TRIM, 0, u32::try_from(SIZE / 2).unwrap(), b""), Answer::Done);
    let left = stored();
    assert!(left <= data.len() as u64 * BLOCK / 2 + BLOCK);
    assert!(read(&mut client, [0, 7, 14]).iter().all(|found| *found == Answer::Data(ZEROS.to_vec())));
    assert_eq!(stored(), left);
    server.stop();
}

#[test]
fn a_file_that_is_cut_short_under_reads_fails_those_behind_its_end() {
    let (sandbox, server, socket) = served();
    let mut client = Client::work(&socket, "vol", true);
    let last = SIZE / BLOCK - 1;
    let blocks: Vec<_> = [0, 1, last - 1, last].map(|block| (block, content(block, 4))).into();
    together(&mut client, WRITE, &blocks);
    // They are known to be there by now.
    assert!(read(&mut client, [last, 0]).iter().all(|found| matches!(found, Answer::Data(_))));
    disk(&sandbox).set_len(BLOCK * 2).unwrap();
    for _ in 0..3 {
        let found = read(&mut client, [0, last, 1, last - 1]);
        let here = |block| Answer::Data(content(block, 4));
        assert!(found == [here(0), Answer::Failed(EIO), here(1), Answer::Failed(EIO)]);
    }
    // What is written makes it long again.
    together(&mut client, WRITE, &blocks);
    assert!(read(&mut client, [last, 1]) == [last, 1].map(|block| Answer::Data(content(block, 4))));
    server.stop();
}

/// A file is written by others as soon as the device no longer maps it: what a client had asked for before must have
/// left the file by then.
#[test]
fn nobody_reads_a_file_after_its_table_is_gone() {
    let (sandbox, server, socket) = served();
    let fill = |name: &str, byte: u8| fs::write(sandbox.path().join(name), vec![byte; 1 << 20]).unwrap();
    let files = [("a", b'a'), ("b", b'b')];
    files.iter().for_each(|(name, byte)| fill(name, *byte));
    let table = |name: &str| format!("0 2048 linear {} 0", sandbox.path().join(name).display());
    sandbox.ok(&["create", "turn", "--table", &table("a")]);
    let (over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut client = Client::work(&socket, "turn", true);
                while !over.load(Ordering::Relaxed) {
                    for answer in read(&mut client, (0..16).map(|at| at * 13)) {
                        let Answer::Data(data) = answer else { panic!("{answer:?}") };
                        assert!(data.iter().all(|byte| *byte == data[0]), "of two files");
                        assert!([b'a', b'b'].contains(&data[0]), "{:?} is nobody's", char::from(data[0]));
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..60 {
            let [old, new] = if round % 2 == 0 { files } else { [files[1], files[0]] };
            sandbox.ok(&["load", "turn", "--table", &table(new.0)]);
            sandbox.ok(&["suspend", "turn"]);
            fill_in_place(&sandbox, old.0, b'x');
            sandbox.ok(&["resume", "turn"]);
            let seen = rounds.load(Ordering::Relaxed);
            while rounds.load(Ordering::Relaxed) < seen + 4 {
                thread::yield_now();
            }
            fill_in_place(&sandbox, old.0, old.1);
        }
        over.store(true, Ordering::Relaxed);
    });
    server.stop();
}

/// Fills a file without making it anew.
fn fill_in_place(sandbox: &Sandbox, name: &str, byte: u8) {
    let file = File::options().write(true).open(sandbox.path().join(name)).unwrap();
    file.write_all_at(&vec![byte; 1 << 20], 0).unwrap();
}
