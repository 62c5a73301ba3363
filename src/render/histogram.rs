//! A latency histogram as a field of a report shows it.

use crate::dm::stats::{Bounds, NANOS_PER_MILLI, NANOS_PER_SECOND};

/// What is shown of each bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistogramStyle {
    /// How many requests fell into it.
    pub values: Option<Values>,
    /// Where it begins and ends.
    pub edges: Option<Edges>,
    /// Values stand in columns; else they follow one another with colons between.
    pub padded: bool,
    /// Edges have units, as large as is exact; else they are nanoseconds.
    pub units: bool,
}

/// How many requests a bin has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Their number.
    Counts,
    /// Their part of all.
    Percents,
}

/// Where a bin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// Where it begins.
    Lower,
    /// Where it begins and where it ends.
    Range,
}

/// The width of a value in columns.
const VALUE_WIDTH: usize = 6;
/// The width of an edge in columns, with a unit and without.
const EDGE_WIDTH: usize = 6;
const EDGE_WIDTH_NANOS: usize = 10;

/// The bins in one line: `0s:  12,10us:   3`, `0s-10us,>10us`.
pub fn histogram(bounds: &Bounds, counts: &[u64], style: HistogramStyle) -> String {
    let columns = style.padded && style.values.is_some();
    let separator = match (style.values, style.edges) {
        (Some(_), Some(_)) if columns => ",",
        (Some(_), _) if !columns => ":",
        (None, Some(_)) => ",",
        _ => "",
    };
    let total: u128 = counts.iter().copied().map(u128::from).sum();
    let mut bins = Vec::with_capacity(counts.len());
    for (bin, &count) in counts.iter().enumerate() {
        let lower = if bin == 0 { 0 } else { bounds.nanos().get(bin - 1).copied().unwrap_or(u64::MAX) };
        let upper = bounds.nanos().get(bin).copied();
        let edge_width = match (columns, style.units) {
            (false, _) => 0,
            (true, true) => EDGE_WIDTH,
            (true, false) => EDGE_WIDTH_NANOS,
        };
        let mut text = style.edges.map_or(String::new(), |edges| {
            let text = edge(edges, lower, upper, style.units);
            // A range is as long as it is, unless nothing ends it.
            let width = if edges == Edges::Lower || upper.is_none() { edge_width } else { 0 };
            format!("{text:>width$}") + if style.values.is_some() { ":" } else { "" }
        });
        // What an edge takes beyond its column is taken from the value's.
        let taken = if style.edges.is_some() { signed(text.len()) - signed(edge_width + 1) } else { 0 };
        let width = if columns { usize::try_from(signed(VALUE_WIDTH) - taken).unwrap_or(0) } else { 0 };
        match style.values {
            Some(Values::Counts) => text += &format!("{count:>width$}"),
            Some(Values::Percents) => text += &format!("{:>width$}%", percent(count, total)),
            None => {}
        }
        bins.push(text);
    }
    bins.join(separator)
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn edge(edges: Edges, lower: u64, upper: Option<u64>, units: bool) -> String {
    match (edges, upper) {
        (Edges::Lower, _) => time(lower, units),
        (Edges::Range, None) => format!(">{}", time(lower, units)),
        (Edges::Range, Some(upper)) => format!("{}-{}", time(lower, units), time(upper, units)),
    }
}

/// A time in the largest unit of which it is a whole number.
fn time(nanos: u64, units: bool) -> String {
    if !units {
        return nanos.to_string();
    }
    let known = [(NANOS_PER_SECOND, "s"), (NANOS_PER_MILLI, "ms"), (1_000, "us"), (1, "ns")];
    let found = known.into_iter().find(|(unit, _)| nanos.is_multiple_of(*unit));
    found.map_or(String::new(), |(unit, word)| format!("{}{word}", nanos / unit))
}

/// The part of the whole in percent, with two digits.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub fn percent(part: u64, whole: u128) -> String {
    if part == 0 || whole == 0 { "0.00".into() } else { format!("{:.2}", part as f64 / whole as f64 * 100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(style: HistogramStyle, counts: &[u64]) -> String {
        histogram(&Bounds::parse("1ms,2ms,1s", true).unwrap(), counts, style)
    }

    #[test]
    fn edges_alone_are_a_list() {
        let style = HistogramStyle { edges: Some(Edges::Lower), units: true, ..HistogramStyle::default() };
        assert_eq!(shown(style, &[0; 4]), "0s,1ms,2ms,1s");
        let range = HistogramStyle { edges: Some(Edges::Range), padded: true, ..style };
        assert_eq!(shown(range, &[0; 4]), "0s-1ms,1ms-2ms,2ms-1s,>1s");
        assert_eq!(shown(HistogramStyle { units: false, ..style }, &[0; 4]), "0,1000000,2000000,1000000000");
    }

    #[test]
    fn values_stand_in_columns_as_dmstats_has_them() {
        let counts = HistogramStyle {
            values: Some(Values::Counts),
            padded: true,
            units: true,
            ..HistogramStyle::default()
        };
        assert_eq!(shown(counts, &[0; 4]), "     0     0     0     0");
        let lower = HistogramStyle { edges: Some(Edges::Lower), ..counts };
        assert_eq!(shown(lower, &[0; 4]), "    0s:     0,   1ms:     0,   2ms:     0,    1s:     0");
        let range = HistogramStyle { edges: Some(Edges::Range), ..counts };
        assert_eq!(shown(range, &[0; 4]), "0s-1ms:     0,1ms-2ms:    0,2ms-1s:     0,   >1s:     0");
        let percents = HistogramStyle { values: Some(Values::Percents), ..range };
        assert_eq!(shown(percents, &[0; 4]), "0s-1ms:  0.00%,1ms-2ms: 0.00%,2ms-1s:  0.00%,   >1s:  0.00%");
        let nanos = HistogramStyle { units: false, ..range };
        assert_eq!(
            shown(nanos, &[0; 4]),
            "0-1000000:      0,1000000-2000000:0,2000000-1000000000:0,>1000000000:    0"
        );
    }

    #[test]
    fn without_columns_all_has_colons_between() {
        let counts =
            HistogramStyle { values: Some(Values::Counts), units: true, ..HistogramStyle::default() };
        assert_eq!(shown(counts, &[0, 7, 0, 1]), "0:7:0:1");
        let lower = HistogramStyle { edges: Some(Edges::Lower), ..counts };
        assert_eq!(shown(lower, &[0; 4]), "0s:0:1ms:0:2ms:0:1s:0");
        let percents = HistogramStyle { values: Some(Values::Percents), ..counts };
        assert_eq!(shown(percents, &[1, 2, 0, 0]), "33.33%:66.67%:0.00%:0.00%");
    }
}
