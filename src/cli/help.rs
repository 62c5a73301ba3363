//! `help`: the commands, or one of them in full.

use super::context::Context;
use super::failure::Failure;
use super::output::complain;
use super::refusal::unknown_command;
use super::report::ReportOptions;
use super::report_fields;
use super::{Run, find, usage};
use crate::target;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// List the commands, or tell of one, or of a target type, in full
#[derive(Args, Debug)]
pub(super) struct Help {
    /// The command or the target type to tell of
    command: Option<OsString>,

    #[command(flatten)]
    report: ReportOptions,
}

impl Run for Help {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let Some(name) = self.command else {
            // Where dmsetup has it, so that `dmsetup help | less` is as empty as ever.
            complain(&usage::all());
            if self.report.columns > 0 {
                report_fields::list(ctx)?;
            }
            return Ok(());
        };
        if let Some(target) = target::find(name.as_bytes()).filter(|_| !ctx.classic) {
            ctx.out.print(usage::of_target(target));
            return Ok(());
        }
        let unknown = || Failure::Explained("Unknown command.".into(), unknown_command(&name));
        let subcommand = find(&name).ok_or_else(unknown)?;
        ctx.out.print(usage::of(subcommand));
        Ok(())
    }
}
