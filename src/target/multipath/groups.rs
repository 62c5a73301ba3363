//! The paths, in groups of which one is in use: how one is chosen, fails, and comes back.
//!
//! Source: `choose_pgpath`, `fail_path`, `reinstate_path` and below in the kernel's drivers/md/dm-mpath.c.

mod memory;

use super::selector::{Load, Selector};
use crate::block::Pdev;
use std::sync::Arc;

/// A path.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) pdev: Arc<Pdev>,
    pub(super) is_active: bool,
    /// How often it failed.
    pub(super) failures: u32,
    /// Which of all choices was the last that fell on it; 0 for none.
    chosen: u64,
}

/// Paths that are used side by side.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) selector: Selector,
    pub(super) paths: Vec<Path>,
    /// To be used only when no other group has a path.
    pub(super) is_bypassed: bool,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    /// How many paths work.
    valid: usize,
    /// How often a path was chosen.
    choices: u64,
    current: Option<usize>,
    /// The group to use from the next request on.
    next: Option<usize>,
    /// No group was in use yet: what the status calls the queueing of I/O.
    pub(super) is_fresh: bool,
    /// How often the group in use was prepared by a hardware handler.
    pub(super) prepared: u32,
    has_handler: bool,
    pub(super) queue_if_no_path: bool,
    /// What that was before the device was suspended.
    saved_queue: bool,
    /// Suspended, or about to be; without a flush, requests that have no path are to be asked for again.
    pub(super) suspending: Option<bool>,
    pub(super) is_suspended: bool,
}

impl Group {
    pub(super) fn new(selector: Selector) -> Self {
        Self { selector, paths: Vec::new(), is_bypassed: false }
    }

    pub(super) fn add(&mut self, pdev: Arc<Pdev>) {
        self.paths.push(Path { pdev, is_active: true, failures: 0, chosen: 0 });
    }
}

impl Groups {
    pub(super) fn new(
        groups: Vec<Group>,
        next: Option<usize>,
        queue_if_no_path: bool,
        has_handler: bool,
    ) -> Self {
        Self {
            valid: groups.iter().map(|group| group.paths.len()).sum(),
            choices: 0,
            groups,
            current: None,
            next,
            is_fresh: true,
            prepared: 0,
            has_handler,
            queue_if_no_path,
            saved_queue: false,
            suspending: None,
            is_suspended: false,
        }
    }

    pub(super) fn has_path(&self) -> bool {
        self.valid > 0
    }

    /// Whether requests without a path wait, for a path or for the next table.
    pub(super) fn waits(&self) -> bool {
        self.queue_if_no_path || self.suspending == Some(true)
    }

    /// The path for a request of that many bytes.
    pub(super) fn choose(&mut self, bytes: u64) -> Option<(usize, usize)> {
        if self.valid == 0 {
            self.is_fresh = false;
            self.current = None;
            return None;
        }
        let usual = self.next.take().into_iter().chain(self.current);
        // Groups that are bypassed when there is no other.
        let others = [false, true].into_iter().flat_map(|bypassed| {
            let group = self.groups.iter().enumerate();
            group.filter(move |(_, group)| group.is_bypassed == bypassed).map(|(index, _)| index)
        });
        let order: Vec<usize> = usual.chain(others).collect();
        for index in order {
            let Some(path) = self.groups.get_mut(index).and_then(|group| group.selector.select(bytes)) else {
                continue;
            };
            if self.current != Some(index) {
                self.current = Some(index);
                self.is_fresh = false;
                self.prepared = u32::from(self.has_handler);
            }
            self.choices += 1;
            if let Some(chosen) = self.groups.get_mut(index).and_then(|group| group.paths.get_mut(path)) {
                chosen.chosen = self.choices;
            }
            return Some((index, path));
        }
        self.current = None;
        None
    }

    pub(super) fn pdev(&self, (group, path): (usize, usize)) -> Option<&Arc<Pdev>> {
        Some(&self.groups.get(group)?.paths.get(path)?.pdev)
    }

    /// The paths that lead to that device.
    pub(super) fn to(&self, is_it: impl Fn(&Pdev) -> bool) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let paths = group.paths.iter().enumerate().filter(|(_, path)| is_it(&path.pdev));
            found.extend(paths.map(|(path, _)| (index, path)));
        }
        found
    }

    /// The path by which the last request to that device was sent, of those in use. Where a device stands in a group more
    /// than once its paths are told apart by that alone.
    pub(super) fn used(&self, pdev: &Pdev) -> Option<(usize, usize)> {
        let at =
            |(group, path): (usize, usize)| self.groups.get(group).and_then(|group| group.paths.get(path));
        let paths = self.to(|known| known.number() == pdev.number()).into_iter();
        paths.max_by_key(|&place| at(place).map(|path| (path.is_active, path.chosen)))
    }

    /// Takes a path out of use: `true` if it was in use.
    pub(super) fn fail(&mut self, (group, path): (usize, usize)) -> bool {
        let Some(group) = self.groups.get_mut(group) else { return false };
        let Some(known) = group.paths.get_mut(path).filter(|path| path.is_active) else { return false };
        known.is_active = false;
        known.failures = known.failures.wrapping_add(1);
        group.selector.fail(path);
        self.valid -= 1;
        true
    }

    /// Takes it into use again: `true` if it was not.
    pub(super) fn reinstate(&mut self, (group, path): (usize, usize)) -> bool {
        let Some(group) = self.groups.get_mut(group) else { return false };
        let Some(known) = group.paths.get_mut(path).filter(|path| !path.is_active) else { return false };
        known.is_active = true;
        group.selector.reinstate(path);
        self.valid += 1;
        true
    }

    /// Has a group avoided, or not any more.
    pub(super) fn bypass(&mut self, group: usize, is_bypassed: bool) {
        if let Some(group) = self.groups.get_mut(group) {
            group.is_bypassed = is_bypassed;
        }
        self.current = None;
    }

    /// Has a group used from the next request on.
    pub(super) fn switch(&mut self, group: usize) {
        // The kernel's loop goes over all of them.
        self.groups.iter_mut().for_each(|group| group.is_bypassed = false);
        self.current = None;
        self.next = Some(group);
    }

    /// Whether requests wait when there is no path; to suspend, what was so before is kept.
    pub(super) fn set_queue(&mut self, queue: bool, keep: bool) {
        if keep {
            if self.queue_if_no_path || !self.saved_queue {
                self.saved_queue = self.queue_if_no_path;
            }
        } else if !queue {
            self.saved_queue = false;
        }
        self.queue_if_no_path = queue;
    }

    pub(super) fn resume(&mut self) {
        (self.suspending, self.is_suspended) = (None, false);
        if std::mem::take(&mut self.saved_queue) {
            self.queue_if_no_path = true;
        }
    }

    /// The number of the group that is in use or is next, from 1; 0 when there is none.
    pub(super) fn number(&self) -> usize {
        let first = (!self.groups.is_empty()).then_some(0);
        self.next.or(self.current).or(first).map_or(0, |index| index + 1)
    }

    /// `D` bypassed, `A` in use, `E` not.
    pub(super) fn letter(&self, group: usize) -> char {
        match self.groups.get(group) {
            Some(group) if group.is_bypassed => 'D',
            _ if self.current == Some(group) => 'A',
            _ => 'E',
        }
    }
}

/// What is in flight, by the device that it goes to.
pub(super) type Loads = Vec<(Arc<Pdev>, Arc<Load>)>;
