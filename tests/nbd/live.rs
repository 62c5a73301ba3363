//! Devices that change while they are served.

use crate::client::*;
use crate::sandbox::Sandbox;
use crate::server::{Server, eventually};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

fn served() -> (Sandbox, Server, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 64 << 20);
    sandbox.disk("other", 64 << 20);
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    sandbox.ok(&["create", "vol", "--table", "0 65536 linear disk 0"]);
    let socket = sandbox.path().join("nbd.sock");
    (sandbox, server, socket)
}

fn open_count(sandbox: &Sandbox, device: &str) -> String {
    sandbox.ok(&["info", "-c", "--noheadings", "-o", "open", device]).trim().to_owned()
}

#[test]
fn a_client_at_work_keeps_its_device() {
    let (sandbox, server, socket) = served();
    assert_eq!(open_count(&sandbox, "vol"), "0");
    let mut client = Client::work(&socket, "vol", true);
    assert_eq!(open_count(&sandbox, "vol"), "1");
    assert!(sandbox.fails(&["remove", "vol"]).contains("busy"));
    sandbox.ok(&["rename", "vol", "volume"]);
    assert_eq!(client.call(0, WRITE, 0, 4, b"same"), Answer::Done, "it goes on under the new name");
    sandbox.ok(&["remove", "--deferred", "volume"]);
    assert_eq!(client.call(0, READ, 0, 4, b""), Answer::Data(b"same".to_vec()));
    client.ask(0, DISCONNECT, 0, 0, 0, b"");
    assert!(client.is_over());
    eventually("the device is gone", || sandbox.ok(&["ls"]) == "No devices found\n");
    server.stop();
}

#[test]
fn the_only_device_is_the_default_and_an_unknown_one_is_refused() {
    let (sandbox, server, socket) = served();
    let mut client = Client::work(&socket, "", true);
    assert_eq!(client.call(0, READ, 0, 4, b""), Answer::Data(vec![0; 4]));
    sandbox.ok(&["create", "second", "--table", "0 8 zero"]);
    let refused = |export: &str| {
        let replies = Client::greet(&socket).option(7, &[&name(export)[..], &[0, 0]].concat());
        assert_eq!((replies.len(), replies[0].0), (1, 1 << 31 | 6), "{replies:?}");
        String::from_utf8(replies[0].1.clone()).unwrap()
    };
    assert_eq!(refused(""), "there are 2 devices: name one");
    assert_eq!(refused("nope"), "there is no device \"nope\"");
    let replies = Client::greet(&socket).option(3, b"");
    assert_eq!(replies, [(2, name("second")), (2, name("vol")), (1, vec![])]);
    server.stop();
}

#[test]
fn a_table_swap_is_seen_and_a_suspended_device_holds_its_requests() {
    let (sandbox, server, socket) = served();
    let mut client = Client::work(&socket, "vol", true);
    sandbox.ok(&["suspend", "vol"]);
    client.ask(0, WRITE, 1, 0, 4, b"held");
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(client.try_take(1).is_err(), "it is answered while the device is suspended");
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    sandbox.ok(&["load", "vol", "--table", "0 8 linear other 0"]);
    sandbox.ok(&["resume", "vol"]);
    assert_eq!(client.answer(|_| None), (1, Answer::Done));
    assert_eq!(&std::fs::read(sandbox.path().join("other")).unwrap()[..4], b"held", "to the new table");
    assert_eq!(client.call(0, READ, 4096, 1, b""), Answer::Failed(22), "its size is the new table's");
    // NBD_INFO_EXPORT, which who asks anew is told.
    let size = [&[0, 0][..], &4096u64.to_be_bytes()].concat();
    let replies = Client::greet(&socket).option(6, &[&name("vol")[..], &[0, 0]].concat());
    assert!(replies.iter().any(|(kind, data)| *kind == 3 && data.starts_with(&size)), "{replies:?}");
    // One that is never resumed does not keep the server from ending.
    sandbox.ok(&["suspend", "vol"]);
    client.ask(0, READ, 2, 0, 4, b"");
    thread::sleep(Duration::from_millis(50));
    server.stop();
}

