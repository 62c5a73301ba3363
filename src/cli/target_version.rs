//! `target-version`: the version of one target type.

use super::context::Context;
use super::failure::Failure;
use super::selector::new_name;
use super::{Run, json};
use crate::dm::{Command, DeviceId, Request};
use crate::render;
use clap::Args;
use std::ffi::OsString;

/// Show the versions of target types, loading their modules if need be
#[derive(Args, Debug)]
pub(super) struct TargetVersion {
    /// The target types
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<OsString>,
}

impl Run for TargetVersion {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        for target in &self.targets {
            ctx.open()?;
            let target = new_name(ctx, target)?;
            let request = Request::global(Command::GetTargetVersion(target.clone()));
            let reply = ctx.perform(request).map_err(|failure| {
                let Failure::Call(mut error) = failure else { return failure };
                // The type stands where a device's name does.
                error.device = DeviceId::by_name(target);
                Failure::Call(error)
            })?;
            json::told::versions(ctx, &reply);
            reply.versions().iter().for_each(|target| ctx.out.print(render::target_version(target)));
        }
        Ok(())
    }
}
