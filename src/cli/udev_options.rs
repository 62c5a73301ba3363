//! `--noudevsync`, `--noudevrules`, `--verifyudev`, `--udevcookie`: what a command asks of udev.

use super::context::Context;
use super::failure::Failure;
use crate::backend::cookie::Cookie;
use clap::Args;

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
    #[arg(long, value_name = "COOKIE")]
    udevcookie: Option<String>,
}

/// A cookie from a command line.
pub(super) fn cookie(word: &str) -> Result<Cookie, Failure> {
    Cookie::parse(word).ok_or_else(|| Failure::classic("Incorrect cookie value."))
}

impl UdevArgs {
    /// Has them followed from here on. A cookie that is none is told, and with dmsetup no more than that.
    pub(super) fn apply(&self, ctx: &mut Context) -> Result<(), Failure> {
        let options = &mut ctx.udev_options;
        options.no_sync |= self.noudevsync;
        options.no_rules |= self.noudevrules;
        options.verify |= self.verifyudev;
        match self.udevcookie.as_deref().map(cookie).transpose() {
            Ok(given) => options.cookie = given.or(options.cookie),
            Err(failure) if ctx.classic => ctx.report(&failure),
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}
