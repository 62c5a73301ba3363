//! What a multipath has learned, as one line of text for the next process that has the device.
//!
//! ```text
//! STATE CURRENT NEXT PREPARED   then for each group   BYPASSED ORDER   and for each of its paths   LETTER FAILURES
//! ```
//!
//! STATE is `-` or letters: `f` no group was in use yet, `q` requests wait when there is no path, `s` they did before the
//! suspend, `p` and `n` suspended with a flush and without, `S` all the way. CURRENT and NEXT are groups counted from 1, 0
//! for none. ORDER has the selector's working paths from 0, with commas; `-` for none.

use super::Groups;
use crate::dm::Text;
use std::str::SplitWhitespace;

impl Groups {
    /// The text.
    pub(in super::super) fn memory(&self) -> Text {
        let letters = [
            ('f', self.is_fresh),
            ('q', self.queue_if_no_path),
            ('s', self.saved_queue),
            ('p', self.suspending == Some(false)),
            ('n', self.suspending == Some(true)),
            ('S', self.is_suspended),
        ];
        let state: String = letters.iter().filter(|(_, is_so)| *is_so).map(|(letter, _)| letter).collect();
        let number = |group: Option<usize>| group.map_or(0, |index| index + 1);
        let (current, next) = (number(self.current), number(self.next));
        let mut words = vec![or_none(state), format!("{current} {next} {}", self.prepared)];
        for group in &self.groups {
            let order: Vec<String> = group.selector.order().iter().map(usize::to_string).collect();
            words.push(format!("{} {}", u8::from(group.is_bypassed), or_none(order.join(","))));
            words.extend(
                group
                    .paths
                    .iter()
                    .map(|path| format!("{} {}", if path.is_active { 'A' } else { 'F' }, path.failures)),
            );
        }
        words.join(" ").into()
    }

    /// Takes over what such a text says; one that is of other groups, or empty, says nothing.
    pub(in super::super) fn remember(&mut self, memory: &Text) {
        let text = memory.to_string();
        let mut words = text.split_whitespace();
        let Some(learned) = self.read_state(&mut words) else { return };
        if words.next().is_some() {
            return;
        }
        let Learned { state, current, next, prepared, groups } = learned;
        let is = |letter| state.contains(letter);
        self.is_fresh = is('f');
        (self.queue_if_no_path, self.saved_queue) = (is('q'), is('s'));
        self.suspending = (is('p') || is('n')).then(|| is('n'));
        self.is_suspended = is('S');
        (self.current, self.next, self.prepared) = (current, next, prepared);
        self.valid = 0;
        for (group, LearnedGroup { is_bypassed, order, paths }) in self.groups.iter_mut().zip(groups) {
            group.is_bypassed = is_bypassed;
            for (path, (is_active, failures)) in group.paths.iter_mut().zip(paths) {
                (path.is_active, path.failures) = (is_active, failures);
            }
            self.valid += order.len();
            group.selector.set_order(order);
        }
    }

    fn read_state<'a>(&self, words: &mut SplitWhitespace<'a>) -> Option<Learned<'a>> {
        let state = words.next()?;
        let mut group = || {
            let number: usize = words.next()?.parse().ok()?;
            (number <= self.groups.len()).then(|| number.checked_sub(1))
        };
        let (current, next) = (group()?, group()?);
        let prepared = words.next()?.parse().ok()?;
        let mut groups = Vec::new();
        for group in &self.groups {
            let is_bypassed = words.next()? == "1";
            let order = words.next()?;
            let order = if order == "-" { Vec::new() } else { order.split(',').collect() };
            let order: Vec<usize> = order.into_iter().map(str::parse).collect::<Result<_, _>>().ok()?;
            let mut paths = Vec::new();
            for _ in &group.paths {
                paths.push((words.next()? == "A", words.next()?.parse().ok()?));
            }
            // The selector has each path that works, and no other, once.
            let working = paths.iter().enumerate().filter(|(_, path)| path.0).map(|(index, _)| index);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if !working.eq(sorted) {
                return None;
            }
            groups.push(LearnedGroup { is_bypassed, order, paths });
        }
        Some(Learned { state, current, next, prepared, groups })
    }
}

/// What a text says.
struct Learned<'a> {
    state: &'a str,
    current: Option<usize>,
    next: Option<usize>,
    prepared: u32,
    groups: Vec<LearnedGroup>,
}

struct LearnedGroup {
    is_bypassed: bool,
    order: Vec<usize>,
    /// Of each path whether it is in use, and its failures.
    paths: Vec<(bool, u32)>,
}

fn or_none(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
