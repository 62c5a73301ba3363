//! `targets`: the target types that the driver has.

use super::{Run, json};
use super::context::Context;
use super::failure::Failure;
use crate::dm::{Command, Request};
use crate::render;
use clap::Args;

/// List the target types and their versions
#[derive(Args, Debug)]
pub(super) struct Targets {}

impl Run for Targets {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        let reply = ctx.perform(Request::global(Command::ListVersions))?;
        json::told::versions(ctx, &reply);
        reply.versions().iter().for_each(|target| ctx.out.print(render::target_version(target)));
        Ok(())
    }
}
