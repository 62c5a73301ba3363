//! What a server with many devices and many clients takes of memory.

use crate::sandbox::Sandbox;
use crate::server::Server;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

const DEVICES: usize = 1000;
const CLIENTS: usize = 100;
/// Kibibytes: 100 MB.
const MOST: u64 = 100_000_000 / 1024;

/// A client that has opened an export, in the oldest way that there is (`NBD_OPT_EXPORT_NAME`), and does nothing.
fn connect(socket: &Path, export: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting).unwrap();
    assert!(greeting.starts_with(b"NBDMAGICIHAVEOPT"));
    let length = u32::try_from(export.len()).unwrap();
    // Fixed newstyle, no zeroes; then the option 1.
    let question =
        [&3u32.to_be_bytes()[..], b"IHAVEOPT", &1u32.to_be_bytes(), &length.to_be_bytes()].concat();
    stream.write_all(&[&question, export.as_bytes()].concat()).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(u64::from_be_bytes(answer[..8].try_into().unwrap()), 4096, "the export's size");
    stream
}

/// Kibibytes of memory that the process has.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thousand_devices_and_a_hundred_clients_fit_in_100_megabytes() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let mut devices = String::new();
    for number in 0..DEVICES {
        write!(devices, "{}vol{number},,,rw,0 8 linear disk {number}", if number == 0 { "" } else { ";" })
            .unwrap();
    }
    sandbox.ok(&["create", "--concise", &devices]);
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
    let socket = sandbox.path().join("nbd.sock");
    let clients: Vec<UnixStream> =
        (0..CLIENTS).map(|number| connect(&socket, &format!("vol{}", number * 7))).collect();
    let open = sandbox.ok(&["info", "-c", "--noheadings", "-o", "open"]);
    assert_eq!(open.lines().filter(|open| open.trim() == "1").count(), CLIENTS);
    let resident = resident(server.pid());
    assert!(resident < MOST, "{resident} KiB");
    drop(clients);
    server.stop();
}
