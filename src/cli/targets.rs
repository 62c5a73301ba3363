//! `targets`: the target types that the driver has.

use super::context::Context;
use super::failure::Failure;
use super::{Run, json};
use crate::dm::{Command, Request, TargetVersion};
use crate::render::{self, screen};
use crate::target;
use clap::Args;

/// List the target types and their versions
#[derive(Args, Debug)]
pub(super) struct Targets {}

impl Run for Targets {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let reply = ctx.perform(Request::global(Command::ListVersions))?;
        json::told::versions(ctx, &reply);
        if let Some(screen) = ctx.screen() {
            let usage = |target: &TargetVersion| target::find(&target.name).map(|known| known.usage);
            let rows: Vec<_> =
                reply.versions().iter().map(|target| (target.clone(), usage(target))).collect();
            ctx.out.print(screen::targets(screen, &rows));
            return Ok(());
        }
        reply.versions().iter().for_each(|target| ctx.out.print(render::target_version(target)));
        Ok(())
    }
}
