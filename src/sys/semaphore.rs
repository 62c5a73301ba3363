//! System V semaphores, one to a set, by their keys: what udev's rules and their waiting client meet at.
//!
//! Knows neither cookies nor udev. Only Linux's own rules are relied on: a new semaphore is 0. The list comes from
//! `/proc/sysvipc/sem`, which has the same form on every machine, where semctl's structures have not. Nobody meets there
//! on other systems, which have no udev: every call is ENOSYS there.

use nix::libc::{self, c_int};
use std::fs;
use std::io;
use std::time::Duration;

/// Where Linux lists them.
const LIST: &str = "/proc/sysvipc/sem";

/// Read and write for the owner alone.
const MODE: c_int = 0o600;

/// A semaphore that somebody else may remove at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Semaphore {
    id: c_int,
}

/// A semaphore as Linux lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key, the 32 bits as they are.
    pub key: u32,
    /// Its number.
    pub id: i32,
    /// When its value was last changed or waited for, in seconds since 1970; 0 if never.
    pub operated: i64,
    /// When it was made, or set to a value.
    pub changed: i64,
}

impl Semaphore {
    /// Makes the semaphore of that key, with the value 0.
    ///
    /// # Errors
    /// EEXIST when there is one of that key, ENOSPC at the system's limit, ENOSYS without System V IPC.
    pub fn create(key: u32) -> io::Result<Self> {
        system::get(key, libc::IPC_CREAT | libc::IPC_EXCL | MODE).map(|id| Self { id })
    }

    /// The semaphore of that key.
    ///
    /// # Errors
    /// ENOENT when there is none, EACCES without the right to it.
    pub fn open(key: u32) -> io::Result<Self> {
        system::get(key, 0).map(|id| Self { id })
    }

    /// The semaphore of a line in the list.
    pub fn of(listed: &Listed) -> Self {
        Self { id: listed.id }
    }

    /// Its number.
    pub fn id(self) -> i32 {
        self.id
    }

    /// Adds to its value, at once or not at all.
    ///
    /// # Errors
    /// EAGAIN when it would be below 0, EIDRM or EINVAL when it is gone.
    pub fn count(self, by: i16) -> io::Result<()> {
        system::operate(self.id, by, libc::IPC_NOWAIT, None)
    }

    /// Waits until its value is 0.
    ///
    /// # Errors
    /// EAGAIN when the time is over, EINTR when a signal came, EIDRM or EINVAL when it is gone.
    pub fn wait_for_zero(self, at_most: Option<Duration>) -> io::Result<()> {
        system::operate(self.id, 0, 0, at_most)
    }

    /// Its value.
    ///
    /// # Errors
    /// EIDRM or EINVAL when it is gone, EACCES without the right to it.
    pub fn value(self) -> io::Result<u32> {
        system::value(self.id)
    }

    /// Removes it; whoever waits is woken with EIDRM.
    ///
    /// # Errors
    /// EIDRM or EINVAL when it is gone already, EPERM when it is somebody else's.
    pub fn remove(self) -> io::Result<()> {
        system::remove(self.id)
    }
}

/// The system calls.
#[cfg(target_os = "linux")]
mod system {
    use nix::libc::{self, c_int, sembuf, timespec};
    use std::io;
    use std::time::Duration;

    unsafe extern "C" {
        // Both glibc and musl have it; the libc crate does not declare it.
        fn semtimedop(id: c_int, ops: *mut sembuf, count: libc::size_t, timeout: *const timespec) -> c_int;
    }

    pub(super) fn get(key: u32, flags: c_int) -> io::Result<c_int> {
        // SAFETY: semget takes numbers only.
        done(unsafe { libc::semget(key.cast_signed(), 1, flags) })
    }

    pub(super) fn operate(id: c_int, by: i16, flags: c_int, at_most: Option<Duration>) -> io::Result<()> {
        let mut operation = sembuf { sem_num: 0, sem_op: by, sem_flg: i16::try_from(flags).unwrap_or(0) };
        let limit = at_most.map(|time| timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `operation` is the one sembuf that the count says, borrowed exclusively; `limit` is null, which means
        // no limit, or points to a timespec that outlives the call. Neither is kept by the kernel.
        done(unsafe { semtimedop(id, &raw mut operation, 1, limit) }).map(drop)
    }

    pub(super) fn value(id: c_int) -> io::Result<u32> {
        // SAFETY: GETVAL takes no fourth argument and touches no memory of ours.
        done(unsafe { libc::semctl(id, 0, libc::GETVAL) }).map(c_int::cast_unsigned)
    }

    pub(super) fn remove(id: c_int) -> io::Result<()> {
        // SAFETY: IPC_RMID takes no fourth argument and touches no memory of ours.
        done(unsafe { libc::semctl(id, 0, libc::IPC_RMID) }).map(drop)
    }

    fn done(result: c_int) -> io::Result<c_int> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }
}

