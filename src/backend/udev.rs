//! Working together with udevd: what a request says to udev's rules, and the wait until they have been followed.
//!
//! ```text
//! this program: cookie = semaphore, 1 ─ +1 ─▶ request with the cookie ─▶ uevent ─▶ udevd: rules, links
//!               -1, wait for 0 ◀────────────────── -1 `dmsetup udevcomplete COOKIE` ◀─┘
//! ```
//!
//! libdevmapper's protocol, since its programs and udev's rules are at the other end: a cookie is the key of a System V
//! semaphore, 0x0D4D above 16 random bits; a request carries those 16 bits, and above them flags for the rules. Where no
//! udevd runs there is no cookie. libdevmapper waits for ever, and leaves its semaphore behind when it is killed; here
//! a wait ends after a time, and whatever ends a command, its semaphore goes with it.

use super::cookie::{Cookie, CookieError};
use crate::sys::interrupt::Interrupts;
use crate::sys::semaphore::Semaphore;
use nix::libc;
use std::cell::OnceCell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long udevd may take for all its rules, unless `RDMSETUP_UDEV_TIMEOUT` says otherwise: as long as udevd itself
/// gives an event.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The directory whose nodes udevd keeps.
const UDEV_DIR: &str = "/dev";

/// There for as long as udevd runs.
const UDEV_CONTROL: &str = "/run/udev/control";

/// Flags for udev's rules (`DM_UDEV_…_FLAG`), which stand above the cookie in a request's event number.
const DISABLE_DM_RULES: u32 = 1 << 16;
const DISABLE_SUBSYSTEM_RULES: u32 = 1 << 17;
const DISABLE_LIBRARY_FALLBACK: u32 = 1 << 21;
const PRIMARY_SOURCE: u32 = 1 << 22;

/// What is asked of udev: by options, and by the environment.
#[derive(Clone, Debug, Default)]
pub struct UdevOptions {
    /// `DM_DISABLE_UDEV`: udev is to leave these devices alone, and nodes are made here.
    pub disabled: bool,
    /// `--noudevsync`: not to be waited for.
    pub no_sync: bool,
    /// `--noudevrules`: its rules for names and subsystems are not to be followed.
    pub no_rules: bool,
    /// `--verifyudev`: what it did is looked at, and mended.
    pub verify: bool,
    /// `--udevcookie`, `DM_UDEV_COOKIE`: a cookie that somebody else made and waits for.
    pub cookie: Option<Cookie>,
    /// How long to wait for it; without it [`PATIENCE`].
    pub patience: Option<Duration>,
}

/// Who keeps the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// There are none: a mapper in userspace.
    Nobody,
    /// udevd.
    Udevd,
    /// udevd, and what it did is looked at and mended.
    Watched,
    /// This program.
    Program,
}

/// udevd's part in a command.
#[derive(Debug)]
pub struct Udev {
    options: UdevOptions,
    /// `/dev` is what this command works in, so that udevd keeps the nodes.
    keeps_nodes: bool,
    is_mapper: bool,
    running: OnceCell<bool>,
    /// The semaphore of this command, while it has one.
    own: Option<Transaction>,
}

/// A semaphore that goes when this is dropped, and signals held back until then.
#[derive(Debug)]
struct Transaction {
    cookie: Cookie,
    semaphore: Semaphore,
    // Dropped last: a signal that came takes effect when all is put away.
    interrupts: Option<Interrupts>,
}

/// A cookie to count down again, if the request turns out to make no uevent.
#[derive(Clone, Copy, Debug)]
pub struct Announced {
    /// For the request's event number: cookie and flags.
    pub event_nr: u32,
    counted: Option<Semaphore>,
}

impl Udev {
    /// udevd's part in commands on the nodes of that directory; a mapper in userspace makes no uevents.
    pub fn new(options: UdevOptions, dev_dir: &Path, is_mapper: bool) -> Self {
        let keeps_nodes = dev_dir == Path::new(UDEV_DIR);
        Self { options, keeps_nodes, is_mapper, running: OnceCell::new(), own: None }
    }

