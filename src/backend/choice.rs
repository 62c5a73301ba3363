//! Which backend: the one that was asked for, or the kernel's where it may be used and the userspace mapper elsewhere.

use super::{Backend, Bsd, Client, Dialect, Kernel, Socket, Trace, TraceStyle, User};
use crate::dm::{Errno, Fault};
use crate::mapper::StateDir;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A backend, as `--backend` and `RDMSETUP_BACKEND` name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The kernel's where its control node is there, or can be made, and may be opened; else the userspace mapper.
    #[default]
    Auto,
    /// The kernel's, or an error.
    Kernel,
    /// The userspace mapper, through the server that has its state if there is one.
    User,
    /// The server that listens at that path.
    Socket(PathBuf),
}

/// A word that names no backend.
#[derive(Debug, PartialEq, Eq)]
pub struct ChoiceError(String);

/// A backend that cannot be had.
#[derive(Debug)]
pub enum OpenError {
    /// The kernel's control node cannot be opened.
    Kernel {
        /// The node.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// The userspace mapper has no place for its state, or the server named cannot be reached.
    User(Fault),
    /// The kernel does not speak the dialect.
    Dialect(Fault),
}

/// A client, and what its user should know of how it came about.
#[derive(Debug)]
pub struct Opened {
    /// The client.
    pub client: Client,
    /// One line for standard error: that the userspace mapper stands in for the kernel's.
    pub notice: Option<String>,
}

/// Opens the backend of that choice; the mapper's state is in the directory given, or the user's own. The dialect is the
/// one of this system's kernel unless another is asked for, which only the mapper speaks.
///
/// # Errors
/// The backend cannot be had.
pub fn open(
    choice: &Choice,
    state: Option<&Path>,
    trace: Option<TraceStyle>,
    dialect: Option<Dialect>,
) -> Result<Opened, OpenError> {
    let dialect = dialect.unwrap_or(Dialect::NATIVE);
    let open_kernel = |insist| open_kernel(insist, dialect);
    let user = || StateDir::new(state).map(User::new).map_err(OpenError::User);
    let (backend, notice): (Box<dyn Backend>, _) = match choice {
        Choice::Kernel => (open_kernel(true)?, None),
        Choice::User => (Box::new(user()?), None),
        Choice::Socket(path) => (Box::new(connect(path)?), None),
        Choice::Auto => match open_kernel(false) {
            Ok(kernel) => (kernel, None),
            Err(error) => (Box::new(user()?), Some(notice(&error))),
        },
    };
    let backend = match trace {
        Some(style) => Box::new(Trace::new(backend, style, Box::new(io::stderr()))),
        None => backend,
    };
    Ok(Opened { client: Client::speaking(backend, dialect), notice })
}

fn open_kernel(insist: bool, dialect: Dialect) -> Result<Box<dyn Backend>, OpenError> {
    if dialect != Dialect::NATIVE {
        // To another kernel its ioctl would be one of its own, with a text for a structure.
        let reason = format!("the kernel speaks the {} dialect, not {dialect}", Dialect::NATIVE);
        return Err(OpenError::Dialect(Fault::new(Errno::EOPNOTSUPP, reason)));
    }
    let dev_dir = super::dev_dir();
    let opened: io::Result<Box<dyn Backend>> = match dialect {
        Dialect::Netbsd => Bsd::open(&dev_dir).map(|bsd| Box::new(bsd) as _),
        Dialect::Linux | Dialect::Proposed => {
            Kernel::open(&dev_dir, insist).map(|kernel| Box::new(kernel) as _)
        }
    };
    opened.map_err(|error| OpenError::Kernel {
        path: dev_dir.join("mapper/control"),
        errno: Errno::from_io(&error),
    })
}

fn connect(path: &Path) -> Result<Socket, OpenError> {
    Socket::connect(path).map_err(|error| {
        let errno = Errno::from_io(&error);
        let reason = format!("no server answers at \"{}\": {errno}", path.display());
        OpenError::User(Fault::new(errno, reason))
    })
}

fn notice(error: &OpenError) -> String {
    let why = match error {
        OpenError::Kernel { path, errno } => format!("{}: {errno}", path.display()),
        OpenError::User(fault) | OpenError::Dialect(fault) => fault.to_string(),
    };
    format!("rdmsetup: using the userspace mapper, since the kernel's is not to be had ({why})")
}

impl FromStr for Choice {
    type Err = ChoiceError;
    fn from_str(word: &str) -> Result<Self, ChoiceError> {
        match word {
            "auto" => Ok(Self::Auto),
            "kernel" => Ok(Self::Kernel),
            "user" => Ok(Self::User),
            _ => match word.strip_prefix("socket:") {
                Some(path) if !path.is_empty() => Ok(Self::Socket(path.into())),
                _ => Err(ChoiceError(word.to_owned())),
            },
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Kernel => f.write_str("kernel"),
            Self::User => f.write_str("user"),
            Self::Socket(path) => write!(f, "socket:{}", path.display()),
        }
    }
}

impl fmt::Display for ChoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a backend: auto, kernel, user or socket:PATH", self.0)
    }
}

impl std::error::Error for ChoiceError {}

impl fmt::Display for OpenError {
    /// For the kernel dmsetup's own lines, which scripts look for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { path, errno } => {
                writeln!(f, "{}: open failed: {errno}", path.display())?;
                f.write_str("Failure to communicate with kernel device-mapper driver.")
            }
            Self::User(fault) | Self::Dialect(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
