//! The fields of reports that statistics have: counters, rates, histograms, regions.

use super::sample::Sample;
use crate::cli::report_fields::{REGION, STATS};
use crate::cli::report_row::Row;
use crate::dm::Text;
use crate::dm::stats::{Counters, NANOS_PER_SECOND, Object, Rates};
use crate::render::report::{Field, Kind, NoValue, Order, Value};
use crate::render::{self, Edges, HistogramStyle, Values};

type Outcome = Result<Value, NoValue>;

/// A table of fields, a line each. Their values are read off the row's statistics.
macro_rules! fields {
    ($($group:ident $key:literal $heading:literal $kind:ident $width:literal $value:expr, $help:literal;)*) => {
        &[$(Field {
            group: $group,
            key: $key,
            heading: $heading,
            kind: Kind::$kind,
            width: $width,
            help: $help,
            value: |row: &Row| {
                let value: fn(&Sample) -> Outcome = $value;
                value(row.statistics.as_ref().ok_or(NoValue::NotThere)?)
            },
        },)*]
    };
}

/// The counters.
pub(in crate::cli) const COUNTERS: &[Field<Row>] = fields! {
    STATS "read_count" "#Reads" Number 6 |sample| count(sample, |counters| counters.reads),
        "Count of reads completed.";
    STATS "reads_merged_count" "#RdMrgs" Number 7 |sample| count(sample, |counters| counters.reads_merged),
        "Count of read requests merged.";
    STATS "read_sector_count" "#RdSectors" Number 10 |sample| count(sample, |counters| counters.read_sectors),
        "Count of sectors read.";
    STATS "read_time" "AccRdTime" Number 11 |sample| count(sample, |counters| counters.read_nanos),
        "Accumulated duration of all read requests (ns).";
    STATS "write_count" "#Writes" Number 7 |sample| count(sample, |counters| counters.writes),
        "Count of writes completed.";
    STATS "writes_merged_count" "#WrMrgs" Number 7 |sample| count(sample, |counters| counters.writes_merged),
        "Count of write requests merged.";
    STATS "write_sector_count" "#WrSectors" Number 10 |sample| count(sample, |counters| counters.write_sectors),
        "Count of sectors written.";
    STATS "write_time" "AccWrTime" Number 11 |sample| count(sample, |counters| counters.write_nanos),
        "Accumulated duration of all writes (ns).";
    STATS "in_progress_count" "#InProg" Number 7 |sample| count(sample, |counters| counters.in_progress),
        "Count of requests currently in progress.";
    STATS "io_ticks" "IoTicks" Number 7 |sample| count(sample, |counters| counters.io_nanos),
        "Nanoseconds spent servicing requests.";
    STATS "queue_ticks" "QueueTicks" Number 10 |sample| count(sample, |counters| counters.queue_nanos),
        "Total nanoseconds spent in queue.";
    STATS "read_ticks" "RdTicks" Number 7 |sample| count(sample, |counters| counters.total_read_nanos),
        "Nanoseconds spent servicing reads.";
    STATS "write_ticks" "WrTicks" Number 7 |sample| count(sample, |counters| counters.total_write_nanos),
        "Nanoseconds spent servicing writes.";
};

