//! Waiting until something may have happened to any device, together with a signal and a time.

use crate::dm::{Errno, Fault};
#[cfg(target_os = "linux")]
use crate::sys::uevent::Uevents;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::PipeReader;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

/// Sources that are looked at from a moment on: what has happened since then ends the wait, whenever that begins.
#[derive(Debug, Default)]
pub struct Changes {
    /// Each can be read from when something happened.
    sources: Vec<OwnedFd>,
    /// What the kernel says, most of it of other devices.
    #[cfg(target_os = "linux")]
    uevents: Option<Uevents>,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something may have happened.
    Changed,
    /// The other thing that was waited for.
    Ended,
    /// The time.
    TimedOut,
}

impl Changes {
    /// Of that source.
    pub(super) fn of(source: impl Into<OwnedFd>) -> Self {
        Self { sources: vec![source.into()], ..Self::default() }
    }

    /// With what the kernel says of its devices, if it can be heard; whether it can.
    #[cfg(target_os = "linux")]
    pub(super) fn hear_kernel(&mut self) -> bool {
        self.uevents = Uevents::listen().ok();
        self.uevents.is_some()
    }

    /// And that source.
    pub(super) fn add(&mut self, source: impl Into<OwnedFd>) {
        self.sources.push(source.into());
    }

    /// Blocks until something may have happened, `end` can be read from, or it is `until`.
    ///
    /// # Errors
    /// poll's, of which none is expected.
    pub fn wait(&self, end: &PipeReader, until: Option<Instant>) -> Result<Woken, Fault> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Whole milliseconds, rounded up: 0 would be no wait.
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                i32::try_from(left.as_micros().div_ceil(1000))
                    .ok()
                    .and_then(|left| PollTimeout::try_from(left).ok())
                    .unwrap_or(PollTimeout::MAX)
            });
            let mut ready = vec![PollFd::new(end.as_fd(), PollFlags::POLLIN)];
            ready.extend(self.sources.iter().map(|source| PollFd::new(source.as_fd(), PollFlags::POLLIN)));
            #[cfg(target_os = "linux")]
            ready.extend(self.uevents.iter().map(|heard| PollFd::new(heard.as_fd(), PollFlags::POLLIN)));
            match poll(&mut ready, timeout) {
                Err(nix::Error::EINTR) => continue,
                Err(errno) => {
                    let errno = Errno(errno as i32);
                    return Err(Fault::new(errno, format!("cannot wait for a change: {errno}")));
                }
                Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(Woken::TimedOut),
                Ok(_) => {}
            }
            let is_ready: Vec<bool> = ready.iter().map(|source| source.any().unwrap_or(true)).collect();
            if is_ready[0] {
                return Ok(Woken::Ended);
            }
            if is_ready[1..=self.sources.len()].contains(&true) || self.is_heard() {
                return Ok(Woken::Changed);
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn is_heard(&self) -> bool {
        self.uevents.as_ref().is_some_and(Uevents::take)
    }

    #[cfg(not(target_os = "linux"))]
    fn is_heard(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::time::Duration;

    #[test]
    fn a_wait_ends_for_each_of_three_reasons() {
        let (source, happens) = io::pipe().unwrap();
        let (end, ends) = io::pipe().unwrap();
        let changes = Changes::of(source);
        let soon = || Some(Instant::now() + Duration::from_millis(20));
        let began = Instant::now();
        assert_eq!(changes.wait(&end, soon()), Ok(Woken::TimedOut));
        assert!(began.elapsed() >= Duration::from_millis(20));
        drop(happens);
        assert_eq!(changes.wait(&end, soon()), Ok(Woken::Changed));
        drop(ends);
        assert_eq!(changes.wait(&end, None), Ok(Woken::Ended));
    }
}
