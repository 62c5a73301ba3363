//! `udevcomplete`: udev's word that its rules for a uevent have been followed.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::udev_options::{UdevArgs, cookie};
use crate::backend::cookie::Cookie;
use clap::Args;

/// Tell whoever waits with a cookie that udev's rules for a uevent have been followed
#[derive(Args, Debug)]
pub(super) struct Udevcomplete {
    /// The cookie, as the uevent has it (DM_COOKIE)
    #[arg(value_name = "COOKIE")]
    cookie: String,

    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for Udevcomplete {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.udev.apply(ctx)?;
        let cookie = cookie(&self.cookie)?;
        ctx.json.iter_mut().for_each(|document| document.set("cookie", format!("0x{:x}", cookie.key())));
        ctx.out.print(format!("DM_COOKIE_COMPLETED=0x{:<10x}\n", cookie.key()));
        // Above are flags; where they are all there is, nobody waits.
        match Cookie::of_base(cookie.base()) {
            Some(cookie) => Ok(ctx.udev().complete(cookie)?),
            None => Ok(()),
        }
    }
}
