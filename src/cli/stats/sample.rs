//! What a report shows of a device's statistics: asked for at one time, an object a row.

use super::PROGRAM;
use super::target::{list, send, unreadable};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::dm::stats::{self, Group, Kinds, NANOS_PER_SECOND, Object, Rates, Region, Statistics};
use crate::dm::{DeviceId, Text};
use crate::render::Units;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Style {
    /// Sizes.
    pub(in crate::cli) units: Units,
    /// Histograms stand in columns.
    pub(in crate::cli) padded: bool,
    /// Times in histograms have units.
    pub(in crate::cli) time_units: bool,
}

/// An object of a device, with what was counted in it.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Sample {
    /// All of the device.
    pub(super) statistics: Rc<Statistics>,
    /// What of it the row is about.
    pub(super) object: Object,
    /// For how long was counted.
    pub(super) interval_nanos: u64,
    pub(super) style: Style,
    device: Text,
}

/// Asks devices for their statistics.
#[derive(Debug)]
pub(in crate::cli) struct Sampler {
    /// Which objects are shown.
    pub(super) kinds: Kinds,
    /// Whose regions; empty for all.
    pub(super) program: Vec<u8>,
    /// The only region that is shown.
    pub(super) region: Option<u64>,
    pub(super) style: Style,
    /// The time between two reports, by which the first is reckoned.
    interval_nanos: Cell<u64>,
    /// When counters were last read for a report, by its first device.
    sampled: Cell<Option<Instant>>,
    is_new_cycle: Cell<bool>,
}

impl Default for Sampler {
    fn default() -> Self {
        let kinds = Kinds { regions: true, groups: true, ..Kinds::default() };
        let style = Style { units: Units::SECTORS, padded: true, time_units: true };
        Self::new(kinds, PROGRAM.into(), style, NANOS_PER_SECOND)
    }
}

impl Sampler {
    /// For objects of those kinds, of a program.
    pub(super) fn new(kinds: Kinds, program: Vec<u8>, style: Style, interval_nanos: u64) -> Self {
        Self {
            kinds,
            program,
            region: None,
            style,
            interval_nanos: Cell::new(interval_nanos),
            sampled: Cell::new(None),
            is_new_cycle: Cell::new(false),
        }
    }

    /// A report begins.
    pub(in crate::cli) fn begin(&self) {
        self.is_new_cycle.set(true);
    }

    /// What a device has to show; with `counters` they are read, and set to 0.
    pub(in crate::cli) fn samples(
        &self,
        ctx: &mut Context,
        id: &DeviceId,
        name: &Text,
        counters: bool,
    ) -> Result<Vec<Sample>, Failure> {
        let mut listed = list(ctx, id, &self.program)?;
        if counters && !listed.is_empty() {
            let ids: Vec<u64> = listed.regions().map(|region| region.id).collect();
            for region in ids {
                let answer = send(ctx, id, stats::print(region, true))?;
                // dmstats takes the areas for all of the region, though the last may be shorter than it says.
                let set = listed.set_counters(region, &answer, ctx.classic);
                set.map_err(|error| unreadable("Could not parse @stats_print message response.", &error))?;
            }
            self.measure();
        }
        let interval_nanos = self.interval_nanos.get();
        let statistics = Rc::new(listed);
        let is_chosen = |object: &Object| match (self.region, object) {
            (None, _) => true,
            (Some(wanted), Object::Area(region, _) | Object::Region(region)) => wanted == *region,
            (Some(_), Object::Group(_)) => false,
        };
        let sample = |object| Sample {
            statistics: Rc::clone(&statistics),
            object,
            interval_nanos,
            style: self.style,
            device: name.clone(),
        };
        Ok(statistics.walk(self.kinds).filter(is_chosen).map(sample).collect())
    }

    /// Takes the time from the last report to this one for what its counters counted.
    fn measure(&self) {
        let now = Instant::now();
        match self.sampled.get() {
            Some(last) if self.is_new_cycle.get() => {
                let passed = now.duration_since(last).as_nanos();
                self.interval_nanos.set(u64::try_from(passed).unwrap_or(u64::MAX));
            }
            Some(_) => return,
            None => {}
        }
        self.sampled.set(Some(now));
        self.is_new_cycle.set(false);
    }
}

impl Sample {
    /// What was counted, and what follows.
    pub(super) fn rates(&self) -> Rates {
        Rates { counters: self.statistics.counters(self.object), interval_nanos: self.interval_nanos }
    }

    /// The region, or the first of the group.
    pub(super) fn leader(&self) -> Option<&Region> {
        match self.object {
            Object::Area(region, _) | Object::Region(region) => self.statistics.region(region),
            Object::Group(group) => self.statistics.region(group),
        }
    }

    /// The group, or that of the region.
    pub(super) fn group(&self) -> Option<&Group> {
        match self.object {
            Object::Area(region, _) | Object::Region(region) => self.statistics.group_of(region),
            Object::Group(group) => self.statistics.group(group),
        }
    }

    /// The first sector of the region, or of the group's first.
    pub(super) fn start(&self) -> u64 {
        self.leader().map_or(0, |region| region.start.0)
    }

    /// The sectors of the region, or of all of the group's.
    pub(super) fn length(&self) -> u64 {
        match self.object {
            Object::Area(..) | Object::Region(_) => self.leader().map_or(0, |region| region.length.0),
            Object::Group(group) => {
                let members =
                    self.statistics.group(group).into_iter().flat_map(|group| self.statistics.members(group));
                members.fold(0u64, |sum, region| sum.saturating_add(region.length.0))
            }
        }
    }

    /// The place of the area in its region.
    pub(super) fn area(&self) -> u64 {
        if let Object::Area(_, area) = self.object { area } else { 0 }
    }

    /// The sectors before the area in its region.
    pub(super) fn area_offset(&self) -> u64 {
        self.leader().map_or(0, |region| region.step.0.saturating_mul(self.area()))
    }

    /// The sectors of an area; of a group, all of it.
    pub(super) fn area_length(&self) -> u64 {
        match self.object {
            Object::Area(..) | Object::Region(_) => self.leader().map_or(0, |region| region.step.0),
            Object::Group(_) => self.length(),
        }
    }

    /// How many areas there are.
    pub(super) fn area_count(&self) -> u64 {
        match self.object {
            Object::Area(..) | Object::Region(_) => self.leader().map_or(1, Region::area_count),
            Object::Group(_) => 1,
        }
    }

    /// The bins of the histogram; a group is said to have none.
    pub(super) fn bins(&self) -> usize {
        let bounds = self.leader().and_then(|region| region.bounds.as_ref());
        let is_group = matches!(self.object, Object::Group(_));
        bounds.filter(|_| !is_group).map_or(0, stats::Bounds::bins)
    }

    /// The program that made the region.
    pub(super) fn program_id(&self) -> Text {
        match self.object {
            Object::Area(..) | Object::Region(_) => {
                self.leader().map(|region| region.program_id.clone()).unwrap_or_default()
            }
            Object::Group(_) => PROGRAM.into(),
        }
    }

    /// The region's text.
    pub(super) fn user_data(&self) -> Text {
        match self.object {
            Object::Area(..) | Object::Region(_) => {
                self.leader().map(|region| region.user_data.clone()).unwrap_or_default()
            }
            Object::Group(_) => Text::new(),
        }
    }

    /// The group's name, if it has one, else the device's.
    pub(super) fn name(&self) -> Text {
        self.group().and_then(|group| group.alias.clone()).unwrap_or_else(|| self.device.clone())
    }
}
