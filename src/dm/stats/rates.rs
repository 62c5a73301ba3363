//! What counters say of an interval: rates, sizes, waits.

use super::{Counters, NANOS_PER_MILLI, NANOS_PER_SECOND};

/// Counters of an interval, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// What was counted.
    pub counters: Counters,
    /// For how many nanoseconds.
    pub interval_nanos: u64,
}

#[expect(clippy::cast_precision_loss, reason = "rates are shown with two digits behind the point")]
fn real(number: u64) -> f64 {
    number as f64
}

/// The quotient, or 0 where there is nothing to divide by.
fn ratio(number: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { real(number) / real(by) }
}

impl Rates {
    /// So many of them in a second.
    fn per_second(&self, number: u64) -> f64 {
        ratio(number, self.interval_nanos) * real(NANOS_PER_SECOND)
    }

    fn requests(&self) -> u64 {
        self.counters.reads.saturating_add(self.counters.writes)
    }

    /// Reads merged in a second.
    pub fn reads_merged_per_second(&self) -> f64 {
        self.per_second(self.counters.reads_merged)
    }

    /// Writes merged in a second.
    pub fn writes_merged_per_second(&self) -> f64 {
        self.per_second(self.counters.writes_merged)
    }

    /// Reads in a second.
    pub fn reads_per_second(&self) -> f64 {
        self.per_second(self.counters.reads)
    }

    /// Writes in a second.
    pub fn writes_per_second(&self) -> f64 {
        self.per_second(self.counters.writes)
    }

    /// Sectors read in a second.
    pub fn read_sectors_per_second(&self) -> f64 {
        self.per_second(self.counters.read_sectors)
    }

    /// Sectors written in a second.
    pub fn write_sectors_per_second(&self) -> f64 {
        self.per_second(self.counters.write_sectors)
    }

    /// Sectors of a request, on average.
    pub fn request_sectors(&self) -> f64 {
        ratio(self.counters.read_sectors.saturating_add(self.counters.write_sectors), self.requests())
    }

    /// Requests in flight, on average.
    pub fn queue_size(&self) -> f64 {
        ratio(self.counters.queue_nanos, self.interval_nanos)
    }

    /// Milliseconds that a request took, on average.
    pub fn wait(&self) -> f64 {
        let nanos = self.counters.read_nanos.saturating_add(self.counters.write_nanos);
        ratio(nanos, self.requests()) / real(NANOS_PER_MILLI)
    }

    /// Milliseconds that a read took, on average.
    pub fn read_wait(&self) -> f64 {
        ratio(self.counters.read_nanos, self.counters.reads) / real(NANOS_PER_MILLI)
    }

    /// Milliseconds that a write took, on average.
    pub fn write_wait(&self) -> f64 {
        ratio(self.counters.write_nanos, self.counters.writes) / real(NANOS_PER_MILLI)
    }

    /// Requests in a second.
    pub fn throughput(&self) -> f64 {
        self.per_second(self.requests())
    }

    /// The part of the interval in which any request was in flight, 0 to 1.
    pub fn utilization(&self) -> f64 {
        ratio(self.counters.io_nanos.min(self.interval_nanos), self.interval_nanos)
    }

    /// Milliseconds in which the device was busy, for each request.
    pub fn service_time(&self) -> f64 {
        ratio(self.counters.io_nanos.min(self.interval_nanos), self.requests()) / real(NANOS_PER_MILLI)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_for_a_second_and_waits_in_milliseconds() {
        // From Linux 6.1: 3 1 200 707328 25 1 200 19725312 0 1540864 20408576 695040 845824, taken for one second.
        let counters = Counters {
            reads: 3,
            reads_merged: 1,
            read_sectors: 200,
            read_nanos: 707_328,
            writes: 25,
            writes_merged: 1,
            write_sectors: 200,
            write_nanos: 19_725_312,
            in_progress: 0,
            io_nanos: 1_540_864,
            queue_nanos: 20_408_576,
            total_read_nanos: 695_040,
            total_write_nanos: 845_824,
        };
        let rates = Rates { counters, interval_nanos: 2 * NANOS_PER_SECOND };
        assert_eq!(
            (rates.reads_per_second(), rates.writes_per_second(), rates.throughput()),
            (1.5, 12.5, 14.0)
        );
        assert_eq!((rates.reads_merged_per_second(), rates.read_sectors_per_second()), (0.5, 100.0));
        let two = |number: f64| format!("{number:.2}");
        assert_eq!(
            (two(rates.wait()), two(rates.read_wait()), two(rates.write_wait())),
            ("0.73".into(), "0.24".into(), "0.79".into())
        );
        assert_eq!((two(rates.queue_size()), two(rates.request_sectors())), ("0.01".into(), "14.29".into()));
        assert_eq!(
            (two(rates.utilization() * 100.0), two(rates.service_time())),
            ("0.08".into(), "0.06".into())
        );
    }

    #[test]
    fn nothing_counted_is_nothing_and_no_interval_neither() {
        let counters = Counters { reads: 1, io_nanos: 9, ..Counters::default() };
        for rates in [
            Rates { counters: Counters::default(), interval_nanos: 9 },
            Rates { counters, interval_nanos: 0 },
        ] {
            assert_eq!((rates.reads_per_second(), rates.utilization(), rates.queue_size()), (0.0, 0.0, 0.0));
            assert_eq!((rates.write_wait(), rates.service_time()), (0.0, 0.0));
        }
    }
}
