//! What a table's text leaves to be found out: what its words are, and how much of a device is left.
//!
//! Tables that people write may have units in their targets' arguments (`0 1GiB linear disk.img 1MiB`), and a percentage
//! for a length: `100%` is all that the line's device has left behind the line's offset on it, `50%` half of that. A
//! driver is sent plain sectors. Which words are sectors, and which are devices, each target type says.

use super::table_text::Flaw;
use super::{Fault, Sectors, Text, size};
use std::ops::Range;

/// What a word of a line's parameters is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A device.
    Device(Use),
    /// Where on the device before it the line begins, in sectors.
    Offset,
    /// Another number of sectors.
    Sectors,
    /// Anything else.
    Plain,
}

/// How much of a device a line uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// As many sectors as the line has.
    Whole,
    /// One of so many equal shares of the line.
    Share(u64),
    /// So many times what the line has.
    Times(u64),
    /// What the target keeps there, as a log or copies.
    Own,
}

/// The roles of so many words: `first`, and `repeated` again and again behind them; [`Role::Plain`] where that is empty.
pub fn roles(words: &[Text], first: &[Role], repeated: &[Role]) -> Vec<Role> {
    let repeated = if repeated.is_empty() { &[Role::Plain] } else { repeated };
    first.iter().chain(repeated.iter().cycle()).take(words.len()).copied().collect()
}

/// Who knows what a table's text needs.
pub trait Surveyor {
    /// What the words of a line of that type are; `None` for a type that is not known.
    fn roles(&self, target: &[u8], words: &[Text]) -> Option<Vec<Role>>;

    /// How many sectors the device has.
    ///
    /// # Errors
    /// There is none, or it cannot be asked.
    fn size(&mut self, device: &Text) -> Result<Sectors, Fault>;
}

/// A line's parameters on the way to plain sectors.
pub(super) struct Words<'a> {
    target: &'a [u8],
    places: Vec<Range<usize>>,
    words: Vec<Text>,
    roles: Option<Vec<Role>>,
}

/// A key may stand among them.
impl Drop for Words<'_> {
    fn drop(&mut self) {
        self.words.iter_mut().for_each(Text::wipe);
    }
}

impl<'a> Words<'a> {
    /// The words at those places of the text, sizes among them in sectors.
    pub(super) fn read(
        text: &[u8],
        target: &'a [u8],
        places: Vec<Range<usize>>,
        surveyor: &dyn Surveyor,
    ) -> Result<Self, Flaw> {
        let mut words: Vec<Text> = places.iter().map(|place| Text::from(&text[place.clone()])).collect();
        let roles = surveyor.roles(target, &words);
        for (index, role) in roles.iter().flatten().enumerate() {
            // What is no size at all is the driver's to refuse.
            if matches!(role, Role::Offset | Role::Sectors) && size::is_size(&words[index]) {
                let sectors = size::sectors(&words[index])
                    .map_err(|(reason, hint)| Flaw::new(places[index].clone(), reason).hinted(hint))?;
                words[index] = sectors.to_string().into();
            }
        }
        Ok(Self { target, places, words, roles })
    }

    /// The text of the range with the words in the place of those that were written.
    pub(super) fn params(&self, text: &[u8], range: Range<usize>) -> Text {
        let mut params = Vec::with_capacity(range.len());
        let mut from = range.start;
        for (place, word) in self.places.iter().zip(&self.words) {
            params.extend_from_slice(&text[from..place.start]);
            params.extend_from_slice(word);
            from = place.end;
        }
        params.extend_from_slice(&text[from..range.end]);
        params.into()
    }

    /// So many hundredths of what the line's devices have left, of the one that has least; `length` is where that stands.
    pub(super) fn rest(
        &self,
        percent: u64,
        length: Range<usize>,
        surveyor: &mut dyn Surveyor,
    ) -> Result<Sectors, Flaw> {
        let target = Text::from(self.target);
        let refused = |reason: String| {
            let hint = "give the length in sectors, or with its unit as in 1GiB".to_owned();
            Flaw::new(length.clone(), reason).hinted(hint)
        };
        let Some(roles) = &self.roles else {
            return Err(refused(format!(
                "{percent}% of what? Which devices a line of \"{target}\" uses is not known here"
            )));
        };
        let mut least = None;
        for (index, role) in roles.iter().enumerate() {
            match role {
                Role::Device(Use::Whole) => {
                    let left = self.left(index, roles.get(index + 1), surveyor)?;
                    least = Some(least.map_or(left, |least: Sectors| least.min(left)));
                }
                Role::Device(Use::Share(_) | Use::Times(_)) => {
                    return Err(refused(format!(
                        "{percent}% of a device is no length of a line of \"{target}\""
                    )));
                }
                Role::Device(Use::Own) | Role::Offset | Role::Sectors | Role::Plain => {}
            }
        }
        let Some(least) = least else {
            return Err(refused(format!("{percent}% of what? A line of \"{target}\" uses no device")));
        };
        // By parts, which cannot overflow.
        let sectors = least.0 / 100 * percent + least.0 % 100 * percent / 100;
        if sectors == 0 {
            return Err(refused(format!("{percent}% of {} is no sector", least.counted())));
        }
        Ok(Sectors(sectors))
    }

