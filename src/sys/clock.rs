//! A moment as the clock on the wall has it.

use nix::libc::{self, tm};
use std::mem::MaybeUninit;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds since 1970 as C's `ctime` writes them, local time, without its new line: `Sun Nov 22 05:14:16 2026`. `None`
/// for a moment that no calendar reaches.
#[allow(clippy::useless_conversion, reason = "time_t has 32 bits on some machines")]
#[allow(
    deprecated,
    reason = "for musl, whose time_t the libc crate is to make longer one day: any length will do here"
)]
pub fn local_time(seconds: i64) -> Option<String> {
    let seconds: libc::time_t = seconds.try_into().ok()?;
    let mut moment = MaybeUninit::<tm>::uninit();
    // SAFETY: `seconds` is read and `moment` is written during the call only; both are of the types that it wants.
    let filled = unsafe { libc::localtime_r(&raw const seconds, moment.as_mut_ptr()) };
    if filled.is_null() {
        return None;
    }
    // SAFETY: a result that is not null says that all of it was filled in.
    let tm { tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, .. } =
        unsafe { moment.assume_init() };
    let day = DAYS.get(usize::try_from(tm_wday).ok()?)?;
    let month = MONTHS.get(usize::try_from(tm_mon).ok()?)?;
    let year = i64::from(tm_year) + 1900;
    Some(format!("{day} {month} {tm_mday:2} {tm_hour:02}:{tm_min:02}:{tm_sec:02} {year}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_ctime_has_it() {
        // Noon, so that no time zone makes it another month.
        let text = local_time(1_795_349_656).unwrap();
        assert!(text.contains(" Nov 2") && text.ends_with(" 2026"), "{text}");
        assert_eq!(text.len(), "Sun Nov 22 05:14:16 2026".len());
        assert!(local_time(i64::MAX).is_none());
    }
}