/// What follows from them and the time that they took.
pub(in crate::cli) const RATES: &[Field<Row>] = fields! {
    STATS "reads_merged_per_sec" "RMrg/s" Number 6 |sample| rate(sample, Rates::reads_merged_per_second),
        "Read requests merged per second.";
    STATS "writes_merged_per_sec" "WMrg/s" Number 6 |sample| rate(sample, Rates::writes_merged_per_second),
        "Write requests merged per second.";
    STATS "reads_per_sec" "R/s" Number 3 |sample| rate(sample, Rates::reads_per_second),
        "Reads per second.";
    STATS "writes_per_sec" "W/s" Number 3 |sample| rate(sample, Rates::writes_per_second),
        "Writes per second.";
    STATS "read_size_per_sec" "RSz/s" Number 5 |sample| size_rate(sample, Rates::read_sectors_per_second),
        "Size of data read per second.";
    STATS "write_size_per_sec" "WSz/s" Number 5 |sample| size_rate(sample, Rates::write_sectors_per_second),
        "Size of data written per second.";
    STATS "avg_request_size" "AvgRqSz" Number 7 |sample| size_rate(sample, Rates::request_sectors),
        "Average request size.";
    STATS "queue_size" "QSize" Number 5 |sample| rate(sample, Rates::queue_size),
        "Average queue size.";
    // Three words of help are misspelt in dmsetup's list too.
    STATS "await" "AWait" Number 5 |sample| rate(sample, Rates::wait),
        "Averate wait time.";
    STATS "read_await" "RdAWait" Number 7 |sample| rate(sample, Rates::read_wait),
        "Averate read wait time.";
    STATS "write_await" "WrAWait" Number 7 |sample| rate(sample, Rates::write_wait),
        "Averate write wait time.";
    STATS "throughput" "Throughput" Number 10 |sample| rate(sample, Rates::throughput),
        "Throughput.";
    STATS "service_time" "SvcTm" Number 5 |sample| rate(sample, Rates::service_time),
        "Service time.";
    STATS "util" "Util%" Number 5 utilization,
        "Utilization.";
    STATS "hist_count" "Histogram Counts" Text 16 |sample| histogram(sample, Some(Values::Counts), None),
        "Latency histogram counts.";
    STATS "hist_count_bounds" "Histogram Counts" Text 16
        |sample| histogram(sample, Some(Values::Counts), Some(Edges::Lower)),
        "Latency histogram counts with bin boundaries.";
    STATS "hist_count_ranges" "Histogram Counts" Text 16
        |sample| histogram(sample, Some(Values::Counts), Some(Edges::Range)),
        "Latency histogram counts with bin ranges.";
    STATS "hist_percent" "Histogram%" Text 10 |sample| histogram(sample, Some(Values::Percents), None),
        "Relative latency histogram.";
    STATS "hist_percent_bounds" "Histogram%" Text 10
        |sample| histogram(sample, Some(Values::Percents), Some(Edges::Lower)),
        "Relative latency histogram with bin boundaries.";
    STATS "hist_percent_ranges" "Histogram%" Text 10
        |sample| histogram(sample, Some(Values::Percents), Some(Edges::Range)),
        "Relative latency histogram with bin ranges.";
    STATS "interval_ns" "IntervalNs" Number 10 |sample| Ok(Value::unsigned(sample.interval_nanos)),
        "Sampling interval in nanoseconds.";
    STATS "interval" "Interval" Number 8 interval,
        "Sampling interval.";
};

/// The regions, areas and groups themselves.
pub(in crate::cli) const REGIONS: &[Field<Row>] = fields! {
    REGION "region_id" "RgID" Number 4 region_id,
        "Region ID.";
    REGION "region_start" "RgStart" Size 7 |sample| size(sample, Sample::start),
        "Region start.";
    REGION "region_len" "RgSize" Size 6 |sample| size(sample, Sample::length),
        "Region length.";
    REGION "area_id" "ArID" Number 4 |sample| Ok(Value::unsigned(sample.area())),
        "Area ID.";
    REGION "area_start" "ArStart" Size 7
        |sample| size(sample, |sample| sample.start().saturating_add(sample.area_offset())),
        "Area offset from start of device.";
    REGION "area_len" "ArSize" Size 6 |sample| size(sample, Sample::area_length),
        "Area length.";
    REGION "area_offset" "ArOff" Size 5 |sample| size(sample, Sample::area_offset),
        "Area offset from start of region.";
    REGION "area_count" "#Areas" Number 6 |sample| Ok(Value::unsigned(sample.area_count())),
        "Area count.";
    REGION "group_id" "GrpID" Number 5 group_id,
        "Group ID.";
    REGION "program_id" "ProgID" Text 6 |sample| Ok(Value::Text(sample.program_id())),
        "Program ID.";
    REGION "user_data" "UserData" Text 8 |sample| Ok(Value::Text(sample.user_data())),
        "Auxiliary data.";
    REGION "precise" "Precise" Text 7
        |sample| Ok(Value::text(if sample.leader().is_some_and(|region| region.precise) { "1" } else { "0" })),
        "Set if nanosecond precision counters are enabled.";
    REGION "hist_bins" "#Bins" Text 9 |sample| Ok(Value::text(sample.bins().to_string())),
        "The number of histogram bins configured.";
    REGION "hist_bounds" "Histogram Bounds" Text 16 |sample| histogram(sample, None, Some(Edges::Lower)),
        "Latency histogram bin boundaries.";
    REGION "hist_ranges" "Histogram Ranges" Text 16 |sample| histogram(sample, None, Some(Edges::Range)),
        "Latency histogram bin ranges.";
    REGION "stats_name" "Name" Text 16 |sample| Ok(Value::Text(sample.name())),
        "Stats name of current object.";
    REGION "obj_type" "ObjType" Text 7 |sample| Ok(Value::text(kind(sample))),
        "Type of stats object being reported.";
};

