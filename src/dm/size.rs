//! Amounts of storage as people write them: `64MiB`, `1GB`, `2048s`.

use super::{SECTOR_SIZE, Sectors, Surveyor};
use std::fmt;

/// How the amounts in a table are written.
pub enum Amounts<'a> {
    /// Digits: sectors. dmsetup's form.
    Sectors,
    /// The same, or digits and a unit; a length may also be a percentage.
    Sizes(&'a mut dyn Surveyor),
}

impl fmt::Debug for Amounts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Sectors) { "Sectors" } else { "Sizes" })
    }
}

/// What can stand behind the digits, and how many bytes it is: powers of 1024, but those that end in a bare `B` of 1000, as
/// the IEC and the SI have them; `s` for a sector.
const UNITS: &[(&str, u64)] = &[
    ("s", SECTOR_SIZE),
    ("B", 1),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("KB", 1000),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("P", 1 << 50),
    ("PiB", 1 << 50),
    ("PB", 1_000_000_000_000_000),
];

impl Sectors {
    /// A number of sectors, or digits with a unit as in `64MiB`.
    ///
    /// # Errors
    /// It is none, or no whole number of sectors: the reason.
    pub fn parse(word: &str) -> Result<Self, String> {
        if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = word.parse().map(Self);
            return number.map_err(|_| format!("{word} is more sectors than a device can have"));
        }
        sectors(word.as_bytes()).map_err(|(reason, _)| reason)
    }
}

/// Whether that is digits with a unit behind them.
pub(super) fn is_size(word: &[u8]) -> bool {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && UNITS.iter().any(|(name, _)| *name.as_bytes() == word[digits..])
}

/// The sectors of a number with its unit; if it is none, why, and what to do.
pub(super) fn sectors(word: &[u8]) -> Result<Sectors, (String, String)> {
    let word = String::from_utf8_lossy(word);
    let cut = word.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(word.len());
    let (digits, unit) = word.split_at(cut);
    let known = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, bytes)| *bytes);
    let (Ok(number), Some(unit)) = (digits.parse::<u64>(), known) else {
        let reason = format!("\"{word}\" is not a number of sectors, nor a size with its unit");
        return Err((reason, "as in 2048, 1MiB, 64KiB or 10GB".into()));
    };
    let bytes = u128::from(number) * u128::from(unit);
    let sector = u128::from(SECTOR_SIZE);
    if !bytes.is_multiple_of(sector) {
        let (below, above) = (bytes / sector, bytes / sector + 1);
        let reason = format!("{word} is {bytes} bytes, no whole number of sectors of {SECTOR_SIZE} bytes");
        return Err((reason, format!("{below} or {above} sectors are nearest")));
    }
    u64::try_from(bytes / sector).map(Sectors).map_err(|_| {
        (
            format!("{word} is more than a device can have"),
            "the last sector of all has number 2^64 - 1".into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_sectors_by_its_unit() {
        for (word, count) in [
            ("8s", 8),
            ("1024B", 2),
            ("1K", 2),
            ("1KiB", 2),
            ("64kB", 125),
            ("1MiB", 2048),
            ("1M", 2048),
            ("1GiB", 2_097_152),
            ("2TB", 3_906_250_000),
        ] {
            assert_eq!(sectors(word.as_bytes()), Ok(Sectors(count)), "{word}");
        }
        let refused = |word: &str| sectors(word.as_bytes()).unwrap_err().0;
        assert_eq!(refused("1000B"), "1000B is 1000 bytes, no whole number of sectors of 512 bytes");
        assert_eq!(refused("38x"), "\"38x\" is not a number of sectors, nor a size with its unit");
        assert_eq!(refused("99999999999P"), "99999999999P is more than a device can have");
        for word in ["", "GiB", "-1M", "1.5G", "1mib", "100%", "1 G"] {
            assert!(sectors(word.as_bytes()).is_err(), "{word}");
        }
    }
}
