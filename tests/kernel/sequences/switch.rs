//! `switch`, with mappings that change while it is used.

use super::{Device, Kind, Rng, run};

struct Switch;

const LENGTH: u64 = 200;

impl Switch {
    fn table(rng: &mut Rng) -> String {
        let (paths, region) = (rng.within(1, 5), *rng.pick(&[1, 3, 8, 16, 128]));
        let path = |path| format!(" {} {}", rng.pick(&["A", "B"]), path * LENGTH + rng.below(4));
        let paths: Vec<String> = (0..paths).map(path).collect();
        format!("0 {LENGTH} switch {} {region} 0{}", paths.len(), paths.concat())
    }
}

impl Kind for Switch {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        vec![Device::new("vol", Self::table(rng))]
    }

    fn reload(&self, rng: &mut Rng, _device: &Device) -> String {
        Self::table(rng)
    }

    fn message(&self, rng: &mut Rng, _device: &Device) -> Option<(u64, String)> {
        let word = |rng: &mut Rng| match rng.below(10) {
            0 => (*rng.pick(&["x", "1", "R1", "R,1", "R1,", "r0,1", "7:", ":x", "1:1x", "\\ "])).to_owned(),
            1..4 => format!("{}{:x},{:x}", rng.pick(&["R", "r"]), rng.within(1, 4), rng.below(20)),
            4..7 => format!(":{:x}", rng.below(4)),
            _ => format!("{:x}:{:X}", rng.below(48), rng.below(4)),
        };
        let words: Vec<String> = (0..rng.within(0, 6)).map(|_| word(rng)).collect();
        let name = *rng.pick(&["set_region_mappings", "Set_Region_Mappings", "set_region_mapping"]);
        Some((rng.below(LENGTH), format!("{name} {}", words.join(" "))))
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::switch::random_sequences_give_what_the_kernel_gives", &Switch);
}
