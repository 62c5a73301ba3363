//! `dust`, its messages between the requests.

use super::{DISK_SECTORS, Device, Kind, Rng, run};

struct Dust;

const LENGTH: u64 = 256;

impl Dust {
    fn table(rng: &mut Rng) -> String {
        let at = *rng.pick(&[0, 8, 16, 100, DISK_SECTORS - LENGTH]);
        let (before, first) = if rng.chance(1, 8) { ("0 8 linear B 1000\n", 8) } else { ("", 0) };
        let block = rng.pick(&[512, 1024, 4096, 16384, 131072]);
        format!("{before}{first} {LENGTH} dust {} {at} {block}", rng.pick(&["A", "B"]))
    }
}

impl Kind for Dust {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        vec![Device::new("vol", Self::table(rng))]
    }

    fn reload(&self, rng: &mut Rng, _device: &Device) -> String {
        Self::table(rng)
    }

    fn message(&self, rng: &mut Rng, _device: &Device) -> Option<(u64, String)> {
        let block = if rng.chance(1, 12) { rng.below(20000) } else { rng.below(64) };
        let words = match rng.below(20) {
            0..6 => format!("addbadblock {block}"),
            6..9 => format!("AddBadBlock {block} {}", rng.below(4)),
            9 => format!("removebadblock {block}"),
            10 => format!("queryblock {block}"),
            11 => "countbadblocks".into(),
            12 => (*rng.pick(&["clearbadblocks", "listbadblocks"])).into(),
            13 => "listbadblocks".into(),
            14..17 => "enable".into(),
            17 => "disable".into(),
            18 => "quiet".into(),
            _ => (*rng.pick(&[
                "x",
                "addbadblock",
                "queryblock 1x",
                "addbadblock 1 256",
                "queryblock 1 1",
                "a b c d",
                "addbadblock +1",
                "enable 1",
            ]))
            .into(),
        };
        Some((rng.within(8, 200), words))
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::dust::random_sequences_give_what_the_kernel_gives", &Dust);
}
