//! Where the state is kept, and whose turn it is to change it.
//!
//! A directory of mode 0700 with files of mode 0600: `lock`, held by whoever is the driver now, and `state.json`,
//! replaced as a whole. A server is the driver for long: it takes the turn once, holds `server.lock` from then on, and
//! gives the turn back, so that whoever has it next can see that there is a server and go to its `control.sock`. Whoever dies at any instant leaves the old state or the new one. Everything is opened relative
//! to the directory and through no symbolic link, and a directory that others could have prepared is refused.

use super::saved::State;
use super::{Mapper, StateError};
use crate::dm::{Errno, Fault};
use crate::sys::watch::Watch;
use nix::fcntl::{Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, UnlinkatFlags, unlinkat};
use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const LOCK: &str = "lock";
const STATE: &str = "state.json";
/// What the new state is written to before it takes the old one's place; whoever holds the lock owns the name.
const NEW_STATE: &str = "state.json.new";

/// Held by a server for as long as it is the driver.
const SERVER_LOCK: &str = "server.lock";
/// Where a server listens.
const SOCKET: &str = "control.sock";

/// The directory of a userspace mapper's state.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// The state while this process is the driver: nobody else changes it until this is dropped.
#[derive(Debug)]
pub struct LockedState {
    path: PathBuf,
    directory: File,
    /// Released when it is closed, however the process ends.
    _lock: Flock<File>,
}

/// What stands in the way of a lock.
enum Lock {
    Taken(Flock<File>),
    /// Somebody else has it.
    Busy,
}

impl StateDir {
    /// The directory at `path`; without one the user's own: `/var/lib/rdmsetup` for root,
    /// `$XDG_STATE_HOME/rdmsetup` or `~/.local/state/rdmsetup` for others.
    ///
    /// # Errors
    /// ENOENT when no path is given and none can be made up, since neither variable is set.
    pub fn new(path: Option<&Path>) -> Result<Self, Fault> {
        if let Some(path) = path {
            return Ok(Self { path: path.to_path_buf() });
        }
        if Uid::effective().is_root() {
            return Ok(Self { path: "/var/lib/rdmsetup".into() });
        }
        let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute("HOME").map(|home| home.join(".local/state"));
        let base = absolute("XDG_STATE_HOME").or_else(home);
        base.map(|base| Self { path: base.join("rdmsetup") }).ok_or_else(|| {
            Fault::new(
                Errno::ENOENT,
                "there is no place for the state: set HOME, XDG_STATE_HOME or RDMSETUP_STATE",
            )
        })
    }

    /// Waits for the turn, and takes it. `None` when the directory is not there and `create` does not ask for it: there
    /// are no devices then.
    ///
    /// # Errors
    /// The directory cannot be made or used, or is not this user's alone.
    pub fn lock(&self, create: bool) -> Result<Option<LockedState>, Fault> {
        let failed = |error: io::Error| {
            let errno = Errno::from_io(&error);
            Fault::new(errno, format!("cannot use the state directory \"{}\": {errno}", self.path.display()))
        };
        if create {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(failed)?;
        }
        let mut options = fs::OpenOptions::new();
        options.read(true).custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits());
        let directory = match options.open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        self.check_private(&directory.metadata().map_err(failed)?)?;
        let lock = open_in(&directory, LOCK, OFlag::O_RDWR | OFlag::O_CREAT).map_err(failed)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))?;
        Ok(Some(LockedState { path: self.path.clone(), directory, _lock: lock }))
    }

    /// A directory that another user owns or may write could hold anything, at any time.
    fn check_private(&self, metadata: &fs::Metadata) -> Result<(), Fault> {
        let path = self.path.display();
        let user = Uid::effective();
        if metadata.uid() != user.as_raw() {
            let reason =
                format!("the state directory \"{path}\" is user {}'s, not yours ({user})", metadata.uid());
            return Err(Fault::new(Errno::EACCES, reason));
        }
        if metadata.mode() & 0o022 != 0 {
            let reason =
                format!("others may write in the state directory \"{path}\": chmod 700 it, or use another");
            return Err(Fault::new(Errno::EACCES, reason));
        }
        Ok(())
    }
}

impl LockedState {
    /// Takes the state for a server, which is the driver from now on: until the value is dropped, not only for this turn.
    /// `None` when there is a server already.
    ///
    /// # Errors
    /// The lock cannot be had for another reason.
    pub fn serve(&self) -> Result<Option<Self>, Fault> {
        let lock = open_in(&self.directory, SERVER_LOCK, OFlag::O_RDWR | OFlag::O_CREAT);
        let lock = lock.and_then(|file| try_lock(file, FlockArg::LockExclusiveNonblock));
        match lock.map_err(|error| self.failed_lock(&error))? {
            Lock::Busy => Ok(None),
            Lock::Taken(lock) => {
                let directory = self.directory.try_clone().map_err(|error| self.failed_lock(&error))?;
                Ok(Some(Self { path: self.path.clone(), directory, _lock: lock }))
            }
        }
    }

