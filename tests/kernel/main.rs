//! The real kernel as the judge: tests that run inside a Linux guest (User-Mode Linux, see README.md here).
//!
//! Each `#[test]` hands its body to [`guest::run`], which starts this very program again in a guest, where the body then
//! runs as root beside a real device-mapper.
#![allow(clippy::print_stderr, reason = "a skip says why")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod apply;
mod check;
mod classic;
mod clients;
mod commands;
mod compare;
mod data;
mod failures;
mod faults;
mod files;
mod guest;
mod guide;
mod json;
#[allow(dead_code, reason = "the tests of NBD itself use more of it")]
#[path = "../nbd/client.rs"]
mod nbd_client;
mod options;
mod pdev;
mod replies;
mod reports;
#[allow(dead_code, reason = "a server is a part of it")]
#[path = "../cli/sandbox.rs"]
mod sandbox;
mod script;
mod secrets;
mod sequences;
#[allow(dead_code, reason = "the tests of serve itself use more of it")]
#[path = "../serve/server.rs"]
mod server;
mod snapshot;
mod stats;
mod udev;
