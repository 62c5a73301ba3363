//! Clients that are broken, slow or gone: they hurt nobody else, and no thread of the server panics.

use crate::client::*;
use crate::memory::{END, HANDLED, Serving};
use crate::server::eventually;
use arbitrary::Unstructured;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts the panics of the server's threads from now on.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if thread::current().name().is_some_and(|name| name.starts_with("nbd")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            usual(info);
        }));
    });
}

/// That a good client is served as ever.
#[track_caller]
fn others_are_served(socket: &Path) {
    let mut client = Client::work(socket, "vol", true);
    assert_eq!(client.call(0, WRITE, 512, 5, b"still"), Answer::Done);
    assert_eq!(client.call(0, READ, 512, 5, b""), Answer::Data(b"still".to_vec()));
    client.ask(0, DISCONNECT, 0, 0, 0, b"");
    assert!(client.is_over());
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

/// Waits until nobody is connected.
#[track_caller]
fn all_leave(serving: &Serving) {
    let begin = Instant::now();
    while !serving.server.clients().is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", serving.server.clients());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends without minding that nobody may listen any more, then leaves.
fn send_and_leave(mut stream: UnixStream, bytes: &[u8]) {
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Both);
}

#[test]
fn any_bytes_at_all_in_the_negotiation() {
    watch_panics();
    let serving = Serving::start(&["vol", "other"]);
    arbtest::arbtest(|u: &mut Unstructured<'_>| {
        let stream = UnixStream::connect(&serving.socket).unwrap();
        let mut bytes = Vec::new();
        if u.ratio(7, 8)? {
            bytes.extend(u.int_in_range(0..=4u32)?.to_be_bytes());
        }
        for _ in 0..u.int_in_range(0..=6)? {
            let data: Vec<u8> = u.arbitrary()?;
            let length = if u.ratio(7, 8)? { u32::try_from(data.len()).unwrap() } else { u.arbitrary()? };
            bytes.extend(b"IHAVEOPT");
            bytes.extend(u.int_in_range(0..=11u32)?.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(data);
        }
        bytes.extend(u.arbitrary::<Vec<u8>>()?);
        send_and_leave(stream, &bytes);
        Ok(())
    })
    .budget_ms(1500);
    others_are_served(&serving.socket);
    all_leave(&serving);
}

#[test]
fn any_bytes_at_all_at_work() {
    watch_panics();
    let serving = Serving::start(&["vol"]);
    arbtest::arbtest(|u: &mut Unstructured<'_>| {
        let client = Client::work(&serving.socket, "vol", u.arbitrary()?);
        let mut bytes = Vec::new();
        for cookie in 0..u.int_in_range(0..=20)? {
            let data: Vec<u8> = u.arbitrary()?;
            // Most are nearly right: within the device, or about to leave it.
            let offset = if u.ratio(3, 4)? { u.int_in_range(0..=END)? } else { u.arbitrary()? };
            let length = if u.ratio(3, 4)? { u.int_in_range(0..=1 << 17)? } else { u.arbitrary()? };
            let command = if u.ratio(7, 8)? { u.int_in_range(0..=8)? } else { u.arbitrary()? };
            let flags = if u.ratio(3, 4)? { 0 } else { u.arbitrary()? };
            bytes.extend(request(flags, command, cookie, offset, length, &data));
        }
        send_and_leave(client.stream, &bytes);
        Ok(())
    })
    .budget_ms(2500);
    others_are_served(&serving.socket);
    all_leave(&serving);
}

#[test]
fn clients_that_vanish_in_the_middle() {
    watch_panics();
    let serving = Serving::start(&["vol"]);
    let whole = [
        request(0, WRITE, 1, 0, 4096, &[7; 4096]),
        request(0, WRITE, 2, 0, 1 << 20, &vec![7; 1 << 20]),
        request(0, WRITE, 3, HANDLED, 100_000, &vec![7; 100_000]),
        request(0, READ, 4, 0, 2 << 20, b""),
        request(0, READ, 5, HANDLED, 1 << 20, b""),
    ];
    for bytes in &whole {
        for cut in [1, 27, 28, 29, 4000, 70_000, bytes.len()] {
            let client = Client::work(&serving.socket, "vol", true);
            send_and_leave(client.stream, &bytes[..cut.min(bytes.len())]);
        }
    }
    others_are_served(&serving.socket);
    all_leave(&serving);
}

#[test]
fn a_client_that_does_not_read_waits_alone_and_is_cut_off_at_the_end() {
    watch_panics();
    let serving = Serving::start(&["vol"]);
    let mut idle = Vec::new();
    for structured in [false, true] {
        let mut client = Client::work(&serving.socket, "vol", structured);
        for cookie in 0..16 {
            client.ask(0, READ, cookie, cookie << 17, 1 << 18, b"");
            client.ask(0, READ, cookie, HANDLED, 1 << 18, b"");
        }
        idle.push(client);
    }
    // And one that says nothing in the negotiation.
    idle.push(Client::greet(&serving.socket));
    others_are_served(&serving.socket);
    let begin = Instant::now();
    assert_eq!(serving.server.stop(), 0);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    assert!(!serving.socket.exists());
}

#[test]
fn what_was_asked_before_the_end_is_answered() {
    let serving = Serving::start(&["vol"]);
    let mut client = Client::work(&serving.socket, "vol", false);
    client.ask(0, READ, 1, HANDLED, 512, b"");
    client.ask(0, WRITE, 2, 0, 4, b"last");
    let server = Arc::new(serving);
    let stopping = thread::spawn({
        let server = server.clone();
        move || server.server.stop()
    });
    let mut cookies = [0, 0].map(|_| client.answer(|cookie| (cookie == 1).then_some((HANDLED, 512))).0);
    cookies.sort_unstable();
    assert_eq!(cookies, [1, 2]);
    assert!(client.is_over());
    assert_eq!(stopping.join().unwrap(), 0);
}

#[test]
fn too_many_clients_are_turned_away() {
    let serving = Serving::start(&["vol"]);
    let limit = rdmsetup::export::nbd::Options::default().max_clients;
    assert!((100..=4096).contains(&limit));
    let clients: Vec<_> = (0..100).map(|_| Client::work(&serving.socket, "vol", true)).collect();
    eventually("all are known", || serving.server.clients().len() == 100);
    let one = &serving.server.clients()[0];
    assert_eq!((one.export.to_string(), one.identity), ("vol".to_owned(), 1));
    assert_eq!(one.peer.to_string(), format!("process {}", std::process::id()));
    drop(clients);
    all_leave(&serving);
}
