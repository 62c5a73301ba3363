//! `delay`, with waits of some milliseconds. How long a request waits, and how many wait at an instant, is not compared:
//! one request is under way at a time, and then none waits.

use super::{DISK_SECTORS, Device, Kind, Rng, run};

struct Delay;

const LENGTH: u64 = 300;

impl Delay {
    fn table(rng: &mut Rng) -> String {
        let class = |rng: &mut Rng| {
            let at = rng.below(DISK_SECTORS - LENGTH);
            format!(" {} {at} {}", rng.pick(&["A", "B"]), rng.pick(&[0, 0, 1, 3]))
        };
        let classes: Vec<String> = (0..rng.within(1, 3)).map(|_| class(rng)).collect();
        format!("0 {LENGTH} delay{}", classes.concat())
    }
}

impl Kind for Delay {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        vec![Device::new("vol", Self::table(rng))]
    }

    fn reload(&self, rng: &mut Rng, _device: &Device) -> String {
        Self::table(rng)
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::delay::random_sequences_give_what_the_kernel_gives", &Delay);
}
