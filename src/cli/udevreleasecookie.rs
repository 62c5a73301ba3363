//! `udevreleasecookie`: the wait for all commands that a cookie was made for.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::udev_options::{UdevArgs, cookie};
use clap::Args;

/// Wait until udev has followed all commands that counted in with a cookie, and end it
///
/// The wait ends after 180 seconds, or those of RDMSETUP_UDEV_TIMEOUT.
#[derive(Args, Debug)]
pub(super) struct Udevreleasecookie {
    /// The cookie; without it, that of --udevcookie or DM_UDEV_COOKIE
    #[arg(value_name = "COOKIE")]
    cookie: Option<String>,

    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for Udevreleasecookie {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.udev.apply(ctx)?;
        let given = self.cookie.as_deref().map(cookie).transpose()?;
        let cookie = given.or(ctx.udev_options.cookie);
        let cookie = cookie.ok_or_else(|| Failure::classic("No udev transaction cookie given."))?;
        Ok(ctx.udev().release(cookie)?)
    }
}
