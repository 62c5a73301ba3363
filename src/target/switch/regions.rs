//! Which path each region of a `switch` takes, and the language of the messages that change it.
//!
//! Source: `process_set_region_mappings` in the kernel's drivers/md/dm-switch.c, for what each word means and which are
//! refused.

use crate::dm::Text;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Regions that are kept together once one of them is set.
const PAGE: u64 = 1024;

/// A path for each region: its number modulo the number of paths until it is set.
#[derive(Debug)]
pub(super) struct Regions {
    count: u64,
    paths: u32,
    pages: BTreeMap<u64, Vec<u32>>,
}

impl Regions {
    pub(super) fn new(count: u64, paths: u32) -> Self {
        Self { count, paths, pages: BTreeMap::new() }
    }

    /// The path of a region.
    pub(super) fn path(&self, region: u64) -> u32 {
        let within = usize::try_from(region % PAGE).unwrap_or(0);
        let set = self.pages.get(&(region / PAGE)).and_then(|page| page.get(within));
        set.copied().unwrap_or_else(|| self.at_first(region))
    }

    fn at_first(&self, region: u64) -> u32 {
        u32::try_from(region % u64::from(self.paths)).unwrap_or(0)
    }

    fn put(&mut self, region: u64, path: u32) {
        let page = region / PAGE;
        if !self.pages.contains_key(&page) {
            let first = page * PAGE;
            let content = (first..first + PAGE).map(|region| self.at_first(region)).collect();
            self.pages.insert(page, content);
        }
        let within = usize::try_from(region % PAGE).unwrap_or(0);
        if let Some(place) = self.pages.get_mut(&page).and_then(|page| page.get_mut(within)) {
            *place = path;
        }
    }

    /// Does what the words of a message say, up to the first that is wrong: then the reason.
    pub(super) fn set(&mut self, words: &[Text]) -> Result<(), String> {
        let mut at = 0;
        for word in words {
            let repeat = word.strip_prefix(b"R").or_else(|| word.strip_prefix(b"r"));
            at = match repeat {
                Some(numbers) => self.repeat(at, numbers, word)?,
                None => self.set_one(at, word)?,
            };
        }
        Ok(())
    }

    /// `[INDEX]:PATH`, after region `at`; the region that was set.
    fn set_one(&mut self, at: u64, word: &Text) -> Result<u64, String> {
        let wrong = || format!("\"{word}\" is not [INDEX]:PATH or RN,M");
        let (index, rest) = hex(word);
        let path = rest.strip_prefix(b":").filter(|path| !path.is_empty()).ok_or_else(wrong)?;
        let region = if word.starts_with(b":") { at.wrapping_add(1) } else { index };
        let (path, rest) = hex(path);
        if !rest.is_empty() {
            return Err(wrong());
        }
        if region >= self.count {
            return Err(format!(
                "\"{word}\": there is no region {region:x}, {:x} is the last",
                self.count - 1
            ));
        }
        let known = u32::try_from(path).ok().filter(|path| *path < self.paths);
        let path = known.ok_or_else(|| {
            format!("\"{word}\": there is no path {path:x}, {:x} is the last", self.paths - 1)
        })?;
        self.put(region, path);
        Ok(region)
    }

    /// `RN,M`: the last N up to `at` once more for the next M; the last region that was set.
    fn repeat(&mut self, at: u64, numbers: &[u8], word: &Text) -> Result<u64, String> {
        let (cycle, rest) = hex(numbers);
        let times = rest.strip_prefix(b",").filter(|times| !times.is_empty());
        let (times, rest) = hex(times.unwrap_or(b","));
        if numbers.starts_with(b",") || !rest.is_empty() {
            return Err(format!("\"{word}\" is not RN,M"));
        }
        if cycle == 0 || cycle - 1 > at {
            return Err(format!("\"{word}\": the last {cycle:x} of {:x} regions cannot be repeated", at + 1));
        }
        let end = at.checked_add(times).filter(|end| *end < self.count);
        let end = end.ok_or_else(|| format!("\"{word}\": there is no region {at:x} + {times:x}"))?;
        for region in at + 1..=end {
            self.put(region, self.path(region - cycle));
        }
        Ok(end)
    }

    /// The words that bring a new table to this one.
    pub(super) fn changes(&self) -> Text {
        let mut words = String::new();
        let mut last = None;
        for (page, paths) in &self.pages {
            for (region, path) in (page * PAGE..self.count).zip(paths) {
                if *path == self.at_first(region) {
                    continue;
                }
                let blank = if words.is_empty() { "" } else { " " };
                let follows = last.is_some_and(|last: u64| last + 1 == region);
                let index = if follows { String::new() } else { format!("{region:x}") };
                // Writing to a string has no way to fail.
                let _ = write!(words, "{blank}{index}:{path:x}");
                last = Some(region);
            }
        }
        words.into()
    }
}

/// The hexadecimal number that text begins with, modulo 2^64 (0 when there is none), and what follows it.
fn hex(text: &[u8]) -> (u64, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = text.split_at(digits);
    let digit = |byte: &u8| char::from(*byte).to_digit(16).map_or(0, u64::from);
    (digits.iter().fold(0u64, |number, byte| number << 4 | digit(byte)), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Text> {
        Text::from(text).words()
    }

    fn paths(regions: &Regions) -> Vec<u32> {
        (0..regions.count).map(|region| regions.path(region)).collect()
    }

    #[test]
    fn the_guides_examples() {
        let mut regions = Regions::new(0x1100, 3);
        regions.set(&words("0:0 :1 :2 :0 :1 :2 :1")).unwrap();
        assert_eq!(paths(&regions)[..8], [0, 1, 2, 0, 1, 2, 1, 1]);
        regions.set(&words("1000:1 :2 R2,10")).unwrap();
        assert_eq!(paths(&regions)[0x1000..0x1012], [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2]);
        let mut again = Regions::new(0x1100, 3);
        again.set(&regions.changes().words()).unwrap();
        assert_eq!(paths(&again), paths(&regions));
    }

    #[test]
    fn wrong_words_are_refused_as_the_kernel_refuses_them() {
        let mut regions = Regions::new(16, 2);
        for word in [
            "x", "0", "0:", "0:2", "10:0", "0:0x", "R", "R,1", "R1", "R1,", "R0,1", "R2,1", "R1,10", "R1,1x",
            "",
        ] {
            assert!(regions.set(&[word.into()]).is_err(), "{word}");
        }
        assert_eq!(regions.changes(), "");
        // The last region can be repeated to, not past; an index wraps at 2^64.
        regions.set(&words("r1,f")).unwrap();
        assert_eq!(paths(&regions), [0; 16]);
        regions.set(&words("10000000000000003:1 R1,0")).unwrap();
        assert_eq!(regions.path(3), 1);
        // Before the first region there is none, so without an index it is the second.
        regions.set(&words(":0")).unwrap();
        assert_eq!(regions.changes(), "1:0 5:0 7:0 9:0 b:0 d:0 f:0");
    }
}
