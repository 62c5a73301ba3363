//! `flakey` while it is up and while it is down; which of both, is the table's to say, so that no clock decides.
//!
//! Not compared: features that this kernel does not know, what is random, and reads with a wrong byte: 6.1 finds no byte
//! of a request that its disk has ended, and hands it over as it is (later kernels do what the guide says).

use super::{DISK_SECTORS, Device, Kind, Rng, run};

struct Flakey;

const LENGTH: u64 = 300;

/// A byte that no request has.
const NEVER: u64 = 1_000_000;

impl Flakey {
    fn table(rng: &mut Rng) -> String {
        // Flags of a bio: none, a write, synchronous, for metadata.
        let flags = *rng.pick(&[0, 0, 1, 2048, 4096]);
        let nth = *rng.pick(&[1, 32, 224, 513, 5000]);
        let features = match rng.below(8) {
            0 => String::new(),
            1 => " 0".into(),
            2 | 3 => " 1 drop_writes".into(),
            4 => " 1 error_writes".into(),
            5 => format!(" 5 corrupt_bio_byte {NEVER} r 165 {flags}"),
            6 => format!(" 5 corrupt_bio_byte {nth} w 165 {flags}"),
            _ => format!(" 6 {} corrupt_bio_byte {NEVER} R 7 0", rng.pick(&["drop_writes", "error_writes"])),
        };
        let interval = rng.pick(&["0 1000", "0 1000", "1000 0", "1000 5"]);
        let at = rng.below(DISK_SECTORS - LENGTH);
        format!("0 {LENGTH} flakey {} {at} {interval}{features}", rng.pick(&["A", "B"]))
    }
}

impl Kind for Flakey {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        vec![Device::new("vol", Self::table(rng))]
    }

    fn reload(&self, rng: &mut Rng, _device: &Device) -> String {
        Self::table(rng)
    }

    fn message(&self, rng: &mut Rng, _device: &Device) -> Option<(u64, String)> {
        rng.chance(1, 4).then(|| (0, "hello".into()))
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::flakey::random_sequences_give_what_the_kernel_gives", &Flakey);
}
