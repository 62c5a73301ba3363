//! A server's beginning and end.

use crate::nbd_client::*;
use crate::sandbox::Sandbox;
use crate::server::{Server, eventually};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

#[test]
fn a_killed_server_stops_nobody() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "vol", "--table", "0 8 linear disk 0"]);
    server.end("-KILL");
    assert!(sandbox.path().join("state/control.sock").exists(), "it had no time to tidy up");
    assert_eq!(sandbox.ok(&["ls"]), "vol\t(240:0)\n");
    let server = Server::start(&sandbox, &[]);
    assert_eq!(sandbox.ok(&["ls"]), "vol\t(240:0)\n");
    server.stop();
}

#[test]
fn a_killed_server_leaves_its_places_to_the_next() {
    let name = "a_killed_server_leaves_its_places_to_the_next";
    if let Err(error) = File::options().read(true).write(true).open("/dev/fuse") {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: /dev/fuse: {error}");
        eprintln!("SKIPPED {name}: /dev/fuse: {error}");
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    fs::create_dir(sandbox.path().join("mnt")).unwrap();
    sandbox.ok(&["create", "vol", "--table", "0 2048 linear disk 0"]);
    let (socket, file) = (sandbox.path().join("nbd.sock"), sandbox.path().join("mnt/vol"));
    let mut tcp = "tcp:127.0.0.1:0".to_owned();
    let mut clients = Vec::new();
    for round in 0..3 {
        let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock", "--nbd", &tcp, "--fuse", "mnt"]);
        tcp = server.ready.split(", ").find_map(|place| place.strip_prefix("nbd tcp:")).unwrap().to_owned();
        let remote = std::net::TcpStream::connect(&tcp).unwrap();
        tcp.insert_str(0, "tcp:");
        let mut client = Client::work(&socket, "vol", true);
        assert_eq!(client.call(0, WRITE, 0, 1, &[round]), Answer::Done);
        assert_eq!(fs::read(&file).unwrap()[0], round);
        // With clients that are there, requests on their way, and a file that is open.
        client.ask(0, WRITE, 1, 0, 1 << 20, &[9; 1000]);
        clients.push((remote, client, File::open(&file).unwrap()));
        server.end("-KILL");
        assert!(socket.exists() && fs::metadata(&file).is_err());
    }
    let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock", "--nbd", &tcp, "--fuse", "mnt"]);
    assert_eq!(Client::work(&socket, "vol", true).call(0, READ, 1000, 1, b""), Answer::Data(vec![0]));
    drop(clients);
    server.stop();
    assert!(!socket.exists() && fs::read_dir(sandbox.path().join("mnt")).unwrap().count() == 0);
}

#[test]
fn a_second_server_of_the_same_state_is_refused() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let refused = sandbox.fails(&["serve"]);
    assert!(refused.contains("a server runs already: it listens at"), "{refused}");
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n", "the first goes on");
    server.stop();
}

#[test]
fn nothing_but_a_socket_gives_way_to_the_socket() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["create", "--notable", "vol"]);
    let path = sandbox.path().join("state/control.sock");
    fs::write(&path, "precious").unwrap();
    let refused = sandbox.fails(&["serve"]);
    assert!(refused.contains("cannot listen at") && refused.contains("File exists"), "{refused}");
    assert_eq!(fs::read_to_string(path).unwrap(), "precious");
}

#[test]
fn the_socket_is_the_users_alone() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let mode = |path: &str| fs::metadata(sandbox.path().join(path)).unwrap().mode() & 0o777;
    assert_eq!(mode("state"), 0o700);
    assert_eq!(mode("state/control.sock"), 0o600);
    server.stop();
}

#[test]
fn a_state_directory_with_a_long_name_has_a_socket_too() {
    let sandbox = Sandbox::new();
    let long = sandbox.path().join("a".repeat(120));
    let long = long.to_str().unwrap();
    let server = Server::spawn(sandbox.command(&["--state", long, "serve"]).stdin(Stdio::null()));
    assert_eq!(sandbox.ok(&["--state", long, "ls"]), "No devices found\n");
    sandbox.ok(&["--state", long, "create", "--notable", "vol"]);
    server.stop();
    assert_eq!(sandbox.ok(&["--state", long, "ls"]), "vol\t(240:0)\n");
}

