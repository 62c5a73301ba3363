//! `udevflags`: for udev's rules, what a uevent's cookie asks of them.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::udev_options::cookie;
use clap::Args;

/// The flags that have a name, from bit 0 on.
const NAMES: [&str; 7] = [
    "DISABLE_DM_RULES",
    "DISABLE_SUBSYSTEM_RULES",
    "DISABLE_DISK_RULES",
    "DISABLE_OTHER_RULES",
    "LOW_PRIORITY",
    "DISABLE_LIBRARY_FALLBACK",
    "PRIMARY_SOURCE",
];

/// From this bit on flags are a subsystem's own.
const SUBSYSTEM: usize = 8;

/// Show the flags in a uevent's cookie, for udev's rules to import
#[derive(Args, Debug)]
pub(super) struct Udevflags {
    /// The cookie, as the uevent has it (DM_COOKIE)
    #[arg(value_name = "COOKIE")]
    cookie: String,
}

impl Run for Udevflags {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let cookie = cookie(&self.cookie)?;
        ctx.tell_list("flags");
        for bit in (0..16).filter(|bit| cookie.flags() >> bit & 1 == 1) {
            let name = match NAMES.get(bit) {
                Some(name) => format!("DM_UDEV_{name}_FLAG"),
                None if bit < SUBSYSTEM => format!("DM_UDEV_FLAG{bit}"),
                None => format!("DM_SUBSYSTEM_UDEV_FLAG{}", bit - SUBSYSTEM),
            };
            ctx.out.print(format!("{name}='1'\n"));
            ctx.json.iter_mut().for_each(|document| document.push("flags", name.clone()));
        }
        Ok(())
    }
}
