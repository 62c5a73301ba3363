//! Where a server listens, and who may be there already.

use crate::client::Client;
use crate::memory::Serving;
use crate::sandbox::Sandbox;
use crate::server::Server;
use rdmsetup::export::nbd::{Address, ListenError, Listener};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

fn bind(path: &Path) -> Result<Listener, ListenError> {
    Listener::bind(&Address::Unix(path.to_owned()), None, false)
}

#[test]
fn a_unix_socket_is_the_owners_alone_and_goes_with_the_server() {
    let serving = Serving::start(&["vol"]);
    assert_eq!(fs::metadata(&serving.socket).unwrap().permissions().mode() & 0o7777, 0o600);
    Client::work(&serving.socket, "vol", true);
    assert!(matches!(bind(&serving.socket), Err(ListenError::InUse(_))), "somebody listens");
    serving.server.stop();
    assert!(!serving.socket.exists());
    assert!(serving.directory.path().exists());
}

#[test]
fn a_socket_at_which_nobody_listens_gives_way_and_nothing_else_does() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    drop(UnixListener::bind(place("stale")).unwrap());
    assert!(place("stale").exists());
    let listener = bind(&place("stale")).unwrap();
    assert_eq!(listener.address(), Some(Address::Unix(place("stale"))));

    fs::write(place("file"), "precious").unwrap();
    let error = bind(&place("file")).unwrap_err();
    assert!(error.to_string().contains("is not a socket: move it, or listen elsewhere"), "{error}");
    assert_eq!(fs::read_to_string(place("file")).unwrap(), "precious");

    drop(UnixListener::bind(place("target")).unwrap());
    symlink(place("target"), place("link")).unwrap();
    assert!(matches!(bind(&place("link")), Err(ListenError::NotASocket(_))), "links are not followed");
    symlink(place("nowhere"), place("dangling")).unwrap();
    assert!(matches!(bind(&place("dangling")), Err(ListenError::NotASocket(_))));
    assert!(!place("nowhere").exists());

    // What took the socket's place is not the server's to remove.
    fs::remove_file(place("stale")).unwrap();
    fs::write(place("stale"), "another's").unwrap();
    drop(listener);
    assert_eq!(fs::read_to_string(place("stale")).unwrap(), "another's");
    assert!(bind(&place(&"long".repeat(40))).is_err());
}

#[test]
fn beyond_this_machine_there_is_tls_or_the_word_insecure() {
    for address in ["tcp:0.0.0.0:0", "tcp:[::]:0"] {
        let address: Address = address.parse().unwrap();
        let error = Listener::bind(&address, None, false).unwrap_err();
        assert!(error.to_string().contains("give certificates with --tls, or say --insecure"), "{error}");
    }
    let open: Address = "tcp:0.0.0.0:0".parse().unwrap();
    let listener = Listener::bind(&open, None, true).unwrap();
    assert!(matches!(listener.address(), Some(Address::Tcp(at)) if at.port() > 0));
    assert!(Listener::bind(&listener.address().unwrap(), None, true).is_err(), "it is taken");
    let handed = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    assert!(matches!(
        Listener::from_fd(OwnedFd::from(handed), None, false),
        Err(ListenError::Unprotected(_))
    ));
    let handed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Listener::from_fd(OwnedFd::from(handed), None, false).unwrap();
}

#[test]
fn a_server_listens_at_several_addresses_and_says_which() {
    let sandbox = Sandbox::new();
    let server =
        Server::start(&sandbox, &["--nbd", "unix:one", "--nbd", "unix:two", "--nbd", "tcp:127.0.0.1:0"]);
    assert!(server.ready.contains("nbd unix:one, nbd unix:two, nbd tcp:127.0.0.1:"), "{}", server.ready);
    sandbox.ok(&["create", "vol", "--table", "0 8 zero"]);
    for socket in ["one", "two"] {
        Client::work(&sandbox.path().join(socket), "vol", true);
    }
    let refused = sandbox.fails(&["serve", "--nbd", "unix:one"]);
    assert!(refused.contains("a server runs already"), "{refused}");
    server.stop();
    assert!(!sandbox.path().join("one").exists());
    let refused = sandbox.fails(&["serve", "--nbd", "tcp:0.0.0.0:0"]);
    assert!(refused.contains("can be reached from other machines"), "{refused}");
    // A server that was killed leaves its socket, which is no obstacle.
    let server = Server::start(&sandbox, &["--nbd", "unix:one"]);
    server.end("-KILL");
    assert!(sandbox.path().join("one").exists());
    Server::start(&sandbox, &["--nbd", "unix:one"]).stop();
}
