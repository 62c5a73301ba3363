//! `delay`, with waits of some milliseconds. How long a request waits, and how many wait at an instant, is not compared:
//! one request is under way at a time, and then none waits.

use super::sides::{KernelSide, MapperSide, Side};
use super::{DISK_SECTORS, Device, Kind, PATIENCE, Rng, run};
use crate::guest;
use rdmsetup::dm::{Command, DeviceId, Request};
use std::thread;
use std::time::{Duration, Instant};

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

/// What the status of the one device says.
fn waiting(side: &mut dyn Side) -> String {
    let status = Request::new(DeviceId::by_name("vol"), Command::TableStatus);
    side.ask(&status).unwrap().lines()[0].params.to_string()
}

#[test]
fn what_waits_is_counted_and_let_go_by_a_suspend() {
    guest::run("sequences::delay::what_waits_is_counted_and_let_go_by_a_suspend", || {
        let disks = [(); 2].map(|()| vec![0; usize::try_from(DISK_SECTORS * 512).unwrap()]);
        let (mut kernel, mut mapper) = (KernelSide::new(&disks), MapperSide::new(&disks));
        for side in [&mut kernel as &mut dyn Side, &mut mapper] {
            side.make(&[Device::new("vol", "0 300 delay A 0 0 A 100 20000")]);
            let writer = thread::spawn(side.writer(0));
            let start = Instant::now();
            while waiting(side) != "0 1 0" {
                assert!(start.elapsed() < PATIENCE, "{}", waiting(side));
                thread::sleep(Duration::from_millis(5));
            }
            side.ask(&Request::suspend(DeviceId::by_name("vol"))).unwrap();
            assert_eq!(writer.join().unwrap(), Ok(()));
            assert!(start.elapsed() < Duration::from_secs(10), "it waited for its time");
            assert_eq!(waiting(side), "0 0 0");
            let [a, _] = side.end();
            assert_eq!(a[100 * 512..101 * 512], [7; 512]);
        }
    });
}
