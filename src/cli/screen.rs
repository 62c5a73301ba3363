//! Whether somebody looks: the terminal that standard output is, and the colours that it may have.
//!
//! Tables and colours are for people. Where standard output is no terminal, dmsetup's lines are written, to the byte;
//! `--color always` asks for the tables too, so that `rdmsetup ls --color always | less -R` shows what a terminal does.

use crate::render::screen::{Paint, Screen};
use std::env;
use std::fmt;
use std::io::{self, IsTerminal};

/// The columns of a terminal that does not tell.
const WIDTH: u16 = 80;

/// When tables and colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum When {
    /// At a terminal; colours unless NO_COLOR is set.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Tables at a terminal, and no colours.
    Never,
}

/// A word that is none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoWhen(String);

/// `auto`, `always` or `never`.
pub(super) fn when(word: &str) -> Result<When, NoWhen> {
    match word {
        "auto" => Ok(When::Auto),
        "always" => Ok(When::Always),
        "never" => Ok(When::Never),
        _ => Err(NoWhen(word.into())),
    }
}

/// The screen behind standard output, if there is one.
pub(super) fn of_output(when: When) -> Option<Screen> {
    // An initramfs has lines for scripts alone.
    if !cfg!(feature = "desk") || when != When::Always && !io::stdout().is_terminal() {
        return None;
    }
    let told = terminal_size::terminal_size().map(|(width, _)| width.0).filter(|width| *width > 0);
    let columns = || env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Some(Screen { width: told.or_else(columns).unwrap_or(WIDTH), paint: paint(when) })
}

/// The colours of standard error.
pub(super) fn of_failures(when: When) -> Paint {
    let is_looked_at = cfg!(feature = "desk") && (when == When::Always || io::stderr().is_terminal());
    if is_looked_at { paint(when) } else { Paint::Plain }
}

fn paint(when: When) -> Paint {
    let is_dumb = || env::var_os("TERM").is_some_and(|term| term == "dumb");
    let is_unwanted = || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match when {
        When::Never => Paint::Plain,
        When::Always => Paint::Coloured,
        When::Auto if is_unwanted() || is_dumb() => Paint::Plain,
        When::Auto => Paint::Coloured,
    }
}

impl fmt::Display for NoWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a time for colours: auto, always or never", self.0)
    }
}

impl std::error::Error for NoWhen {}
