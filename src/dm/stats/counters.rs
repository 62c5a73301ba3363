//! What the kernel counts in an area: `@stats_print`'s rows.

use super::{Bounds, NANOS_PER_MILLI, StatsError};
use crate::dm::Sectors;

/// The thirteen counters. Times are in nanoseconds, whatever the kernel counts in.
///
/// Source: Documentation/admin-guide/device-mapper/statistics.rst, and iostats.rst for the first eleven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads completed.
    pub reads: u64,
    /// Reads merged into others.
    pub reads_merged: u64,
    /// Sectors read.
    pub read_sectors: u64,
    /// Time spent by all reads.
    pub read_nanos: u64,
    /// Writes completed.
    pub writes: u64,
    /// Writes merged into others.
    pub writes_merged: u64,
    /// Sectors written.
    pub write_sectors: u64,
    /// Time spent by all writes.
    pub write_nanos: u64,
    /// Requests in flight.
    pub in_progress: u64,
    /// Time during which any request was in flight.
    pub io_nanos: u64,
    /// The same, times the requests in flight.
    pub queue_nanos: u64,
    /// Time during which any read was in flight.
    pub total_read_nanos: u64,
    /// Time during which any write was in flight.
    pub total_write_nanos: u64,
}

/// An area with what was counted in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Its first sector.
    pub start: Sectors,
    /// How long it is said to be: the last one of a region may end before.
    pub length: Sectors,
    /// The counters.
    pub counters: Counters,
    /// Requests by latency, a number a bin; empty without a histogram.
    pub histogram: Vec<u64>,
}

impl Counters {
    /// The sums of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        let mine = self.slots();
        let theirs = { *other }.slots().map(|slot| *slot);
        for (slot, number) in mine.into_iter().zip(theirs) {
            *slot = slot.saturating_add(number);
        }
        self
    }

    /// Each counter, in the kernel's order.
    fn slots(&mut self) -> [&mut u64; 13] {
        [
            &mut self.reads,
            &mut self.reads_merged,
            &mut self.read_sectors,
            &mut self.read_nanos,
            &mut self.writes,
            &mut self.writes_merged,
            &mut self.write_sectors,
            &mut self.write_nanos,
            &mut self.in_progress,
            &mut self.io_nanos,
            &mut self.queue_nanos,
            &mut self.total_read_nanos,
            &mut self.total_write_nanos,
        ]
    }
}

/// The areas of a region by the kernel's answer to `@stats_print`: `START+LENGTH` and the counters, a row each.
///
/// # Errors
/// A row of another form, or one whose histogram has not the bins of `bounds`.
pub(super) fn parse_areas(
    answer: &[u8],
    precise: bool,
    bounds: Option<&Bounds>,
) -> Result<Vec<Area>, StatsError> {
    let rows = answer.split(|&byte| byte == b'\n').filter(|row| !row.is_empty());
    let read = |row: &[u8]| parse_area(row, precise, bounds).ok_or_else(|| StatsError::PrintRow(row.into()));
    rows.map(read).collect()
}

fn parse_area(row: &[u8], precise: bool, bounds: Option<&Bounds>) -> Option<Area> {
    let mut words = std::str::from_utf8(row).ok()?.split_ascii_whitespace();
    let (start, length) = words.next()?.split_once('+')?;
    let mut counters = Counters::default();
    for slot in counters.slots() {
        *slot = words.next()?.parse().ok()?;
    }
    if !precise {
        counters.scale(NANOS_PER_MILLI);
    }
    let histogram = match bounds {
        None => Vec::new(),
        Some(bounds) => {
            let counts: Option<Vec<u64>> = words.next()?.split(':').map(|count| count.parse().ok()).collect();
            counts.filter(|counts| counts.len() == bounds.bins())?
        }
    };
    let [start, length] = [start, length].map(|number| number.parse().ok().map(Sectors));
    Some(Area { start: start?, length: length?, counters, histogram })
}

impl Counters {
    /// Times in another unit become nanoseconds.
    fn scale(&mut self, nanos: u64) {
        for time in [
            &mut self.read_nanos,
            &mut self.write_nanos,
            &mut self.io_nanos,
            &mut self.queue_nanos,
            &mut self.total_read_nanos,
            &mut self.total_write_nanos,
        ] {
            *time = time.saturating_mul(nanos);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_the_kernel_writes_them() {
        // From Linux 6.1: four areas, counted in milliseconds.
        let answer = b"0+1024 7 1 1024 10 100 1 800 0 0 10 10 10 0\n1024+1024 1 0 224 0 0 0 0 0 0 0 0 0 0\n\
                       2048+1024 0 0 0 0 0 0 0 0 0 0 0 0 0\n3072+1024 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let areas = parse_areas(answer, false, None).unwrap();
        assert_eq!(areas.len(), 4);
        assert_eq!((areas[1].start, areas[1].length), (Sectors(1024), Sectors(1024)));
        let first = areas[0].counters;
        assert_eq!((first.reads, first.reads_merged, first.read_sectors), (7, 1, 1024));
        assert_eq!(
            (first.read_nanos, first.io_nanos, first.total_read_nanos),
            (10_000_000, 10_000_000, 10_000_000)
        );
        let sum = first.plus(&areas[1].counters);
        assert_eq!((sum.reads, sum.read_sectors, sum.writes), (8, 1248, 100));
    }

    #[test]
    fn a_histogram_has_the_bins_of_its_bounds() {
        // From Linux 6.1: counted in nanoseconds, with histogram:10000,1000000,2000000.
        let row = b"0+200 3 1 200 707328 25 1 200 19725312 0 1540864 20408576 695040 845824 0:28:0:0\n";
        let bounds = Bounds::parse("10us,1ms,2ms", true).unwrap();
        let areas = parse_areas(row, true, Some(&bounds)).unwrap();
        assert_eq!(areas[0].histogram, [0, 28, 0, 0]);
        assert_eq!(areas[0].counters.write_nanos, 19_725_312);
        let other = Bounds::parse("1ms", true).unwrap();
        assert_eq!(
            parse_areas(row, true, Some(&other)),
            Err(StatsError::PrintRow(row[..row.len() - 1].into()))
        );
        assert!(parse_areas(b"0+8 0 0 0 0 0 0 0 0 0 0 0 0 0\n", true, Some(&other)).is_err());
    }

    #[test]
    fn no_answer_makes_it_panic() {
        arbtest::arbtest(|u| {
            let raw: Vec<u8> = u.arbitrary()?;
            let _ = parse_areas(&raw, u.arbitrary()?, None);
            let numbers: Vec<u64> = u.arbitrary()?;
            let row = numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" ").replacen(' ', "+", 1);
            let bounds = Bounds::parse("1ms,2ms", true).unwrap();
            let read =
                parse_areas(row.as_bytes(), u.arbitrary()?, Some(&bounds).filter(|_| row.len() % 2 == 0));
            if let Ok(areas) = read {
                let _ = areas.iter().fold(Counters::default(), |sum, area| sum.plus(&area.counters));
            }
            Ok(())
        });
    }
}