    fn is_running(&self) -> bool {
        *self.running.get_or_init(|| Path::new(UDEV_CONTROL).exists())
    }

    /// Who keeps the nodes: udevd where it runs and is let.
    ///
    /// libdevmapper leaves them to udev even where none runs, or where its rules are switched off, and then nobody makes
    /// them.
    pub fn keeper(&self) -> Keeper {
        let Self { options, keeps_nodes, is_mapper, .. } = self;
        if *is_mapper {
            Keeper::Nobody
        } else if !keeps_nodes || options.disabled || options.no_rules || !self.is_running() {
            Keeper::Program
        } else if options.verify && options.cookie.is_none() {
            // Whoever gave a cookie waits for it all, and only then is there something to look at.
            Keeper::Watched
        } else {
            Keeper::Udevd
        }
    }

    /// Whether it is waited for.
    pub fn is_synchronized(&self) -> bool {
        let Self { options, is_mapper, .. } = self;
        !is_mapper && !options.disabled && !options.no_sync && self.is_running()
    }

    /// What a user of `DM_DISABLE_UDEV` should know: udevd is there all the same.
    pub fn notice(&self) -> Option<&'static str> {
        let bypassed = self.options.disabled && !self.is_mapper && self.is_running();
        bypassed.then_some(
            "Udev is running and DM_DISABLE_UDEV environment variable is set. Bypassing udev, device-mapper library will \
             manage device nodes in device directory.",
        )
    }

    /// The flags of a request that makes a uevent, as libdevmapper sets them for dmsetup.
    fn flags(&self) -> u32 {
        let Self { options, keeps_nodes, .. } = self;
        let mut flags = PRIMARY_SOURCE;
        if options.no_rules || options.disabled {
            flags |= DISABLE_DM_RULES | DISABLE_SUBSYSTEM_RULES;
        }
        if *keeps_nodes && !options.disabled && (options.cookie.is_some() || !options.verify) {
            flags |= DISABLE_LIBRARY_FALLBACK;
        }
        flags
    }

    /// Makes the semaphore that the requests to come need, if they need one: before anything is done that would have to
    /// be undone without it.
    ///
    /// # Errors
    /// No semaphore can be made.
    pub fn prepare(&mut self) -> Result<(), CookieError> {
        if self.is_synchronized() && self.options.cookie.is_none() && self.own.is_none() {
            self.own = Transaction::begin()?;
        }
        Ok(())
    }

    /// Counts a request in that is about to make a uevent.
    ///
    /// # Errors
    /// No semaphore can be made, or the one that was given is not to be had.
    pub fn announce(&mut self) -> Result<Announced, CookieError> {
        self.prepare()?;
        let given = self.options.cookie.filter(|_| self.is_synchronized());
        let in_use = match (given, &self.own) {
            (Some(cookie), _) => Some((cookie, cookie.semaphore()?)),
            (None, Some(own)) => Some((own.cookie, own.semaphore)),
            (None, None) => None,
        };
        let Some((cookie, semaphore)) = in_use else {
            return Ok(Announced { event_nr: self.flags(), counted: None });
        };
        semaphore.count(1).map_err(|error| CookieError::Count(cookie, error))?;
        Ok(Announced { event_nr: self.flags() | u32::from(cookie.base()), counted: Some(semaphore) })
    }

    /// Counts a request out again that made no uevent: nobody else will.
    pub fn retract(&mut self, announced: Announced) {
        // One that is gone has nobody waiting.
        let _ = announced.counted.map(|semaphore| semaphore.count(-1));
    }

    /// Waits until udevd has followed its rules for all that was announced with this command's own cookie; somebody
    /// else's is waited for by them.
    ///
    /// # Errors
    /// It took too long.
    pub fn settle(&mut self) -> Result<(), CookieError> {
        self.own.take().map_or(Ok(()), |own| own.settle(self.patience()))
    }

    fn patience(&self) -> Duration {
        self.options.patience.unwrap_or(PATIENCE)
    }

    /// Makes a cookie for several commands and leaves it; `None` where there is nobody to wait for.
    ///
    /// # Errors
    /// No semaphore can be made.
    pub fn create_cookie(&self) -> Result<Option<Cookie>, CookieError> {
        if !self.is_synchronized() {
            return Ok(None);
        }
        Ok(make_semaphore()?.map(|(cookie, _)| cookie))
    }

    /// Waits for all that was announced with a cookie, and ends it.
    ///
    /// # Errors
    /// There is no such cookie, or it took too long.
    pub fn release(&self, cookie: Cookie) -> Result<(), CookieError> {
        if !self.is_synchronized() {
            return Ok(());
        }
        let semaphore = cookie.semaphore()?;
        Transaction { cookie, semaphore, interrupts: Interrupts::hold().ok() }.settle(self.patience())
    }

    /// Says that the rules for one uevent have been followed.
    ///
    /// # Errors
    /// There is no such cookie, or it was not waiting.
    pub fn complete(&self, cookie: Cookie) -> Result<(), CookieError> {
        if !self.is_synchronized() {
            return Ok(());
        }
        cookie.semaphore()?.count(-1).map_err(|error| CookieError::Signal(cookie, error))
    }
}

