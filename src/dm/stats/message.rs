//! The messages that ask for and about regions.

use super::region;
use super::{Bounds, Group};
use crate::dm::{Sectors, Text};

/// A region to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Its first sector.
    pub start: Sectors,
    /// How long it is; with `start` 0 too, the whole device.
    pub length: Sectors,
    /// How it is divided.
    pub step: Step,
    /// Count in nanoseconds.
    pub precise: bool,
    /// The bounds of its histograms.
    pub bounds: Option<Bounds>,
    /// Which program makes it; empty for none.
    pub program_id: Text,
    /// The user's text; empty for none.
    pub user_data: Text,
}

/// How a region is divided into areas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many areas, of one length.
    Areas(u64),
    /// Areas of that length.
    Length(Sectors),
}

impl Create {
    /// The message.
    pub fn message(&self) -> Text {
        let precise = self.precise || self.bounds.as_ref().is_some_and(Bounds::needs_precise);
        let mut words: Vec<Vec<u8>> = vec![b"@stats_create".to_vec()];
        words.push(match (self.start.0, self.length.0) {
            (0, 0) => b"-".to_vec(),
            (start, length) => format!("{start}+{length}").into_bytes(),
        });
        words.push(match self.step {
            Step::Areas(count) => format!("/{count}").into_bytes(),
            Step::Length(sectors) => sectors.to_string().into_bytes(),
        });
        let options = usize::from(precise) + usize::from(self.bounds.is_some());
        if options > 0 {
            words.push(options.to_string().into_bytes());
        }
        words.extend(precise.then(|| b"precise_timestamps".to_vec()));
        words.extend(
            self.bounds.as_ref().map(|bounds| format!("histogram:{}", bounds.argument(precise)).into_bytes()),
        );
        // Without a program the user's text would stand in its place.
        let program_id = if self.program_id.is_empty() { b"-" } else { self.program_id.as_bytes() };
        words.push(program_id.to_vec());
        words.extend(Some(self.user_data.to_vec()).filter(|data| !data.is_empty()));
        words.join(&b' ').into()
    }
}

impl Step {
    /// How many areas it makes of a region of that length.
    pub fn areas(self, length: Sectors) -> u64 {
        match self {
            Self::Areas(count) => count,
            Self::Length(Sectors(0)) => 1,
            Self::Length(step) if length.0 > 0 => length.0.div_ceil(step.0),
            Self::Length(_) => 1,
        }
    }
}

/// Asks for the regions of a program; of all, if it is empty.
pub fn list(program_id: &[u8]) -> Text {
    [b"@stats_list ", program_id].concat().into()
}

/// Asks for a region's counters, and sets them to 0 if `clear` is set.
pub fn print(region: u64, clear: bool) -> Text {
    format!("@stats_print{} {region}", if clear { "_clear" } else { "" }).into()
}

/// Sets a region's counters to 0.
pub fn clear(region: u64) -> Text {
    format!("@stats_clear {region}").into()
}

/// Removes a region.
pub fn delete(region: u64) -> Text {
    format!("@stats_delete {region}").into()
}

/// Stores a region's text: its group, if it keeps one, and the user's own.
pub(super) fn set_aux(id: u64, group: Option<&Group>, user_data: &Text) -> Text {
    let mut message = format!("@stats_set_aux {id} ").into_bytes();
    message.extend(region::aux(group, user_data));
    message.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_asked_for_as_the_kernel_documents_it() {
        let mut create = Create {
            start: Sectors(0),
            length: Sectors(0),
            step: Step::Areas(4),
            precise: false,
            bounds: None,
            program_id: "dmstats".into(),
            user_data: Text::new(),
        };
        assert_eq!(create.message(), "@stats_create - /4 dmstats");
        create.bounds = Some(Bounds::parse("1ms,2s", true).unwrap());
        create.user_data = "mine".into();
        create.length = Sectors(8);
        assert_eq!(create.message(), "@stats_create 0+8 /4 1 histogram:1,2000 dmstats mine");
        create.bounds = Some(Bounds::parse("10us", true).unwrap());
        create.step = Step::Length(Sectors(2));
        create.program_id = Text::new();
        assert_eq!(create.message(), "@stats_create 0+8 2 2 precise_timestamps histogram:10000 - mine");
    }

    #[test]
    fn areas_are_counted_as_the_kernel_makes_them() {
        assert_eq!(Step::Areas(7).areas(Sectors(3)), 7);
        assert_eq!(Step::Length(Sectors(200)).areas(Sectors(4096)), 21);
        assert_eq!(Step::Length(Sectors(0)).areas(Sectors(4096)), 1);
        assert_eq!(Step::Length(Sectors(8)).areas(Sectors(0)), 1);
    }
}
