//! `--noudevsync`, `--noudevrules`, `--verifyudev`, `--udevcookie`: what a command asks of udev.

use super::context::Context;
use crate::backend::cookie::Cookie;
use clap::Args;
use std::fmt;

/// How a command and udev work together.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "udev")]
pub(super) struct UdevArgs {
    /// Do not wait until udev has followed
    #[arg(long)]
    noudevsync: bool,

    /// Keep udev from making nodes and from its rules for subsystems; nodes are made here
    #[arg(long)]
    noudevrules: bool,

    /// Look whether udev has made, renamed or removed the node, and do it if not
    #[arg(long)]
    verifyudev: bool,

    /// Count in with this cookie, of `udevcreatecookie`, and do not wait. Also from DM_UDEV_COOKIE
    #[arg(long, value_name = "COOKIE", value_parser = cookie)]
    udevcookie: Option<Cookie>,
}

/// A word that is no cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoCookie;

/// A cookie from a command line.
pub(super) fn cookie(word: &str) -> Result<Cookie, NoCookie> {
    Cookie::parse(word).ok_or(NoCookie)
}

impl UdevArgs {
    /// Has them followed from here on.
    pub(super) fn apply(&self, ctx: &mut Context) {
        let options = &mut ctx.udev_options;
        options.no_sync |= self.noudevsync;
        options.no_rules |= self.noudevrules;
        options.verify |= self.verifyudev;
        options.cookie = self.udevcookie.or(options.cookie);
    }
}

impl fmt::Display for NoCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Incorrect cookie value.")
    }
}

impl std::error::Error for NoCookie {}
