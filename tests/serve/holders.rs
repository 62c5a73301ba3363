//! Who holds a device of a server's: NBD clients, processes with its file open, commands.

use crate::sandbox::Sandbox;
use crate::server::{Server, eventually, wait};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// Goes to work on an export, as a client of fixed newstyle does.
fn work(mut stream: impl Read + Write, export: &str) -> impl Read + Write {
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting).unwrap();
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let data = [&length(export.len())[..], export.as_bytes(), &[0, 0]].concat();
    let go = [&3u32.to_be_bytes()[..], b"IHAVEOPT", &7u32.to_be_bytes(), &length(data.len()), &data].concat();
    stream.write_all(&go).unwrap();
    // Its replies are over when the last is an acknowledgement.
    let mut kind = [0; 20];
    while kind[12..16] != [0, 0, 0, 1] {
        stream.read_exact(&mut kind).unwrap();
        let mut data = vec![0; u32::from_be_bytes(kind[16..].try_into().unwrap()) as usize];
        stream.read_exact(&mut data).unwrap();
    }
    stream
}

/// A sandbox with two devices on a disk.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    for name in ["vol", "other"] {
        sandbox.ok(&["create", name, "--table", "0 8 linear disk 0"]);
    }
    sandbox
}

/// This process as it is named: with its user.
fn own() -> String {
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let user = nix::unistd::geteuid();
    format!("process {} ({}) of user {user}", std::process::id(), name.trim())
}

#[test]
fn nbd_clients_are_named() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock", "--nbd", "tcp:127.0.0.1:0"]);
    let port = server.ready.rsplit(':').next().unwrap();
    let local = || work(UnixStream::connect(sandbox.path().join("nbd.sock")).unwrap(), "vol");
    let remote = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    let address = remote.local_addr().unwrap();
    let (one, two, remote) = (local(), local(), work(remote, "vol"));
    let told = sandbox.ok(&["holders", "vol"]);
    let expected =
        format!("vol: open 3 times\n  NBD client {}, 2 times\n  NBD client tcp:{address}\n", own());
    assert_eq!(told, expected);
    assert_eq!(sandbox.ok(&["holders", "other"]), "other: nobody\n");
    let busy = sandbox.fails(&["remove", "vol"]);
    let reason = format!("\"vol\" is in use by NBD client {}, NBD client tcp:{address}\n", own());
    assert!(busy.contains(&reason), "{busy}");

    let document: Value = serde_json::from_str(&sandbox.ok(&["holders", "--json", "vol"])).unwrap();
    let holders = &document["devices"][0]["holders"];
    assert_eq!(
        (&holders[0]["kind"], &holders[0]["process"]["pid"]),
        (&"nbd".into(), &std::process::id().into())
    );
    assert_eq!((&holders[0]["times"], &holders[1]["address"]), (&2.into(), &address.to_string().into()));
    drop((one, two, remote));
    eventually("they have left", || sandbox.ok(&["holders", "vol"]) == "vol: nobody\n");
    sandbox.ok(&["remove", "vol"]);
    server.stop();
}

#[test]
fn who_has_a_file_open_is_named() {
    let name = "who_has_a_file_open_is_named";
    if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: /dev/fuse: {error}");
        eprintln!("SKIPPED {name}: /dev/fuse: {error}");
        return;
    }
    let sandbox = sandbox();
    std::fs::create_dir(sandbox.path().join("mnt")).unwrap();
    let server = Server::start(&sandbox, &["--fuse", "mnt"]);
    // Opened by a thread, and named by its process.
    let file = File::open(sandbox.path().join("mnt/vol")).unwrap();
    let expected = format!("vol: open once\n  {} by its file\n", own());
    assert_eq!(sandbox.ok(&["holders", "vol"]), expected);
    let busy = sandbox.fails(&["remove", "vol"]);
    assert!(busy.contains(&format!("\"vol\" is in use by {} by its file\n", own())), "{busy}");
    drop(file);
    eventually("it is closed", || sandbox.ok(&["holders", "vol"]) == "vol: nobody\n");
    server.stop();
}

#[test]
fn commands_are_named() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["suspend", "vol"]);
    let mut reader = sandbox.command(&["read", "vol"]).stdout(Stdio::null()).spawn().unwrap();
    let told = || sandbox.ok(&["holders", "vol"]);
    eventually("the reader has it open", || told().starts_with("vol: open once"));
    let user = nix::unistd::geteuid();
    assert_eq!(told(), format!("vol: open once\n  process {} (rdmsetup) of user {user}\n", reader.id()));
    sandbox.ok(&["resume", "vol"]);
    assert!(wait(&mut reader).success());
    server.stop();
    assert_eq!(sandbox.ok(&["holders", "vol"]), "vol: nobody\n", "without a server there is nobody to ask");
}
