//! `measure`: what IMA would measure of devices' tables.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::json::device::Texts;
use super::status::Which;
use crate::dm::{Command, Flags, Request};
use crate::render::Keys;
use clap::Args;

/// Show what the kernel's integrity measurement (IMA) would record of the tables of devices
#[derive(Args, Debug)]
pub(super) struct Measure {
    #[command(flatten)]
    which: Which,
}

impl Run for Measure {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        if ctx.client()?.is_mapper() {
            return Err(Failure::Ours(
                "measure: IMA is the kernel's, and the mapper in userspace has none".into(),
            ));
        }
        ctx.tell_list("devices");
        let flags = self.which.flags() | Flags::IMA_MEASUREMENT;
        let Which { names, selector, .. } = &self.which;
        selector.each_or_all(ctx, names, |ctx, device| {
            let request = Request::new(device.id.clone(), Command::TableStatus).with_flags(flags);
            let reply = ctx.perform_if_exists(request)?;
            if ctx.json.is_some() {
                self.which.tell(ctx, &reply, Keys::Shown, Texts::Measured);
                return Ok(());
            }
            self.which.print(ctx, device, &reply, Keys::Shown);
            Ok(())
        })
    }
}
