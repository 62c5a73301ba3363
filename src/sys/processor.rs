//! Which processor a thread runs on, and how much of it this one has had.

use nix::libc::{self, sched_param};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::time::Duration;

/// Which word of `/proc/TID/stat` behind the command's name says where the thread ran last (proc(5): field 39).
const PROCESSOR: usize = 36;

/// The processor that a thread of any process runs on, or ran on last. `None` where there is no such thread, or it is not
/// for us to see.
pub fn of(thread: u32) -> Option<usize> {
    let stat = fs::read(format!("/proc/{thread}/stat")).ok()?;
    // A name may have anything in it.
    let behind = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let word =
        stat[behind..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(PROCESSOR)?;
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The processors that this thread may run on; `None` on a machine with more of them than the C library knows.
pub fn allowed() -> Option<CpuSet> {
    sched_getaffinity(THIS).ok()
}

/// Has a thread of this process run on those processors and no other; whether it does. Those that are not there any more
/// do not matter, if others are.
pub fn bind(thread: Pid, processors: &CpuSet) -> bool {
    sched_setaffinity(thread, processors).is_ok()
}

/// One of the `allowed` processors, and all the others of them; `None` if it is not allowed.
pub fn parted(processor: usize, allowed: &CpuSet) -> Option<(CpuSet, CpuSet)> {
    let (mut only, mut others) = (CpuSet::new(), *allowed);
    let is_allowed = allowed.is_set(processor).ok()?;
    (only.set(processor).is_ok() && others.unset(processor).is_ok() && is_allowed).then_some((only, others))
}

/// This thread, for the calls that take one.
const THIS: Pid = Pid::from_raw(0);

/// Has this thread give way to every other, for good: a user may not take that back. To the scheduler a processor where
/// only such threads run is idle (`SCHED_IDLE`, sched(7)).
///
/// # Errors
/// `sched_setscheduler`(2)'s.
pub fn give_way() -> io::Result<()> {
    // SAFETY: all of its fields are numbers; its priority is 0, as it has to be.
    let parameters: sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the call reads the parameters, which outlive it. It goes around the C library as musl's refuses all.
    let set =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_IDLE, &raw const parameters) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What this thread has had of processors since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How long it ran.
    pub ran: Duration,
    /// How often it left a processor, to wait or to give way.
    pub switches: u64,
}

/// This thread's.
pub fn usage() -> Usage {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Usage::default() };
    let ran = [usage.user_time(), usage.system_time()].map(|time| time.num_microseconds());
    let switches = [usage.voluntary_context_switches(), usage.involuntary_context_switches()];
    Usage {
        ran: ran.into_iter().map(|ran| Duration::from_micros(u64::try_from(ran).unwrap_or(0))).sum(),
        switches: switches.into_iter().map(|count| u64::try_from(count).unwrap_or(0)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::gettid;
    use std::hint;
    use std::thread;
    use std::time::Instant;

    fn count(processors: &CpuSet) -> usize {
        (0..CpuSet::count()).filter(|processor| processors.is_set(*processor).unwrap()).count()
    }

    /// This thread's number, as clients are named by.
    fn this() -> u32 {
        u32::try_from(gettid().as_raw()).unwrap()
    }

    #[test]
    fn a_thread_runs_where_it_is_bound() {
        let allowed = allowed().unwrap();
        assert!(count(&allowed) >= thread::available_parallelism().unwrap().get());
        for processor in (0..CpuSet::count()).filter(|processor| allowed.is_set(*processor).unwrap()) {
            let (only, others) = parted(processor, &allowed).unwrap();
            assert_eq!((count(&only), count(&others)), (1, count(&allowed) - 1));
            assert!(bind(gettid(), &only));
            assert_eq!(of(this()), Some(processor));
            assert_eq!(super::allowed(), Some(only));
        }
        assert!(bind(gettid(), &allowed));
        assert!(!bind(gettid(), &CpuSet::new()));
        assert!(parted(0, &CpuSet::new()).is_none() && parted(usize::MAX, &allowed).is_none());
        assert_eq!(of(u32::MAX), None);
    }

    #[test]
    fn usage_counts_running_and_leaving() {
        let before = usage();
        let begun = Instant::now();
        while usage().ran < before.ran + Duration::from_millis(2) {
            assert!(begun.elapsed() < Duration::from_secs(30));
            hint::spin_loop();
        }
        thread::sleep(Duration::from_millis(1));
        assert!(usage().switches > before.switches);
    }

    #[test]
    fn who_gives_way_does_so_for_itself() {
        thread::spawn(|| give_way().unwrap()).join().unwrap();
        // SAFETY: it asks for a number.
        assert_eq!(unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) }, i64::from(libc::SCHED_OTHER));
    }
}
