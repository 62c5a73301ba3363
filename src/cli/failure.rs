//! Why a command failed, and its lines on standard error: first dmsetup's own, which scripts look for, then ours, which
//! say why and where. `Command failed.` comes last, from whoever runs the command.

use super::version::LIBRARY;
use crate::backend::cookie::CookieError;
use crate::backend::nodes::NodeError;
use crate::backend::read_ahead::ReadAheadError;
use crate::backend::{CallError, OpenError};
use crate::dm::{Errno, Fault, SourceTable, TableSyntaxError, Text, limits};
use crate::render;
use nix::unistd::Uid;
use std::fmt;

/// A command that did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody answers.
    Open(OpenError),
    /// The driver refused a request.
    Call(Box<CallError>),
    /// The driver has no such device, which dmsetup says in a line of its own.
    NoDevice(Box<CallError>),
    /// The driver refused a table: the device it was for, and the text that it came from.
    Load(Box<CallError>, Text, SourceTable),
    /// The text is no table: dmsetup's name for the source, and the device that it was for.
    Table(String, Text, TableSyntaxError),
    /// Anything else: dmsetup's line.
    Classic(String),
    /// Anything else: dmsetup's line, and what it leaves out.
    Explained(String, String),
    /// A fault of which dmsetup has no word: our line.
    Ours(String),
    /// A command line of which only the command itself sees that it cannot be: its lines, and none behind them.
    Refused(Vec<String>),
    /// Its lines have been written already.
    Reported,
    /// Nobody is left to hear of it: the reader of the output has gone away.
    Silent,
}

impl Failure {
    /// A line of dmsetup's, what it leaves out, and what to do.
    pub(crate) fn because(line: impl Into<String>, why: impl fmt::Display, hint: impl fmt::Display) -> Self {
        Self::Explained(line.into(), format!("{why}\n  hint: {hint}"))
    }

    /// A line of dmsetup's.
    pub(crate) fn classic(line: impl Into<String>) -> Self {
        Self::Classic(line.into())
    }

    /// Another failure in the place of a driver's refusal.
    pub(crate) fn map_call(self, with: impl FnOnce(Box<CallError>) -> Self) -> Self {
        if let Self::Call(error) = self { with(error) } else { self }
    }

    /// The driver's refusal, if it is one.
    pub(crate) fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) | Self::NoDevice(error) | Self::Load(error, ..) => Some(error),
            Self::Open(_) | Self::Table(..) | Self::Classic(_) | Self::Explained(..) | Self::Ours(_) => None,
            Self::Refused(_) | Self::Reported | Self::Silent => None,
        }
    }

    /// Whether the driver refused with that number.
    pub(crate) fn is(&self, errno: Errno) -> bool {
        matches!(self, Self::Call(error) if error.errno == errno)
    }

    /// The lines for standard error, dmsetup's first and in `classic` mode alone; no line for what is told already. For a
    /// driver's refusal `explained` is what was found out about it, where somebody looked.
    pub(crate) fn lines(&self, classic: bool, explained: Option<Reason>) -> Vec<String> {
        let (theirs, ours) = match self {
            Self::Refused(lines) => return lines.clone(),
            Self::Reported | Self::Silent => (None, None),
            Self::Open(error @ OpenError::Kernel { .. }) => {
                (Some(without_driver(error)), Some(ours(why_no_driver(error))))
            }
            Self::Open(OpenError::User(fault) | OpenError::Dialect(fault)) => (None, Some(ours(fault))),
            Self::Call(error) => (Some(error.to_string()), why(error, explained, |_| None)),
            Self::NoDevice(error) => (Some("Device does not exist.".into()), why(error, explained, |_| None)),
            Self::Load(error, device, source) => {
                let table = format!("table of {device}");
                let shown = |fault: &Fault| Some(located(&table, &source.locate(fault)?));
                (Some(error.to_string()), why(error, explained, shown))
            }
            Self::Table(from, device, error) => {
                (Some(unreadable(from, error)), Some(located(&format!("table of {device}"), error)))
            }
            Self::Classic(line) => (Some(line.clone()), None),
            Self::Explained(line, why) => (Some(line.clone()), Some(ours(why))),
            // In classic mode too, since a failure must say something.
            Self::Ours(line) => (Some(ours(line)), None),
        };
        theirs.into_iter().chain(ours.filter(|_| !classic)).collect()
    }
}

