//! NBD within TLS, with libnbd's client.

use crate::have;
use crate::sandbox::Sandbox;
use crate::server::Server;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// An authority, a server's certificate for this machine, and a client's.
fn certificates(directory: &Path) {
    let openssl = |words: &str| {
        let output = Command::new("openssl").args(words.split(' ')).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!("req -x509 {key} -subj /CN=authority -keyout ca-key.pem -out ca-cert.pem"));
    fs::write(directory.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1").unwrap();
    for who in ["server", "client"] {
        openssl(&format!("req {key} -subj /CN={who} -keyout {who}-key.pem -out {who}.csr"));
        openssl(&format!(
            "x509 -req -in {who}.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile names -out \
             {who}-cert.pem"
        ));
    }
}

#[test]
fn clients_over_tcp_start_tls_and_show_their_certificates() {
    if !have(&["openssl", "nbdinfo", "nbdcopy"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let place = |name: &str| sandbox.path().join(name);
    for directory in ["all", "server", "client", "stranger"] {
        fs::create_dir(place(directory)).unwrap();
    }
    certificates(&place("all"));
    for (to, files) in [
        ("server", ["ca-cert.pem", "server-cert.pem", "server-key.pem"]),
        ("client", ["ca-cert.pem", "client-cert.pem", "client-key.pem"]),
    ] {
        for file in files {
            fs::copy(place("all").join(file), place(to).join(file)).unwrap();
        }
    }
    fs::copy(place("all").join("ca-cert.pem"), place("stranger").join("ca-cert.pem")).unwrap();
    let data: Vec<u8> = (0..4u32 << 20).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect();
    fs::write(place("disk"), &data).unwrap();

    let server = Server::start(&sandbox, &["--nbd", "tcp:127.0.0.1:0", "--tls", "server"]);
    sandbox.ok(&["create", "vol", "--table", "0 8192 linear disk 0"]);
    let port = server.ready.rsplit(':').next().unwrap();
    let run = |program: &str, scheme: &str, parameters: &str, more: &[&str]| -> Output {
        let uri = format!("{scheme}://localhost:{port}/vol{parameters}");
        Command::new(program).arg(uri).args(more).current_dir(sandbox.path()).output().unwrap()
    };
    let good = format!("?tls-certificates={}", place("client").display());
    let info = run("nbdinfo", "nbds", &good, &[]);
    let told = String::from_utf8_lossy(&info.stdout).into_owned() + &String::from_utf8_lossy(&info.stderr);
    assert!(info.status.success() && told.contains("with TLS") && told.contains("structured"), "{told}");
    assert!(run("nbdcopy", "nbds", &good, &["back"]).status.success());
    assert_eq!(fs::read(place("back")).unwrap(), data);
    let backwards: Vec<u8> = data.iter().rev().copied().collect();
    fs::write(place("new"), &backwards).unwrap();
    let uri = format!("nbds://localhost:{port}/vol{good}");
    let copied = Command::new("nbdcopy").args(["new", &uri]).current_dir(sandbox.path()).status().unwrap();
    assert!(copied.success());
    assert_eq!(fs::read(place("disk")).unwrap(), backwards);

    let stranger = format!("?tls-certificates={}", place("stranger").display());
    assert!(!run("nbdinfo", "nbds", &stranger, &[]).status.success(), "a client without a certificate");
    assert!(!run("nbdinfo", "nbd", "", &[]).status.success(), "a client in the clear");
    server.stop();

    let refused = sandbox.fails(&["serve", "--nbd", "tcp:127.0.0.1:0", "--tls", "stranger"]);
    assert!(refused.contains("server-cert.pem"), "{refused}");
}
