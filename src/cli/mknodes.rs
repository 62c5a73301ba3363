//! `mknodes`: device nodes as the driver's devices have it.

use super::Run;
use super::context::Context;
use super::failure::Failure;
use super::selector::Selector;
use clap::Args;
use std::ffi::OsString;

/// Make the nodes of devices that there are, and remove those of devices that there are not
///
/// Devices of the mapper in userspace have no nodes; the directory of `serve --fuse` agrees with them at any time.
#[derive(Args, Debug)]
pub(super) struct Mknodes {
    /// The devices; without any, all
    #[arg(value_name = "DEVICE")]
    names: Vec<OsString>,
}

impl Run for Mknodes {
    fn run(self, ctx: &mut Context) -> Result<(), Failure> {
        if self.names.is_empty() {
            return ctx.settle_all_nodes().map(drop);
        }
        Selector::default().each(ctx, &self.names, |ctx, device| ctx.settle_node(&device.id.name))
    }
}
