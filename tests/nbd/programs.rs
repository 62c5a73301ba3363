//! Programs that others wrote, against `rdmsetup serve --nbd`: libnbd's, qemu's, and fio.

use crate::have;
use crate::sandbox::Sandbox;
use crate::server::Server;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::process::Command;

const MIB: u64 = 1 << 20;

/// A server of three devices: two ranges of a disk joined (`lin`), two files striped (`str`), zeros (`nil`).
struct Bench {
    server: Server,
    sandbox: Sandbox,
}

impl Bench {
    fn start() -> Self {
        Self::start_in(Sandbox::new())
    }

    /// One with its files on a disk, and then one with its files in memory, which go to clients in other ways.
    fn both() -> impl Iterator<Item = Self> {
        [Sandbox::new, Sandbox::in_memory].into_iter().map(|place| Self::start_in(place()))
    }

    fn start_in(sandbox: Sandbox) -> Self {
        for (name, size) in [("disk", 17 * MIB), ("a", 8 * MIB), ("b", 8 * MIB)] {
            sandbox.disk(name, size);
        }
        let server = Server::start(&sandbox, &["--nbd", "unix:nbd.sock"]);
        assert!(server.ready.contains("nbd unix:nbd.sock"), "{}", server.ready);
        sandbox.ok(&["create", "lin", "--table", "0 10001 linear disk 7\n10001 22767 linear disk 10011"]);
        sandbox.ok(&["create", "str", "--table", "0 32768 striped 2 128 a 0 b 0"]);
        sandbox.ok(&["create", "nil", "--table", "0 32768 zero"]);
        Self { server, sandbox }
    }

    /// Fills a device, sparsely.
    fn fill(&self, device: &str) {
        let target = self.sandbox.path().join("image");
        let image = fs::File::create(&target).unwrap();
        image.set_len(16 * MIB).unwrap();
        for piece in 0..40u64 {
            let byte = u8::try_from(piece + 1).unwrap();
            image.write_all_at(&vec![byte; 70_001], piece * 399_001).unwrap();
        }
        self.ok("nbdcopy", &["image", &self.uri(device)]);
    }

    fn uri(&self, device: &str) -> String {
        format!("nbd+unix:///{device}?socket={}/nbd.sock", self.sandbox.path().display())
    }

    /// Runs a program that must succeed; its standard output.
    #[track_caller]
    fn ok(&self, program: &str, words: &[&str]) -> String {
        let output = Command::new(program).args(words).current_dir(self.sandbox.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {words:?}: {} {told}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        fs::File::open(self.sandbox.path().join(name)).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn nbdinfo_sees_all_that_a_good_server_offers() {
    if !have(&["nbdinfo"]) {
        return;
    }
    let bench = Bench::start();
    let told = bench.ok("nbdinfo", &["--json", &bench.uri("lin")]);
    for can in ["cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero"] {
        assert!(told.contains(&format!("\"can_{can}\": true")), "{can}: {told}");
    }
    for expected in [
        "\"protocol\": \"newstyle-fixed\"",
        "\"structured\": true",
        "\"export-size\": 16777216",
        "\"is_read_only\": false",
        "\"base:allocation\"",
        "\"block_size_minimum\": 1",
        "\"block_size_preferred\": 4096",
        "\"block_size_maximum\": 33554432",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let list = bench.ok("nbdinfo", &["--list", "--json", &bench.uri("")]);
    for name in ["lin", "nil", "str"] {
        assert!(list.contains(&format!("\"export-name\": \"{name}\"")), "{list}");
    }
    let map = bench.ok("nbdinfo", &["--map", &bench.uri("nil")]);
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "16777216", "3", "hole,zero"]);
    bench.sandbox.ok(&["remove", "nil"]);
    bench.sandbox.ok(&["create", "--readonly", "ro", "--table", "0 8 linear disk 0"]);
    let read_only = bench.ok("nbdinfo", &[&bench.uri("ro")]);
    assert!(read_only.contains("is_read_only: true"), "{read_only}");
    bench.server.stop();
}

#[test]
fn nbdcopy_and_qemu_img_copy_both_ways() {
    if !have(&["nbdcopy", "qemu-img"]) {
        return;
    }
    for bench in Bench::both() {
        for device in ["lin", "str"] {
            bench.fill(device);
            bench.ok("nbdcopy", &[&bench.uri(device), "back"]);
            assert_eq!(bench.bytes("back"), bench.bytes("image"), "{device} by nbdcopy");
            // One request after another, and what is stored alone.
            bench.ok("nbdcopy", &["--synchronous", "--requests=1", &bench.uri(device), "back"]);
            assert_eq!(bench.bytes("back"), bench.bytes("image"), "{device} by nbdcopy, synchronous");
            bench.ok("qemu-img", &["compare", "-f", "raw", "-F", "raw", "image", &bench.uri(device)]);
            bench.ok("qemu-img", &["convert", "-f", "raw", "-O", "raw", &bench.uri(device), "converted"]);
            assert_eq!(bench.bytes("converted"), bench.bytes("image"), "{device} by qemu-img");
            bench
                .ok("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", "/dev/null", &bench.uri("nil")]);
            bench.ok("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", "image", &bench.uri(device)]);
            bench.ok("qemu-img", &["compare", "-f", "raw", "-F", "raw", "image", &bench.uri(device)]);
            // Fewer holes than the image has would be permitted; a hole that is none would not.
            let map = bench.ok("qemu-img", &["map", "--output=json", "-f", "raw", &bench.uri(device)]);
            assert!(map.contains("\"zero\": true") && map.contains("\"data\": true"), "{map}");
        }
        bench.ok("qemu-img", &["compare", "-f", "raw", "-F", "raw", &bench.uri("lin"), &bench.uri("str")]);
        bench.server.stop();
    }
}

