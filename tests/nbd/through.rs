//! Writes that are to be on stable storage when they are answered: the log of `log-writes` tells them from others, as the
//! kernel's does.

use crate::client::*;
use crate::sandbox::Sandbox;
use crate::server::Server;

/// The first three numbers of the entry at a sector of a log: where it was written, how many sectors, flags.
fn entry(log: &[u8], sector: usize) -> [u64; 3] {
    [0, 1, 2].map(|index| log[sector * 512 + index * 8..][..8].try_into().map(u64::from_le_bytes).unwrap())
}

#[test]
fn a_log_has_what_was_written_through_at_once_and_as_such() {
    let sandbox = Sandbox::new();
    ["disk", "log"].iter().for_each(|disk| sandbox.disk(disk, 4 << 20));
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    sandbox.ok(&["create", "low", "--table", "0 4096 log-writes disk log"]);
    // What is above passes it on.
    sandbox.ok(&["create", "vol", "--table", "0 2048 linear /dev/mapper/low 8\n2048 8 zero"]);
    let mut client = Client::work(&sandbox.path().join("nbd.sock"), "vol", true);
    assert_eq!(client.call(0, WRITE, 0, 512, &[1; 512]), Answer::Done, "kept until the flush");
    assert_eq!(client.call(FUA, WRITE, 4096, 1024, &[2; 1024]), Answer::Done);
    // More than what goes by way of memory else, and beyond the line's end.
    let large = vec![3; 200 << 10];
    let at = (2048 * 512) - (100 << 10);
    assert_eq!(client.call(FUA, WRITE, at, 200 << 9, &large[..200 << 9]), Answer::Done);
    assert_eq!(sandbox.ok(&["status", "low"]), "0 4096 log-writes 2 204\n");
    assert_eq!(client.call(0, FLUSH, 0, 0, b""), Answer::Done);
    assert_eq!(client.call(0, TRIM, 0, 4096, b""), Answer::Done);
    assert_eq!(client.call(0, FLUSH, 0, 0, b""), Answer::Done);
    drop(client);
    let log = std::fs::read(sandbox.path().join("log")).unwrap();
    let (flush, fua, discard) = (1, 2, 4);
    let large_at = at / 512 + 8;
    let expected = [
        (1, [16, 2, fua]),
        (4, [large_at, 200, fua]),
        (205, [8, 1, 0]),
        (207, [0, 0, flush]),
        (208, [8, 8, discard]),
        (209, [0, 0, flush]),
    ];
    for (sector, entry_there) in expected {
        assert_eq!(entry(&log, sector), entry_there, "sector {sector}");
    }
    // The head, of the last write that went through: two entries.
    assert_eq!(log[16..24], 2u64.to_le_bytes());
    let disk = std::fs::read(sandbox.path().join("disk")).unwrap();
    assert_eq!(disk[usize::try_from(at).unwrap() + 4096..][..512], [3; 512]);
    server.stop();
}

#[test]
fn the_log_of_a_server_that_was_killed_begins_anew_and_that_of_another_goes_on() {
    let sandbox = Sandbox::new();
    ["disk", "log"].iter().for_each(|disk| sandbox.disk(disk, 4 << 20));
    sandbox.ok(&["create", "vol", "--table", "0 4096 log-writes disk log"]);
    sandbox.ok(&["message", "vol", "0", "mark", "first"]);
    let write = |times: usize| {
        let mut client = Client::work(&sandbox.path().join("nbd.sock"), "vol", true);
        for _ in 0..times {
            assert_eq!(client.call(FUA, WRITE, 0, 512, &[5; 512]), Answer::Done);
        }
        assert_eq!(client.call(0, WRITE, 512, 512, &[6; 512]), Answer::Done);
    };
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    write(2);
    server.stop();
    // A mark, two writes that went through, and one that nobody flushed.
    assert_eq!(sandbox.ok(&["status", "vol"]), "0 4096 log-writes 4 7\n");
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    write(3);
    server.end("-KILL");
    assert_eq!(sandbox.ok(&["status", "vol"]), "0 4096 log-writes 0 0\n");
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    write(1);
    server.stop();
    let log = std::fs::read(sandbox.path().join("log")).unwrap();
    assert_eq!((entry(&log, 1), entry(&log, 3)), ([0, 1, 2], [1, 1, 0]));
    assert_eq!(sandbox.ok(&["status", "vol"]), "0 4096 log-writes 2 4\n");
}
