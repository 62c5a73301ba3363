//! `udevcreatecookie`: one cookie for several commands, to wait for all of them at once.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::udev_options::UdevArgs;
use clap::Args;

/// Make a cookie for several commands to count in with (--udevcookie, DM_UDEV_COOKIE)
///
/// Prints nothing where no udevd runs. `udevreleasecookie` waits for all of them and ends it.
#[derive(Args, Debug)]
pub(super) struct Udevcreatecookie {
    #[command(flatten)]
    udev: UdevArgs,
}

impl Run for Udevcreatecookie {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        self.udev.apply(ctx)?;
        let made = ctx.udev().create_cookie()?;
        if let Some(document) = &mut ctx.json {
            document.set("cookie", made.map(|cookie| format!("0x{:08X}", cookie.key())));
        }
        if let Some(cookie) = made {
            ctx.out.print(format!("0x{:08X}\n", cookie.key()));
        }
        Ok(())
    }
}