#[test]
fn a_slow_client_keeps_no_device_from_being_suspended() {
    let (sandbox, server, socket) = served();
    // One has sent a part of its data, another does not take its replies.
    let mut writer = Client::work(&socket, "vol", true);
    writer.say(&request(0, WRITE, 1, 0, 1 << 20, &[1; 100_000]));
    let mut small = Client::work(&socket, "vol", true);
    small.say(&request(0, WRITE, 1, 1 << 20, 4096, &[2; 1000]));
    let mut reader = Client::work(&socket, "vol", true);
    for cookie in 0..32 {
        reader.ask(0, READ, cookie, cookie << 18, 1 << 18, b"");
    }
    thread::sleep(Duration::from_millis(100));
    for _ in 0..3 {
        sandbox.ok(&["suspend", "vol"]);
        sandbox.ok(&["resume", "vol"]);
    }
    writer.say(&[1; (1 << 20) - 100_000]);
    assert_eq!(writer.answer(|_| None), (1, Answer::Done));
    small.say(&[2; 3096]);
    assert_eq!(small.answer(|_| None), (1, Answer::Done));
    for _ in 0..32 {
        let (cookie, answer) = reader.answer(|cookie| Some((cookie << 18, 1 << 18)));
        assert!(matches!(answer, Answer::Data(_)), "{cookie}: {answer:?}");
    }
    server.stop();
}

#[test]
fn a_write_that_a_swap_overtakes_goes_where_the_next_table_sends_it() {
    let (sandbox, server, socket) = served();
    sandbox.ok(&["create", "path", "--table", "0 65536 linear other 0"]);
    let data: Vec<u8> = (0..192 << 10).map(|byte: u32| byte.to_le_bytes()[1] | 1).collect();
    let mut client = Client::work(&socket, "vol", true);
    let bytes = request(0, WRITE, 1, 0, u32::try_from(data.len()).unwrap(), &data);
    client.say(&bytes[..128 << 10]);
    let disk = std::fs::File::open(sandbox.path().join("disk")).unwrap();
    let mut first = [0];
    eventually("its beginning is written", || {
        disk.read_exact_at(&mut first, 0).unwrap();
        first[0] != 0
    });
    let paths = "1 1 round-robin 0 1 0 /dev/mapper/path";
    sandbox.ok(&["load", "vol", "--table", &format!("0 65536 multipath 1 queue_if_no_path 0 {paths}")]);
    sandbox.ok(&["resume", "vol"]);
    sandbox.ok(&["message", "vol", "0", "fail_path", "/dev/mapper/path"]);
    client.say(&bytes[128 << 10..]);
    client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(client.try_take(1).is_err(), "there is no path yet");
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    sandbox.ok(&["message", "vol", "0", "reinstate_path", "/dev/mapper/path"]);
    assert_eq!(client.answer(|_| None), (1, Answer::Done));
    let last = &data[data.len() - 4096..];
    let at = (data.len() - last.len()) as u64;
    assert_eq!(client.call(0, READ, at, 4096, b""), Answer::Data(last.to_vec()));
    server.stop();
}

