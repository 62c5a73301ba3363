//! What went wrong, and where, in words that the kernel would have put in its log.

use super::Errno;
use std::fmt;

/// A driver's refusal: the number that the ioctl returns, and the reason that a number cannot carry.
///
/// The kernel writes its reason to its log; the userspace mapper hands it over beside the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the ioctl returns.
    pub errno: Errno,
    /// The reason: lower case, no full stop, names quoted, numbers with units.
    pub reason: String,
    /// The table line at fault, counted from 0.
    pub line: Option<usize>,
    /// The word of that line's parameters at fault, counted from 0.
    pub argument: Option<usize>,
}

impl Fault {
    /// A fault that is no particular line's.
    pub fn new(errno: Errno, reason: impl Into<String>) -> Self {
        Self { errno, reason: reason.into(), line: None, argument: None }
    }

    /// A bad argument: EINVAL.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::new(Errno::EINVAL, reason)
    }

    /// The same fault, of that table line.
    #[must_use]
    pub fn at_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    /// The same fault, of that word of the parameters.
    #[must_use]
    pub fn at_argument(mut self, argument: usize) -> Self {
        self.argument = Some(argument);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}
