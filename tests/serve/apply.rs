//! `apply` and `watch` through a server: what is killed halfway can be given again, and what targets do is seen too.

use crate::sandbox::Sandbox;
use crate::server::{Server, wait};
use rdmsetup::backend::{Client, User};
use rdmsetup::dm::{Command as Asked, DeviceId, Flags, Request};
use rdmsetup::mapper::StateDir;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::yield_now;

/// Forty devices on one another in pairs, over that disk.
fn file(disk: &str) -> String {
    (0..20).fold(String::new(), |mut text, at| {
        write!(text, "[[device]]\nname = 'top{at}'\ntable = '0 8 linear low{at} 0'\n").unwrap();
        write!(text, "[[device]]\nname = 'low{at}'\ntable = '0 16 linear {disk} {at}'\n").unwrap();
        text
    })
}

#[test]
fn what_was_killed_halfway_is_done_when_it_is_given_again() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        sandbox.disk(name, 1 << 20);
        std::fs::write(sandbox.path().join(format!("{name}.toml")), file(name)).unwrap();
    }
    let server = Server::start(&sandbox, &[]);
    assert_eq!(sandbox.ok(&["apply", "two.toml"]).lines().count(), 40);
    let state = StateDir::new(Some(&sandbox.path().join("state"))).unwrap();
    let mut client = Client::new(Box::new(User::new(state)));
    let mut stands_on = |device: u32, disk: &str| {
        let table = Request::new(DeviceId::by_name(format!("low{device}")), Asked::TableStatus);
        let reply = client.perform(&table.with_flags(Flags::STATUS_TABLE | Flags::NOFLUSH)).unwrap();
        reply.lines()[0].params.to_string().contains(&format!("/{disk} "))
    };
    let mut halfway = 0;
    for round in 0..12 {
        let disk = if round % 2 == 0 { "one" } else { "two" };
        let file = &format!("{disk}.toml");
        let mut command = sandbox.command(&["apply", file]);
        let mut applying = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // When some are done, and in the midst of the next.
        while applying.try_wait().unwrap().is_none() && !stands_on(round, disk) {
            yield_now();
        }
        // With INT it ends between two devices, and says where.
        let signal = if round % 3 == 2 { "-INT" } else { "-KILL" };
        let sent =
            Command::new("kill").args([signal, &applying.id().to_string()]).stderr(Stdio::null()).status();
        let killed = wait(&mut applying);
        assert!(sent.unwrap().success() || killed.success());
        let ran = sandbox.run(&["apply", file]);
        assert!(ran.succeeded && ran.stderr.is_empty(), "{ran:?}");
        let left = String::from_utf8(ran.stdout).unwrap();
        halfway += usize::from(!killed.success() && (1..20).contains(&left.matches("reloaded ").count()));
        assert_eq!(sandbox.ok(&["diff", file]), "");
        assert!(!sandbox.ok(&["info"]).contains("SUSPENDED"));
    }
    assert!(halfway > 0, "none was killed halfway");
    server.stop();
}

#[test]
fn events_of_targets_are_told_and_the_end_of_a_server_is_no_end() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk.img", 1 << 20);
    sandbox.ok(&["create", "path", "--table", "0 2048 linear disk.img 0"]);
    sandbox.ok(&["create", "m", "--table", "0 2048 multipath 0 0 1 1 round-robin 0 1 0 /dev/mapper/path"]);
    let server = Server::start(&sandbox, &[]);
    let mut command = sandbox.command(&["watch", "--initial", "m", "later"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap().split_once(' ').unwrap().1.to_owned();
    assert_eq!(next(), "m present");
    sandbox.ok(&["load", "path", "--table", "0 2048 error"]);
    sandbox.ok(&["resume", "path"]);
    // The path fails by a read of the device, which is no command.
    assert!(!sandbox.run(&["read", "m", "--length", "8"]).succeeded);
    assert_eq!(next(), "m event 1");
    sandbox.ok(&["suspend", "m"]);
    assert_eq!(next(), "m suspended");
    server.stop();
    sandbox.ok(&["create", "later", "-n"]);
    assert_eq!(next(), "later created");
    watching.kill().unwrap();
    wait(&mut watching);
}
