//! Cookies: how they are written, the semaphores behind them, and what is said when one cannot be used.
//!
//! The errors are libdevmapper's lines, which scripts have in their logs.

use crate::dm::Errno;
use crate::sys::semaphore::{self, Semaphore};
use nix::libc;
use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use crate::sys::clock::local_time;

/// What a cookie's semaphore has above its 16 random bits.
const MAGIC: u32 = 0x0d4d;

/// The key of a semaphore, or, in a uevent, flags for udev's rules above the key's lower half. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie(u32);

/// A cookie that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedCookie {
    /// The cookie.
    pub cookie: Cookie,
    /// Its semaphore's number.
    pub id: i32,
    /// How many uevents are waited for, and one more while nobody waits yet.
    pub value: u32,
    /// When it was last counted, in seconds since 1970; 0 if never.
    pub operated: i64,
    /// When it was made.
    pub changed: i64,
}

/// What came of destroying cookies.
#[derive(Debug, Default)]
pub struct Destroyed {
    /// How many are gone.
    pub destroyed: u32,
    /// How many were too young.
    pub skipped: u32,
    /// Those that would not go.
    pub failed: Vec<CookieError>,
}

/// A cookie that cannot be used.
#[derive(Debug)]
pub enum CookieError {
    /// Not a cookie's prefix.
    Prefix(Cookie),
    /// No semaphore of that key.
    Missing(Cookie),
    /// Somebody else's.
    Denied(Cookie),
    /// Another failure to get at it.
    Access(Cookie, io::Error),
    /// None can be made.
    Create(io::Error),
    /// It could not be counted up.
    Count(Cookie, io::Error),
    /// It could not be counted down for the one who waits.
    Signal(Cookie, io::Error),
    /// It was not in the state to wait for.
    State(Cookie, io::Error),
    /// The wait failed.
    Wait(Cookie, io::Error),
    /// The wait took too long: so many uevents were still open after that time.
    TimedOut {
        /// The cookie.
        cookie: Cookie,
        /// How many uevents had not been completed.
        open: u32,
        /// How long was waited.
        patience: Duration,
    },
    /// A signal ended the wait.
    Interrupted(Cookie),
    /// It cannot be destroyed: its semaphore's number.
    Destroy(Cookie, i32),
    /// The list of semaphores cannot be read.
    List(io::Error),
}

impl Cookie {
    /// A number as C's strtoul reads it: `0x` is hex, `0` octal. `None` for 0, more than 32 bits, or anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii_start();
        let text = text.strip_prefix('+').unwrap_or(text);
        let lower = text.to_ascii_lowercase();
        let value = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
            (Some(hex), _) => digits(hex, 16)?,
            (None, Some(octal)) if !octal.is_empty() => digits(octal, 8)?,
            _ => digits(&lower, 10)?,
        };
        u32::try_from(value).ok().filter(|value| *value != 0).map(Self)
    }

    /// The cookie of those 16 bits; `None` for 0.
    pub fn of_base(base: u16) -> Option<Self> {
        (base != 0).then(|| Self(MAGIC << 16 | u32::from(base)))
    }

    /// The number.
    pub fn key(self) -> u32 {
        self.0
    }

    /// Its lower half.
    pub fn base(self) -> u16 {
        let [low, high, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Its upper half: flags for udev's rules, in a uevent's cookie.
    pub fn flags(self) -> u16 {
        let [.., low, high] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Its semaphore.
    ///
    /// # Errors
    /// Its prefix is wrong, there is none, or it is not to be had.
    pub fn semaphore(self) -> Result<Semaphore, CookieError> {
        if self.0 >> 16 != MAGIC {
            return Err(CookieError::Prefix(self));
        }
        Semaphore::open(self.0).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT) => CookieError::Missing(self),
            Some(libc::EACCES) => CookieError::Denied(self),
            _ => CookieError::Access(self, error),
        })
    }
}

fn digits(text: &str, radix: u32) -> Option<u64> {
    // The library takes a sign here, C's function does not.
    text.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| u64::from_str_radix(text, radix).ok())?
}

/// Every cookie that there is, whoever made it.
///
/// # Errors
/// The list cannot be read.
pub fn cookies() -> Result<Vec<ListedCookie>, CookieError> {
    let listed = semaphore::list().map_err(CookieError::List)?;
    let ours = listed.into_iter().filter(|listed| listed.key >> 16 == MAGIC);
    Ok(ours
        .filter_map(|listed| {
            // One that is gone since is not there to be shown.
            let value = Semaphore::of(&listed).value().ok()?;
            let semaphore::Listed { key, id, operated, changed } = listed;
            Some(ListedCookie { cookie: Cookie(key), id, value, operated, changed })
        })
        .collect())
}

