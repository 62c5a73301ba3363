//! `linear`, with `zero` and `error` beside it.

use super::{Device, Kind, Rng, run};

struct Linear;

impl Linear {
    /// Up to four lines; most of them are linear.
    fn table(rng: &mut Rng) -> String {
        let mut start = 0;
        let mut lines = Vec::new();
        for part in 0..rng.within(1, 4) {
            let length = rng.within(1, 200);
            lines.push(match rng.below(8) {
                0 => format!("{start} {length} zero"),
                1 => format!("{start} {length} error"),
                _ => {
                    let at = part * 250 + rng.below(50);
                    format!("{start} {length} linear {} {at}", rng.pick(&["A", "B"]))
                }
            });
            start += length;
        }
        lines.join("\n")
    }
}

impl Kind for Linear {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        vec![Device::new("vol", Self::table(rng))]
    }

    fn reload(&self, rng: &mut Rng, _device: &Device) -> String {
        Self::table(rng)
    }

    fn message(&self, rng: &mut Rng, _device: &Device) -> Option<(u64, String)> {
        Some((rng.below(2000), "hello".into()))
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::linear::random_sequences_give_what_the_kernel_gives", &Linear);
}
