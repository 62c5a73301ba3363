//! `version`: of this program and of the driver.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use crate::dm::{Command, Request};
use clap::Args;

/// The libdevmapper whose behaviour this is, in its own form: scripts require a minimum of it.
pub(super) const LIBRARY: &str = "1.02.185 (2022-05-18)";

/// Show the version of this program and of the driver
#[derive(Args, Debug)]
pub(super) struct Version {}

impl Run for Version {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        // Before the driver is asked, which may not be there.
        ctx.out.print(format!("Library version:   {LIBRARY}\n"));
        if let Some(document) = &mut ctx.json {
            document.set("version", env!("CARGO_PKG_VERSION"));
            document.set("library_version", LIBRARY);
        }
        let reply = ctx.perform(Request::global(Command::Version))?;
        let is_kernels = ctx.is_kernels();
        if let Some(document) = &mut ctx.json {
            document.set("driver_version", reply.version.to_string());
            document.set("driver", if is_kernels { "kernel" } else { "mapper" });
        }
        ctx.out.print(format!("Driver version:    {}\n", reply.version));
        Ok(())
    }
}
