//! The options that every command has.

use super::mangle::{Mangling, mode};
use super::screen::{When, when};
use crate::backend::{Choice, Dialect, TraceStyle};
use clap::{ArgAction, Args};
use std::fmt;
use std::path::PathBuf;

// No sentence of its own: it would take the place of the command's.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// Who answers: the kernel, the mapper in userspace, or the server at a socket; `auto` takes
    /// the kernel where there is one. Also from RDMSETUP_BACKEND
    #[arg(long, value_name = "auto|kernel|user|socket:PATH")]
    pub(super) backend: Option<Choice>,

    /// The directory that holds the devices of the mapper in userspace. Also from RDMSETUP_STATE
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<PathBuf>,

    /// The form of the protocol: Linux's structures, the property lists of NetBSD and DragonFly, or
    /// those of the design before them. A kernel speaks its own alone
    #[arg(long, value_name = "linux|netbsd|proposed")]
    pub(super) dialect: Option<Dialect>,

    /// Show each request and reply on standard error; `plist` shows property lists whatever the
    /// dialect, see rdmsetup-protocol(7)
    #[arg(long, value_name = "fields|hex|plist", num_args = 0..=1, require_equals = true, default_missing_value = "fields", value_parser = trace_style)]
    pub(super) trace: Option<TraceStyle>,

    /// When output has colours, and tables in the place of dmsetup's lines: `auto` has both at a terminal,
    /// `always` everywhere, as for `less -R`, and `never` tables alone. Also off by NO_COLOR
    #[arg(long, value_name = "auto|always|never", value_parser = when)]
    pub(super) color: Option<When>,

    /// Write a JSON document to standard output in place of text, for a failure too: see
    /// rdmsetup-json(5)
    #[arg(long)]
    pub(super) json: bool,

    /// Show the device after the command
    #[arg(short, long, action = ArgAction::Count)]
    pub(super) verbose: u8,

    /// Show this help
    #[arg(short, long)]
    pub(super) help: bool,

    /// Show the version, as `version` does
    #[arg(long)]
    pub(super) version: bool,

    /// When names are written in hex for udev. Also from DM_DEFAULT_NAME_MANGLING_MODE
    #[arg(long, value_name = "none|auto|hex", value_parser = mode)]
    pub(super) manglename: Option<Mangling>,
}

/// A word that is no style of tracing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NoStyle(String);

fn trace_style(word: &str) -> Result<TraceStyle, NoStyle> {
    match word {
        "fields" => Ok(TraceStyle::Fields),
        "hex" => Ok(TraceStyle::Hex),
        "plist" => Ok(TraceStyle::Plist),
        _ => Err(NoStyle(word.into())),
    }
}

impl fmt::Display for NoStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a style of tracing: fields, hex or plist", self.0)
    }
}

impl std::error::Error for NoStyle {}
