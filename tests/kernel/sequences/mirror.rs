//! `mirror`, with logs in memory and on a disk, over disks and over a device that fails here and there.

use super::{Device, Events, Kind, Rng, run};

struct Mirror;

/// Sectors of a leg. Disk A has a leg from 0, disk B from 300; logs lie behind 700.
const LEG: u64 = 240;

impl Mirror {
    fn table(rng: &mut Rng) -> String {
        let region = *rng.pick(&[2, 8, 16, 64]);
        let length = rng.within(region, LEG);
        let sync = rng.pick(&["", " nosync", " sync"]);
        let more = u64::from(!sync.is_empty());
        let log = match rng.below(4) {
            0 => format!("core {} {region}{sync}", 1 + more),
            1 => format!("disk {} @low {region}{sync}", 2 + more),
            _ => format!("disk {} @log {region}{sync}", 2 + more),
        };
        let legs = if rng.chance(1, 4) { "3 A 0 B 300 A 300" } else { "2 A 0 B 300" };
        let features = rng.pick(&["", " 0", " 1 handle_errors", " 2 handle_errors keep_log"]);
        format!("0 {length} mirror {log} {legs}{features}")
    }
}

impl Kind for Mirror {
    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        vec![
            Device::below("log", "0 16 linear A 700"),
            Device::below("low", "0 16 linear B 720"),
            Device::new("vol", Self::table(rng)),
        ]
    }

    fn events(&self) -> Events {
        Events::About
    }

    /// A mirror that is made in sync (`nosync`) is told of by a thread of the kernel that its loading wakes: before its table is
    /// the device's, where nobody hears of it, or behind that. And what a log in memory knew ends with the mapper's process:
    /// the next one copies all again, and tells so.
    fn events_by_chance(&self, told: &[String]) -> (u32, u32) {
        let count =
            |word: &str| told.iter().map(|step| u32::try_from(step.matches(word).count()).unwrap()).sum();
        let restarts = told.iter().filter(|step| *step == "Restart").count();
        let is_in_memory = count("mirror core ") > 0;
        (count(" nosync "), if is_in_memory { u32::try_from(restarts).unwrap() } else { 0 })
    }

    fn settles(&self) -> bool {
        true
    }

    /// Until all regions are in sync what the legs hold is a matter of time.
    fn is_settled(&self, status: &str) -> bool {
        let counts = status.split(' ').filter_map(|word| word.split_once('/'));
        counts.into_iter().all(|(synced, all)| synced == all)
    }

    fn reload(&self, rng: &mut Rng, device: &Device) -> String {
        if device.name == "vol" { Self::table(rng) } else { device.table.clone() }
    }
}

#[test]
fn random_sequences_give_what_the_kernel_gives() {
    run("sequences::mirror::random_sequences_give_what_the_kernel_gives", &Mirror);
}
