//! `striped`, over the disks and over another device.

use super::{Device, Events, Kind, Rng, run};

struct Striped;

impl Striped {
    fn table(rng: &mut Rng) -> String {
        let (stripes, chunk) = (rng.within(1, 3), *rng.pick(&[1, 3, 8, 16]));
        let width = chunk * rng.within(1, 200 / chunk);
        let disks: Vec<String> = (0..stripes)
            .map(|stripe| format!("{} {}", rng.pick(&["A", "B", "@low"]), stripe * 200))
            .collect();
        format!("0 {} striped {stripes} {chunk} {}", width * stripes, disks.join(" "))
    }
}

impl Kind for Striped {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        let low = "0 200 linear A 600\n200 200 linear B 600\n400 8 error\n408 200 linear B 800";
        vec![Device::new("low", low), Device::new("vol", Self::table(rng))]
    }

    fn events(&self) -> Events {
        Events::Any
    }

    fn reload(&self, rng: &mut Rng, device: &Device) -> String {
        if device.name == "low" { device.table.clone() } else { Self::table(rng) }
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::striped::random_sequences_give_what_the_kernel_gives", &Striped);
}