#[test]
fn a_read_that_fails_half_way_is_had_from_another_path() {
    let (sandbox, server, socket) = served();
    let data: Vec<u8> = (0..1u32 << 20).map(|byte| byte.to_le_bytes()[1] ^ byte.to_le_bytes()[2]).collect();
    sandbox.ok(&["create", "half", "--table", "0 512 linear disk 0\n512 1536 error"]);
    sandbox.ok(&["create", "whole", "--table", "0 2048 linear disk 0"]);
    let paths = "2 1 round-robin 0 1 0 /dev/mapper/half round-robin 0 1 0 /dev/mapper/whole";
    sandbox.ok(&["create", "m", "--table", &format!("0 2048 multipath 0 0 {paths}")]);
    assert!(sandbox.run_with(&["write", "whole"], &data).succeeded);
    for structured in [false, true] {
        let mut client = Client::work(&socket, "m", structured);
        for (at, length) in [(0, 1 << 20), (200_000, 300_000), (512 * 512 - 1000, 2000)] {
            sandbox.ok(&["message", "m", "0", "reinstate_path", "/dev/mapper/half"]);
            sandbox.ok(&["message", "m", "0", "switch_group", "1"]);
            let wanted = &data[usize::try_from(at).unwrap()..][..length as usize];
            for _ in 0..2 {
                let read = client.call(0, READ, at, length, b"");
                assert!(read == Answer::Data(wanted.to_vec()), "{length} bytes at {at}: {structured}");
            }
            assert!(sandbox.ok(&["status", "m"]).contains(" F "), "the path was not tried");
            sandbox.ok(&["message", "m", "0", "reinstate_path", "/dev/mapper/half"]);
            sandbox.ok(&["message", "m", "0", "switch_group", "1"]);
            assert_eq!(client.call(0, CACHE, at, length, b""), Answer::Done);
        }
    }
    server.stop();
}

#[test]
#[allow(clippy::cast_possible_truncation, reason = "the devices here are small")]
fn writes_that_are_done_together_leave_a_snapshot_what_it_was() {
    const BLOCK: usize = 4096;
    const BLOCKS: u64 = 512;
    let (sandbox, server, socket) = served();
    let before: Vec<u8> = (0..BLOCKS).flat_map(|block| [block as u8; BLOCK]).collect();
    std::fs::write(sandbox.path().join("disk"), &before).unwrap();
    sandbox.ok(&["remove", "vol"]);
    let length = BLOCKS * 8;
    for (name, store) in [("kept", "P 16"), ("passing", "N 8")] {
        sandbox.disk(&format!("{name}.cow"), 8 << 20);
        sandbox.ok(&["create", name, "--table", &format!("0 {length} snapshot disk {name}.cow {store}")]);
    }
    sandbox.ok(&["create", "base", "--table", &format!("0 {length} snapshot-origin disk")]);
    let reader = thread::spawn({
        let (socket, before) = (socket.clone(), before.clone());
        move || {
            for block in (0..BLOCKS).cycle().step_by(7).take(600) {
                let mut client = Client::work(&socket, if block % 2 == 0 { "kept" } else { "passing" }, true);
                for at in [block, (block * 5 + 3) % BLOCKS].map(|block| block as usize * BLOCK) {
                    let found = client.call(0, READ, at as u64, BLOCK as u32, b"");
                    assert_eq!(
                        found,
                        Answer::Data(before[at..at + BLOCK].to_vec()),
                        "byte {at} of a snapshot"
                    );
                }
            }
        }
    });
    let mut client = Client::work(&socket, "base", true);
    let mut after = before.clone();
    for round in 0..BLOCKS / 16 {
        for number in 0..16 {
            // Some on the chunk of another; with and without FUA.
            let block = (round * 16 + number) * 37 % BLOCKS / 2 * 2 + number % 2;
            let data = [0x80 | number as u8; BLOCK];
            after[block as usize * BLOCK..][..BLOCK].copy_from_slice(&data);
            client.ask(u16::from(number == 9), WRITE, number, block * BLOCK as u64, BLOCK as u32, &data);
        }
        let mut answered: Vec<u64> = (0..16)
            .map(|_| match client.answer(|_| None) {
                (cookie, Answer::Done) => cookie,
                (cookie, other) => panic!("write {cookie}: {other:?}"),
            })
            .collect();
        answered.sort_unstable();
        assert_eq!(answered, (0..16).collect::<Vec<_>>());
    }
    reader.join().unwrap();
    let all = BLOCK as u32 * BLOCKS as u32;
    assert_eq!(client.call(0, READ, 0, all, b""), Answer::Data(after));
    for name in ["kept", "passing"] {
        let mut client = Client::work(&socket, name, true);
        assert_eq!(client.call(0, READ, 0, all, b""), Answer::Data(before.clone()), "{name}");
    }
    server.stop();
}
