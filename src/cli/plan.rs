//! What has to be done so that the devices of a file are there as it has them: each compared with what is there, those
//! below first, and everything that stands in the way found before anything is done.

use super::check::{self, Asked};
use super::context::Context;
use super::create::mapped_major;
use super::device_file::Wanted;
use super::failure::Failure;
use super::order::lower_first;
use super::place::Places;
use crate::dm::{
    Command, DeviceId, DeviceNumber, Errno, Flags, Line, Request, Sectors, StatusLine, Text, may_hold_key,
};
use crate::render;
use std::collections::BTreeMap;

/// A device that is there.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// All three fields.
    pub(super) id: DeviceId,
    pub(super) flags: Flags,
    /// The table in use; none without one.
    pub(super) lines: Vec<StatusLine>,
}

/// A device of the file, and what of it is to be changed.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) wanted: Wanted,
    /// The device, under whatever name; `None` where it is to be made.
    pub(super) found: Option<Found>,
    /// Its table is another, as far as the texts tell.
    pub(super) table: bool,
    /// Its uuid is to be set.
    pub(super) uuid: bool,
}

/// All that is to be done, in its order.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Then these go.
    pub(super) removals: Vec<Found>,
    /// What of it no driver would do.
    refusals: Vec<String>,
    /// The major number of mapped devices.
    major: u32,
}

/// Asks for a device with a table of its; `None` where there is none.
pub(super) fn ask(ctx: &mut Context, id: DeviceId, slot: Flags) -> Result<Option<Found>, Failure> {
    // A suspended device is not to be waited for; keys are wiped on the way.
    let flags = Flags::STATUS_TABLE | Flags::NOFLUSH | Flags::SECURE_DATA | slot;
    match ctx.perform(Request::new(id, Command::TableStatus).with_flags(flags)) {
        Ok(reply) => {
            let lines = reply.lines().to_vec();
            Ok(Some(Found { id: reply.device, flags: reply.flags, lines }))
        }
        Err(failure) if failure.is(Errno::ENXIO) => Ok(None),
        Err(failure) => Err(failure),
    }
}

impl Found {
    pub(super) fn is(&self, flag: Flags) -> bool {
        self.flags.contains(flag)
    }

    fn size(&self) -> Sectors {
        let last = self.lines.last();
        last.and_then(|line| line.start.checked_add(line.length)).unwrap_or(Sectors::ZERO)
    }
}

impl Step {
    /// Whether the device lets no I/O through and is to.
    pub(super) fn resumes(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.is(Flags::SUSPEND) && !found.lines.is_empty())
    }

    /// The name that it is to lose.
    pub(super) fn old_name(&self) -> Option<&Text> {
        self.found.as_ref().map(|found| &found.id.name).filter(|name| **name != self.wanted.name)
    }

    /// Whether there is anything to do.
    pub(super) fn is_needed(&self) -> bool {
        self.found.is_none() || self.table || self.uuid || self.resumes() || self.old_name().is_some()
    }
}

impl Plan {
    /// Compares the devices of a file with what is there; `prune` is how the uuids begin of those that are to go if the file
    /// does not have them.
    pub(super) fn make(
        ctx: &mut Context,
        devices: Vec<Wanted>,
        prune: Option<&Text>,
    ) -> Result<Self, Failure> {
        let places = Places::look(ctx)?;
        let mut refusals = Vec::new();
        let mut steps = Vec::new();
        let names: Vec<Text> = devices.iter().map(|device| device.name.clone()).collect();
        let major = mapped_major(ctx)?;
        for wanted in devices {
            let found = find(ctx, &wanted, &names, &places, major)?.unwrap_or_else(|refusal| {
                refusals.push(refusal);
                None
            });
            steps.push(Step::new(wanted, found, &places));
        }
        refusals.extend(steps.iter().filter(|step| step.table).filter_map(|step| hidden_key(&step.wanted)));
        let steps = in_order(ctx, steps, &places, major)?;
        let removals = prune.map_or(Ok(Vec::new()), |prefix| removals(ctx, prefix, &steps, &places))?;
        Ok(Self { steps, removals, refusals, major })
    }

    /// Whether everything is as it is to be.
    pub(super) fn is_empty(&self) -> bool {
        self.removals.is_empty() && !self.steps.iter().any(Step::is_needed)
    }

    /// Tells what of it no driver would do, and fails then.
    pub(super) fn refuse(&self, ctx: &mut Context) -> Result<(), Failure> {
        self.refusals.iter().for_each(|refusal| ctx.complain(&format!("rdmsetup: {refusal}")));
        if self.refusals.is_empty() { Ok(()) } else { Err(Failure::Reported) }
    }

