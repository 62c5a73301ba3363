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
    /// The field of that line at fault, where it is none of the parameters.
    pub field: Option<LineField>,
    /// What to do about it, where that does not follow from the reason: a few words, as in `did you mean "linear"?`.
    pub hint: Option<String>,
}

/// A field of a table line before its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineField {
    /// The first sector.
    Start,
    /// The number of sectors.
    Length,
    /// The target type.
    Target,
}

impl Fault {
    /// A fault that is no particular line's.
    pub fn new(errno: Errno, reason: impl Into<String>) -> Self {
        Self { errno, reason: reason.into(), line: None, argument: None, field: None, hint: None }
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

    /// The same fault, of that field of the line.
    #[must_use]
    pub fn at_field(mut self, field: LineField) -> Self {
        self.field = Some(field);
        self
    }

    /// The same fault, with what to do about it if that is known.
    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
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
