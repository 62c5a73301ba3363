//! Waits until a file of a directory is replaced by another of its name (`rename`).
//!
//! Linux says so (inotify); elsewhere the file is looked at again and again.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A change that is waited for.
#[derive(Debug)]
pub struct Watch(system::Watch);

impl Watch {
    /// Watches for a file of that name to take its place in the directory; any change from now on is seen.
    ///
    /// # Errors
    /// The directory cannot be watched.
    pub fn replacement(directory: &Path, file: &str) -> io::Result<Self> {
        system::Watch::new(directory, file).map(Self)
    }

    /// Blocks until the file was replaced; on Linux until any file was, which it may then have been without need.
    ///
    /// # Errors
    /// EINTR when a signal came first.
    pub fn wait(&self) -> io::Result<()> {
        self.0.wait()
    }

    /// A descriptor that can be read from when the file was replaced, to be polled beside others.
    ///
    /// # Errors
    /// A pipe or a thread cannot be had, where it takes one.
    pub fn into_descriptor(self) -> io::Result<OwnedFd> {
        self.0.into_descriptor()
    }
}

#[cfg(target_os = "linux")]
mod system {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    #[derive(Debug)]
    pub(super) struct Watch(Inotify);

    impl Watch {
        pub(super) fn new(directory: &Path, _: &str) -> io::Result<Self> {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
            inotify.add_watch(directory, AddWatchFlags::IN_MOVED_TO)?;
            Ok(Self(inotify))
        }

        pub(super) fn wait(&self) -> io::Result<()> {
            Ok(self.0.read_events().map(drop)?)
        }

        pub(super) fn into_descriptor(self) -> io::Result<OwnedFd> {
            Ok(self.0.into())
        }
    }
}

#[cfg(not(target_os = "linux"))]
use looking as system;

#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(target_os = "linux", allow(dead_code, reason = "it is tested here, and used elsewhere"))]
mod looking {
    use nix::libc::{self, timespec};
    use std::fs::{self, File};
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};
    use std::{ptr, thread};

    /// How long between two looks, in nanoseconds: soon for a person, and little work.
    const BETWEEN: i32 = 50_000_000;

    /// The file that was there. It stays open, so that no other can have its number meanwhile.
    #[derive(Debug)]
    pub(super) struct Watch {
        path: PathBuf,
        before: Option<File>,
    }

    impl Watch {
        pub(super) fn new(directory: &Path, file: &str) -> io::Result<Self> {
            let path = directory.join(file);
            let before = match File::open(&path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            Ok(Self { path, before })
        }

        pub(super) fn wait(&self) -> io::Result<()> {
            let identity = |file: fs::Metadata| (file.dev(), file.ino());
            let before = self.before.as_ref().map(File::metadata).transpose()?.map(identity);
            loop {
                // A file that went altogether was not replaced yet.
                match fs::symlink_metadata(&self.path).ok().map(identity) {
                    now if now.is_some() && now != before => return Ok(()),
                    _ => pause()?,
                }
            }
        }

        /// The end of a pipe, whose other end a thread closes that looks for as long as need be.
        pub(super) fn into_descriptor(self) -> io::Result<OwnedFd> {
            let (reader, writer) = io::pipe()?;
            thread::Builder::new().name("watch".into()).spawn(move || {
                while self.wait().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
                drop(writer);
            })?;
            Ok(reader.into())
        }
    }

    /// Sleeps, and not on past a signal as the standard library does.
    fn pause() -> io::Result<()> {
        let time = timespec { tv_sec: 0, tv_nsec: BETWEEN.into() };
        // SAFETY: `time` outlives the call and is read only; null says that nobody wants the time that is left.
        let slept = unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
        if slept < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    /// That the wait ends after the file was replaced, and not before.
    fn check(wait: impl FnOnce() -> io::Result<()> + Send + 'static, replace: impl FnOnce()) {
        let (done, is_done) = mpsc::channel();
        let waiter = thread::spawn(move || done.send(wait().is_ok()).unwrap());
        assert!(is_done.recv_timeout(Duration::from_millis(120)).is_err(), "nothing was replaced yet");
        replace();
        assert_eq!(is_done.recv_timeout(Duration::from_secs(10)), Ok(true));
        waiter.join().unwrap();
    }

    #[test]
    fn both_ways_see_a_file_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let replace = || {
            fs::write(path("new"), "more").unwrap();
            fs::rename(path("new"), path("state")).unwrap();
        };
        for there in [false, true] {
            assert_eq!(path("state").exists(), there);
            let watch = looking::Watch::new(directory.path(), "state").unwrap();
            check(move || watch.wait(), replace);
            // Twice between two looks: the first file's number may be free again, but not for the file in place.
            let watch = looking::Watch::new(directory.path(), "state").unwrap();
            replace();
            replace();
            watch.wait().unwrap();
            fs::remove_file(path("state")).unwrap();
            let watch = Watch::replacement(directory.path(), "state").unwrap();
            check(move || watch.wait(), replace);
        }
        assert!(looking::Watch::new(&path("state"), "state").is_err(), "no directory");
    }
}
