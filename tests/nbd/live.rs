//! Devices that change while they are served.

use crate::client::*;
use crate::sandbox::Sandbox;
use crate::server::{Server, eventually};
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
    // One that is never resumed does not keep the server from ending.
    sandbox.ok(&["suspend", "vol"]);
    client.ask(0, READ, 2, 0, 4, b"");
    thread::sleep(Duration::from_millis(50));
    server.stop();
}