fn count(sample: &Sample, choose: fn(&Counters) -> u64) -> Outcome {
    Ok(Value::unsigned(choose(&sample.rates().counters)))
}

fn rate(sample: &Sample, choose: fn(&Rates) -> f64) -> Outcome {
    let number = choose(&sample.rates());
    Ok(Value::real(format!("{number:.2}"), number))
}

/// A number of sectors that is shown as a size, what is less than a sector cut off.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float keeps to the bounds of the integer"
)]
fn size_rate(sample: &Sample, choose: fn(&Rates) -> f64) -> Outcome {
    let sectors = choose(&sample.rates());
    Ok(Value::real(sample.style.units.show(sectors as u64), sectors))
}

#[expect(clippy::cast_precision_loss, reason = "sizes are compared as dmsetup compares them")]
fn size(sample: &Sample, choose: fn(&Sample) -> u64) -> Outcome {
    let sectors = choose(sample);
    Ok(Value::real(sample.style.units.show(sectors), sectors as f64))
}

/// In percent: 0 and 100 are shown for nothing else.
fn utilization(sample: &Sample) -> Outcome {
    let percent = sample.rates().utilization() * 100.0;
    let shown = match percent {
        little if little > 0.0 && little < 0.01 => 0.01,
        most if most < 100.0 && most > 99.99 => 99.99,
        other => other,
    };
    Ok(Value::real(format!("{shown:.2}"), percent))
}

#[expect(clippy::cast_precision_loss, reason = "six digits are shown")]
fn interval(sample: &Sample) -> Outcome {
    let seconds = sample.interval_nanos as f64 / NANOS_PER_SECOND as f64;
    Ok(Value::real(format!("{seconds:.6}"), seconds))
}

fn histogram(sample: &Sample, values: Option<Values>, edges: Option<Edges>) -> Outcome {
    let Some((bounds, counts)) = sample.statistics.histogram(sample.object) else {
        return Ok(Value::text(""));
    };
    let style = HistogramStyle { values, edges, padded: sample.style.padded, units: sample.style.time_units };
    Ok(Value::text(render::histogram(bounds, &counts, style)))
}

/// A group has those of its members, and is ordered by its own.
fn region_id(sample: &Sample) -> Outcome {
    match sample.object {
        Object::Area(region, _) | Object::Region(region) => Ok(Value::unsigned(region)),
        Object::Group(group) => {
            let members = sample.statistics.group(group).map(|group| group.members.to_string());
            Ok(Value::Number { shown: members.unwrap_or_default(), order: Order::Whole(group) })
        }
    }
}

/// What is in no group stands behind all groups.
fn group_id(sample: &Sample) -> Outcome {
    let none = Value::Number { shown: "-".into(), order: Order::Whole(u64::MAX) };
    Ok(sample.group().map_or(none, |group| Value::unsigned(group.id)))
}

fn kind(sample: &Sample) -> Text {
    match sample.object {
        Object::Area(..) => "area".into(),
        Object::Region(_) => "region".into(),
        Object::Group(_) => "group".into(),
    }
}
