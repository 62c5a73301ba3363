//! `stats clear`, `delete`, `print`: what is done with regions that are there.

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::json::told;
use super::Stats;
use super::target::{explained, list, send};
use crate::dm::stats::{self, Statistics};
use crate::dm::{DeviceId, Text};

/// Sets counters to 0.
pub(super) fn clear(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    require_regions(stats)?;
    stats.each_device(ctx, false, |ctx, device| {
        let listed = list(ctx, &device.id, &stats.program(ctx, false))?;
        for region in chosen(stats, &listed) {
            if listed.region(region).is_none() {
                return Err(Failure::classic(format!("No such region: {region}.")));
            }
            let cleared = send(ctx, &device.id, stats::clear(region));
            explained(cleared, ctx, &format!("Clearing statistics region {region} failed."))?;
        }
        Ok(())
    })
}

/// Removes regions, or a group with all of its own.
pub(super) fn delete(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    if stats.regionid.is_some() && stats.groupid.is_some() {
        return Err(Failure::classic("Please use one of --regionid and --groupid."));
    }
    if stats.regionid.is_none() && stats.groupid.is_none() && !stats.allregions {
        return Err(Failure::classic("Please specify a --regionid or --groupid, or use --allregions."));
    }
    stats.each_device(ctx, true, |ctx, device| {
        let listed = list(ctx, &device.id, &stats.program(ctx, true));
        if stats.groupid.is_some() {
            delete_group(ctx, &device.id, listed?, Stats::id(stats.groupid))
        } else if stats.allregions {
            let mut listed = listed?;
            let ids: Vec<u64> = listed.regions().map(|region| region.id).collect();
            ids.into_iter().try_for_each(|id| {
                let deleted = send_all(ctx, &device.id, listed.remove_region(id));
                explained(deleted, ctx, "Could not delete statistics region.")
            })
        } else {
            let id = Stats::id(stats.regionid);
            let sorry = format!(
                "Could not obtain region list while deleting region ID {id}\nCould not delete statistics region"
            );
            let mut listed = explained(listed, ctx, &sorry)?;
            let deleted = match (listed.is_empty(), listed.region(id)) {
                (true, _) => Err(format!("Could not delete region ID {id}: no regions found")),
                (false, None) => Err(format!("Region ID {id} does not exist")),
                (false, Some(_)) => Ok(listed.remove_region(id)),
            };
            let deleted = deleted.map_err(Failure::classic);
            let deleted = deleted.and_then(|messages| send_all(ctx, &device.id, messages));
            explained(deleted, ctx, "Could not delete statistics region")
        }
    })
}

fn delete_group(ctx: &mut Context, id: &DeviceId, mut listed: Statistics, group: u64) -> Result<(), Failure> {
    let sorry = "Could not delete statistics group.";
    let found = listed.find_group(group).map_err(|error| Failure::classic(error.to_string()));
    let mut members: Vec<u64> =
        explained(found.map(|group| listed.members(group).map(|region| region.id).collect()), ctx, sorry)?;
    // The lowest keeps the group, and goes last: what is interrupted leaves a smaller group.
    members.reverse();
    for member in members {
        explained(send_all(ctx, id, listed.remove_region(member)), ctx, sorry)?;
    }
    told::removed_group(ctx, group);
    ctx.out.print(format!("Deleted statistics group {group}.\n"));
    Ok(())
}

/// Prints counters as they come.
pub(super) fn print(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    require_regions(stats)?;
    // dmstats prints each of all regions twice, and those who read its output know.
    let times = if ctx.classic && stats.allregions { 2 } else { 1 };
    stats.each_device(ctx, false, |ctx, device| {
        let regions = if stats.allregions {
            let listed = list(ctx, &device.id, &stats.program(ctx, false))?;
            chosen(stats, &listed)
        } else {
            vec![Stats::id(stats.regionid)]
        };
        for region in regions {
            for _ in 0..times {
                let answer = send(ctx, &device.id, stats::print(region, stats.clear));
                let answer = explained(answer, ctx, "Could not print statistics region.")?;
                told::counters(ctx, device, region, &answer);
                ctx.out.print(answer.as_bytes());
            }
        }
        Ok(())
    })
}

fn require_regions(stats: &Stats) -> Result<(), Failure> {
    if stats.regionid.is_none() && !stats.allregions {
        return Err(Failure::classic("Please specify a --regionid or use --allregions."));
    }
    Ok(())
}

/// The regions that the options name; none of a device that has none.
fn chosen(stats: &Stats, listed: &Statistics) -> Vec<u64> {
    match stats.regionid {
        _ if listed.is_empty() => Vec::new(),
        Some(_) => vec![Stats::id(stats.regionid)],
        None => listed.regions().map(|region| region.id).collect(),
    }
}

/// Sends messages, one after the other.
pub(super) fn send_all(ctx: &mut Context, id: &DeviceId, messages: Vec<Text>) -> Result<(), Failure> {
    messages.into_iter().try_for_each(|message| send(ctx, id, message).map(|_| ()))
}
