//! `stats create --filemap` and `update_filemap`: regions where a file lies.
//!
//! A file that changes comes to lie elsewhere. dmfilemapd, a program of lvm2's, follows it; it is started as dmstats
//! starts it. Where it is not installed that is said, and `update_filemap` brings the regions up to date itself.

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::json::told;
use super::super::output::complain;
use super::create::{bounds, needs_precise, new_region, region};
use super::regions::send_all;
use super::target::{explained, list, require_precise, send};
use super::{PROGRAM, Stats, groups};
use crate::backend::file_map::MappedFile;
use crate::dm::stats::{Create, Extent, Members, Region, Step};
use crate::dm::{Command, DeviceId, Request, Text};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Makes regions of files.
pub(super) fn create(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    check(stats)?;
    if stats.names().is_empty() {
        return Err(Failure::classic("--filemap requires a file path argument"));
    }
    stats.names().iter().try_for_each(|path| create_one(stats, ctx, path))
}

fn create_one(stats: &Stats, ctx: &mut Context, path: &OsStr) -> Result<(), Failure> {
    if let Some(option) = needs_precise(stats) {
        let version = ctx.perform(Request::global(Command::Version))?.version;
        require_precise(version, Some(option))?;
    }
    let mode = mode(stats)?;
    if mode.is_some() && stats.nogroup {
        // dmstats fails here without a word.
        return Err(Failure::Explained(
            "Cannot monitor a file without a group.".into(),
            "dmfilemapd follows a group of regions: give --nomonitor with --nogroup".into(),
        ));
    }
    let bounds = bounds(stats, ctx.classic)?;
    let file = open(path)?;
    if stats.nogroup && stats.alias.is_some() {
        return Err(Failure::classic("Cannot set alias with --nogroup."));
    }
    let sorry = format!("Could not create regions from file {}.", file.path().display());
    let placed = file.device().and_then(|dev| Ok((DeviceId::by_number(dev), file.extents()?)));
    let (id, extents) = explained(placed.map_err(|error| Failure::classic(error.to_string())), ctx, &sorry)?;

    let model = region(stats, Extent::NONE.start, Extent::NONE.length, Step::Areas(1), bounds);
    let program = program_of_new(stats, ctx.classic);
    let model = Create { program_id: program.clone(), user_data: Text::new(), ..model };
    let made = explained(map(ctx, &id, &model, &extents), ctx, &sorry)?;
    for (number, Extent { start, length }) in made.iter().zip(&extents) {
        told::region(ctx, &Text::new(), *number, *start, *length, 1);
    }
    let path_text = path.display();
    if stats.nogroup {
        for number in &made {
            ctx.out.print(format!("{path_text}: Created new region with 1 area as region ID {number}.\n"));
        }
        return Ok(());
    }
    let alias = stats.alias.as_deref().or(file.path().file_name()).unwrap_or_default();
    let mut listed = list(ctx, &id, &program)?;
    let members = made.iter().copied().collect::<Members>();
    let grouped = groups::make(ctx, &id, &mut listed, members, Some(alias.as_bytes().into()));
    if grouped.is_err() {
        // Regions without a group would never be found again.
        made.iter().try_for_each(|number| send_all(ctx, &id, listed.remove_region(*number)))?;
    }
    let group = explained(grouped, ctx, &sorry)?;
    let count = made.len();
    told::group(ctx, None, group, &made);
    ctx.out.print(format!("{path_text}: Created new group with {count} region(s) as group ID {group}.\n"));
    ctx.out.flush();
    if let Some(mode) = mode {
        monitor(stats, ctx, &file, group, mode);
    }
    Ok(())
}

/// Lets the regions of a group follow their file.
pub(super) fn update(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    check(stats)?;
    if stats.names().is_empty() {
        return Err(Failure::classic("update_filemap requires a file path argument"));
    }
    if stats.groupid.is_none() {
        return Err(Failure::classic("--groupid is required to update a filemap group."));
    }
    let group = Stats::id(stats.groupid);
    for path in stats.names() {
        let mode = mode(stats)?;
        let file = open(path)?;
        if mode.is_none_or(|mode| !monitor(stats, ctx, &file, group, mode)) {
            update_one(stats, ctx, &file, path, group)?;
        }
    }
    Ok(())
}