    /// What the device of that word has left behind the offset that follows it, if one does.
    fn left(&self, index: usize, next: Option<&Role>, surveyor: &mut dyn Surveyor) -> Result<Sectors, Flaw> {
        let (device, at) = (&self.words[index], &self.places[index]);
        let size = surveyor.size(device).map_err(|fault| {
            let flaw = Flaw::new(at.clone(), fault.reason);
            match fault.hint {
                Some(hint) => flaw.hinted(hint),
                None => flaw,
            }
        })?;
        let (Some(Role::Offset), Some(word)) = (next, self.words.get(index + 1)) else { return Ok(size) };
        let place = self.places[index + 1].clone();
        let digits = word.strip_prefix(b"+").unwrap_or(word);
        let offset = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
        let Some(offset) = offset else {
            return Err(Flaw::new(place, format!("\"{word}\" is not a number of sectors")));
        };
        size.0.checked_sub(offset).map(Sectors).ok_or_else(|| {
            let reason = format!("\"{device}\" has {}, and the line begins at {offset}", size.counted());
            Flaw::new(place, reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::dm::{Amounts, Errno, Fault, Role, Sectors, SourceTable, Surveyor, Text, Use, roles};

    /// Two disks, and three types.
    struct Known;

    impl Surveyor for Known {
        fn roles(&self, target: &[u8], words: &[Text]) -> Option<Vec<Role>> {
            match target {
                b"linear" => Some(roles(words, &[Role::Device(Use::Whole), Role::Offset], &[])),
                b"delay" => Some(roles(words, &[], &[Role::Device(Use::Whole), Role::Offset, Role::Plain])),
                b"striped" => {
                    let repeated = [Role::Device(Use::Share(2)), Role::Offset];
                    Some(roles(words, &[Role::Plain, Role::Sectors], &repeated))
                }
                b"zero" => Some(Vec::new()),
                _ => None,
            }
        }

        fn size(&mut self, device: &Text) -> Result<Sectors, Fault> {
            match device.as_bytes() {
                b"large" => Ok(Sectors(4096)),
                b"small" => Ok(Sectors(1001)),
                _ => Err(Fault::new(Errno::ENODEV, format!("there is no disk or file \"{device}\""))),
            }
        }
    }

    fn read(text: &str) -> Result<String, (String, String)> {
        match SourceTable::parse_as(text.as_bytes(), Amounts::Sizes(&mut Known)) {
            Ok(source) => {
                Ok(source.table.lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
            Err(error) => {
                Err((Text::from(&error.text[error.span.clone()]).to_string(), error.reason.clone()))
            }
        }
    }

    #[test]
    fn a_percentage_is_of_what_is_left() {
        for (text, line) in [
            ("0 100% linear large 0", "0 4096 linear large 0"),
            ("0 100% linear large 1MiB # rest", "0 2048 linear large 2048 "),
            ("0 50% linear  small  +1", "0 500 linear small  +1"),
            ("0 33% linear large 1MiB", "0 675 linear large 2048"),
            ("0 100% delay large 0 5 small 1 7", "0 1000 delay large 0 5 small 1 7"),
            ("0 1K striped 2 64KiB large 0 small 8s", "0 2 striped 2 128 large 0 small 8"),
            ("0 8 crypt 1MiB", "0 8 crypt 1MiB"),
            ("0 8 linear a\\b 38x", "0 8 linear a\\\\b 38x"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(line), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (text, at, reason) in [
            ("0 100% zero", "100%", "100% of what? A line of \"zero\" uses no device"),
            (
                "0 100% crypt x",
                "100%",
                "100% of what? Which devices a line of \"crypt\" uses is not known here",
            ),
            ("0 101% linear large 0", "101%", "\"101%\" is not a percentage from 1% to 100%"),
            ("0 % linear large 0", "%", "\"%\" is not a percentage from 1% to 100%"),
            ("0 100% linear none 0", "none", "there is no disk or file \"none\""),
            ("0 100% linear large x", "x", "\"x\" is not a number of sectors"),
            ("0 100% linear small 1MiB", "1MiB", "\"small\" has 1001 sectors, and the line begins at 2048"),
            ("0 1% linear small 1000", "1%", "1% of 1 sector is no sector"),
            (
                "0 100% striped 2 8 large 0 small 0",
                "100%",
                "100% of a device is no length of a line of \"striped\"",
            ),
            (
                "0 8 linear large 1000B",
                "1000B",
                "1000B is 1000 bytes, no whole number of sectors of 512 bytes",
            ),
        ] {
            assert_eq!(read(text), Err((at.into(), reason.into())), "{text}");
        }
        assert!(SourceTable::parse(b"0 100% linear large 0").is_err(), "dmsetup knows none");
        let plain = SourceTable::parse(b"0 8 linear large 1MiB").unwrap();
        assert_eq!(plain.table.lines[0].params, "large 1MiB");
    }
}
