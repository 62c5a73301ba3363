//! The tree of devices as a driver tells it: one request for the list, one for each device.

use super::context::Context;
use super::failure::Failure;
use crate::dm::{Command, DeviceId, DeviceNumber, Flags, Request};
use crate::render::{DeviceTree, TreeDevice};

/// Asks for every device and what it uses. Says so if there is none.
pub(super) fn gather(ctx: &mut Context) -> Result<DeviceTree, Failure> {
    let listed = ctx.perform(Request::global(Command::ListDevices))?;
    let devices = listed.devices();
    if devices.is_empty() {
        ctx.out.print("No devices found\n");
    }
    // Whatever has no such major number is not a mapped device, and a driver is not asked about it.
    let mut majors: Vec<u32> = devices.iter().map(|device| device.dev.major).collect();
    majors.sort_unstable();
    majors.dedup();
    let mut tree = DeviceTree::default();
    let mut look = |dev: DeviceNumber| {
        if majors.binary_search(&dev.major).is_ok() { ask(ctx, dev).map(Some) } else { Ok(None) }
    };
    devices.iter().try_for_each(|device| tree.add(device.dev, &mut look))?;
    Ok(tree)
}

fn ask(ctx: &mut Context, dev: DeviceNumber) -> Result<TreeDevice, Failure> {
    let reply = ctx.perform(Request::new(DeviceId::by_number(dev), Command::TableDeps))?;
    Ok(TreeDevice {
        name: ctx.shown_name(&reply.device.name),
        uuid: ctx.shown_name(&reply.device.uuid),
        is_suspended: reply.flags.contains(Flags::SUSPEND),
        is_readonly: reply.flags.contains(Flags::READONLY),
        open_count: reply.open_count,
        deps: reply.deps().to_vec(),
    })
}
