//! Mounting: where, as whom, and after a server that had no time to unmount.

use crate::mounted::{Mounted, Unmounted, can_run};
use crate::sandbox::Sandbox;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn only_an_empty_directory_of_ones_own_is_mounted_on() {
    if !can_run("only_an_empty_directory_of_ones_own_is_mounted_on", &[]) {
        return;
    }
    let sandbox = Sandbox::new();
    let path = |name: &str| sandbox.path().join(name);
    for directory in ["full/inside", "others", "real"] {
        fs::create_dir_all(path(directory)).unwrap();
    }
    fs::write(path("file"), "").unwrap();
    symlink("real", path("link")).unwrap();
    let refused = |directory: &str, reason: &str| {
        let said = sandbox.fails(&["serve", "--fuse", directory]);
        let start = format!("rdmsetup: cannot show devices in \"{directory}\": {reason}");
        assert!(said.starts_with(&start), "{said}");
    };
    refused("full", "it is not empty");
    refused("file", "it is no directory, or a symbolic link to one");
    refused("link", "it is no directory, or a symbolic link to one");
    refused("none", "it is not there: make it first");
    if is_root() {
        chown(path("others"), Some(65534), None).unwrap();
        refused("others", "it belongs to user 65534, and this is user 0");
    }
    let mut other = Mounted::start(&[]);
    let taken = other.path().to_str().unwrap().to_owned();
    refused(&taken, "something is mounted on it already");
    other.stop();
    assert!(sandbox.ok(&["ls"]).contains("No devices"), "nothing of the refused servers is left");
}

#[test]
fn a_killed_servers_directory_is_mounted_again() {
    if !can_run("a_killed_servers_directory_is_mounted_again", &[]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", "0 131072 linear disk 0")]);
    for round in 0..3 {
        fs::write(mounted.file("vol"), format!("round {round}")).unwrap();
        let open = fs::File::open(mounted.file("vol")).unwrap();
        mounted.kill();
        let dead = fs::read_dir(mounted.path()).unwrap_err();
        assert_eq!(dead.raw_os_error(), Some(nix::libc::ENOTCONN));
        mounted.serve();
        assert!(fs::read(mounted.disk()).unwrap().starts_with(format!("round {round}").as_bytes()));
        assert_eq!(mounted.names(), ["vol"]);
        drop(open);
    }
    mounted.stop();
    assert!(mounted.names().is_empty(), "nothing is left mounted below");
}

#[test]
fn a_copy_of_the_mount_elsewhere_does_not_keep_the_server() {
    if !can_run("a_copy_of_the_mount_elsewhere_does_not_keep_the_server", &["unshare"]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", "0 8 zero")]);
    // As in a container that was started meanwhile.
    let words = ["-Urm", "bash", "-c", "echo begun; exec sleep 60"];
    let mut elsewhere = Command::new("unshare");
    elsewhere.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut elsewhere = elsewhere.spawn().unwrap();
    let mut begun = String::new();
    BufReader::new(elsewhere.stdout.take().unwrap()).read_line(&mut begun).unwrap();
    mounted.stop();
    elsewhere.kill().unwrap();
    elsewhere.wait().unwrap();
    if begun.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no user namespaces here");
        eprintln!(
            "SKIPPED fuse::a_copy_of_the_mount_elsewhere_does_not_keep_the_server: no user namespaces here"
        );
    }
}

/// A script that serves a directory, uses it, and ends the server.
const SCRIPT: &str = r#"
set -e
"$1" serve --fuse mnt >ready & server=$!
trap 'kill -9 $server 2>/dev/null' EXIT
for try in $(seq 500); do grep -qs ready ready && break; sleep 0.02; done
"$1" create vol --table '0 16384 linear disk 0'
head -c 100000 /dev/urandom >data
dd if=data of=mnt/vol bs=4096 conv=notrunc,fsync status=none
cmp -n 100000 data mnt/vol
cmp -n 100000 data disk
stat -c '%n %s %a' mnt/vol
kill -TERM $server
wait $server
trap - EXIT
rmdir mnt
echo done
"#;

/// Runs the script with those words before it, in a directory that anyone may use.
fn run_as(before: &[&str]) {
    let sandbox = Sandbox::new();
    let home = sandbox.path().join("home");
    fs::create_dir_all(home.join("mnt")).unwrap();
    let _unmounted = Unmounted(home.join("mnt"));
    fs::File::create(home.join("disk")).unwrap().set_len(16384 * 512).unwrap();
    // Where it was built is perhaps not for everybody.
    fs::copy(env!("CARGO_BIN_EXE_rdmsetup"), home.join("rdmsetup")).unwrap();
    for path in [sandbox.path(), &home, &home.join("mnt"), &home.join("disk"), &home.join("rdmsetup")] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        if is_root() && before[0] == "setpriv" {
            chown(path, Some(65534), Some(65534)).unwrap();
        }
    }
    fs::set_permissions(home.join("disk"), Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(before[0]);
    command.args(&before[1..]).args(["bash", "-c", SCRIPT, "script", "./rdmsetup"]).current_dir(&home);
    command.env("RDMSETUP_BACKEND", "user").env("RDMSETUP_STATE", home.join("state")).stdin(Stdio::null());
    let ran = command.output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(said, "mnt/vol 8388608 600\ndone\n", "{before:?}: {stderr}");
    assert!(ran.status.success() && stderr.is_empty(), "{stderr}");
}

#[test]
fn an_ordinary_user_mounts_through_fusermount3() {
    if !can_run("an_ordinary_user_mounts_through_fusermount3", &["fusermount3", "setpriv"]) {
        return;
    }
    if is_root() {
        run_as(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    } else {
        run_as(&["env"]);
    }
}

#[test]
fn a_user_namespace_needs_no_helper() {
    if !can_run("a_user_namespace_needs_no_helper", &["unshare"]) {
        return;
    }
    let allowed = Command::new("unshare").args(["-Urm", "true"]).stderr(Stdio::null()).status().unwrap();
    if !allowed.success() {
        assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no user namespaces here");
        eprintln!("SKIPPED fuse::a_user_namespace_needs_no_helper: no user namespaces here");
        return;
    }
    let words = ["unshare", "-Urm", "env", "PATH=/nohelper:/usr/bin:/bin"];
    if is_root() {
        let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
        run_as(&[&user[..], &words[..]].concat());
    } else {
        run_as(&words);
    }
}

#[test]
fn the_directory_is_the_users_alone() {
    if !can_run("the_directory_is_the_users_alone", &["setpriv"]) {
        return;
    }
    if !is_root() {
        assert!(std::env::var_os("CI").is_none(), "cannot be another user: not root");
        eprintln!("SKIPPED fuse::the_directory_is_the_users_alone: not root here");
        return;
    }
    let mut mounted = Mounted::start(&[("vol", "0 8 zero")]);
    for path in [mounted.sandbox.path(), mounted.path()] {
        // The second is refused by the mounted directory, which is what this is about.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o755));
    }
    let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    for command in [&["ls", "mnt"][..], &["cat", "mnt/vol"]] {
        let said = mounted.fails(&[&user[..], command].concat());
        assert!(said.contains("Permission denied"), "{said}");
    }
    mounted.stop();
}
