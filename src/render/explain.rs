//! A table in words, and as a picture: which part of the device goes where.

use super::screen::{Ink, Paint, human, printable};
use crate::dm::{Sectors, Text, Use};

/// A line of a table, with what is known of its words.
#[derive(Clone, Debug)]
pub struct ExplainedLine {
    /// The first sector of the device that it maps.
    pub start: Sectors,
    /// How many sectors it maps.
    pub length: Sectors,
    /// Its type.
    pub target: Text,
    /// What a line of that type does; empty if the type is not known here.
    pub summary: String,
    /// The devices that it uses.
    pub places: Vec<Place>,
}

/// A part of a device that a line uses.
#[derive(Clone, Debug)]
pub struct Place {
    /// The device, as it is called.
    pub device: Text,
    /// Where it begins there.
    pub from: Sectors,
    /// How much of it there is.
    pub uses: Use,
}

impl Place {
    /// How many sectors of the device a line of that length uses; `None` where that is the target's affair.
    pub fn length(&self, line: Sectors) -> Option<Sectors> {
        match self.uses {
            Use::Whole => Some(line),
            Use::Share(count) => Some(Sectors(line.0 / count.max(1))),
            Use::Times(count) => line.0.checked_mul(count).map(Sectors),
            Use::Own => None,
        }
    }

    fn range(&self, line: Sectors) -> String {
        let device = printable(&self.device);
        match self.length(line) {
            Some(length) => format!("{device}, {}", range(self.from, length)),
            None => format!("{device}, for data of its own"),
        }
    }
}

/// The sectors of a range, first and last.
fn range(from: Sectors, length: Sectors) -> String {
    match length.0 {
        0 => format!("no sector from {from} on"),
        1 => format!("sector {from}"),
        count => format!("sectors {from} to {}", from.0.saturating_add(count - 1)),
    }
}

/// The table in words, a blank line, and the picture; `fine` has lines drawn with characters beyond ASCII.
pub fn explain(paint: Paint, name: &str, lines: &[ExplainedLine], fine: bool) -> String {
    let end = lines.last().and_then(|line| line.start.checked_add(line.length)).unwrap_or_default();
    let plural = if lines.len() == 1 { "" } else { "s" };
    let name = paint.on(Ink::Name, &printable(name.as_bytes()));
    let mut text = format!("{name}: {}, {}, in {} line{plural}\n", human(end), end.counted(), lines.len());
    for line in lines {
        let target = paint.on(Ink::Target, &printable(&line.target));
        text.push_str(&format!(
            "\n  {} ({}): {target}\n",
            range(line.start, line.length),
            human(line.length)
        ));
        if !line.summary.is_empty() {
            text.push_str(&wrapped(&line.summary));
        }
        for place in &line.places {
            let share = match place.uses {
                Use::Share(count) if count > 1 => format!("one part of {count} goes to "),
                Use::Times(count) if count > 1 => format!("every chunk of {count} comes from "),
                Use::Own => "with ".into(),
                Use::Whole | Use::Share(_) | Use::Times(_) => "goes to ".into(),
            };
            text.push_str(&format!("    {share}{}\n", place.range(line.length)));
        }
    }
    if !lines.is_empty() {
        text.push('\n');
        text.push_str(&picture(paint, lines, fine));
    }
    text
}

