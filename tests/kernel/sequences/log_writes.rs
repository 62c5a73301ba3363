//! `log-writes`: what is on disk B is the log. Whether an entry is there at once, since a thread of the kernel writes it,
//! is not compared; that it is there in the end is.

use super::{DISK_SECTORS, Device, Kind, Rng, run};
use crate::guest;
use std::process::Command;

struct LogWrites;

impl LogWrites {
    fn table(rng: &mut Rng) -> String {
        let length = rng.within(100, DISK_SECTORS);
        match rng.below(8) {
            0 => format!("0 16 linear A 1000\n16 {} log-writes A B", length - 16),
            // A log that is soon full.
            1 => format!("0 {length} log-writes A @small"),
            _ => format!("0 {length} log-writes A B"),
        }
    }
}

impl Kind for LogWrites {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        let size = rng.within(1, 100);
        let small = Device::below("small", format!("0 {size} linear B 900"));
        vec![small, Device::new("vol", Self::table(rng))]
    }

    fn writes_through(&self) -> bool {
        true
    }

    fn reload(&self, rng: &mut Rng, device: &Device) -> String {
        if device.name == "vol" { Self::table(rng) } else { device.table.clone() }
    }

    fn message(&self, rng: &mut Rng, device: &Device) -> Option<(u64, String)> {
        let text = "long-".repeat(usize::try_from(rng.below(120)).unwrap());
        let words = match rng.below(10) {
            0 => (*rng.pick(&["mark", "mark a b", "x y", "mark \\  "])).to_owned(),
            1 => format!("Mark {text}x"),
            _ => format!("mark m{}", rng.below(1000)),
        };
        (device.name == "vol").then(|| (rng.within(16, 50), words))
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::log_writes::random_sequences_give_what_the_kernel_gives", &LogWrites);
}

/// The log of a disk with blocks of 4096 bytes counts in these.
#[test]
fn a_log_of_large_blocks_is_the_kernels() {
    const SCRIPT: &str = "set -e
        losetup -b 4096 /dev/loop0 /dev/ubda
        head -c 8192 /dev/urandom >/tmp/data
        dmsetup create log --table '0 1024 log-writes /dev/loop0 /dev/ubdb'
        dd if=/tmp/data of=/dev/mapper/log bs=8192 seek=3 oflag=direct conv=fsync 2>/dev/null
        dmsetup message log 0 mark hello
        dmsetup status log
        dmsetup remove log
        truncate -s 4M /tmp/disk /tmp/log
        losetup -b 4096 /dev/loop1 /tmp/disk
        ours() { \"$0\" --backend user --state /tmp/own-state \"$@\"; }
        ours create log --table '0 1024 log-writes /dev/loop1 /tmp/log'
        ours write log --start 48 </tmp/data
        ours message log 0 mark hello
        ours status log
        ours remove log
        cmp /dev/ubdb /tmp/log
        cmp /dev/ubda /tmp/disk";
    guest::run("sequences::log_writes::a_log_of_large_blocks_is_the_kernels", || {
        let program = env!("CARGO_BIN_EXE_rdmsetup");
        let output = Command::new("sh").args(["-c", SCRIPT, program]).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), said.as_str()), (Some(0), &*"0 1024 log-writes 3 47\n".repeat(2)));
    });
}
