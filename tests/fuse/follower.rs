//! The server's thread that goes where its client is: it is there, gets out of the way, and serves what was asked for.

use crate::mounted::{Mounted, can_run};
use crate::server::eventually;
use std::fs::{self, File};
use std::hint;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope, available_parallelism};
use std::time::Duration;

const WHOLE: &str = "0 131072 linear disk 0";
const BLOCK: usize = 4096;
const BLOCKS: u64 = (64 << 20) / BLOCK as u64;

/// Each block of the disk is full of its number.
fn number_blocks(mounted: &Mounted) {
    let blocks = (0..BLOCKS).flat_map(|number| number.to_le_bytes().repeat(BLOCK / 8));
    fs::write(mounted.disk(), blocks.collect::<Vec<u8>>()).unwrap();
}

/// Reads blocks all over a device, one after the other, and counts them.
#[derive(Default)]
struct Reader {
    read: AtomicU64,
    is_done: AtomicBool,
}

impl Reader {
    fn read(&self, file: &File) {
        let mut block = [0; BLOCK];
        while !self.is_done.load(Ordering::SeqCst) {
            let number = self.read.load(Ordering::SeqCst).wrapping_mul(7919) % BLOCKS;
            file.read_exact_at(&mut block, number * BLOCK as u64).unwrap();
            assert!(block == *number.to_le_bytes().repeat(BLOCK / 8), "block {number}");
            self.read.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until it has read so many more.
    fn goes_on(&self, more: u64) {
        let before = self.read.load(Ordering::SeqCst);
        eventually("the reader goes on", || self.read.load(Ordering::SeqCst) >= before + more);
    }

    fn end(&self) {
        self.is_done.store(true, Ordering::SeqCst);
    }
}

/// What the file of each of the server's threads says.
fn threads(mounted: &Mounted, file: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", mounted.pid())).unwrap();
    // It may have ended since it was listed.
    tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join(file)).ok()).collect()
}

/// Whether one of them has `SCHED_IDLE`, which is 5 (sched.h): a follower, from its first client on.
fn has_follower(mounted: &Mounted) -> bool {
    let policy = |stat: &String| stat.rsplit(") ").next().unwrap().split(' ').nth(38).unwrap() == "5";
    threads(mounted, "stat").iter().any(policy)
}

fn processors(status: &str) -> &str {
    status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).unwrap()
}

/// Whether all of them may run on all processors that this process may.
fn are_free(mounted: &Mounted) -> bool {
    let ours = fs::read_to_string("/proc/self/status").unwrap();
    threads(mounted, "status").iter().all(|status| processors(status) == processors(&ours))
}

/// Has so many threads take all of a processor that they get.
fn keep_busy<'scope>(scope: &'scope Scope<'scope, '_>, threads: usize, is_done: &'scope AtomicBool) {
    for _ in 0..threads {
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                hint::spin_loop();
            }
        });
    }
}

#[test]
fn a_client_that_is_alone_is_followed_until_it_is_not() {
    if !can_run("a_client_that_is_alone_is_followed_until_it_is_not", &[]) {
        return;
    }
    let mut mounted = Mounted::in_memory(&[("vol", WHOLE)]);
    number_blocks(&mounted);
    let file = File::open(mounted.file("vol")).unwrap();
    let (first, second) = (Reader::default(), Reader::default());
    thread::scope(|scope| {
        scope.spawn(|| first.read(&file));
        if available_parallelism().unwrap().get() == 1 {
            first.goes_on(1000);
            assert!(!has_follower(&mounted), "they are on one processor anyway");
        } else {
            eventually("it is followed", || has_follower(&mounted));
        }
        first.goes_on(1000);
        scope.spawn(|| second.read(&file));
        second.goes_on(1000);
        first.goes_on(1000);
        [&first, &second].into_iter().for_each(Reader::end);
    });
    eventually("nobody is bound to a processor", || are_free(&mounted));
    drop(file);
    mounted.stop();
}

#[test]
fn a_client_that_is_followed_is_served_on_a_busy_machine_and_held() {
    if !can_run("a_client_that_is_followed_is_served_on_a_busy_machine_and_held", &[]) {
        return;
    }
    let mut mounted = Mounted::in_memory(&[("vol", WHOLE)]);
    number_blocks(&mounted);
    let file = File::open(mounted.file("vol")).unwrap();
    let (reader, is_done) = (Reader::default(), AtomicBool::new(false));
    let all = available_parallelism().unwrap().get();
    thread::scope(|scope| {
        scope.spawn(|| reader.read(&file));
        if all > 1 {
            eventually("it is followed", || has_follower(&mounted));
        }
        mounted.sandbox.ok(&["suspend", "vol"]);
        let held = reader.read.load(Ordering::SeqCst);
        thread::sleep(Duration::from_millis(50));
        // One had been answered before, and is counted after.
        assert!(reader.read.load(Ordering::SeqCst) <= held + 1);
        mounted.sandbox.ok(&["resume", "vol"]);
        reader.goes_on(1000);
        // All processors have more to do than they can.
        keep_busy(scope, 2 * all, &is_done);
        reader.goes_on(200);
        is_done.store(true, Ordering::SeqCst);
        reader.goes_on(1000);
        reader.end();
    });
    eventually("nobody is bound to a processor", || are_free(&mounted));
    drop(file);
    mounted.stop();
}

#[test]
fn no_client_is_forgotten_on_a_busy_machine() {
    if !can_run("no_client_is_forgotten_on_a_busy_machine", &["dd"]) {
        return;
    }
    let mut mounted = Mounted::start(&[("vol", WHOLE)]);
    number_blocks(&mounted);
    let before = fs::read(mounted.disk()).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        keep_busy(scope, available_parallelism().unwrap().get(), &is_done);
        // Each is followed, and left, by a follower that gets no processor, at any moment of it.
        for count in 0..60 {
            let count = format!("count={}", 100 + 10 * count);
            mounted.ok(&["dd", "if=mnt/vol", "of=copy", "bs=4096", &count, "status=none"]);
            mounted.ok(&["dd", "if=copy", "of=mnt/vol", "bs=4096", "conv=notrunc,fsync", "status=none"]);
        }
        assert_eq!(fs::read(mounted.disk()).unwrap(), before, "each block was written as it was read");
        is_done.store(true, Ordering::SeqCst);
    });
    mounted.stop();
}
