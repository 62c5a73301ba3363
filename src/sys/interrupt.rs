//! Signals that end a program, held back while it has something to put away first.

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Those that people and their programs end commands with.
const HELD: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// The signal that came last while they were held; 0 for none.
static CAME: AtomicI32 = AtomicI32::new(0);

/// The end of a pipe that a signal writes to; -1 for none.
static WAKER: AtomicI32 = AtomicI32::new(-1);

extern "C" fn note(signal: c_int) {
    CAME.store(signal, Ordering::Relaxed);
    let waker = WAKER.load(Ordering::Relaxed);
    if waker >= 0 {
        let before = Errno::last_raw();
        // SAFETY: write(2) may be called in a handler; the byte lives as long as the call, and the descriptor is never closed
        // once it stands there.
        unsafe { libc::write(waker, [0u8].as_ptr().cast(), 1) };
        Errno::set_raw(before);
    }
}

/// For as long as it lives HUP, INT and TERM do not end the program: they end the system call that it waits in (EINTR).
/// One that came takes effect when this is dropped. A signal that was ignored before still is.
#[derive(Debug)]
pub struct Interrupts {
    before: Vec<(Signal, SigAction)>,
}

impl Interrupts {
    /// Holds them back from now on.
    ///
    /// # Errors
    /// sigaction's, which knows none for these signals.
    pub fn hold() -> Result<Self, Errno> {
        // Without SA_RESTART: a wait must end.
        let noting = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
        let mut held = Self { before: Vec::new() };
        for signal in HELD {
            // SAFETY: the handler only stores to an atomic, which any handler may do at any time.
            let before = unsafe { sigaction(signal, &noting) }?;
            held.before.push((signal, before));
            if matches!(before.handler(), SigHandler::SigIgn) {
                held.restore(signal, &before);
            }
        }
        Ok(held)
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        CAME.load(Ordering::Relaxed) != 0
    }

    /// Something that can be read from as soon as a signal has come, to be polled beside what else is waited for: one that
    /// comes just before the wait ends it too. Its other end stays open for as long as the program runs.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn waker(&self) -> io::Result<PipeReader> {
        let (reader, writer) = io::pipe()?;
        // SAFETY: the descriptor is open, and only flags are set. Whoever sends many signals must not stop the program.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        if set < 0 {
            return Err(io::Error::last_os_error());
        }
        WAKER.store(writer.into_raw_fd(), Ordering::Relaxed);
        Ok(reader)
    }

    /// Takes the signal that came for what was waited for: it does not end the program when this is dropped.
    pub fn forgive(&self) {
        CAME.store(0, Ordering::Relaxed);
    }

    fn restore(&self, signal: Signal, action: &SigAction) {
        // SAFETY: the action is the one that was installed before, so that its handler is as sound now as it was then.
        let restored = unsafe { sigaction(signal, action) };
        // It was accepted once already.
        debug_assert!(restored.is_ok());
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for (signal, action) in &self.before {
            self.restore(*signal, action);
        }
        if let Ok(signal) = Signal::try_from(CAME.swap(0, Ordering::Relaxed)) {
            // It ends the program here, unless the program lives with it.
            let _ = raise(signal);
        }
    }
}
