//! Which regions a group has: `0-2,5`, as people write it and as it is stored.

use std::fmt;

/// A set of region ids, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// First and last of each run; ascending, with a gap between any two.
    runs: Vec<(u64, u64)>,
}

/// A text that is no list of region ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMembers;

impl Members {
    /// Ids and ranges of them with commas between; blanks beside a comma and nothing between two are let pass, as
    /// libdm lets them (`dm_bitset_parse_list`).
    ///
    /// # Errors
    /// Anything that is no number and no range, and a range that goes down.
    pub fn parse(text: &[u8]) -> Result<Self, NotMembers> {
        let mut members = Self::default();
        for part in text.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if part.is_empty() {
                continue;
            }
            let cut = part.iter().position(|&byte| byte == b'-');
            let (first, last) = match cut {
                Some(at) => (id(&part[..at])?, id(&part[at + 1..])?),
                None => (id(part)?, id(part)?),
            };
            if first > last {
                return Err(NotMembers);
            }
            members.runs.push((first, last));
        }
        members.join();
        Ok(members)
    }

    /// The lowest id, which names the group.
    pub fn first(&self) -> Option<u64> {
        Some(self.runs.first()?.0)
    }

    /// The highest id.
    pub fn last(&self) -> Option<u64> {
        Some(self.runs.last()?.1)
    }

    /// Whether the region is one of them.
    pub fn contains(&self, id: u64) -> bool {
        self.runs.iter().any(|&(first, last)| (first..=last).contains(&id))
    }

    /// The lowest id that is not among those of `other`.
    pub fn first_not_in(&self, other: &Self) -> Option<u64> {
        self.runs.iter().find_map(|&(first, last)| {
            match other.runs.iter().find(|run| (run.0..=run.1).contains(&first)) {
                None => Some(first),
                Some(run) if run.1 >= last => None,
                Some(run) => Some(run.1 + 1),
            }
        })
    }

    /// These and that one.
    pub fn insert(&mut self, id: u64) {
        self.runs.push((id, id));
        self.join();
    }

    /// These without that one.
    pub fn remove(&mut self, id: u64) {
        let runs = std::mem::take(&mut self.runs);
        for (first, last) in runs {
            if (first..=last).contains(&id) {
                self.runs.extend((first < id).then(|| (first, id - 1)));
                self.runs.extend((id < last).then(|| (id + 1, last)));
            } else {
                self.runs.push((first, last));
            }
        }
    }

    /// Puts the runs in order and makes one of those that touch.
    fn join(&mut self) {
        self.runs.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(self.runs.len());
        for &(first, last) in &self.runs {
            match joined.last_mut() {
                Some(run) if first <= run.1.saturating_add(1) => run.1 = run.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        self.runs = joined;
    }
}

/// A decimal number and nothing else.
fn id(digits: &[u8]) -> Result<u64, NotMembers> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain).and_then(|text| text.parse().ok()).ok_or(NotMembers)
}

impl FromIterator<u64> for Members {
    fn from_iter<T: IntoIterator<Item = u64>>(ids: T) -> Self {
        let mut members = Self { runs: ids.into_iter().map(|id| (id, id)).collect() };
        members.join();
        members
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.runs.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { "," })?;
            if first == last {
                write!(f, "{first}")?;
            } else {
                write!(f, "{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for NotMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a list of region ids, such as 0-2,5")
    }
}

impl std::error::Error for NotMembers {}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Members::parse(text.as_bytes()).map_or_else(|_| "-".into(), |members| members.to_string())
    }

    #[test]
    fn lists_are_read_as_libdm_reads_them() {
        for (text, expected) in [
            ("0-1", "0-1"),
            ("1,0", "0-1"),
            ("0,1,", "0-1"),
            ("1,,2", "1-2"),
            ("4, 5", "4-5"),
            ("2-4,6", "2-4,6"),
            ("6,1-3,2-4", "1-4,6"),
            ("", ""),
            ("x", "-"),
            ("3-1", "-"),
            ("3-", "-"),
            ("-3", "-"),
            ("4 5", "-"),
            ("18446744073709551616", "-"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn members_come_and_go() {
        let mut members = Members::parse(b"0-4").unwrap();
        members.remove(2);
        assert_eq!(members.to_string(), "0-1,3-4");
        members.remove(0);
        members.insert(9);
        assert_eq!((members.first(), members.last()), (Some(1), Some(9)));
        assert_eq!(members.to_string(), "1,3-4,9");
        assert!(members.contains(4) && !members.contains(2));
        let other = Members::parse(b"0-3,9").unwrap();
        assert_eq!((members.first_not_in(&other), other.first_not_in(&members)), (Some(4), Some(0)));
        assert_eq!(members.first_not_in(&members), None);
    }

    #[test]
    fn what_is_written_reads_back_and_nothing_makes_it_panic() {
        arbtest::arbtest(|u| {
            let ids: Vec<u64> = u.arbitrary()?;
            let members: Members = ids.iter().copied().collect();
            assert_eq!(Members::parse(members.to_string().as_bytes()), Ok(members.clone()));
            assert!(ids.iter().all(|&id| members.contains(id)));
            let raw: Vec<u8> = u.arbitrary()?;
            if let Ok(mut members) = Members::parse(&raw) {
                let text = members.to_string();
                assert_eq!(Members::parse(text.as_bytes()).map(|again| again.to_string()), Ok(text));
                members.remove(u.arbitrary()?);
                members.insert(u.arbitrary()?);
            }
            Ok(())
        });
    }
}
