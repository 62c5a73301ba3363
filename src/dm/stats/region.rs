//! A region and the group that its first member keeps for all: `@stats_list`'s rows.
//!
//! ```text
//! ID: START+LENGTH STEP PROGRAM AUX [precise_timestamps] [histogram:BOUNDS]
//! ```
//!
//! The kernel keeps a text with each region, AUX. libdm puts a group into that of its lowest region, before the user's
//! own: `DMS_GROUP=ALIAS:MEMBERS#DATA`.

use super::{Area, Bounds, Members, NANOS_PER_MILLI, StatsError};
use crate::dm::{Sectors, Text};

/// What a group begins with in AUX.
const GROUP_TAG: &[u8] = b"DMS_GROUP=";

/// A part of a device in which the kernel counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The kernel's number for it, unique on its device.
    pub id: u64,
    /// Its first sector.
    pub start: Sectors,
    /// How long it is.
    pub length: Sectors,
    /// How long each of its areas is; the last one may end before.
    pub step: Sectors,
    /// Which program made it; empty when none says so.
    pub program_id: Text,
    /// The user's text.
    pub user_data: Text,
    /// Counted in nanoseconds, not in milliseconds.
    pub precise: bool,
    /// The bounds of its histograms.
    pub bounds: Option<Bounds>,
    /// Its areas with their counters; none until they are read.
    pub areas: Vec<Area>,
}

/// Regions that are shown as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its number: that of its lowest region.
    pub id: u64,
    /// Its name.
    pub alias: Option<Text>,
    /// Its regions.
    pub members: Members,
}

impl Region {
    /// How many areas it has: one, where the kernel does not say how long they are.
    pub fn area_count(&self) -> u64 {
        match (self.areas.len(), self.length.0, self.step.0) {
            (0, _, 0) | (0, 0, _) => 1,
            (0, length, step) => length.div_ceil(step),
            (read, ..) => u64::try_from(read).unwrap_or(u64::MAX),
        }
    }

    /// The sector behind it.
    pub fn end(&self) -> u64 {
        self.start.0.saturating_add(self.length.0)
    }
}

/// A row, and the group that it keeps.
///
/// # Errors
/// A row of another form. A group that cannot be read is none: its text is the user's then, and [`StatsError::Group`]
/// is left in `faults`.
pub(super) fn parse_row(
    row: &[u8],
    faults: &mut Vec<StatsError>,
) -> Result<(Region, Option<Group>), StatsError> {
    let wrong = || StatsError::ListRow(row.into());
    let mut words = row.splitn(6, |&byte| byte == b' ');
    let mut word = || words.next().ok_or_else(wrong);
    let id = word()?.strip_suffix(b":").and_then(number).ok_or_else(wrong)?;
    let range = word()?;
    let plus = range.iter().position(|&byte| byte == b'+').ok_or_else(wrong)?;
    let start = number(&range[..plus]).ok_or_else(wrong)?;
    let length = number(&range[plus + 1..]).ok_or_else(wrong)?;
    let step = number(word()?).ok_or_else(wrong)?;
    let program_id = unless_dash(word()?);
    let aux = words.next().unwrap_or_default();
    let rest = words.next().unwrap_or_default();
    let options = || rest.split(|&byte| byte == b' ');
    let precise = options().any(|option| option == b"precise_timestamps");
    let scale = if precise { 1 } else { NANOS_PER_MILLI };
    let bounds = options().find_map(|option| option.strip_prefix(b"histogram:"));
    let bounds = bounds.map(|text| Bounds::from_kernel(text, scale).ok_or_else(wrong)).transpose()?;
    let (group, user_data) = parse_aux(id, aux, faults);
    let (start, length, step) = (Sectors(start), Sectors(length), Sectors(step));
    let areas = Vec::new();
    Ok((Region { id, start, length, step, program_id, user_data, precise, bounds, areas }, group))
}

/// The group in AUX, and the user's own text. An alias may have colons in it, so each is tried.
fn parse_aux(id: u64, aux: &[u8], faults: &mut Vec<StatsError>) -> (Option<Group>, Text) {
    let at = aux.windows(GROUP_TAG.len()).position(|window| window == GROUP_TAG);
    let Some(described) = at.map(|at| &aux[at + GROUP_TAG.len()..]) else {
        return (None, unless_dash(aux));
    };
    let colons = described.iter().enumerate().filter(|(_, byte)| **byte == b':');
    for colon in colons.map(|(place, _)| place) {
        let (alias, behind) = (&described[..colon], &described[colon + 1..]);
        let end = behind.iter().position(|&byte| byte == b'#').unwrap_or(behind.len());
        let Ok(members) = Members::parse(&behind[..end]) else { continue };
        if members.first() == Some(id) {
            let alias = Some(Text::from(alias)).filter(|alias| !alias.is_empty());
            return (
                Some(Group { id, alias, members }),
                unless_dash(behind.get(end + 1..).unwrap_or_default()),
            );
        }
    }
    faults.push(StatsError::Group { region: id, aux: aux.into() });
    (None, aux.into())
}