#[test]
fn held_io_fails_when_the_server_ends() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("disk"), vec![1; 8 << 20]).unwrap();
    let server = Server::start(&sandbox, &[]);
    sandbox.ok(&["create", "vol", "--table", "0 16384 linear disk 0"]);
    let mut reader =
        sandbox.command(&["read", "vol"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = reader.stdout.take().unwrap();
    // It has read, so all that it asks before that is asked: what is left is in its way to us, and to be read.
    output.read_exact(&mut [0]).unwrap();
    sandbox.ok(&["suspend", "vol"]);
    let draining = thread::spawn(move || io::copy(&mut output, &mut io::sink()).unwrap());
    let stat = format!("/proc/{}/stat", reader.id());
    let sleeps = || fs::read_to_string(&stat).unwrap().rsplit(") ").next().unwrap().starts_with('S');
    // For as long as nobody who is awake does: it waits for the device then.
    let asleep = || {
        (0..20).all(|_| {
            thread::sleep(Duration::from_millis(5));
            sleeps()
        })
    };
    eventually("its read is held", asleep);
    server.stop();
    let read = reader.wait_with_output().unwrap();
    let stderr = String::from_utf8(read.stderr).unwrap();
    assert!(!read.status.success() && stderr.contains("Input/output error"), "{stderr}");
    assert!(draining.join().unwrap() < 8 << 20, "it was held before the end");
    assert!(sandbox.ok(&["info", "vol"]).contains("State:             SUSPENDED"));
}

#[test]
fn systemd_is_told_when_it_is_ready() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    let server = Server::spawn(sandbox.command(&["serve"]).env("NOTIFY_SOCKET", &path));
    let mut told = [0; 100];
    let length = notify.recv(&mut told).unwrap();
    assert_eq!(std::str::from_utf8(&told[..length]).unwrap().trim(), "READY=1");
    server.stop();
    let length = notify.recv(&mut told).unwrap();
    assert_eq!(std::str::from_utf8(&told[..length]).unwrap().trim(), "STOPPING=1");
}

/// A program that puts its standard input, a socket, where systemd does, and becomes the server.
const ACTIVATE: &str = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@""#;

/// `serve` with a socket that listens at that path handed over.
fn activated(sandbox: &Sandbox, path: &Path) -> Command {
    let listener = UnixListener::bind(path).unwrap();
    let plain = sandbox.command(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", ACTIVATE, "sh"]).arg(plain.get_program()).arg("serve").current_dir(sandbox.path());
    command.env_clear().env("RDMSETUP_STATE", sandbox.path().join("state"));
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)));
    command
}

#[test]
fn a_control_socket_can_be_handed_over() {
    let sandbox = Sandbox::new();
    DirBuilder::new().mode(0o700).create(sandbox.path().join("state")).unwrap();
    let path = sandbox.path().join("state/control.sock");
    let server = Server::spawn(&mut activated(&sandbox, &path));
    assert_eq!(sandbox.ok(&["ls"]), "No devices found\n");
    server.stop();
    assert!(path.exists(), "it is removed by who made it");
}

#[test]
fn any_other_socket_that_is_handed_over_is_for_nbd() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    let path = sandbox.path().join("disks");
    let server = Server::spawn(&mut activated(&sandbox, &path));
    assert!(server.ready.ends_with(&format!("nbd unix:{}", path.display())), "{}", server.ready);
    sandbox.ok(&["create", "vol", "--table", "0 8 linear disk 0"]);
    assert_eq!(Client::work(&path, "vol", true).call(0, WRITE, 0, 4, b"here"), Answer::Done);
    server.stop();
    assert!(path.exists(), "it is whose who made it");
}

#[test]
fn each_signal_that_ends_a_server_ends_it_well() {
    let sandbox = Sandbox::new();
    sandbox.disk("disk", 1 << 20);
    sandbox.ok(&["create", "vol", "--table", "0 8 linear disk 0"]);
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
        let mut client = Client::work(&sandbox.path().join("nbd.sock"), "vol", true);
        assert_eq!(client.call(0, WRITE, 0, 4, &signal.as_bytes()[..4]), Answer::Done);
        let (status, stderr) = server.end(signal);
        assert!(status.success() && stderr.is_empty(), "{signal}: {status}: {stderr}");
        assert!(client.is_over() && !sandbox.path().join("nbd.sock").exists());
        assert!(fs::read(sandbox.path().join("disk")).unwrap().starts_with(&signal.as_bytes()[..4]));
    }
}

#[test]
fn a_control_socket_where_no_command_looks_is_refused() {
    let sandbox = Sandbox::new();
    let mut command = activated(&sandbox, &sandbox.path().join("control.sock"));
    let ended = command.output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && stderr.contains("handed over is not"), "{stderr}");
}

#[test]
fn another_users_commands_are_hung_up_on() {
    if !nix::unistd::Uid::effective().is_root() {
        assert!(std::env::var_os("CI").is_none(), "cannot be another user: not root");
        eprintln!("SKIPPED another_users_commands_are_hung_up_on: not root here");
        return;
    }
    let sandbox = Sandbox::new();
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    open(sandbox.path(), 0o711);
    DirBuilder::new().mode(0o711).create(sandbox.path().join("state")).unwrap();
    let path = sandbox.path().join("state/control.sock");
    let server = Server::spawn(&mut activated(&sandbox, &path));
    open(&path, 0o666);
    // The program itself is where another user may not go.
    let program = sandbox.path().join("rdmsetup");
    fs::copy(sandbox.command(&[]).get_program(), &program).unwrap();
    let backend = format!("socket:{}", path.display());
    let ls = |user: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--clear-groups"]).arg(&program).args(["--backend", &backend, "ls"]);
        command.output().unwrap()
    };
    assert!(ls("0").status.success());
    let nobody = ls("65534");
    let stderr = String::from_utf8(nobody.stderr).unwrap();
    assert!(!nobody.status.success() && stderr.contains("has gone"), "{stderr}");
    server.stop();
}