fn ours(line: impl fmt::Display) -> String {
    format!("rdmsetup: {line}")
}

/// The reason of a fault that is no line's, and what to do about it.
pub(super) fn reason(fault: &Fault) -> Option<String> {
    let hint = hint(fault.hint.as_deref());
    match fault.reason.is_empty() {
        true if hint.is_empty() => None,
        true => Some(hint.trim_start_matches('\n').to_owned()),
        false => Some(ours(fault) + &hint),
    }
}

/// What was found out about a driver's refusal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reason {
    /// What the driver said in its log.
    pub(crate) said: Vec<String>,
    /// The reason, and what to do.
    pub(crate) fault: Option<Fault>,
}

/// What the driver said of it, and then the reason: as `shown` has it in a table's text, or as it is.
fn why(
    error: &CallError,
    explained: Option<Reason>,
    shown: impl Fn(&Fault) -> Option<String>,
) -> Option<String> {
    let unexplained = || Reason { said: Vec::new(), fault: error.fault.clone() };
    let Reason { said, fault } = explained.unwrap_or_else(unexplained);
    let said = said.iter().map(|line| ours(format_args!("the kernel says: {line}")));
    let fault = fault.and_then(|fault| shown(&fault).or_else(|| reason(&fault)));
    let lines: Vec<String> = said.chain(fault).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What to do about it, on a line of its own.
fn hint(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\n  hint: {hint}"))
}

/// dmsetup's lines where no driver answers.
fn without_driver(error: &OpenError) -> String {
    let check = "Check that device-mapper is available in the kernel.\n";
    let check = if Uid::effective().is_root() { check } else { "" };
    format!("{error}\n{check}Incompatible libdevmapper {LIBRARY} and kernel driver (unknown version).")
}

/// Why no driver answers, and what to do.
pub(super) fn why_no_driver(error: &OpenError) -> String {
    let (why, hint) = match error {
        OpenError::Kernel { errno: Errno::EACCES | Errno::EPERM, .. } => {
            ("the kernel's driver obeys root alone", "sudo, or ")
        }
        OpenError::Kernel { errno: Errno::ENODEV | Errno::ENXIO | Errno::ENOENT, .. } => (
            "the kernel has no device-mapper, or its module is not loaded",
            "`modprobe dm_mod` loads it; or ",
        ),
        OpenError::Kernel { .. } | OpenError::User(_) | OpenError::Dialect(_) => {
            ("the driver cannot be asked", "")
        }
    };
    format!(
        "{why}\n  hint: {hint}--backend user, which needs no driver: a device-mapper of its own, over files and disks"
    )
}

/// dmsetup's line for a table that it cannot read.
pub(super) fn unreadable(from: &str, error: &TableSyntaxError) -> String {
    let words_before =
        error.text[..error.span.start].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if error.span.len() >= limits::TYPE_NAME_LEN && words_before.count() == 2 {
        return format!("Target type name {} is too long.", Text::from(&error.text[error.span.clone()]));
    }
    format!("Invalid format on line {} of table {from}.", error.line)
}

/// Where in that table the fault is and what, the line, and a caret under it. Keys are not shown.
pub(super) fn located(table: &str, error: &TableSyntaxError) -> String {
    let Place { column, width, indent, text } = place(error);
    let (number, reason, hint) = (error.line, &error.reason, hint(error.hint.as_deref()));
    ours(format_args!(
        "{table}, line {number}, column {column}: {reason}\n  {text}\n  {indent}{}{hint}",
        "^".repeat(width.max(1))
    ))
}

/// Where a fault stands, as it is shown.
#[derive(Debug)]
pub(super) struct Place {
    /// The column that it begins in, in characters from 1.
    pub(super) column: usize,
    /// How many characters it has; none where something is missing.
    pub(super) width: usize,
    /// Blanks that lead there.
    indent: String,
    /// The line, without keys.
    pub(super) text: String,
}

/// The place of a fault in its line.
pub(super) fn place(error: &TableSyntaxError) -> Place {
    let mut line = error.text.to_vec();
    hide_keys(&mut line);
    let shown = |range: &[u8]| String::from_utf8_lossy(range).into_owned();
    let before = shown(&line[..error.span.start]);
    Place {
        column: before.chars().count() + 1,
        width: shown(&line[error.span.clone()]).chars().count(),
        indent: before.chars().map(|char| if char == '\t' { '\t' } else { ' ' }).collect(),
        text: shown(&line),
    }
}

/// Overwrites what `table` would not show either: this text ends up in logs.
fn hide_keys(line: &mut [u8]) {
    let is_blank = u8::is_ascii_whitespace;
    let mut words = Vec::new();
    for (at, byte) in line.iter().enumerate() {
        if !is_blank(byte) && (at == 0 || is_blank(&line[at - 1])) {
            words.push(at);
        }
    }
    if let &[_, _, target, params, ..] = words.as_slice() {
        let name = line[target..params].trim_ascii().to_vec();
        render::hide_keys(&name, &mut line[params..]);
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Call(Box::new(error))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<CookieError> for Failure {
    fn from(error: CookieError) -> Self {
        match error {
            // libdevmapper has no word for these: it waits for ever.
            CookieError::TimedOut { .. } | CookieError::Interrupted(_) => Self::Ours(error.to_string()),
            CookieError::Prefix(_)
            | CookieError::Missing(_)
            | CookieError::Denied(_)
            | CookieError::Access(..)
            | CookieError::Create(_)
            | CookieError::Count(..)
            | CookieError::Signal(..)
            | CookieError::State(..)
            | CookieError::Wait(..)
            | CookieError::Destroy(..)
            | CookieError::List(_) => Self::Classic(error.to_string()),
        }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::Classic(error.to_string())
    }
}

impl From<ReadAheadError> for Failure {
    fn from(error: ReadAheadError) -> Self {
        Self::Classic(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{Command, Request, Table};

    fn table_lines(text: &str) -> Vec<String> {
        let error = SourceTable::parse(text.as_bytes()).expect_err(text);
        Failure::Table("on stdin".into(), "vol0".into(), error).lines(false, None)
    }

    #[test]
    fn a_table_that_cannot_be_read_is_shown_with_a_caret() {
        let lines = table_lines("0 100 zero\n100 38x linear disk.img 0");
        assert_eq!(lines[0], "Invalid format on line 2 of table on stdin.");
        assert_eq!(
            lines[1],
            "rdmsetup: table of vol0, line 2, column 5: \"38x\" is not a number of sectors\n  \
             100 38x linear disk.img 0\n      ^^^"
        );
        assert_eq!(table_lines("0 1 sixteen-letters-")[0], "Target type name sixteen-letters- is too long.");
    }

    #[test]
    fn a_refused_table_is_shown_where_the_driver_says_and_without_its_key() {
        let source = SourceTable::parse(b"0 8 crypt aes 0123 0 disk 0x").unwrap();
        let fault = Fault::invalid("no number").at_line(0).at_argument(4);
        let device = crate::dm::DeviceId::by_name("c");
        let load = Request::new(device, Command::TableLoad(Table::default()));
        let error = CallError::new(&load, Errno::EINVAL, Some(fault));
        let failure = Failure::Load(Box::new(error), "c".into(), source);
        let lines = failure.lines(false, None);
        assert_eq!(lines[0], "device-mapper: reload ioctl on c  failed: Invalid argument");
        assert!(
            lines[1].contains("0 8 crypt aes 0000 0 disk 0x\n                            ^^"),
            "{}",
            lines[1]
        );
        assert_eq!(failure.lines(true, None).len(), 1);
    }
}