    /// Whether a server is the driver.
    ///
    /// # Errors
    /// The lock that would tell cannot be looked at.
    pub fn is_served(&self) -> Result<bool, Fault> {
        match open_in(&self.directory, SERVER_LOCK, OFlag::O_RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            opened => {
                let lock = opened.and_then(|file| try_lock(file, FlockArg::LockSharedNonblock));
                Ok(matches!(lock.map_err(|error| self.failed_lock(&error))?, Lock::Busy))
            }
        }
    }

    /// Waits until no server is the driver.
    ///
    /// # Errors
    /// As [`LockedState::is_served`].
    pub fn outlast_server(&self) -> Result<(), Fault> {
        let file = open_in(&self.directory, SERVER_LOCK, OFlag::O_RDONLY);
        let locked = file.and_then(|file| try_lock(file, FlockArg::LockShared));
        locked.map(drop).map_err(|error| self.failed_lock(&error))
    }

    /// Where a server of this state listens.
    pub fn socket_path(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    fn failed_lock(&self, error: &io::Error) -> Fault {
        let errno = Errno::from_io(error);
        Fault::new(errno, format!("cannot lock \"{}\": {errno}", self.path.join(SERVER_LOCK).display()))
    }

    /// The mapper as it was saved last; an empty one if it never was.
    ///
    /// # Errors
    /// The file cannot be read, or is not what this program wrote.
    pub fn load(&self) -> Result<Mapper, Fault> {
        let mut bytes = Vec::new();
        match open_in(&self.directory, STATE, OFlag::O_RDONLY) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Mapper::new()),
            opened => opened
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .map_err(|error| self.failed("read", &error))?,
        };
        let damaged = |error: StateError| {
            let file = self.path.join(STATE);
            Fault::new(Errno::EIO, format!("the saved state \"{}\" is damaged: {error}", file.display()))
        };
        State::parse(&bytes).and_then(|state| Mapper::restore(&state)).map_err(damaged)
    }

    /// Whether the state is still the one that the mapper was loaded from.
    pub fn is_of(&self, mapper: &Mapper) -> bool {
        let expected = mapper.state_head();
        let mut head = vec![0; expected.len()];
        let read =
            open_in(&self.directory, STATE, OFlag::O_RDONLY).and_then(|mut file| file.read_exact(&mut head));
        read.is_ok() && head == expected.as_bytes()
    }

    /// Saves the mapper: when this returns the new state is on the disk, and until then the old one is.
    ///
    /// # Errors
    /// The new state cannot be written; the old one is as it was.
    pub fn save(&self, mapper: &Mapper) -> Result<(), Fault> {
        self.save_state(&mapper.state())
    }

    /// Saves a mapper's state; see [`LockedState::save`].
    ///
    /// # Errors
    /// The same.
    pub fn save_state(&self, state: &State) -> Result<(), Fault> {
        self.replace(&state.to_bytes()).map_err(|error| {
            // Already failing: a file that is left behind is overwritten the next time.
            let _ = unlinkat(&self.directory, NEW_STATE, UnlinkatFlags::NoRemoveDir);
            self.failed("write", &error)
        })
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let mut file = open_in(&self.directory, NEW_STATE, flags)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        renameat(&self.directory, NEW_STATE, &self.directory, STATE)?;
        self.directory.sync_all()
    }

    /// Something that becomes ready when the state is next replaced; made while the turn is ours, so that no change
    /// goes unseen.
    ///
    /// # Errors
    /// The kernel has no watch left for this user, or the state cannot be read.
    pub fn watch(&self) -> Result<StateWatch, Fault> {
        let watch = Watch::replacement(&self.path, STATE);
        watch.map(StateWatch).map_err(|error| self.failed("watch", &error))
    }

    fn failed(&self, what: &str, error: &io::Error) -> Fault {
        let errno = Errno::from_io(error);
        Fault::new(errno, format!("cannot {what} \"{}\": {errno}", self.path.join(STATE).display()))
    }
}

/// Waits for a change of the state.
#[derive(Debug)]
pub struct StateWatch(Watch);

impl StateWatch {
    /// Blocks until the state was replaced.
    ///
    /// # Errors
    /// EINTR when a signal came first.
    pub fn wait(&self) -> Result<(), Fault> {
        self.0.wait().map_err(|error| Fault::new(Errno::from_io(&error), "the wait was interrupted"))
    }

    /// A descriptor that can be read from when the state was replaced.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn into_descriptor(self) -> Result<OwnedFd, Fault> {
        self.0.into_descriptor().map_err(|error| {
            let errno = Errno::from_io(&error);
            Fault::new(errno, format!("the state cannot be watched: {errno}"))
        })
    }
}

fn try_lock(file: File, how: FlockArg) -> io::Result<Lock> {
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Lock::Taken(lock)),
        Err((_, nix::Error::EWOULDBLOCK)) => Ok(Lock::Busy),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Opens a file of the directory, of mode 0600, through no symbolic link.
fn open_in(directory: &File, name: &str, flags: OFlag) -> io::Result<File> {
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened: OwnedFd = openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(opened.into())
}
