//! Sizes as people read them, in the units that `--units` asks for.

/// What sizes are shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// Each in the largest unit of which it is at least one, with the unit behind it: powers of 1000, else of 1024.
    Human {
        /// Powers of 1000, and capitals.
        decimal: bool,
    },
    /// All in one unit of so many bytes, with no word of it.
    Fixed {
        /// Bytes in the unit; not 0.
        bytes: u64,
        /// Two digits behind the point: not for units of bytes or sectors.
        fraction: bool,
    },
}

/// A text that names no unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoUnits;

impl Units {
    /// Sectors.
    pub const SECTORS: Self = Self::Fixed { bytes: 512, fraction: false };

    /// `h`, `s`, `k`, `M`; a number before it makes it so many (`3M`). What stands behind is not looked at.
    ///
    /// # Errors
    /// A letter that is no unit, no letter, or a unit of less than a byte.
    pub fn parse(text: &str) -> Result<Self, NoUnits> {
        let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, rest) = text.split_at(digits);
        let letter = rest.bytes().next().ok_or(NoUnits)?;
        if matches!(letter, b'h' | b'H' | b'r' | b'R') {
            return Ok(Self::Human { decimal: letter.is_ascii_uppercase() });
        }
        let unit = unit_bytes(letter).ok_or(NoUnits)?;
        let bytes = match number.parse::<u64>() {
            Ok(number) => number.checked_mul(unit),
            Err(_) if number.is_empty() => Some(unit),
            Err(_) => number.parse::<f64>().ok().and_then(|number| scaled(number, unit)),
        };
        let bytes = bytes.filter(|&bytes| bytes > 0).ok_or(NoUnits)?;
        // A number of units is a unit of its own, and shown with a fraction whatever it is made of.
        let fraction = !matches!(number, "" | "1") || !matches!(letter, b'b' | b'B' | b's' | b'S');
        Ok(Self::Fixed { bytes, fraction })
    }

    /// So many sectors.
    pub fn show(self, sectors: u64) -> String {
        if sectors == 0 {
            return "0".into();
        }
        let size = u128::from(sectors) * 512;
        match self {
            Self::Fixed { bytes, fraction } => decimal(size, bytes.into(), if fraction { 2 } else { 0 }),
            Self::Human { decimal: si } => {
                let base: u128 = if si { 1000 } else { 1024 };
                let letters = if si { "BKMGTPE" } else { "bkmgtpe" };
                let power = (1..letters.len()).rev().find(|&power| size >= pow(base, power)).unwrap_or(0);
                let digits = if power == 0 { 0 } else { 2 };
                decimal(size, pow(base, power), digits) + &letters[power..=power]
            }
        }
    }
}

/// Bytes in the unit of that letter: small ones are powers of 1024, capitals powers of 1000.
pub fn unit_bytes(letter: u8) -> Option<u64> {
    let power = match letter.to_ascii_lowercase() {
        b'b' => 0,
        b's' => return Some(512),
        b'k' => 1,
        b'm' => 2,
        b'g' => 3,
        b't' => 4,
        b'p' => 5,
        b'e' => 6,
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { 1000u64.pow(power) } else { 1024u64.pow(power) })
}

fn pow(base: u128, power: usize) -> u128 {
    (0..power).fold(1, |product, _| product * base)
}

/// A fraction of a unit, in whole bytes.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a unit is given with a few digits, and a cast from a float keeps to the bounds of the integer"
)]
fn scaled(number: f64, unit: u64) -> Option<u64> {
    let bytes = number * unit as f64;
    (bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// The quotient as C's `%.*f` writes the nearest double.
#[expect(clippy::cast_precision_loss, reason = "what is lost is far behind the digits that are shown")]
fn decimal(size: u128, unit: u128, digits: usize) -> String {
    format!("{:.digits$}", size as f64 / unit as f64)
}

impl std::fmt::Display for NoUnits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Invalid --units argument.")
    }
}

impl std::error::Error for NoUnits {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_dmsetup_shows_them() {
        for (units, sectors, shown) in [
            ("h", 0, "0"),
            ("h", 1, "512b"),
            ("h", 3, "1.50k"),
            ("h", 2000, "1000.00k"),
            ("h", 2048, "1.00m"),
            ("h", 100_000, "48.83m"),
            ("H", 4096, "2.10M"),
            ("H", 3, "1.54K"),
            ("H", 1, "512B"),
            ("s", 4096, "4096"),
            ("b", 3, "1536"),
            ("k", 3, "1.50"),
            ("M", 100_000, "51.20"),
            ("3M", 100_000, "17.07"),
            ("1.5k", 3, "1.00"),
            ("m rest", 2048, "1.00"),
        ] {
            assert_eq!(Units::parse(units).unwrap().show(sectors), shown, "{sectors} in {units}");
        }
        assert_eq!(Units::SECTORS.show(7), "7");
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in ["", "x", "3", "0k", "0.0001b", "99999999999999999999999e", "-1k", "1.2.3k", "é"] {
            assert_eq!(Units::parse(text), Err(NoUnits), "{text}");
        }
    }

    #[test]
    fn no_units_make_it_panic() {
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            let near: Vec<u8> = u.arbitrary()?;
            let near: String = near
                .iter()
                .map(|byte| char::from(b"0123456789.bskmgtpehHKE"[usize::from(*byte) % 23]))
                .collect();
            for text in [text, near] {
                if let Ok(units) = Units::parse(&text) {
                    assert!(!units.show(u.arbitrary()?).is_empty());
                }
            }
            Ok(())
        });
    }
}
