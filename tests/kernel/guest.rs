//! Runs the body of a test in a guest.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in the guest: where the library is that counts ioctls.
const IN_GUEST: &str = "RDMSETUP_IN_GUEST";

/// What a program is run with in a guest for its ioctls to be counted in [`IOCTL_LOG`].
pub(crate) fn counted() -> [(&'static str, OsString); 2] {
    [("LD_PRELOAD", env::var_os(IN_GUEST).expect("in a guest")), ("IOCTL_LOG", IOCTL_LOG.into())]
}

/// A line for each ioctl of the programs that are counted.
pub(crate) const IOCTL_LOG: &str = "/dev/shm/ioctls";

/// The disks of every guest, in bytes: large enough for a table of a few lines, small enough to compare whole.
pub(crate) const DISK_SIZE: u64 = 4 << 20;

/// The first disk, and its number.
pub(crate) const DISK_A: &str = "/dev/ubda";
/// The second disk.
pub(crate) const DISK_B: &str = "/dev/ubdb";

/// Runs `body` in a guest with two empty disks; `name` is the test's full name.
pub(crate) fn run(name: &str, body: impl FnOnce()) {
    run_with(name, &[], &[], body);
}

/// The same with further options for the runner, where all of `programs` are there as well.
pub(crate) fn run_with(name: &str, options: &[&str], programs: &[&str], body: impl FnOnce()) {
    if env::var_os(IN_GUEST).is_some() {
        return body();
    }
    let scratch = tempfile::tempdir().unwrap();
    let disks = ["a", "b"].map(|disk| {
        let path = scratch.path().join(disk);
        File::create(&path).unwrap().set_len(DISK_SIZE).unwrap();
        path
    });
    if let Some(missing) = missing(programs) {
        assert!(env::var_os("CI").is_none(), "cannot run in CI: {missing}");
        eprintln!("SKIPPED {name}: {missing}");
        return;
    }
    let counter = scratch.path().join("count.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/count.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&counter).arg(source).status();
    assert!(built.unwrap().success(), "count.c is not built");
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/uml");
    let output = Command::new(runner)
        .arg("--disk")
        .arg(&disks[0])
        .arg("--disk")
        .arg(&disks[1])
        .args(["--timeout", "300", "--env"])
        .arg(format!("{IN_GUEST}={}", counter.display()))
        .args(options)
        .arg("--")
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    // What it tells of itself is for the host's reader too.
    stderr.lines().filter(|line| line.starts_with(&format!("{name}: "))).for_each(|line| eprintln!("{line}"));
    assert!(output.status.success(), "in the guest ({}):\n{stdout}\n{stderr}", output.status);
    // A name that matches no test would succeed too.
    assert!(stdout.contains("1 passed"), "the guest ran no test named {name}:\n{stdout}\n{stderr}");
}

/// What this machine lacks to run a guest.
fn missing(programs: &[&str]) -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = |program: &str| {
        env::split_paths(&path).chain(["/usr/sbin".into()]).any(|dir: PathBuf| dir.join(program).exists())
    };
    ["linux.uml", "cc", "dmsetup", "losetup", "strace"]
        .iter()
        .chain(programs)
        .find(|program| !found(program))
        .map(|program| format!("no {program} here"))
}

/// The major number of the guest kernel's device-mapper.
pub(crate) fn kernel_major() -> u32 {
    let devices = fs::read_to_string("/proc/devices").unwrap();
    let line =
        devices.lines().find(|line| line.ends_with(" device-mapper")).expect("the guest has device-mapper");
    line.split_whitespace().next().unwrap().parse().unwrap()
}
