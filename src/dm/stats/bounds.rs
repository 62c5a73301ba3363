//! The bounds of a latency histogram, in nanoseconds: as people write them, as a kernel is told them and tells them.

use super::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use std::fmt;

/// Nanoseconds in a microsecond.
const NANOS_PER_MICRO: u64 = 1_000;

/// The upper bounds of all bins but the last, which has none; the first begins at 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds(Vec<u64>);

/// A text that gives no bounds, in libdm's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundsError {
    /// Neither a digit nor a unit, or one where none may be; NUL for the end of the text.
    Character(char),
    /// Nothing between two commas; the whole text.
    EmptyBin(String),
    /// A bound below the one before it.
    Order,
    /// A bound of 0, below which nothing lies.
    Zero,
    /// A bound of 2^64 nanoseconds or more.
    TooLarge,
}

impl Bounds {
    /// `10us,1ms,2s`: numbers of nanoseconds, or with a unit behind them. With `carry` a number without a unit has
    /// that of the number before it, which is how libdm reads `1ms,2` (`dm_histogram_bounds_from_string`).
    ///
    /// # Errors
    /// See [`BoundsError`].
    pub fn parse(text: &str, carry: bool) -> Result<Self, BoundsError> {
        let mut bounds = Vec::new();
        let mut unit = 1;
        let mut rest = text.as_bytes();
        loop {
            match rest.first() {
                Some(b',') => return Err(BoundsError::EmptyBin(text.into())),
                Some(b'0'..=b'9' | b'm' | b'u' | b'n' | b's') => {}
                other => return Err(BoundsError::Character(char::from(*other.unwrap_or(&0)))),
            }
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let value = number(&rest[..digits]).ok_or(BoundsError::TooLarge)?;
            rest = &rest[digits..];
            let (known, letters) = match rest {
                [b's', ..] => (Some(NANOS_PER_SECOND), 1),
                [b'm', b's', ..] => (Some(NANOS_PER_MILLI), 2),
                [b'u', b's', ..] => (Some(NANOS_PER_MICRO), 2),
                [b'n', b's', ..] => (Some(1), 2),
                _ => (None, 0),
            };
            unit = known.unwrap_or(if carry { unit } else { 1 });
            rest = &rest[letters..];
            bounds.push(value.checked_mul(unit).ok_or(BoundsError::TooLarge)?);
            match rest {
                [] => break,
                // What a comma at the end leaves open is a bound of 0 to libdm.
                [b','] => {
                    bounds.push(0);
                    break;
                }
                [b',', after @ ..] => rest = after,
                [other, ..] => return Err(BoundsError::Character(char::from(*other))),
            }
        }
        if bounds.windows(2).any(|pair| pair[1] < pair[0]) {
            return Err(BoundsError::Order);
        }
        if bounds.first() == Some(&0) {
            return Err(BoundsError::Zero);
        }
        Ok(Self(bounds))
    }

    /// What `@stats_list` says behind `histogram:`; each number is that many of `scale` nanoseconds.
    pub(super) fn from_kernel(text: &[u8], scale: u64) -> Option<Self> {
        let bound = |digits: &[u8]| number(digits).filter(|_| !digits.is_empty())?.checked_mul(scale);
        text.split(|&byte| byte == b',').map(bound).collect::<Option<_>>().map(Self)
    }

    /// The bounds themselves, in nanoseconds.
    pub fn nanos(&self) -> &[u64] {
        &self.0
    }

    /// How many bins they make.
    pub fn bins(&self) -> usize {
        self.0.len() + 1
    }

    /// Whether any of them is no whole number of milliseconds: then the kernel must count in nanoseconds.
    pub fn needs_precise(&self) -> bool {
        self.0.iter().any(|bound| bound % NANOS_PER_MILLI != 0)
    }

    /// As a kernel is told them: in nanoseconds for precise counters, else in milliseconds.
    pub(super) fn argument(&self, precise: bool) -> String {
        let scale = if precise { 1 } else { NANOS_PER_MILLI };
        self.0.iter().map(|bound| (bound / scale).to_string()).collect::<Vec<_>>().join(",")
    }
}

/// Digits as a number, 0 for none; `None` for what 64 bits do not hold, or no digits.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |sum, &digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

impl fmt::Display for BoundsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(char) => write!(f, "Invalid character in histogram: {char}"),
            Self::EmptyBin(text) => write!(f, "Empty histogram bin not allowed: {text}"),
            Self::Order => f.write_str("Histogram boundaries must be in order of increasing magnitude."),
            Self::Zero => f.write_str("Histogram boundaries must be above 0."),
            Self::TooLarge => f.write_str("Histogram boundaries must be below 2^64 nanoseconds."),
        }
    }
}

impl std::error::Error for BoundsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_libdm_reads_them() {
        let read = |text| Bounds::parse(text, true).map(|bounds| bounds.0);
        assert_eq!(read("10us,1ms,2s"), Ok(vec![10_000, 1_000_000, 2_000_000_000]));
        assert_eq!(read("1ms,2"), Ok(vec![1_000_000, 2_000_000]));
        assert_eq!(read("10,20ns,30"), Ok(vec![10, 20, 30]));
        assert_eq!(read("x"), Err(BoundsError::Character('x')));
        assert_eq!(read(""), Err(BoundsError::Character('\0')));
        assert_eq!(read("1m"), Err(BoundsError::Character('m')));
        assert_eq!(read("1s5"), Err(BoundsError::Character('5')));
        assert_eq!(read("1ms,,2ms"), Err(BoundsError::EmptyBin("1ms,,2ms".into())));
        assert_eq!(read("2ms,1ms"), Err(BoundsError::Order));
        assert_eq!(read("10ms,"), Err(BoundsError::Order));
        assert_eq!(read("0"), Err(BoundsError::Zero));
        assert_eq!(read("99999999999999999999"), Err(BoundsError::TooLarge));
        assert_eq!(read("99999999999s"), Err(BoundsError::TooLarge));
    }

    #[test]
    fn a_unit_is_carried_only_where_it_is_asked_for() {
        assert_eq!(Bounds::parse("1ms,2", false), Err(BoundsError::Order));
        assert_eq!(Bounds::parse("1us,2000", false).unwrap().nanos(), [1000, 2000]);
    }

    #[test]
    fn a_kernel_is_told_in_its_own_unit() {
        let bounds = Bounds::parse("1ms,2s", true).unwrap();
        assert!(!bounds.needs_precise());
        assert_eq!(
            (bounds.argument(false), bounds.argument(true)),
            ("1,2000".into(), "1000000,2000000000".into())
        );
        assert_eq!(Bounds::from_kernel(b"1,2000", NANOS_PER_MILLI), Some(bounds));
        assert!(Bounds::parse("10us", true).unwrap().needs_precise());
        assert_eq!(Bounds::from_kernel(b"", 1), None);
        assert_eq!(Bounds::from_kernel(b"1,,2", 1), None);
    }

    #[test]
    fn no_text_makes_it_panic_and_what_is_told_reads_back() {
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            let _ = Bounds::parse(&text, u.arbitrary()?);
            let near: Vec<u8> = u.arbitrary()?;
            let near: String =
                near.iter().map(|byte| char::from(b"0123456789,muns"[usize::from(*byte) % 15])).collect();
            if let Ok(bounds) = Bounds::parse(&near, u.arbitrary()?) {
                assert_eq!(Bounds::from_kernel(bounds.argument(true).as_bytes(), 1), Some(bounds));
            }
            let _ = Bounds::from_kernel(near.as_bytes(), u.arbitrary()?);
            Ok(())
        });
    }
}
