//! `snapshot`, `snapshot-origin` and `snapshot-merge`: an origin and its snapshots, of all kinds of stores and chunks,
//! small enough to be full now and then.
//!
//! Equal are the data, the statuses, the events, and all bytes of the stores. Compared in meaning are:
//! - a store that was given up: that its header says so. How much of the request that found no room was still copied, and
//!   told of, is a matter of time in the kernel;
//! - a transient store's device, which nobody reads again: through the snapshot alone;
//! - a merge under way: both end, and then all is compared. The kernel tells no event of its end, nor does the mapper;
//! - how often the origin is opened while both tables of a device name it, one to merge: the kernel counts reading and
//!   writing, and writing alone, as two, and the mapper does not;
//! - discards of a snapshot are of one sector. The kernel cuts longer ones at multiples of the chunk size from where they
//!   begin, and so its zeros may run over the end of a chunk into another's copy; the mapper cuts them at the chunks' borders.

use super::{Device, Kind, Rng, run};

/// Where each COW device is on disk B: first sector, and the most that it has.
const COWS: [(&str, u64, u64); 3] = [("cow1", 0, 340), ("cow2", 340, 340), ("cow3", 680, 340)];

/// Sectors of the origin.
const SIZE: u64 = 200;

struct Snapshots {
    /// Whether the origin may become a merging snapshot.
    merges: bool,
    /// Whether snapshots may have the discard features.
    discards: bool,
    /// Whether a snapshot's store may be transient, which is lost with its process.
    transient: bool,
}

impl Snapshots {
    fn features(&self, rng: &mut Rng) -> &'static str {
        if !self.discards || rng.chance(1, 3) {
            return "";
        }
        let all = " 2 discard_zeroes_cow discard_passdown_origin";
        if rng.chance(1, 2) { " 1 discard_zeroes_cow" } else { all }
    }

    fn snapshot(&self, rng: &mut Rng, cow: &str, store: &str) -> String {
        let chunk = rng.pick(&[1, 1, 2, 4, 8, 16]);
        format!("0 {SIZE} snapshot @real @{cow} {store} {chunk}{}", self.features(rng))
    }
}

/// The fourth word of a snapshot's table after the target's name: its kind of store.
fn store(device: &Device) -> &str {
    device.table.split(' ').nth(5).unwrap_or_default()
}

impl Kind for Snapshots {
    fn restarts(&self) -> bool {
        !self.transient
    }

    fn devices(&self, rng: &mut Rng) -> Vec<Device> {
        let mut devices = vec![Device::below("real", format!("0 {SIZE} linear A 300"))];
        for (name, start, most) in COWS {
            let sectors = if rng.chance(1, 2) { most } else { rng.within(40, most) };
            devices.push(Device::below(name, format!("0 {sectors} linear B {start}")));
        }
        let stores = if self.transient { ["P", "PO", "N"] } else { ["P", "P", "PO"] };
        for ((name, cow), store) in [("s1", "cow1"), ("s2", "cow2"), ("s3", "cow3")].iter().zip(stores) {
            devices.push(Device::new(name, self.snapshot(rng, cow, store)));
        }
        // The last: the kernel's cuts requests at the chunks of the snapshots that are there when it is resumed.
        devices.push(Device::new("base", format!("0 {SIZE} snapshot-origin @real")));
        devices
    }

    fn reload(&self, rng: &mut Rng, device: &Device) -> String {
        match device.name {
            "base" if self.merges && rng.chance(2, 3) => {
                let (cow, store) = if rng.chance(2, 3) { ("cow1", "P") } else { ("cow3", "PO") };
                self.snapshot(rng, cow, store).replace("snapshot", "snapshot-merge")
            }
            "base" => device.table.clone(),
            name => self.snapshot(rng, &name.replace('s', "cow"), store(device)),
        }
    }

    fn prepare(&self, disks: &mut [Vec<u8>; 2], _devices: &[Device]) {
        for (_, start, _) in COWS {
            disks[1][usize::try_from(start * 512).unwrap()..][..512].fill(0);
        }
    }

    fn mask(&self, disks: &mut [Vec<u8>; 2], devices: &[Device]) {
        for ((_, start, most), snapshot) in COWS.iter().zip(&devices[4..7]) {
            let cow = &mut disks[1][usize::try_from(start * 512).unwrap()..];
            let cow = &mut cow[..usize::try_from(most.min(&(1024 - start)) * 512).unwrap()];
            if store(snapshot) == "N" {
                cow.fill(0);
            } else if cow[4] == 0 {
                cow[16..].fill(0);
            }
        }
    }

    fn comparable(&self, status: String) -> String {
        match status.split_once(", opened ") {
            Some((state, rest)) if self.merges && state.starts_with("real: ") => {
                format!("{state}{}", rest.trim_start_matches(|digit: char| digit.is_ascii_digit()))
            }
            Some(_) | None => status,
        }
    }

    fn longest_discard(&self) -> u64 {
        if self.discards { 1 } else { 64 }
    }
}

#[test]
fn snapshots_of_random_sequences_are_the_kernels() {
    let kind = Snapshots { merges: false, discards: false, transient: true };
    run("sequences::snapshot::snapshots_of_random_sequences_are_the_kernels", &kind);
}

#[test]
fn stores_on_disks_go_from_process_to_process() {
    let kind = Snapshots { merges: false, discards: false, transient: false };
    run("sequences::snapshot::stores_on_disks_go_from_process_to_process", &kind);
}

#[test]
fn discards_of_snapshots_do_what_the_kernels_do() {
    let kind = Snapshots { merges: false, discards: true, transient: true };
    run("sequences::snapshot::discards_of_snapshots_do_what_the_kernels_do", &kind);
}

#[test]
fn merges_in_random_sequences_are_the_kernels() {
    let kind = Snapshots { merges: true, discards: false, transient: false };
    run("sequences::snapshot::merges_in_random_sequences_are_the_kernels", &kind);
}
