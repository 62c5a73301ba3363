//! `help`: the commands, or one of them in full.

use super::command_line::definition;
use super::context::Context;
use super::failure::Failure;
use super::json::Document;
use super::output::complain;
use super::refusal::unknown_command;
use super::report::ReportOptions;
use super::report_fields;
use super::{Run, SUBCOMMANDS, Subcommand, find, usage};
use crate::target::{self, TargetType};
use clap::Args;
use serde_json::json;
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

/// What the document has in place of the help: the commands, or one of them.
pub(super) fn tell(document: &mut Document, subcommand: Option<&Subcommand>) {
    let about = |subcommand: &Subcommand| definition(subcommand).get_about().map(ToString::to_string);
    if let Some(subcommand) = subcommand {
        document.set("about", about(subcommand));
        document.set("text", usage::of(subcommand));
        return;
    }
    document.list("commands").extend(SUBCOMMANDS.iter().map(|subcommand| {
        json!({
            "name": subcommand.name,
            "aliases": subcommand.aliases,
            "about": about(subcommand),
            "document": subcommand.no_document.is_none(),
        })
    }));
}

fn tell_target(document: &mut Document, target: &TargetType) {
    let TargetType { name, version, usage, help, example, .. } = target;
    let version = version.to_string();
    let target =
        json!({ "name": name, "version": version, "usage": usage, "help": help, "example": example });
    document.set("target", target);
}

impl Run for Help {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let Some(name) = self.command else {
            if let Some(document) = &mut ctx.json {
                tell(document, None);
                if self.report.columns > 0 {
                    document.list("fields").extend(report_fields::described());
                }
                return Ok(());
            }
            // Where dmsetup has it, so that `dmsetup help | less` is as empty as ever.
            complain(&usage::all());
            if self.report.columns > 0 {
                report_fields::list(ctx)?;
            }
            return Ok(());
        };
        if let Some(target) = target::find(name.as_bytes()).filter(|_| !ctx.classic) {
            if let Some(document) = &mut ctx.json {
                tell_target(document, target);
            }
            ctx.out.print(usage::of_target(target));
            return Ok(());
        }
        let unknown = || Failure::Explained("Unknown command.".into(), unknown_command(&name));
        let subcommand = find(&name).ok_or_else(unknown)?;
        if let Some(document) = &mut ctx.json {
            tell(document, Some(subcommand));
        }
        ctx.out.print(usage::of(subcommand));
        Ok(())
    }
}
