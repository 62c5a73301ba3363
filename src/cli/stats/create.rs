//! `stats create`: regions of devices.

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::json::told;
use super::groups::make;
use super::target::{explained, list, require_precise, send};
use super::{PROGRAM, Stats, filemap};
use crate::dm::stats::{Bounds, Create, Members, Step};
use crate::dm::{Command, DeviceId, Flags, Request, Sectors, Text};
use crate::render::unit_bytes;
use std::os::unix::ffi::OsStrExt;

/// Makes regions.
pub(super) fn run(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    let refused = |line: &str| Err(Failure::classic(line));
    if stats.allregions {
        return refused("Cannot use --allregions with create.");
    }
    if stats.allprograms {
        return refused("Cannot use --allprograms with create.");
    }
    if stats.areas.is_some() && stats.areasize.is_some() {
        return refused("Please specify one of --areas and --areasize.");
    }
    if stats.programid.as_ref().is_some_and(|id| id.is_empty()) && !stats.force {
        return refused("Creating a region with no program id requires --force.");
    }
    if stats.filemap {
        return filemap::create(stats, ctx);
    }
    stats.each_device(ctx, true, |ctx, device| create(stats, ctx, &device.id))
}

fn create(stats: &Stats, ctx: &mut Context, id: &DeviceId) -> Result<(), Failure> {
    let step = step(stats, ctx.classic)?;
    let size = |text: Option<&String>, what| text.map_or(Ok(0), |text| sectors(text, what, ctx.classic));
    let start = Sectors(size(stats.start.as_ref(), "start")?);
    let asked = Sectors(size(stats.length.as_ref(), "length")?);
    if stats.alias.is_some() && stats.nogroup {
        return Err(Failure::classic("Cannot set alias with --nogroup."));
    }
    let bounds = bounds(stats, ctx.classic)?;
    let flags = Flags::STATUS_TABLE | Flags::SKIP_BDGET;
    let table = ctx.perform(Request::new(id.clone(), Command::TableStatus).with_flags(flags))?;
    require_precise(table.version, needs_precise(stats))?;

    let parts: Vec<(Sectors, Sectors)> = match table.lines() {
        lines if stats.segments && !lines.is_empty() => {
            lines.iter().map(|line| (line.start, line.length)).collect()
        }
        lines if asked == Sectors::ZERO => {
            let whole = lines.iter().fold(0u64, |sum, line| sum.saturating_add(line.length.0));
            vec![(start, Sectors(whole))]
        }
        _ => vec![(start, asked)],
    };
    let name = ctx.shown_name(&table.device.name);
    let mut made = Vec::new();
    for (start, length) in parts {
        let region = region(stats, start, length, step, bounds.clone());
        let created = new_region(ctx, id, &region);
        let number = explained(created, ctx, &format!("{name}: Could not create statistics region."))?;
        ctx.out.print(name.as_bytes());
        let areas = step.areas(length);
        told::region(ctx, &name, number, start, length, areas);
        ctx.out.print(format!(": Created new region with {areas} area(s) as region ID {number}\n"));
        made.push(number);
    }
    if stats.segments && !stats.nogroup { group_segments(stats, ctx, id, &made) } else { Ok(()) }
}

/// The region that the options ask for.
pub(super) fn region(
    stats: &Stats,
    start: Sectors,
    length: Sectors,
    step: Step,
    bounds: Option<Bounds>,
) -> Create {
    let program_id = stats.programid.as_ref().map_or(PROGRAM.into(), |id| Text::from(id.as_bytes()));
    let user_data = stats.userdata.as_ref().map(|data| Text::from(data.as_bytes())).unwrap_or_default();
    Create { start, length, step, precise: stats.precise, bounds, program_id, user_data }
}

/// Makes a region; its number.
pub(super) fn new_region(ctx: &mut Context, id: &DeviceId, region: &Create) -> Result<u64, Failure> {
    let answer = send(ctx, id, region.message())?;
    let number = std::str::from_utf8(answer.trim_ascii()).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Failure::classic("Could not parse empty @stats_create response."))
}

/// Which option needs a driver that counts in nanoseconds.
pub(super) fn needs_precise(stats: &Stats) -> Option<&'static str> {
    let precise = stats.precise.then_some("--precise");
    precise.or(stats.bounds.as_ref().map(|_| "--bounds"))
}

/// The histogram that `--bounds` asks for.
pub(super) fn bounds(stats: &Stats, classic: bool) -> Result<Option<Bounds>, Failure> {
    let parse = |text: &String| Bounds::parse(text, classic);
    stats.bounds.as_ref().map(parse).transpose().map_err(|error| Failure::classic(error.to_string()))
}

/// How `--areas` and `--areasize` divide the region.
fn step(stats: &Stats, classic: bool) -> Result<Step, Failure> {
    let by_length = match &stats.areasize {
        Some(text) => match bytes(text, "areasize", classic)? {
            0 => None,
            bytes => Some(Step::Length(Sectors(bytes / 512))),
        },
        None => None,
    };
    match (by_length, stats.areas.unwrap_or(1)) {
        (Some(step), _) => Ok(step),
        (None, areas @ ..0) if !classic => {
            Err(Failure::Ours(format!("--areas: {areas} is not a number of areas")))
        }
        // To dmstats so many areas below 0 are areas of so many sectors.
        (None, areas @ ..0) => Ok(Step::Length(Sectors(areas.unsigned_abs().into()))),
        (None, areas) => Ok(Step::Areas(areas.max(1).unsigned_abs().into())),
    }
}

fn sectors(text: &str, what: &str, classic: bool) -> Result<u64, Failure> {
    Ok(bytes(text, what, classic)? / 512)
}

/// A number of sectors, or of another unit that stands behind it. To dmstats a word that is no unit is one of bytes,
/// and what stands behind a unit is nothing.
fn bytes(text: &str, what: &str, classic: bool) -> Result<u64, Failure> {
    let refused = || Failure::classic(format!("Invalid {what} argument: \"{text}\""));
    let number = text.trim_ascii_start();
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = number.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refused())?;
    let factor = match unit.bytes().next() {
        None => 512,
        Some(letter) if classic => unit_bytes(letter).unwrap_or(1),
        Some(letter) if unit.len() == 1 => unit_bytes(letter).ok_or_else(refused)?,
        Some(_) => return Err(refused()),
    };
    number.checked_mul(factor).ok_or_else(refused)
}

/// Groups the regions of a device's segments.
fn group_segments(stats: &Stats, ctx: &mut Context, id: &DeviceId, made: &[u64]) -> Result<(), Failure> {
    let numbers = made.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let program = region(stats, Sectors::ZERO, Sectors::ZERO, Step::Areas(1), None).program_id;
    let mut listed = list(ctx, id, &program)?;
    let alias = stats.alias.as_ref().map(|alias| Text::from(alias.as_bytes()));
    let group = make(ctx, id, &mut listed, made.iter().copied().collect::<Members>(), alias);
    let group = match group {
        Ok(group) => group,
        Err(failure) => {
            ctx.report(&failure);
            ctx.report(&Failure::classic(format!("Failed to create group for regions {numbers}.")));
            return Err(Failure::Reported);
        }
    };
    let alias = stats.alias.as_ref().map(|alias| format!(" with alias {}", alias.display()));
    let alias = alias.unwrap_or_default();
    told::group(ctx, None, group, made);
    ctx.out.print(format!("Grouped regions {numbers} as group ID {group}{alias}\n"));
    Ok(())
}
