//! The program as its users meet it: argv in, three streams and a status out.
//!
//! The driver is the userspace mapper with its state in a directory of the test's own, so that nothing here needs a
//! kernel with device-mapper, or root.
#![allow(clippy::print_stderr, reason = "a skip says why")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cli/apply.rs"]
mod apply;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/concise.rs"]
mod concise;
#[path = "cli/contract.rs"]
mod contract;
#[path = "cli/data.rs"]
mod data;
#[path = "cli/decode.rs"]
mod decode;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/dry_run.rs"]
mod dry_run;
#[path = "cli/explain.rs"]
mod explain;
#[path = "cli/failures.rs"]
mod failures;
#[path = "cli/guide.rs"]
mod guide;
#[path = "cli/holders.rs"]
mod holders;
#[path = "cli/options.rs"]
mod options;
#[path = "cli/pty.rs"]
mod pty;
#[path = "cli/readme.rs"]
mod readme;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/sandbox.rs"]
mod sandbox;
#[path = "cli/schema_contract.rs"]
mod schema_contract;
#[path = "cli/schema_forms.rs"]
mod schema_forms;
#[path = "cli/screens.rs"]
mod screens;
#[path = "cli/snapshot.rs"]
mod snapshot;
#[path = "cli/state.rs"]
mod state;
#[path = "cli/stats.rs"]
mod stats;
#[path = "cli/tables.rs"]
mod tables;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/udev.rs"]
mod udev;
#[path = "cli/watch.rs"]
mod watch;
