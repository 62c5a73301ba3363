//! Every request, in both styles of reply, at every border, against what it must do.

use crate::client::*;
use crate::memory::{BROKEN, END, FILE, HANDLED, PAUSE, Serving, ZERO};
use std::sync::atomic::Ordering;
use std::time::Instant;

const KIB: u64 = 1 << 10;

/// Bytes that differ from place to place.
fn pattern(seed: u64, length: u32) -> Vec<u8> {
    // A prime, so that no page is like another.
    const PERIOD: usize = 4099;
    let period: Vec<u8> =
        (0..PERIOD).map(|at| u8::try_from((at * 7 + at / 251) % 255 + 1).unwrap()).collect();
    let skip = usize::try_from(seed).unwrap() % PERIOD;
    period.repeat(length as usize / PERIOD + 2)[skip..skip + length as usize].to_vec()
}

/// Sizes round everything that is decided by size: sectors, pages, what goes through a pipe, the pipe, buffers.
const SIZES: [u32; 16] = [
    1,
    511,
    4096,
    65_535,
    65_536,
    65_537,
    131_072,
    262_144 - 28,
    262_144,
    262_145,
    524_288,
    524_289,
    1 << 20,
    (1 << 20) + 1,
    2_000_003,
    3 << 20,
];

#[test]
fn what_is_written_is_read_whatever_its_size_and_place() {
    let serving = Serving::start(&["vol"]);
    for structured in [false, true] {
        let mut client = Client::work(&serving.socket, "vol", structured);
        for (seed, length) in (0..).zip(SIZES) {
            for at in [FILE, 1, 4095, ZERO - u64::from(length)] {
                let data = pattern(seed + at, length);
                assert_eq!(client.call(0, WRITE, at, length, &data), Answer::Done, "{length} at {at}");
                let flags = if structured && seed % 2 == 0 { DF } else { 0 };
                assert_eq!(client.call(flags, READ, at, length, b""), Answer::Data(data), "{length} at {at}");
            }
        }
    }
}

#[test]
fn ranges_of_mixed_kinds_are_moved_as_one() {
    let serving = Serving::start(&["vol"]);
    for structured in [false, true] {
        let mut client = Client::work(&serving.socket, "vol", structured);
        for around in [100, 70_000, 300_000, 900_000] {
            // File and zeros, zeros and what is handled, all three.
            let ranges = [
                (ZERO - around, 2 * around),
                (HANDLED - around, 2 * around),
                (ZERO - around, (1 << 20) + 2 * around),
            ];
            for (at, length) in ranges {
                let count = u32::try_from(length).unwrap();
                let mut data = pattern(at, count);
                assert_eq!(client.call(0, WRITE, at, count, &data), Answer::Done);
                let within = |place: u64| usize::try_from(place.clamp(at, at + length) - at).unwrap();
                data[within(ZERO)..within(HANDLED)].fill(0);
                assert_eq!(client.call(0, READ, at, count, b""), Answer::Data(data), "{length} at {at}");
            }
        }
        assert_eq!(client.call(0, READ, ZERO, 1 << 20, b""), Answer::Data(vec![0; 1 << 20]));
    }
}

#[test]
fn a_part_that_fails_fails_its_request_alone() {
    let serving = Serving::start(&["vol"]);
    for structured in [false, true] {
        let mut client = Client::work(&serving.socket, "vol", structured);
        for length in [512, 100_000, 900_000] {
            assert_eq!(client.call(0, READ, BROKEN, length, b""), Answer::Failed(5));
            assert_eq!(client.call(0, WRITE, BROKEN, length, &vec![1; length as usize]), Answer::Failed(5));
            let at = BROKEN - u64::from(length) / 2;
            assert_eq!(client.call(0, READ, at, length, b""), Answer::Failed(5));
            assert_eq!(client.call(0, WRITE, at, length, &vec![1; length as usize]), Answer::Failed(5));
        }
        assert_eq!(client.call(0, WRITE, 0, 4, b"fine"), Answer::Done);
        assert_eq!(client.call(0, READ, 0, 4, b""), Answer::Data(b"fine".to_vec()));
    }
}