fn update_one(
    stats: &Stats,
    ctx: &mut Context,
    file: &MappedFile,
    path: &OsStr,
    group: u64,
) -> Result<(), Failure> {
    let sorry = format!("Could not update regions from file {}", file.path().display());
    let placed = file.device().map_err(|error| Failure::classic(error.to_string()));
    let id = DeviceId::by_number(explained(placed, ctx, &sorry)?);
    let mut listed = list(ctx, &id, &program_of_new(stats, ctx.classic))?;
    let Some(found) = listed.group(group).cloned() else {
        let failure = Err(Failure::classic(format!("Group ID {group} does not exist.")));
        return explained(failure, ctx, &sorry);
    };
    let extents = file.extents().unwrap_or_else(|error| {
        complain(&error.to_string());
        Vec::new()
    });
    let old: Vec<Region> = listed.members(&found).cloned().collect();
    let Some(leader) = old.first() else { return Ok(()) };
    let model = model_of(leader);

    let at = |region: &Region| Extent { start: region.start, length: region.length };
    let (kept, gone): (Vec<_>, Vec<_>) = old.iter().partition(|region| extents.contains(&at(region)));
    let regroup = kept.iter().all(|region| region.id != group);
    for region in gone.iter().rev() {
        explained(send_all(ctx, &id, listed.remove_region(region.id)), ctx, &sorry)?;
    }
    let new: Vec<Extent> =
        extents.iter().copied().filter(|extent| !kept.iter().any(|region| at(region) == *extent)).collect();
    let made = explained(map(ctx, &id, &model, &new), ctx, &sorry)?;
    let members: Members = kept.iter().map(|region| region.id).chain(made.iter().copied()).collect();
    let path = path.display();
    let all: Vec<u64> = kept.iter().map(|region| region.id).chain(made.iter().copied()).collect();
    let Some(first) = members.first() else {
        told::removed_group(ctx, group);
        ctx.out.print(format!("{path}: Removed group ID {group} with its last region.\n"));
        return Ok(());
    };
    let number = if regroup {
        let mut listed = list(ctx, &id, &model.program_id)?;
        let made = groups::make(ctx, &id, &mut listed, members, found.alias);
        explained(made, ctx, &sorry)?
    } else {
        explained(send(ctx, &id, listed.extend_group(group, &made)), ctx, &sorry)?;
        first
    };
    told::group(ctx, None, number, &all);
    if number != group {
        told::removed_group(ctx, group);
        let end = if ctx.classic { "" } else { "\n" };
        ctx.out.print(format!("Group ID changed from {group} to {number}{end}"));
    }
    let count = extents.len();
    ctx.out.print(format!("{path}: Updated group ID {number} with {count} region(s).\n"));
    Ok(())
}

/// A region like the group's first, for the new ones of the group.
fn model_of(leader: &Region) -> Create {
    Create {
        start: Extent::NONE.start,
        length: Extent::NONE.length,
        step: Step::Areas(1),
        precise: leader.precise,
        bounds: leader.bounds.clone(),
        program_id: leader.program_id.clone(),
        user_data: Text::new(),
    }
}

/// Makes a region of each stretch; their numbers. If one cannot be made, none is.
fn map(ctx: &mut Context, id: &DeviceId, model: &Create, extents: &[Extent]) -> Result<Vec<u64>, Failure> {
    let mut made = Vec::new();
    for (place, extent) in extents.iter().enumerate() {
        let region = Create { start: extent.start, length: extent.length, ..model.clone() };
        match new_region(ctx, id, &region) {
            Ok(number) => made.push(number),
            Err(failure) => {
                ctx.report(&failure);
                for number in made {
                    send(ctx, id, crate::dm::stats::delete(number))?;
                }
                let (count, start) = (extents.len(), extent.start);
                return Err(Failure::classic(format!(
                    "Failed to create region {place} of {count} at {start}."
                )));
            }
        }
    }
    Ok(made)
}

/// The program that a file's regions belong to: dmstats takes no other, unless none is asked for.
fn program_of_new(stats: &Stats, classic: bool) -> Text {
    match &stats.programid {
        Some(id) if !classic || id.is_empty() => id.as_bytes().into(),
        _ => PROGRAM.into(),
    }
}

fn open(path: &OsStr) -> Result<MappedFile, Failure> {
    MappedFile::open(Path::new(path)).map_err(|error| Failure::classic(error.to_string()))
}

/// What dmfilemapd is to follow; `None` where it is not to be started.
fn mode(stats: &Stats) -> Result<Option<&'static str>, Failure> {
    let wanted = stats.follow.as_deref();
    match wanted.map(OsStr::as_bytes) {
        _ if stats.nomonitor => Ok(None),
        None | Some(b"inode") => Ok(Some("inode")),
        Some(b"path") => Ok(Some("path")),
        Some(other) => {
            let other = Text::from(other);
            Err(Failure::classic(format!("Could not parse dmfilemapd mode: {other}")))
        }
    }
}

/// Starts dmfilemapd; whether it was started.
fn monitor(stats: &Stats, ctx: &mut Context, file: &MappedFile, group: u64, mode: &str) -> bool {
    let mut daemon = std::process::Command::new("dmfilemapd");
    let started = file.inherited().and_then(|descriptor| {
        let foreground = if stats.foreground { "1" } else { "0" };
        daemon.args([descriptor.to_string(), group.to_string()]).arg(file.path());
        daemon.args([mode, foreground, &ctx.verbose.min(3).to_string()]);
        if stats.foreground { Err(daemon.exec()) } else { daemon.spawn().map(|_| ()) }
    });
    if let Err(error) = started {
        let errno = crate::dm::Errno::from_io(&error);
        ctx.report(&Failure::Explained(
            format!("dmfilemapd: execvp failed: {errno}"),
            "nothing follows the file when it changes: update_filemap --nomonitor does so once".into(),
        ));
        return false;
    }
    true
}

/// Options that say nothing of a file.
fn check(stats: &Stats) -> Result<(), Failure> {
    let lines = [
        (
            stats.areas.is_some() || stats.areasize.is_some(),
            "--filemap is incompatible with --areas and --area-size.",
        ),
        (
            stats.start.is_some() || stats.length.is_some(),
            "--filemap is incompatible with --start and --length.",
        ),
        (stats.segments, "--filemap and --segments are incompatible."),
        (stats.userdata.is_some(), "--userdata is not yet supported with --filemap."),
        (stats.selector.is_given(), "--uuid and --major are incompatible with --filemap."),
        (stats.alldevices, "--alldevices is incompatible with --filemap."),
    ];
    let found: Option<&(bool, &str)> = lines.iter().find(|(given, _)| *given);
    found.map_or(Ok(()), |(_, line)| Err(Failure::classic(*line)))
}
