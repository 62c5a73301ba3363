//! The NBD server as its clients meet it: programs that others wrote, a client of our own that says what it likes, and
//! clients that mean no good.
#![cfg(all(target_os = "linux", feature = "serve"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "nbd/client.rs"]
mod client;
#[path = "nbd/hostile.rs"]
mod hostile;
#[path = "nbd/in_place.rs"]
mod in_place;
#[path = "nbd/listening.rs"]
mod listening;
#[path = "nbd/live.rs"]
mod live;
#[path = "nbd/memory.rs"]
mod memory;
#[path = "nbd/programs.rs"]
mod programs;
#[path = "nbd/requests.rs"]
mod requests;
#[path = "cli/sandbox.rs"]
mod sandbox;
#[allow(dead_code, reason = "the tests of serve itself use more of it")]
#[path = "serve/server.rs"]
mod server;
#[path = "nbd/through.rs"]
mod through;
#[path = "nbd/tls.rs"]
mod tls;

/// Whether the programs are here. A test without them cannot run, says so, and fails in CI.
fn have(programs: &[&str]) -> bool {
    let found = |program: &&&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        !std::env::split_paths(&path).any(|place| place.join(program).exists())
    };
    match programs.iter().find(found) {
        None => true,
        Some(missing) => {
            assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no {missing} here");
            eprintln!("skipped: no {missing} here");
            false
        }
    }
}