/// The text in lines of at most 78 columns, behind four blanks.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from("   ")];
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= 78) {
            Some(line) => line.extend([" ", word]),
            None => lines.push(format!("    {word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// The signs of a picture: corners, forks, ends, lines, an arrow.
struct Signs {
    top: [char; 2],
    fork: [char; 2],
    end: [char; 2],
    across: char,
    down: char,
    arrow: &'static str,
}

const FINE: Signs =
    Signs {
        top: ['┌', '┐'], fork: ['├', '┤'], end: ['└', '┘'], across: '─', down: '│', arrow: "──▶"
    };
const PLAIN: Signs =
    Signs { top: ['+', '+'], fork: ['+', '+'], end: ['+', '+'], across: '-', down: '|', arrow: "-->" };

/// What the device is made of from its first sector down, at each border its number, and beside each part where it goes.
fn picture(paint: Paint, lines: &[ExplainedLine], fine: bool) -> String {
    let signs = if fine { FINE } else { PLAIN };
    let mut parts: Vec<(Sectors, String, Vec<String>)> = Vec::new();
    let mut end = Sectors::ZERO;
    for line in lines {
        if line.start > end {
            parts.push((end, "nothing: a gap".into(), Vec::new()));
        }
        let places = line.places.iter().map(|place| place.range(line.length)).collect();
        parts.push((line.start, format!("{} {}", printable(&line.target), human(line.length)), places));
        end = line.start.checked_add(line.length).unwrap_or(Sectors(u64::MAX));
    }
    let inner = parts.iter().map(|(_, label, _)| label.chars().count()).max().unwrap_or(0);
    let margin = end.to_string().len();
    let border = |at: Sectors, [left, right]: [char; 2]| {
        let across = String::from(signs.across).repeat(inner + 2);
        format!("  {} {left}{across}{right}\n", paint.on(Ink::Faint, &format!("{at:>margin$}")))
    };
    let mut text = String::new();
    for (index, (start, label, places)) in parts.iter().enumerate() {
        text.push_str(&border(*start, if index == 0 { signs.top } else { signs.fork }));
        let down = signs.down;
        for row in 0..places.len().max(1) {
            let label = if row == 0 { label.as_str() } else { "" };
            let to = places.get(row).map_or(String::new(), |place| format!("{} {place}", signs.arrow));
            let label = paint.on(Ink::Target, &format!("{label:<inner$}"));
            text.push_str(&format!("  {:margin$} {down} {label} {down}{to}\n", ""));
        }
    }
    text + &border(end, signs.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: u64, length: u64, target: &str, places: &[(&str, u64, Use)]) -> ExplainedLine {
        ExplainedLine {
            start: Sectors(start),
            length: Sectors(length),
            target: target.into(),
            summary: String::new(),
            places: places
                .iter()
                .map(|&(device, from, uses)| Place { device: device.into(), from: Sectors(from), uses })
                .collect(),
        }
    }

    #[test]
    fn ranges_go_to_their_devices() {
        let lines = [
            line(0, 2048, "linear", &[("a", 384, Use::Whole)]),
            line(4096, 8, "striped", &[("a", 0, Use::Share(2)), ("b\x1b", 8, Use::Share(2))]),
        ];
        assert_eq!(
            explain(Paint::Plain, "vol0", &lines, true),
            "vol0: 2.0 MiB, 4104 sectors, in 2 lines\n\n  sectors 0 to 2047 (1.0 MiB): linear\n    \
             goes to a, sectors 384 to 2431\n\n  sectors 4096 to 4103 (4.0 KiB): striped\n    \
             one part of 2 goes to a, sectors 0 to 3\n    one part of 2 goes to b\\u{1b}, sectors 8 to 11\n\n\
             \x20    0 ┌─────────────────┐\n       │ linear 1.0 MiB  │──▶ a, sectors 384 to 2431\n  \
             2048 ├─────────────────┤\n       │ nothing: a gap  │\n  4096 ├─────────────────┤\n       \
             │ striped 4.0 KiB │──▶ a, sectors 0 to 3\n       │                 │──▶ b\\u{1b}, sectors 8 to 11\n  \
             4104 └─────────────────┘\n"
        );
        assert!(explain(Paint::Plain, "x", &lines, false).is_ascii());
    }

    #[test]
    fn no_numbers_make_it_panic() {
        arbtest::arbtest(|u| {
            let mut lines = Vec::new();
            for _ in 0..u.int_in_range(0..=3)? {
                let uses = *u.choose(&[Use::Whole, Use::Share(0), Use::Times(u64::MAX), Use::Own])?;
                lines.push(line(u.arbitrary()?, u.arbitrary()?, "x", &[("d", u.arbitrary()?, uses)]));
            }
            assert!(explain(Paint::Coloured, "x", &lines, u.arbitrary()?).ends_with('\n'));
            Ok(())
        });
    }
}
