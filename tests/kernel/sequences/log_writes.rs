//! `log-writes`: what is on disk B is the log. Whether an entry is there at once, since a thread of the kernel writes it,
//! is not compared; that it is there in the end is.

use super::{DISK_SECTORS, Device, Kind, Rng, run};

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
        let small = Device { is_below: true, ..Device::new("small", format!("0 {size} linear B 900")) };
        vec![small, Device::new("vol", Self::table(rng))]
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
