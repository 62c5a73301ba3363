//! What is wrong with a table, all of it at once, and nothing done about it.
//!
//! The same checks that a load makes, in its order for each line, but none of them ends the search. Disks are opened
//! for reading alone, so that no target can write to one while it is looked at.

use super::live_table::{LiveLine, LiveTable};
use super::looking::Looking;
use super::pdevs::Opener;
use super::{Live, Mapper};
use crate::block::PdevSource;
use crate::dm::limits::MAX_TABLE_LINES;
use crate::dm::{Fault, Line, LineField, Sectors, Text, similar};
use crate::target::{self, Init, Shared, TARGETS, TargetType};
use std::collections::BTreeMap;
use std::sync::Weak;

/// A table that is to be looked at, not loaded.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// The device that it is for, which may not be there yet; empty if that is not known.
    pub device: &'a Text,
    /// Its lines; `None` for one that cannot be read.
    pub lines: &'a [Option<Line>],
    /// Whether it would be loaded read-only.
    pub read_only: bool,
    /// Devices that would be there before it is loaded, with their sizes: by their names, and by their numbers
    /// (`MAJOR:MINOR`) where these are known.
    pub planned: &'a BTreeMap<Text, Sectors>,
}

/// Which target types there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Types {
    /// The mapper's.
    Ours,
    /// Others too: a line of another type is another's to judge.
    Others,
}

impl Mapper {
    /// Everything that a load of the table would be refused for, line by line, and then what its disks do not fit.
    pub fn check(&self, draft: &Draft<'_>) -> Vec<Fault> {
        faults(draft, Types::Ours, &mut Looking::new(Opener::new(self, draft.device), draft, Types::Ours))
    }
}

/// The same for a driver that is not the mapper and has disks of its own. Lines of a type that the mapper does not have
/// are checked for their place alone: whether there is such a type is the driver's to say.
pub fn check_elsewhere(draft: &Draft<'_>, disks: &mut dyn PdevSource) -> Vec<Fault> {
    faults(draft, Types::Others, &mut Looking::new(disks, draft, Types::Others))
}

impl Draft<'_> {
    /// How many sectors the device would have.
    pub fn size(&self) -> Sectors {
        let last = self.lines.iter().rev().flatten().next();
        last.and_then(|line| line.start.checked_add(line.length)).unwrap_or(Sectors::ZERO)
    }
}

/// What is wrong with a table whose disks come from there.
pub(super) fn faults(draft: &Draft<'_>, types: Types, pdevs: &mut dyn PdevSource) -> Vec<Fault> {
    match draft.lines.len() {
        0 => return vec![Fault::invalid("the table has no lines")],
        1..=MAX_TABLE_LINES => {}
        count => {
            return vec![Fault::invalid(format!("the table has {count} lines, above {MAX_TABLE_LINES}"))];
        }
    }
    let mut faults = Vec::new();
    let mut made = Vec::new();
    let mut places = Vec::new();
    // Where the next line must start; unknown behind one that cannot be read.
    let mut end = Some(Sectors::ZERO);
    for (index, line) in draft.lines.iter().enumerate() {
        let Some(line) = line else {
            end = None;
            continue;
        };
        let found = known_type(line);
        let is_others = types == Types::Others && found.is_err();
        let extent = [check_length(line).err(), check_end(line).err()];
        let fits = extent.iter().all(Option::is_none);
        let start = end.and_then(|end| check_start(line, end).err());
        faults
            .extend(start.into_iter().chain(extent.into_iter().flatten()).map(|fault| fault.at_line(index)));
        end = line.start.checked_add(line.length);
        match found {
            Err(fault) if !is_others => faults.push(fault.at_line(index)),
            Err(_) => {}
            Ok(found) => match look(line, found, draft.read_only, pdevs) {
                Ok(target) if fits => {
                    made.push(LiveLine { start: line.start, length: line.length, target });
                    places.push(index);
                }
                Ok(_) => {}
                Err(fault) => faults.push(fault.at_line(index)),
            },
        }
    }
    let (table, is_sound) = (LiveTable::new(made), faults.is_empty());
    let lines: Vec<&Line> = places.iter().filter_map(|&index| draft.lines[index].as_ref()).collect();
    let areas = table.area_faults(&lines).into_iter();
    faults.extend(areas.map(|mut fault| {
        fault.line = fault.line.and_then(|line| places.get(line).copied());
        fault
    }));
    // What is wrong elsewhere moves borders.
    if is_sound && faults.is_empty() && draft.lines.iter().all(Option::is_some) {
        faults.extend(table.check_borders().err());
    }
    faults.sort_by_key(|fault| fault.line);
    faults
}

/// The line's target, made to see whether it can be.
fn look(
    line: &Line,
    found: &'static TargetType,
    read_only: bool,
    pdevs: &mut dyn PdevSource,
) -> Result<Box<dyn target::Target>, Fault> {
    let arguments = line.params.words();
    (found.init)(&mut Init {
        target: found,
        start: line.start,
        length: line.length.max(Sectors(1)),
        arguments: &arguments,
        read_only,
        pdevs,
        shared: &Shared::default(),
        restores: false,
        events: Weak::<Live>::new(),
        memory: &Text::new(),
        serves: false,
    })
}

pub(super) fn check_length(line: &Line) -> Result<(), Fault> {
    if line.length > Sectors::ZERO {
        return Ok(());
    }
    Err(Fault::invalid("the line maps no sectors: its length is 0").at_field(LineField::Length))
}

/// The line's target type.
pub(super) fn known_type(line: &Line) -> Result<&'static TargetType, Fault> {
    let name = &line.target;
    target::find(name).ok_or_else(|| {
        let meant = similar(name, TARGETS.iter().map(|target| target.name));
        let hint = match meant {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => "`rdmsetup targets` lists the types that there are".to_owned(),
        };
        let fault = Fault::invalid(format!("there is no target type \"{name}\"")).with_hint(Some(hint));
        fault.at_field(LineField::Target)
    })
}

/// That the line follows the one that ends at `end`.
pub(super) fn check_start(line: &Line, end: Sectors) -> Result<(), Fault> {
    let start = line.start;
    if start == end {
        return Ok(());
    }
    let (what, hint) = if start > end {
        let between = Sectors(start.0 - end.0).counted();
        (
            "a gap",
            format!(
                "start it at {end}, or map the {between} between with a line of type \"error\" or \"zero\""
            ),
        )
    } else {
        let twice = Sectors(end.0 - start.0).counted();
        ("an overlap", format!("start it at {end}: the {twice} from {start} on would be mapped twice"))
    };
    let fault = Fault::invalid(format!("{what} in the table: the line starts at {start}, not at {end}"));
    Err(fault.at_field(LineField::Start).with_hint(Some(hint)))
}

pub(super) fn check_end(line: &Line) -> Result<(), Fault> {
    let Line { start, length, .. } = line;
    match start.checked_add(*length).and_then(Sectors::to_bytes) {
        Some(_) => Ok(()),
        None => {
            let reason = format!("{length} sectors from {start} are more than a device can have");
            Err(Fault::invalid(reason).at_field(LineField::Length))
        }
    }
}