#[test]
fn what_no_device_could_do_is_refused_and_the_connection_goes_on() {
    let serving = Serving::start(&["vol"]);
    for structured in [false, true] {
        let mut client = Client::work(&serving.socket, "vol", structured);
        let beyond = [(END, 1), (END - 1, 2), (u64::MAX, 1), (u64::MAX - 10, 100), (0, 8 << 20)];
        for (at, length) in beyond {
            assert_eq!(client.call(0, READ, at, length, b""), Answer::Failed(22), "{length} at {at}");
            assert_eq!(client.call(0, TRIM, at, length, b""), Answer::Failed(22));
            assert_eq!(client.call(0, CACHE, at, length, b""), Answer::Failed(22));
            assert_eq!(client.call(0, WRITE_ZEROES, at, length, b""), Answer::Failed(28));
            assert_eq!(client.call(0, WRITE, at, length, &vec![1; length as usize]), Answer::Failed(28));
        }
        serving.device().size.store(1 << 40, Ordering::SeqCst);
        let long = (32 << 20) + 1;
        assert_eq!(client.call(0, READ, 0, long, b""), Answer::Failed(22));
        assert_eq!(client.call(0, READ, 0, u32::MAX, b""), Answer::Failed(22));
        assert_eq!(client.call(0, WRITE, 0, long, &vec![1; long as usize]), Answer::Failed(22));
        serving.device().size.store(END, Ordering::SeqCst);
        for command in [8, 9, 255, u16::MAX] {
            assert_eq!(client.call(0, command, 0, 512, b""), Answer::Failed(22), "command {command}");
        }
        for (flags, command) in
            [(REQ_ONE, READ), (NO_HOLE, WRITE), (DF, FLUSH), (FAST_ZERO, TRIM), (1 << 9, WRITE_ZEROES)]
        {
            assert_eq!(
                client.call(flags, command, 0, 4, if command == WRITE { b"data" } else { b"" }),
                Answer::Failed(22)
            );
        }
        if !structured {
            assert_eq!(client.call(DF, READ, 0, 512, b""), Answer::Failed(22));
            assert_eq!(client.call(0, BLOCK_STATUS, 0, 512, b""), Answer::Failed(22), "no context");
        }
        assert_eq!(client.call(0, READ, 0, 0, b""), Answer::Data(vec![]));
        for command in [WRITE, TRIM, WRITE_ZEROES, CACHE] {
            assert_eq!(
                client.call(0, command, 0, 0, b""),
                Answer::Done,
                "command {command} without a length"
            );
        }
    }
}

#[test]
fn zeroing_trimming_and_flushing() {
    let serving = Serving::start(&["vol"]);
    let flushes = || serving.device().flushes.load(Ordering::SeqCst);
    for structured in [false, true] {
        let mut client = Client::work(&serving.socket, "vol", structured);
        let data = pattern(3, 64 << 10);
        assert_eq!(client.call(0, WRITE, 0, 64 << 10, &data), Answer::Done);
        for (at, flags) in [(4 * KIB, 0), (12 * KIB, NO_HOLE), (20 * KIB, NO_HOLE | FUA)] {
            assert_eq!(client.call(flags, WRITE_ZEROES, at, 4096, b""), Answer::Done);
            assert_eq!(client.call(0, READ, at, 4096, b""), Answer::Data(vec![0; 4096]));
        }
        assert_eq!(client.call(0, READ, 8 * KIB, 4096, b""), Answer::Data(data[8192..12288].to_vec()));
        assert_eq!(
            client.call(FAST_ZERO, WRITE_ZEROES, HANDLED, 4096, b""),
            Answer::Failed(95),
            "it is slow"
        );
        assert_eq!(client.call(FAST_ZERO, WRITE_ZEROES, ZERO, 4096, b""), Answer::Done);
        assert_eq!(client.call(0, CACHE, 0, 1 << 20, b""), Answer::Done);
        let before = flushes();
        assert_eq!(client.call(0, FLUSH, 0, 0, b""), Answer::Done);
        assert_eq!(client.call(FUA, WRITE, 0, 4, b"fua!"), Answer::Done);
        assert_eq!(client.call(FUA, WRITE, 0, 100_000, &vec![1; 100_000]), Answer::Done);
        assert_eq!(client.call(FUA, WRITE, HANDLED, 4, b"fua!"), Answer::Done);
        assert_eq!(client.call(FUA, TRIM, 0, 4096, b""), Answer::Done);
        assert_eq!(flushes(), before + 5);
        assert_eq!(client.call(FUA, READ, ZERO, 4, b""), Answer::Data(vec![0; 4]));
        assert_eq!(flushes(), before + 5, "nothing was written");
    }
}