#[test]
fn qemu_io_writes_zeroes_discards_and_reads_what_it_wrote() {
    if !have(&["qemu-io"]) {
        return;
    }
    for bench in Bench::both() {
        for device in ["lin", "str"] {
            let told = bench.ok(
                "qemu-io",
                &[
                    "-f",
                    "raw",
                    "-d",
                    "unmap",
                    &bench.uri(device),
                    "-c",
                    "write -P 0x5a 1000 300000",
                    "-c",
                    "write -f -P 0xa5 65536 4096",
                    "-c",
                    "read -P 0x5a 1000 64536",
                    "-c",
                    "read -P 0xa5 65536 4096",
                    "-c",
                    "read -P 0x5a 69632 231368",
                    "-c",
                    "write -z 8192 4096",
                    "-c",
                    "write -z -u 131072 65536",
                    "-c",
                    "read -P 0 8192 4096",
                    "-c",
                    "read -P 0 131072 65536",
                    "-c",
                    "discard 196608 65536",
                    "-c",
                    "aio_write -P 0x11 1048576 2097152",
                    "-c",
                    "aio_write -P 0x22 4194304 512",
                    "-c",
                    "aio_flush",
                    "-c",
                    "read -P 0x11 1048576 2097152",
                    "-c",
                    "read -P 0x22 4194304 512",
                    "-c",
                    "flush",
                    "-c",
                    "writev -P 0x33 512 1024 2048",
                    "-c",
                    "readv -P 0x33 512 3072",
                ],
            );
            assert!(!told.contains("failed") && !told.contains("error"), "{device}: {told}");
        }
        bench.sandbox.ok(&["create", "--readonly", "ro", "--table", "0 8 linear disk 0"]);
        let refused =
            Command::new("qemu-io").args(["-f", "raw", &bench.uri("ro"), "-c", "write 0 512"]).output();
        assert!(!refused.unwrap().status.success());
        bench.server.stop();
    }
}

#[test]
fn fio_finds_every_block_as_it_wrote_it() {
    if !have(&["fio"]) {
        return;
    }
    for bench in Bench::both() {
        for (device, sizes) in [("lin", "512-300k"), ("str", "4k-64k")] {
            let uri = format!("--uri={}", bench.uri(device));
            let sizes = format!("--bsrange={sizes}");
            bench.ok(
                "fio",
                &[
                    "--name=verify",
                    "--ioengine=nbd",
                    &uri,
                    "--rw=randwrite",
                    &sizes,
                    "--bs_unaligned=1",
                    "--iodepth=32",
                    "--size=16m",
                    "--verify=crc32c",
                    "--verify_fatal=1",
                    "--randrepeat=0",
                    "--fsync=64",
                ],
            );
        }
        bench.server.stop();
    }
}
