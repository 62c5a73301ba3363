//! `rdmsetup serve --fuse DIR`: devices as files, to the programs that people have, while commands change them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "fuse/files.rs"]
mod files;
#[path = "fuse/follower.rs"]
mod follower;
#[path = "fuse/live.rs"]
mod live;
#[path = "fuse/mounted.rs"]
mod mounted;
#[path = "fuse/mounting.rs"]
mod mounting;
#[path = "fuse/passthrough.rs"]
mod passthrough;
#[path = "fuse/programs.rs"]
mod programs;
#[path = "cli/sandbox.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod sandbox;
#[path = "serve/server.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod server;