#[test]
fn block_states_are_told_in_runs() {
    let serving = Serving::start(&["vol"]);
    let mut client = Client::work(&serving.socket, "vol", true);
    let length = u32::try_from(END).unwrap();
    let all = [(4 << 20, 0), (1 << 20, 3), (2 << 20, 0)];
    assert_eq!(client.call(0, BLOCK_STATUS, 0, length, b""), Answer::Blocks(all.to_vec()));
    assert_eq!(client.call(REQ_ONE, BLOCK_STATUS, 0, length, b""), Answer::Blocks(vec![(4 << 20, 0)]));
    assert_eq!(client.call(0, BLOCK_STATUS, ZERO + 5, 10, b""), Answer::Blocks(vec![(10, 3)]));
    assert_eq!(client.call(0, BLOCK_STATUS, ZERO, 0, b""), Answer::Failed(22));
}

#[test]
fn a_request_that_sleeps_holds_up_no_other() {
    let serving = Serving::start(&["vol"]);
    for structured in [false, true] {
        let mut client = Client::work(&serving.socket, "vol", structured);
        let begin = Instant::now();
        let mut batch = Vec::new();
        for cookie in 0..8 {
            batch.extend(request(0, READ, cookie, HANDLED + cookie * 512, 512, b""));
        }
        batch.extend(request(0, WRITE, 8, HANDLED + 8192, 4, b"slow"));
        batch.extend(request(0, WRITE, 100, 0, 4, b"fast"));
        batch.extend(request(0, READ, 101, 0, 512, b""));
        client.say(&batch);
        let place = |cookie| match cookie {
            8 | 100 => None,
            101 => Some((0, 512)),
            cookie => Some((HANDLED + cookie * 512, 512)),
        };
        let order: Vec<u64> = (0..11).map(|_| client.answer(place).0).collect();
        assert_eq!(order[..2], [100, 101], "{order:?}");
        // One after another it would be nine times the pause.
        assert!(begin.elapsed() < PAUSE * 6, "{:?}", begin.elapsed());
    }
}

#[test]
fn a_deep_queue_of_everything_comes_back_whole() {
    let serving = Serving::start(&["vol"]);
    for structured in [false, true] {
        let mut writer = Client::work(&serving.socket, "vol", structured);
        let mut reader = Client { stream: writer.stream.try_clone().unwrap(), structured };
        const COUNT: u64 = 3000;
        let size =
            |cookie: u64| u32::try_from(1 + cookie * 7919 % 4096 + cookie % 37 / 36 * 300_000).unwrap();
        let place = |cookie: u64| cookie * 1021 % (3 << 20);
        let sender = std::thread::spawn(move || {
            for cookie in 0..COUNT {
                match cookie % 3 {
                    0 => writer.ask(0, READ, cookie, place(cookie), size(cookie), b""),
                    1 => writer.ask(
                        0,
                        WRITE,
                        cookie,
                        place(cookie),
                        size(cookie),
                        &vec![0x5a; size(cookie) as usize],
                    ),
                    _ => writer.ask(0, CACHE, cookie, place(cookie), size(cookie), b""),
                }
            }
        });
        let mut seen: Vec<u64> = (0..COUNT)
            .map(|_| {
                let (cookie, answer) =
                    reader.answer(|cookie| (cookie % 3 == 0).then(|| (place(cookie), size(cookie))));
                if let Answer::Data(data) = answer {
                    assert!(data.iter().all(|byte| [0, 0x5a].contains(byte)));
                } else {
                    assert_eq!(answer, Answer::Done);
                }
                cookie
            })
            .collect();
        sender.join().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..COUNT).collect::<Vec<_>>());
    }
}

#[test]
fn the_device_of_this_moment_decides() {
    let serving = Serving::start(&["vol"]);
    let mut client = Client::work(&serving.socket, "vol", true);
    serving.device().size.store(8192, Ordering::SeqCst);
    assert_eq!(client.call(0, READ, 8192, 1, b""), Answer::Failed(22), "it has shrunk");
    assert_eq!(client.call(0, WRITE, 8191, 1, b"x"), Answer::Done);
    serving.device().read_only.store(true, Ordering::SeqCst);
    for command in [WRITE, TRIM, WRITE_ZEROES] {
        let data: &[u8] = if command == WRITE { b"data" } else { b"" };
        assert_eq!(client.call(0, command, 0, 4, data), Answer::Failed(1), "it is read-only now");
    }
    assert_eq!(client.call(0, READ, 8191, 1, b""), Answer::Data(b"x".to_vec()));
    let mut later = Client::greet(&serving.socket);
    let replies = later.option(6, &[&name("vol")[..], &[0, 0]].concat());
    let (kind, export) = &replies[0];
    assert_eq!((*kind, &export[..10]), (3, &[0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0][..]), "the new size is told");
    assert_eq!(export[11] & 3, 3, "and that it is read-only");
}
