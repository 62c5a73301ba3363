//! `unstriped`, over a disk and over a striped device, also behind another line and past the end of what is below.

use super::{DISK_SECTORS, Device, Kind, Rng, run};

struct Unstriped;

impl Unstriped {
    fn table(rng: &mut Rng) -> String {
        let (stripes, chunk) = (rng.within(1, 4), *rng.pick(&[1, 3, 8, 16]));
        let stripe = rng.below(stripes);
        let length = chunk * rng.within(1, 200 / chunk);
        let (disk, size) = *rng.pick(&[("A", DISK_SECTORS), ("@striped", 960)]);
        // In half of the tables over the device, what the line reaches may lie behind it.
        let reach = if disk == "A" || rng.chance(1, 2) { length * stripes } else { length };
        let at = rng.below(size - reach.min(size) + 1);
        let first = if rng.chance(1, 4) { rng.within(1, 20) } else { 0 };
        let before = if first > 0 { format!("0 {first} linear B 1000\n") } else { String::new() };
        format!("{before}{first} {length} unstriped {stripes} {chunk} {stripe} {disk} {at}")
    }
}

impl Kind for Unstriped {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        let striped = Device::new("striped", "0 960 striped 2 8 A 0 B 480");
        vec![striped, Device::new("vol", Self::table(rng))]
    }

    fn reload(&self, rng: &mut Rng, device: &Device) -> String {
        if device.name == "vol" { Self::table(rng) } else { device.table.clone() }
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::unstriped::random_sequences_give_what_the_kernel_gives", &Unstriped);
}