/// A region's AUX: its group, if it keeps one, and the user's text; `-` stands for nothing at all.
pub(super) fn aux(group: Option<&Group>, user_data: &Text) -> Vec<u8> {
    let mut aux = Vec::new();
    if let Some(group) = group {
        aux.extend_from_slice(GROUP_TAG);
        aux.extend_from_slice(group.alias.as_ref().map_or(b"", |alias| alias.as_bytes()));
        aux.extend_from_slice(format!(":{}#", group.members).as_bytes());
    }
    aux.extend_from_slice(if user_data.is_empty() { b"-" } else { user_data });
    aux
}

/// The kernel writes `-` for a text that is not there.
fn unless_dash(word: &[u8]) -> Text {
    if word == b"-" { Text::new() } else { word.into() }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str) -> (Region, Option<Group>) {
        parse_row(row.as_bytes(), &mut Vec::new()).unwrap()
    }

    #[test]
    fn rows_are_read_as_the_kernel_writes_them() {
        // From Linux 6.1.
        let (region, group) =
            read("2: 0+4096 200 dmstats x precise_timestamps histogram:10000,1000000,2000000");
        assert_eq!(
            (region.id, region.start, region.length, region.step),
            (2, Sectors(0), Sectors(4096), Sectors(200))
        );
        assert_eq!((region.program_id, region.user_data), ("dmstats".into(), "x".into()));
        assert_eq!(
            (region.precise, region.bounds.unwrap().nanos()),
            (true, &[10_000, 1_000_000, 2_000_000][..])
        );
        assert_eq!(group, None);
        let (region, _) = read("18: 0+4096 4096 - -");
        assert_eq!((region.program_id.as_bytes(), region.user_data.as_bytes()), (&b""[..], &b""[..]));
        let (region, _) = read("16: 0+4096 4096 dmstats -hello histogram:1000,2000");
        assert_eq!(region.user_data, "-hello");
        assert_eq!(region.bounds.unwrap().nanos(), [1_000_000_000, 2_000_000_000]);
    }

    #[test]
    fn a_region_has_as_many_areas_as_fit_and_one_more_for_the_rest() {
        for (row, count) in [
            ("0: 0+4096 200 - -", 21),
            ("0: 0+4096 1024 - -", 4),
            ("0: 0+4096 0 - -", 1),
            ("0: 0+0 9 - -", 1),
        ] {
            assert_eq!(read(row).0.area_count(), count, "{row}");
        }
    }

    #[test]
    fn a_group_reads_back_as_it_was_written() {
        let rows = ["seg:0-1#-", ":0-1,9#-", "x#y:0,2-4#-", "a:b:0#mine", ":0#x:1#y"];
        for aux_text in rows.map(|text| format!("DMS_GROUP={text}")) {
            let (region, group) = read(&format!("0: 0+8 8 dmstats {aux_text}"));
            assert_eq!(String::from_utf8(aux(group.as_ref(), &region.user_data)).unwrap(), aux_text);
            assert_eq!(group.unwrap().id, 0);
        }
        let (_, group) = read("0: 0+8 8 dmstats DMS_GROUP=a:b:0#mine");
        assert_eq!(group.unwrap().alias, Some("a:b".into()));
    }

    #[test]
    fn a_group_that_makes_no_sense_is_told_of_and_is_the_users_text() {
        for text in ["DMS_GROUP=a", "DMS_GROUP=a:x#-", "DMS_GROUP=:1#-"] {
            let mut faults = Vec::new();
            let row = format!("0: 0+8 8 dmstats {text}");
            let (region, group) = parse_row(row.as_bytes(), &mut faults).unwrap();
            assert_eq!((group, region.user_data), (None, text.into()));
            assert_eq!(faults, [StatsError::Group { region: 0, aux: text.into() }]);
        }
    }

    #[test]
    fn other_rows_are_refused() {
        for row in [
            "",
            "0:",
            "x: 0+8 8 - -",
            "0 0+8 8 - -",
            "0: 0-8 8 - -",
            "0: 0+8 - -",
            "0: +8 8 - -",
            "0: 0+8 8",
            "0: 0+8 8 a b histogram:",
            "0: 0+8 8 a b histogram:1,x",
        ] {
            assert_eq!(
                parse_row(row.as_bytes(), &mut Vec::new()),
                Err(StatsError::ListRow(row.into())),
                "{row}"
            );
        }
    }

    #[test]
    fn no_row_makes_it_panic() {
        arbtest::arbtest(|u| {
            let raw: Vec<u8> = u.arbitrary()?;
            let _ = parse_row(&raw, &mut Vec::new());
            let behind = [&b"1: 0+8 8 p DMS_GROUP="[..], &raw].concat();
            if let Ok((region, Some(group))) = parse_row(&behind, &mut Vec::new()) {
                let again = [&b"1: 0+8 8 p "[..], &aux(Some(&group), &region.user_data)].concat();
                assert_eq!(parse_row(&again, &mut Vec::new()).map(|(_, again)| again), Ok(Some(group)));
            }
            Ok(())
        });
    }
}
