//! `stats list` and `report`: regions, areas and groups in columns, with what was counted.

use super::sample::{Sampler, Style};
use super::{PROGRAM, Stats};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::report::Fields;
use crate::cli::report_fields::{CATALOGUE, REGION, STATS};
use crate::cli::report_row::{Row, Rows};
use crate::dm::stats::Kinds;
use crate::dm::{Command, Request};
use crate::render::Units;
use crate::render::report::Groups;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// The columns of a report, from these parts.
const LIST: &str =
    "stats_name,group_id,region_id,obj_type,region_start,region_len,area_count,area_len,program_id";
const LIST_AREAS: &str = "stats_name,group_id,region_id,obj_type,region_start,region_len,area_count,area_id,\
     area_start,area_len,program_id";
const LIST_HISTOGRAM: &str = "stats_name,group_id,region_id,obj_type,region_start,region_len,area_count,area_len,hist_bins,hist_bounds";
const LIST_HISTOGRAM_AREAS: &str = "stats_name,group_id,region_id,obj_type,region_start,region_len,area_count,\
     area_id,area_start,area_len,hist_bins,hist_bounds";
const REPORT: &str = "stats_name,group_id,region_id,obj_type,area_id,area_start,area_len,reads_merged_per_sec,\
     writes_merged_per_sec,reads_per_sec,writes_per_sec,read_size_per_sec,write_size_per_sec,avg_request_size,\
     queue_size,util,await,read_await,write_await";
const REPORT_RAW: &str = "stats_name,group_id,region_id,obj_type,area_id,area_start,area_len,read_count,\
     reads_merged_count,read_sector_count,read_time,read_ticks,write_count,writes_merged_count,write_sector_count,\
     write_time,write_ticks,in_progress_count,io_ticks,queue_ticks";
const REPORT_HISTOGRAM: &str = "stats_name,group_id,region_id,obj_type,region_start,region_len,area_count,area_len,\
     util,await,hist_count_bounds";
const REPORT_RELATIVE: &str = "stats_name,group_id,region_id,obj_type,region_start,region_len,area_count,area_len,\
     util,await,hist_percent_bounds";

/// What there is.
pub(super) fn list(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    let all = ctx.verbose > 0;
    let defaults = match (stats.histogram, all) {
        (false, false) => LIST,
        (false, true) => LIST_AREAS,
        (true, false) => LIST_HISTOGRAM,
        (true, true) => LIST_HISTOGRAM_AREAS,
    };
    show(stats, ctx, defaults, REGION, all)
}

/// What was counted since the last report.
pub(super) fn report(stats: &Stats, ctx: &mut Context) -> Result<(), Failure> {
    let defaults = match (stats.histogram, stats.relative, stats.raw) {
        (true, true, _) => REPORT_RELATIVE,
        (true, false, _) => REPORT_HISTOGRAM,
        (false, _, true) => REPORT_RAW,
        (false, _, false) => REPORT,
    };
    show(stats, ctx, defaults, REGION.with(STATS), !stats.chooses_kinds())
}

/// The list of fields.
pub(super) fn fields(stats: &Stats, ctx: &Context) -> Result<(), Failure> {
    let help = OsString::from("help");
    let fields = Fields { asked: Some(&help), defaults: REPORT, select: None, base: REGION.with(STATS) };
    stats.report.report(ctx, &CATALOGUE, fields).map(|_| ())
}

impl Stats {
    /// Whether any kind of object is asked for.
    fn chooses_kinds(&self) -> bool {
        self.area || self.region || self.group
    }

    /// Which objects are shown: `all` of them, but none twice, beside those that are asked for.
    fn kinds(&self, all: bool) -> Kinds {
        let unless_chosen = !self.chooses_kinds();
        Kinds {
            areas: self.area || all,
            regions: self.region || unless_chosen || all,
            groups: self.group || unless_chosen || all,
            no_single_area: all,
        }
    }

    fn sampler(&self, ctx: &Context, all: bool) -> Sampler {
        let program = match &self.programid {
            _ if self.allprograms => Vec::new(),
            Some(id) => id.as_bytes().to_vec(),
            None => PROGRAM.into(),
        };
        let style = Style {
            units: self.units.unwrap_or(Units::Human { decimal: false }),
            padded: !self.report.noheadings,
            time_units: !self.notimesuffix,
        };
        let interval = u64::try_from(self.report.interval().as_nanos()).unwrap_or(u64::MAX);
        let mut sampler = Sampler::new(self.kinds(all), program, style, interval);
        // dmstats takes the option and shows all the same.
        sampler.region = self.regionid.filter(|_| !ctx.classic).map(|id| Self::id(Some(id)));
        sampler
    }
}

fn show(stats: &Stats, ctx: &mut Context, defaults: &str, base: Groups, all: bool) -> Result<(), Failure> {
    let fields =
        Fields { asked: stats.options.as_ref(), defaults, select: stats.selector.select.as_ref(), base };
    let mut report = stats.report.report(ctx, &CATALOGUE, fields)?;
    let sampler = stats.sampler(ctx, all);
    let rows = Rows::with_statistics(ctx, report.groups().with(base), sampler)?;
    let clock = stats.report.clock(stats.options.as_ref());
    clock.repeat(ctx, &mut report, |ctx, report| {
        rows.begin();
        let mut found: Vec<Row> = Vec::new();
        let outcome = stats.each_device(ctx, false, |ctx, device| {
            let reply = ctx.perform_if_exists(Request::new(device.id.clone(), Command::DevStatus))?;
            found.extend(rows.rows(ctx, reply)?);
            Ok(())
        });
        // Of devices that are named none is shown if one is not there.
        if outcome.is_err() && !stats.names_none() {
            return outcome;
        }
        for row in found {
            report.add(&row)?;
            ctx.out.print(report.written());
        }
        outcome
    })
}
