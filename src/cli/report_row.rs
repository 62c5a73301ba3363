//! A row of `info -c`: what a device is asked for, no more than the columns need.

use super::context::Context;
use super::device_tree;
use super::failure::Failure;
use super::mangle::Mangling;
use super::report_fields::{self, CATALOGUE};
use super::split_name::SplitName;
use super::stats::sample::{Sample, Sampler};
use crate::dm::{Command, DeviceId, DeviceNumber, Reply, Request, Text};
use crate::render::report::{Groups, Incomplete, Report};
use crate::render::{DeviceTree, TreeNode};
use std::rc::Rc;

/// What the fields of one row are read off. What no column needs is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// The device's state, as `info` asks for it.
    pub(super) device: Option<Reply>,
    /// The block devices under it.
    pub(super) deps: Option<Vec<DeviceNumber>>,
    /// Every device, to see whose neighbours it has.
    pub(super) tree: Option<Rc<DeviceTree>>,
    /// The parts of its name.
    pub(super) split: Option<SplitName>,
    /// The form of names.
    pub(super) mangling: Mangling,
    /// Its major number, if a mapper told of it whose devices the system does not know.
    pub(super) foreign: Option<u32>,
    /// The part of its statistics that the row is about.
    pub(super) statistics: Option<Sample>,
}

/// Makes rows of devices, and asks for what the report needs of each.
#[derive(Debug)]
pub(super) struct Rows {
    groups: Groups,
    tree: Option<Rc<DeviceTree>>,
    sampler: Sampler,
}

impl Rows {
    /// For a report that needs those groups; the tree, which all rows share, is asked for at once.
    pub(super) fn new(ctx: &mut Context, groups: Groups) -> Result<Self, Failure> {
        let tree = if groups.overlaps(report_fields::TREE) {
            Some(Rc::new(device_tree::gather(ctx)?))
        } else {
            None
        };
        Ok(Self { groups, tree, sampler: Sampler::default() })
    }

    /// The same, with statistics as they are asked for.
    pub(super) fn with_statistics(
        ctx: &mut Context,
        groups: Groups,
        sampler: Sampler,
    ) -> Result<Self, Failure> {
        Ok(Self { sampler, ..Self::new(ctx, groups)? })
    }

    /// A report begins.
    pub(super) fn begin(&self) {
        self.sampler.begin();
    }

    /// The rows of a device whose state is known: one, or, where statistics are asked for, one for each part of them that
    /// is shown, none for a device without any.
    pub(super) fn rows(&self, ctx: &mut Context, device: Reply) -> Result<Vec<Row>, Failure> {
        let dev = device.device.dev.unwrap_or_default();
        let mut row = Row { mangling: ctx.mangling, tree: self.tree.clone(), ..Row::default() };
        row.foreign = ctx.client()?.is_mapper().then_some(dev.major);
        if self.tree.as_ref().is_some_and(|tree| tree.find(dev).is_none()) {
            return Err(Failure::classic(format!("Cannot find node {dev}.")));
        }
        if self.groups.overlaps(report_fields::DEPS) {
            let request = Request::new(DeviceId::by_number(dev), Command::TableDeps);
            row.deps = Some(ctx.perform(request)?.deps().to_vec());
        }
        if self.groups.overlaps(report_fields::SPLIT_NAME) {
            let (name, uuid) = (ctx.shown_name(&device.device.name), ctx.shown_name(&device.device.uuid));
            row.split = Some(SplitName::of_device(&name, &uuid));
        }
        let (id, name) = (DeviceId::by_number(dev), ctx.shown_name(&device.device.name));
        row.device = Some(device);
        if !self.groups.overlaps(report_fields::STATS.with(report_fields::REGION)) {
            return Ok(vec![row]);
        }
        let counters = self.groups.overlaps(report_fields::STATS);
        let samples = self.sampler.samples(ctx, &id, &name, counters)?;
        Ok(samples.into_iter().map(|sample| Row { statistics: Some(sample), ..row.clone() }).collect())
    }
}

impl Row {
    /// The device in the tree.
    pub(super) fn node(&self) -> Option<&TreeNode> {
        self.tree.as_ref()?.find(self.device.as_ref()?.device.dev?)
    }
}

/// A selection of devices, for commands that act on each.
#[derive(Debug)]
pub(super) struct Filter {
    report: Report<Row>,
    rows: Rows,
}

impl Filter {
    /// The devices that the text selects.
    pub(super) fn new(ctx: &mut Context, select: &[u8]) -> Result<Self, Failure> {
        let request = crate::render::report::Request {
            columns: b"",
            sort: b"",
            select,
            base: Groups::NONE,
            layout: crate::render::report::Layout::default(),
            classic: ctx.classic,
        };
        let report =
            Report::new(&CATALOGUE, &request).map_err(|refusal| Failure::no_report(&refusal, ctx.classic))?;
        report.notes().iter().for_each(|line| super::output::complain(line));
        let rows = Rows::new(ctx, report.groups())?;
        Ok(Self { report, rows })
    }

    /// Whether the device is one of them.
    pub(super) fn selects(&self, ctx: &mut Context, device: Reply) -> Result<bool, Failure> {
        let mut selected = false;
        for row in self.rows.rows(ctx, device)? {
            selected |= self.report.selects(&row)?;
        }
        Ok(selected)
    }
}

impl From<Incomplete> for Failure {
    fn from(incomplete: Incomplete) -> Self {
        Self::classic(incomplete.lines.join("\n"))
    }
}

/// A name in its three forms, as fields ask for them.
pub(super) fn forms(
    mangling: Mangling,
    raw: &Text,
    what: &'static str,
    field: usize,
) -> (Text, Result<Text, String>, Text) {
    let shown = mangling.unmangle(raw);
    let mangled = mangling.mangle(&shown, what, field).map_err(|error| error.to_string());
    let unmangled = mangling.unmangle(&shown);
    (shown, mangled, unmangled)
}
