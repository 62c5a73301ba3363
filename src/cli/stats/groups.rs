//! `stats group` and `ungroup`: regions that are shown as one.

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::json::told;
use super::super::output::complain;
use super::super::selector::Selected;
use super::Stats;
use super::target::{explained, list, send};
use crate::dm::stats::{GroupError, Members, Statistics};
use crate::dm::{Command, DeviceId, Request, Text};
use std::os::unix::ffi::OsStrExt;

/// Makes a group.
pub(super) fn group(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    let Some(regions) = &stats.regions else { return Err(Failure::classic("Group requires --regions.")) };
    let alias = stats.alias.as_ref().map(|alias| Text::from(alias.as_bytes()));
    stats.each_device(ctx, true, |ctx, device| {
        let mut listed = list(ctx, &device.id, &stats.program(ctx, false))?;
        let name = device_name(ctx, device)?;
        let text = regions.to_string_lossy();
        let made = match Members::parse(regions.as_bytes()) {
            _ if listed.is_empty() => Err(Failure::classic(GroupError::NoRegions.to_string())),
            Err(_) => Err(Failure::classic(GroupError::List(text.to_string()).to_string())),
            Ok(members) => make(ctx, &device.id, &mut listed, members, alias.clone()),
        };
        let id = explained(made, ctx, &format!("Could not create group on {name}: {text}"))?;
        let grouped =
            listed.group(id).map(|group| listed.members(group).map(|region| region.id).collect::<Vec<_>>());
        told::group(ctx, Some(&name), id, &grouped.unwrap_or_default());
        ctx.out.print(format!("Grouped regions {text} as group ID {id} on "));
        ctx.out.print(name.as_bytes());
        ctx.out.print("\n");
        Ok(())
    })
}

/// Makes a group of regions that are listed; its number.
pub(super) fn make(
    ctx: &mut Context,
    id: &DeviceId,
    listed: &mut Statistics,
    members: Members,
    alias: Option<Text>,
) -> Result<u64, Failure> {
    let alias = alias.filter(|alias| !alias.is_empty());
    let group = listed.group_regions(members, alias).map_err(|error| Failure::classic(error.to_string()))?;
    let precise = listed.members(&group).filter(|region| region.precise).count();
    if precise > 0 && precise < listed.members(&group).count() {
        complain("WARNING: Grouping regions with different clock resolution: precision may be lost.");
    }
    for (one, other) in listed.overlaps(&group) {
        let counted = "Some events will be counted twice.";
        complain(&format!("WARNING: region IDs {one} and {other} overlap. {counted}"));
    }
    let number = group.id;
    send(ctx, id, listed.add_group(group))?;
    Ok(number)
}

/// Removes a group and leaves its regions.
pub(super) fn ungroup(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    if stats.groupid.is_none() {
        return Err(Failure::classic("Please specify group id."));
    }
    let group = Stats::id(stats.groupid);
    stats.each_device(ctx, true, |ctx, device| {
        let mut listed = list(ctx, &device.id, &stats.program(ctx, false))?;
        let name = device_name(ctx, device)?;
        let message = listed.ungroup(group).map_err(|error| Failure::classic(error.to_string()));
        let removed = message.and_then(|message| send(ctx, &device.id, message));
        let removed = explained(removed, ctx, &format!("Could not delete group {group} on {name}."));
        // dmstats says so even where it is not so.
        if removed.is_ok() || ctx.classic {
            told::removed_group(ctx, group);
            ctx.out.print(format!("Removed group ID {group} on "));
            ctx.out.print(name.as_bytes());
            ctx.out.print("\n");
        }
        removed.map(|_| ())
    })
}

/// What the device is called: as the user wrote it, or, where none did, as the driver has it.
fn device_name(ctx: &mut Context, device: &Selected) -> Result<Text, Failure> {
    if !device.label.is_empty() {
        return Ok(device.label.clone());
    }
    let reply = ctx.perform(Request::new(device.id.clone(), Command::DevStatus))?;
    Ok(ctx.shown_name(&reply.device.name))
}