/// Nothing to call.
#[cfg(not(target_os = "linux"))]
mod system {
    use nix::errno::Errno;
    use nix::libc::c_int;
    use std::io;
    use std::time::Duration;

    pub(super) fn get(_: u32, _: c_int) -> io::Result<c_int> {
        Err(Errno::ENOSYS.into())
    }

    pub(super) fn operate(_: c_int, _: i16, _: c_int, _: Option<Duration>) -> io::Result<()> {
        Err(Errno::ENOSYS.into())
    }

    pub(super) fn value(_: c_int) -> io::Result<u32> {
        Err(Errno::ENOSYS.into())
    }

    pub(super) fn remove(_: c_int) -> io::Result<()> {
        Err(Errno::ENOSYS.into())
    }
}

/// Every semaphore of this IPC namespace, in the order of their numbers.
///
/// # Errors
/// ENOENT where `/proc` is not mounted or the kernel has no System V IPC.
pub fn list() -> io::Result<Vec<Listed>> {
    Ok(fs::read_to_string(LIST)?.lines().skip(1).filter_map(listed).collect())
}

/// A line of the list: `key semid perms nsems uid gid cuid cgid otime ctime`, the key a signed number.
fn listed(line: &str) -> Option<Listed> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let &[key, id, _, _, _, _, _, _, operated, changed, ..] = fields.as_slice() else { return None };
    Some(Listed {
        key: key.parse::<i32>().ok()?.cast_unsigned(),
        id: id.parse().ok()?,
        operated: operated.parse().ok()?,
        changed: changed.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// A semaphore of the test's own, gone when dropped.
    struct Own {
        semaphore: Semaphore,
        key: u32,
    }

    impl Own {
        /// `None`, with a word on why, where there can be none.
        fn new() -> Option<Self> {
            let keys = (0..16).map(|step| 0x7d4d_0000 ^ step << 20 | std::process::id() & 0xffff);
            let made =
                keys.into_iter().find_map(|key| Some(Self { semaphore: Semaphore::create(key).ok()?, key }));
            if made.is_none() {
                assert!(std::env::var_os("CI").is_none(), "cannot run in CI: no semaphore can be made");
                let _ = writeln!(io::stderr(), "SKIPPED: no semaphore can be made here");
            }
            made
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            let _ = self.semaphore.remove();
        }
    }

    #[test]
    fn a_semaphore_counts_waits_and_goes() {
        let Some(own) = Own::new() else { return };
        let semaphore = own.semaphore;
        let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        let soon = Some(Duration::from_millis(10));
        assert_eq!(errno(Semaphore::create(own.key).map(drop)), Some(libc::EEXIST));
        assert_eq!(Semaphore::open(own.key).unwrap(), semaphore);
        assert_eq!(errno(semaphore.count(-1)), Some(libc::EAGAIN));
        semaphore.count(2).unwrap();
        assert_eq!(semaphore.value().unwrap(), 2);
        assert_eq!(errno(semaphore.wait_for_zero(soon)), Some(libc::EAGAIN));
        let listed = list().unwrap().into_iter().find(|listed| listed.key == own.key).unwrap();
        assert_eq!(Semaphore::of(&listed), semaphore);
        assert!(listed.changed > 0 && listed.operated > 0, "{listed:?}");
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| semaphore.wait_for_zero(None));
            semaphore.count(-2).unwrap();
            waiter.join().unwrap().unwrap();
        });
        semaphore.remove().unwrap();
        assert!(semaphore.remove().is_err() && semaphore.value().is_err());
        assert_eq!(errno(Semaphore::open(own.key).map(drop)), Some(libc::ENOENT));
    }

    #[test]
    fn a_line_of_the_list_is_read_by_its_place() {
        let line = " 223154740          6   600          1      0     0      0      0          0 1795324456";
        let expected = Listed { key: 0x0d4d_1234, id: 6, operated: 0, changed: 1_795_324_456 };
        assert_eq!(listed(line), Some(expected));
        assert_eq!(listed("       key      semid perms      nsems"), None);
        assert_eq!(listed("-1 2 600 1 0 0 0 0 7 8").map(|listed| listed.key), Some(u32::MAX));
    }
}
