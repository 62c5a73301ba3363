//! `rdmsetup serve` as its users meet it: a server with a state of its own, and commands and clients that use it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "serve/apply.rs"]
mod apply;
#[path = "serve/commands.rs"]
mod commands;
#[path = "serve/faults.rs"]
mod faults;
#[path = "serve/holders.rs"]
mod holders;
#[path = "serve/lifetime.rs"]
mod lifetime;
#[path = "serve/memory.rs"]
mod memory;
#[path = "serve/mirror.rs"]
mod mirror;
#[path = "serve/multipath.rs"]
mod multipath;
#[allow(dead_code, reason = "the tests of NBD itself use more of it")]
#[path = "nbd/client.rs"]
mod nbd_client;
#[path = "cli/sandbox.rs"]
mod sandbox;
#[path = "serve/server.rs"]
mod server;
#[path = "serve/swaps.rs"]
mod swaps;