    /// The same, and looks at every table that is to be loaded, as `check` does; tells all that is wrong, and fails then.
    pub(super) fn check(&self, ctx: &mut Context) -> Result<(), Failure> {
        let refused = self.refuse(ctx);
        let mut planned = BTreeMap::new();
        let mut is_faulty = false;
        for Step { wanted, found, table, .. } in &self.steps {
            let Wanted { name, text, readonly, .. } = wanted;
            let size = if *table {
                let called = format!("table of {}", ctx.shown_name(name));
                let asked = Asked { device: Some(name), text, read_only: *readonly, planned: &planned };
                let checked = check::look(ctx, called, &asked)?;
                checked.complain(ctx);
                is_faulty |= checked.is_faulty();
                checked.size
            } else {
                found.as_ref().map_or(Sectors::ZERO, Found::size)
            };
            // What is there under this name is looked at itself.
            if *table || found.as_ref().is_none_or(|found| found.id.name != *name) {
                planned.insert(name.clone(), size);
                let number = wanted.minor.map(|minor| DeviceNumber::new(self.major, minor));
                let number = found.as_ref().map_or(number, |found| found.id.dev);
                planned.extend(number.map(|number| (Text::from(number.to_string()), size)));
            }
        }
        if is_faulty { Err(Failure::Reported) } else { refused }
    }
}

impl Step {
    fn new(wanted: Wanted, found: Option<Found>, places: &Places) -> Self {
        let Some(there) = &found else {
            let table = wanted.has_table();
            return Self { wanted, found, table, uuid: false };
        };
        let uuid = there.id.uuid.is_empty() && !wanted.uuid.is_empty();
        let differs = match &wanted.source {
            None => true,
            Some(source) => {
                let (new, old) = (&source.table.lines, &there.lines);
                let same =
                    new.len() == old.len() && new.iter().zip(old).all(|(new, old)| is_same(new, old, places));
                !same || there.is(Flags::READONLY) != wanted.readonly
            }
        };
        // A table that somebody loaded would take effect with the resume.
        let loaded = there.is(Flags::SUSPEND) && there.is(Flags::INACTIVE_PRESENT);
        let table = wanted.has_table() && (differs || loaded);
        Self { wanted, found, table, uuid }
    }
}

/// The device that is meant, or why it cannot be made what the file has.
fn find(
    ctx: &mut Context,
    wanted: &Wanted,
    names: &[Text],
    places: &Places,
    major: u32,
) -> Result<Result<Option<Found>, String>, Failure> {
    let Wanted { name, uuid, minor, .. } = wanted;
    let by_name = ask(ctx, DeviceId::by_name(name.clone()), Flags::NONE)?;
    let by_uuid =
        if uuid.is_empty() { None } else { ask(ctx, DeviceId::by_uuid(uuid.clone()), Flags::NONE)? };
    let found = match (by_name, by_uuid) {
        (Some(found), Some(other)) if found.id.dev != other.id.dev => {
            let other = &other.id.name;
            return Ok(Err(format!(
                "\"{name}\" is to have the uuid \"{uuid}\", which is that of \"{other}\"\n  hint: remove one of them first"
            )));
        }
        (Some(Found { id, .. }), None) if !uuid.is_empty() && !id.uuid.is_empty() => {
            return Ok(Err(format!(
                "\"{name}\" has the uuid \"{}\" for good, and is to have \"{uuid}\"\n  hint: remove it first, or leave the uuid out",
                id.uuid
            )));
        }
        (None, Some(Found { id, .. })) if names.contains(&id.name) => {
            return Ok(Err(format!(
                "the device with uuid \"{uuid}\" is \"{}\" and is to be \"{name}\", and there is to be another \"{}\"\n  \
                 hint: rename it first",
                id.name, id.name
            )));
        }
        (by_name, by_uuid) => by_name.or(by_uuid),
    };
    let number = minor.map(|minor| DeviceNumber::new(major, minor));
    let refusal = match &found {
        Some(Found { id, .. }) if number.is_some() && id.dev.map(|dev| dev.minor) != *minor => {
            let has = id.dev.map_or(0, |dev| dev.minor);
            Some(format!(
                "\"{}\" has the minor number {has} for good, and is to have {}\n  hint: remove it first, or leave the minor number out",
                id.name,
                minor.unwrap_or_default()
            ))
        }
        Some(Found { lines, .. }) if !lines.is_empty() && !wanted.has_table() => Some(format!(
            "\"{name}\" has a table, which cannot be taken away, and is to have none\n  hint: remove it first"
        )),
        Some(_) => None,
        None => number.and_then(|number| places.name(number)).map(|other| {
            format!(
                "\"{name}\" is to have the minor number of \"{other}\"\n  hint: leave the minor number out"
            )
        }),
    };
    Ok(refusal.map_or(Ok(found), Err))
}

/// Whether a line of a file means what a driver tells of one that it has; not found out where a target writes its
/// parameters in another way than they were given.
pub(super) fn is_same(new: &Line, old: &StatusLine, places: &Places) -> bool {
    if (new.start, new.length, &new.target) != (old.start, old.length, &old.target) {
        return false;
    }
    let same_words = |new: &Text, old: &[u8]| {
        let new = new.words();
        let old: Vec<Text> =
            old.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(Text::from).collect();
        new.len() == old.len() && new.iter().zip(&old).all(|(new, old)| places.is_same(new, old))
    };
    if same_words(&new.params, &old.params) {
        return true;
    }
    if !has_hidden_key(new) {
        return false;
    }
    // The key is whatever it is.
    let mut hidden = old.params.to_vec();
    render::hide_keys(&old.target, &mut hidden);
    same_words(&new.params, &hidden)
}