/// How long one system call waits: a signal that comes just before it is heeded just after it.
const LOOK: Duration = Duration::from_millis(250);

impl Transaction {
    /// A new semaphore, with one count that is taken away when the wait begins; `None` on a kernel without any.
    fn begin() -> Result<Option<Self>, CookieError> {
        // A command that cannot hold signals back is no worse than libdevmapper.
        let interrupts = Interrupts::hold().ok();
        Ok(make_semaphore()?.map(|(cookie, semaphore)| Self { cookie, semaphore, interrupts }))
    }

    fn settle(self, patience: Duration) -> Result<(), CookieError> {
        let Self { cookie, semaphore, .. } = self;
        let deadline = Instant::now() + patience;
        semaphore.count(-1).map_err(|error| CookieError::State(cookie, error))?;
        loop {
            if self.interrupts.as_ref().is_some_and(Interrupts::came) {
                return Err(CookieError::Interrupted(cookie));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let error = match semaphore.wait_for_zero(Some(left.min(LOOK))) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error.raw_os_error() {
                // Somebody has ended it for us.
                Some(libc::EIDRM | libc::EINVAL) => return Ok(()),
                Some(libc::EAGAIN) if left <= LOOK => {
                    let open = semaphore.value().unwrap_or(0);
                    return Err(CookieError::TimedOut { cookie, open, patience });
                }
                Some(libc::EINTR | libc::EAGAIN) => {}
                _ => return Err(CookieError::Wait(cookie, error)),
            }
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // One that is gone already is what is wanted.
        let _ = self.semaphore.remove();
    }
}

/// A semaphore of a random key that no other has, with the value 1; `None` on a kernel without semaphores.
fn make_semaphore() -> Result<Option<(Cookie, Semaphore)>, CookieError> {
    loop {
        // The library's hash keys are the system's random numbers.
        let [low, high, ..] = RandomState::new().hash_one(0u8).to_le_bytes();
        let Some(cookie) = Cookie::of_base(u16::from_le_bytes([low, high])) else { continue };
        let semaphore = match Semaphore::create(cookie.key()) {
            Ok(semaphore) => semaphore,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => return Ok(None),
            Err(error) => return Err(CookieError::Create(error)),
        };
        if let Err(error) = semaphore.count(1) {
            // The first error counts.
            let _ = semaphore.remove();
            return Err(CookieError::Count(cookie, error));
        }
        return Ok(Some((cookie, semaphore)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udev(options: UdevOptions) -> Udev {
        let udev = Udev::new(options, Path::new("/dev"), false);
        udev.running.set(true).unwrap();
        udev
    }

    #[test]
    fn flags_are_those_that_dmsetup_sends() {
        let flags = |options: UdevOptions| udev(options).flags() >> 16;
        assert_eq!(flags(UdevOptions::default()), 0x60);
        assert_eq!(flags(UdevOptions { verify: true, ..UdevOptions::default() }), 0x40);
        assert_eq!(flags(UdevOptions { no_rules: true, ..UdevOptions::default() }), 0x63);
        assert_eq!(flags(UdevOptions { disabled: true, ..UdevOptions::default() }), 0x43);
        let elsewhere = Udev::new(UdevOptions::default(), Path::new("/tmp/dev"), false);
        assert_eq!(elsewhere.flags() >> 16, 0x40);
    }

    #[test]
    fn nodes_are_left_to_udevd_where_it_runs_and_is_let() {
        let keeper = |options: UdevOptions| udev(options).keeper();
        assert_eq!(keeper(UdevOptions::default()), Keeper::Udevd);
        assert_eq!(keeper(UdevOptions { verify: true, ..UdevOptions::default() }), Keeper::Watched);
        assert_eq!(keeper(UdevOptions { no_rules: true, ..UdevOptions::default() }), Keeper::Program);
        let disabled = udev(UdevOptions { disabled: true, ..UdevOptions::default() });
        assert_eq!(disabled.keeper(), Keeper::Program);
        assert!(!disabled.is_synchronized() && disabled.notice().is_some());
        let mapper = Udev::new(UdevOptions::default(), Path::new("/dev"), true);
        mapper.running.set(true).unwrap();
        assert!(!mapper.is_synchronized() && mapper.keeper() == Keeper::Nobody);
    }

    #[test]
    fn whatever_happens_no_semaphore_stays() {
        let Ok(Some((probe, semaphore))) = make_semaphore() else { return };
        semaphore.remove().unwrap();
        assert!(probe.semaphore().is_err());
        let mut udev =
            udev(UdevOptions { patience: Some(Duration::from_millis(20)), ..UdevOptions::default() });
        udev.prepare().unwrap();
        let cookie = udev.own.as_ref().unwrap().cookie;
        let announced = udev.announce().unwrap();
        assert_eq!(announced.event_nr, 0x60_0000 | cookie.key() & 0xffff);
        assert_eq!(cookie.semaphore().unwrap().value().unwrap(), 2);
        udev.retract(announced);
        udev.settle().unwrap();
        assert!(cookie.semaphore().is_err(), "settled");

        udev.announce().unwrap();
        let cookie = udev.own.as_ref().unwrap().cookie;
        assert!(matches!(udev.settle(), Err(CookieError::TimedOut { open: 1, .. })));
        assert!(cookie.semaphore().is_err(), "out of time");

        udev.announce().unwrap();
        let cookie = udev.own.as_ref().unwrap().cookie;
        drop(udev);
        assert!(cookie.semaphore().is_err(), "dropped");
    }

    #[test]
    fn a_cookie_for_several_commands_is_counted_and_released() {
        let sync =
            || udev(UdevOptions { patience: Some(Duration::from_millis(20)), ..UdevOptions::default() });
        let Ok(Some(cookie)) = sync().create_cookie() else { return };
        let mut user = udev(UdevOptions { cookie: Some(cookie), ..UdevOptions::default() });
        user.announce().unwrap();
        user.settle().unwrap();
        assert_eq!(cookie.semaphore().unwrap().value().unwrap(), 2, "left for whoever made it");
        sync().complete(cookie).unwrap();
        sync().release(cookie).unwrap();
        assert!(matches!(sync().release(cookie), Err(CookieError::Missing(_))));
        assert!(matches!(sync().complete(cookie), Err(CookieError::Missing(_))));
    }
}