/// Destroys every cookie that was neither made nor counted in the last `age` minutes.
///
/// # Errors
/// The list cannot be read.
pub fn destroy_cookies(age: u32) -> Result<Destroyed, CookieError> {
    let listed = semaphore::list().map_err(CookieError::List)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let before = i64::try_from(now).unwrap_or(i64::MAX) - i64::from(age) * 60;
    let mut outcome = Destroyed::default();
    for listed in listed.iter().filter(|listed| listed.key >> 16 == MAGIC) {
        if listed.changed > before || listed.operated > before {
            outcome.skipped += 1;
        } else if Semaphore::of(listed).remove().is_ok() {
            outcome.destroyed += 1;
        } else {
            outcome.failed.push(CookieError::Destroy(Cookie(listed.key), listed.id));
        }
    }
    Ok(outcome)
}

/// The words for a cookie in libdevmapper's lines.
struct Value(Cookie);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cookie value {0} (0x{0:x})", self.0.0)
    }
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = Errno::from_io;
        match self {
            Self::Prefix(cookie) => write!(
                f,
                "Could not continue to access notification semaphore identified by {}. Incorrect cookie prefix.",
                Value(*cookie)
            ),
            Self::Missing(cookie) => {
                write!(f, "Could not find notification semaphore identified by {}", Value(*cookie))
            }
            Self::Denied(cookie) => {
                write!(f, "No permission to access notification semaphore identified by {}", Value(*cookie))
            }
            Self::Access(cookie, error) => write!(
                f,
                "Failed to access notification semaphore identified by {}: {}",
                Value(*cookie),
                why(error)
            ),
            Self::Create(error) if error.raw_os_error() == Some(libc::ENOSPC) => f.write_str(
                "Limit for the maximum number of semaphores reached. You can check and set the limits in \
                 /proc/sys/kernel/sem.",
            ),
            Self::Create(error) => write!(f, "Failed to create notification semaphore: {}", why(error)),
            Self::Count(cookie, error) => write!(
                f,
                "Could not set notification semaphore identified by {}: {}",
                Value(*cookie),
                why(error)
            ),
            Self::Signal(cookie, error) => write!(
                f,
                "Could not signal waiting process using notification semaphore identified by {}: {}",
                Value(*cookie),
                why(error)
            ),
            Self::State(cookie, error) => write!(
                f,
                "Failed to set a proper state for notification semaphore identified by {} to initialize waiting for \
                 incoming notifications: {}",
                Value(*cookie),
                why(error)
            ),
            Self::Wait(cookie, error) => write!(
                f,
                "Could not set wait state for notification semaphore identified by {}: {}",
                Value(*cookie),
                why(error)
            ),
            Self::TimedOut { cookie, open, patience } => write!(
                f,
                "udev cookie 0x{:x}: {open} uevent(s) not completed by udevd after {} seconds: not waiting any longer",
                cookie.0,
                patience.as_secs_f64()
            ),
            Self::Interrupted(cookie) => write!(f, "udev cookie 0x{:x}: interrupted while waiting", cookie.0),
            Self::Destroy(cookie, id) => {
                write!(f, "Could not cleanup notification semaphore with semid {id} and {}.", Value(*cookie))
            }
            Self::List(error) => write!(f, "/proc/sysvipc/sem: open failed: {}", why(error)),
        }
    }
}

impl std::error::Error for CookieError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_a_number_in_c() {
        for (text, value) in
            [("0xd4d1234", 0x0d4d_1234), ("223154740", 0x0d4d_1234), ("010", 8), (" +0XFFFFFFFF", u32::MAX)]
        {
            assert_eq!(Cookie::parse(text).map(Cookie::key), Some(value), "{text}");
        }
        for text in ["", "0", "0x", "08", "x", "1x", "-1", "4294967296", "0x+1", "++1", "1 "] {
            assert_eq!(Cookie::parse(text), None, "{text}");
        }
    }

    #[test]
    fn its_halves_are_flags_and_base() {
        let cookie = Cookie::parse("0x600abc").unwrap();
        assert_eq!((cookie.flags(), cookie.base()), (0x60, 0x0abc));
        assert!(matches!(cookie.semaphore(), Err(CookieError::Prefix(_))));
        assert_eq!(Cookie::of_base(0), None);
        assert_eq!(Cookie::of_base(0xabc).map(Cookie::key), Some(0x0d4d_0abc));
    }
}