/// Whether a line has zeros where a key is to be, as `dump` and `table` write it.
fn has_hidden_key(line: &Line) -> bool {
    if !may_hold_key(&line.target) {
        return false;
    }
    // What stands where a key is hidden.
    let mut marked = line.params.to_vec();
    marked.iter_mut().filter(|byte| **byte == b'0').for_each(|byte| *byte = b'1');
    let mut hidden = marked.clone();
    render::hide_keys(&line.target, &mut hidden);
    let mut key =
        marked.iter().zip(&hidden).zip(line.params.iter()).filter(|((marked, hidden), _)| marked != hidden);
    let is_there = key.clone().next().is_some();
    is_there && key.all(|(_, byte)| *byte == b'0')
}

fn hidden_key(wanted: &Wanted) -> Option<String> {
    let lines = wanted.source.iter().flat_map(|source| &source.table.lines);
    lines.filter(|line| has_hidden_key(line)).map(|line| {
        let (name, target) = (&wanted.name, &line.target);
        format!("the table of {name} has zeros for the key of {target}: it was hidden\n  hint: `rdmsetup dump --showkeys` writes keys")
    }).next()
}

/// The steps, those of devices that others stand on first.
fn in_order(ctx: &Context, steps: Vec<Step>, places: &Places, major: u32) -> Result<Vec<Step>, Failure> {
    let names: BTreeMap<&Text, usize> =
        steps.iter().enumerate().map(|(at, step)| (&step.wanted.name, at)).collect();
    let number = |step: &Step| {
        let planned = step.wanted.minor.map(|minor| DeviceNumber::new(major, minor));
        step.found.as_ref().map_or(planned, |found| found.id.dev)
    };
    let numbers: BTreeMap<DeviceNumber, usize> =
        steps.iter().enumerate().filter_map(|(at, step)| Some((number(step)?, at))).collect();
    let meant = |word: &Text| {
        let named = places.mapped_name(word).and_then(|name| names.get(&name));
        named.or_else(|| numbers.get(&places.number(word)?)).copied()
    };
    let below = |step: &Step| -> Vec<usize> {
        let lines = step.wanted.source.iter().flat_map(|source| &source.table.lines);
        lines.flat_map(|line| line.params.words()).filter_map(|word| meant(&word)).collect()
    };
    let below: Vec<Vec<usize>> = steps.iter().map(below).collect();
    let order = lower_first(&below).map_err(|circle| {
        let names =
            circle.iter().chain(circle.first()).map(|at| ctx.shown_name(&steps[*at].wanted.name).to_string());
        let circle = names.collect::<Vec<_>>().join(" on ");
        Failure::Ours(format!("the devices of the file stand on one another in a circle: {circle}"))
    })?;
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| steps[at].take()).collect())
}

/// The devices whose uuid begins so and that the file does not have, each before those that it stands on.
fn removals(
    ctx: &mut Context,
    prefix: &Text,
    steps: &[Step],
    places: &Places,
) -> Result<Vec<Found>, Failure> {
    let is_kept =
        |dev| steps.iter().any(|step| step.found.as_ref().is_some_and(|found| found.id.dev == Some(dev)));
    let mut gone = Vec::new();
    let mut deps = Vec::new();
    for dev in places.mapped().filter(|dev| !is_kept(*dev)) {
        let Some(found) = ask(ctx, DeviceId::by_number(dev), Flags::NONE)? else { continue };
        if !found.id.uuid.starts_with(prefix) {
            continue;
        }
        let mut below = Vec::new();
        for slot in [Flags::NONE, Flags::QUERY_INACTIVE_TABLE] {
            let asked = Request::new(DeviceId::by_number(dev), Command::TableDeps).with_flags(slot);
            below.extend_from_slice(ctx.perform(asked)?.deps());
        }
        gone.push(found);
        deps.push(below);
    }
    let place = |dev: &DeviceNumber| gone.iter().position(|found: &Found| found.id.dev == Some(*dev));
    let below: Vec<Vec<usize>> = deps.iter().map(|deps| deps.iter().filter_map(place).collect()).collect();
    // No driver has a circle.
    let order = lower_first(&below).unwrap_or_else(|_| (0..gone.len()).collect());
    Ok(order.into_iter().rev().map(|at| gone[at].clone()).collect())
}

/// Whether a driver tells two tables in the same words.
pub(super) fn is_same_text(one: &[StatusLine], other: &[StatusLine]) -> bool {
    let words = |line: &StatusLine| (line.start, line.length, line.target.clone(), line.params.clone());
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| words(one) == words(other))
}
