//! The statistics of a device: its regions and groups, what is shown of them, and the messages that change them.

use super::counters::parse_areas;
use super::message::{delete, set_aux};
use super::overlap::overlaps;
use super::region::parse_row;
use super::{Bounds, Counters, Group, GroupError, Members, Region, StatsError};
use crate::dm::{Sectors, Text};
use std::collections::BTreeMap;

/// The regions and groups of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    regions: BTreeMap<u64, Region>,
    groups: BTreeMap<u64, Group>,
}

/// Something that has counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// An area: its region, and its place there, from 0 on.
    Area(u64, u64),
    /// All areas of a region.
    Region(u64),
    /// All regions of a group.
    Group(u64),
}

/// Which objects to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Each area.
    pub areas: bool,
    /// Each region.
    pub regions: bool,
    /// Each group.
    pub groups: bool,
    /// Of the regions not those that have a single area, which would be seen twice.
    pub no_single_area: bool,
}

impl Statistics {
    /// The regions by the kernel's answer to `@stats_list`. What is amiss with a group is left in `faults`.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn parse(answer: &[u8], faults: &mut Vec<StatsError>) -> Result<Self, StatsError> {
        let mut statistics = Self::default();
        for row in answer.split(|&byte| byte == b'\n').filter(|row| !row.is_empty()) {
            let (region, group) = parse_row(row, faults)?;
            statistics.groups.extend(group.map(|group| (group.id, group)));
            statistics.regions.insert(region.id, region);
        }
        for group in statistics.groups.values_mut() {
            // A range may be as long as it likes: only what there is, is looked at.
            let there = |id: &u64| group.members.contains(*id);
            let present: Members = statistics.regions.keys().copied().filter(there).collect();
            let missing = group.members.first_not_in(&present);
            faults.extend(missing.map(|region| StatsError::Missing { group: group.id, region }));
            group.members = present;
        }
        Ok(statistics)
    }

    /// Puts the counters that the kernel answered to `@stats_print` into a region. With `resize` its length is the sum
    /// of the areas' then, which libdm takes it for.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn set_counters(&mut self, id: u64, answer: &[u8], resize: bool) -> Result<(), StatsError> {
        let Some(region) = self.regions.get_mut(&id) else { return Ok(()) };
        region.areas = parse_areas(answer, region.precise, region.bounds.as_ref())?;
        if let (true, Some(first), Some(last)) = (resize, region.areas.first(), region.areas.last()) {
            (region.start, region.step) = (first.start, first.length);
            let end = last.start.0.saturating_add(last.length.0);
            region.length = Sectors(end.saturating_sub(first.start.0));
        }
        Ok(())
    }

    /// The regions, by id.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// The region of that id.
    pub fn region(&self, id: u64) -> Option<&Region> {
        self.regions.get(&id)
    }

    /// Whether there is no region.
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// The highest id of a region; 0 without any.
    pub fn last_id(&self) -> u64 {
        self.regions.keys().next_back().copied().unwrap_or(0)
    }

    /// The group of that id.
    pub fn group(&self, id: u64) -> Option<&Group> {
        self.groups.get(&id)
    }

    /// Whether there is any group.
    pub fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The group that a region is in.
    pub fn group_of(&self, region: u64) -> Option<&Group> {
        self.groups.values().find(|group| group.members.contains(region))
    }

    /// The regions of a group.
    pub fn members<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Region> {
        self.regions().filter(|region| group.members.contains(region.id))
    }

    /// The objects of those kinds: first every area, then every region, then every group.
    pub fn walk(&self, kinds: Kinds) -> impl Iterator<Item = Object> {
        let areas = self.regions().filter(move |_| kinds.areas);
        let areas =
            areas.flat_map(|region| (0..region.area_count()).map(|area| Object::Area(region.id, area)));
        let shown =
            move |region: &&Region| kinds.regions && (!kinds.no_single_area || region.area_count() > 1);
        let regions = self.regions().filter(shown).map(|region| Object::Region(region.id));
        let groups = self.groups.keys().filter(move |_| kinds.groups).map(|&id| Object::Group(id));
        areas.chain(regions).chain(groups)
    }

    /// What was counted in the object, with all that is in it; 0 where nothing was read.
    pub fn counters(&self, object: Object) -> Counters {
        let sum = |region: &Region| {
            region.areas.iter().fold(Counters::default(), |sum, area| sum.plus(&area.counters))
        };
        match object {
            Object::Area(region, area) => {
                let found = self.region(region).zip(usize::try_from(area).ok());
                found
                    .and_then(|(region, at)| region.areas.get(at))
                    .map(|area| area.counters)
                    .unwrap_or_default()
            }
            Object::Region(region) => self.region(region).map(sum).unwrap_or_default(),
            Object::Group(group) => {
                let members = self.group(group).into_iter().flat_map(|group| self.members(group));
                members.fold(Counters::default(), |total, region| total.plus(&sum(region)))
            }
        }
    }

    /// The object's histogram: the bounds, and a count a bin, 0 where nothing was read. `None` without one.
    pub fn histogram(&self, object: Object) -> Option<(&Bounds, Vec<u64>)> {
        let (leader, regions): (_, Vec<&Region>) = match object {
            Object::Area(region, _) | Object::Region(region) => {
                (region, self.region(region).into_iter().collect())
            }
            Object::Group(group) => (group, self.members(self.group(group)?).collect()),
        };
        let bounds = self.region(leader)?.bounds.as_ref()?;
        let mut counts = vec![0u64; bounds.bins()];
        let areas = regions.iter().flat_map(|region| (0..).zip(&region.areas));
        for (_, area) in
            areas.filter(|(place, _)| !matches!(object, Object::Area(_, wanted) if wanted != *place))
        {
            counts.iter_mut().zip(&area.histogram).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
        Some((bounds, counts))
    }

    /// Removes a region: the messages that do it, in order. One that a group loses must be taken from its list first.
    pub fn remove_region(&mut self, id: u64) -> Vec<Text> {
        let mut messages = Vec::new();
        if let Some(leader) = self.group_of(id).map(|group| group.id) {
            let user_data = self.region(leader).map(|region| region.user_data.clone()).unwrap_or_default();
            if leader == id {
                self.groups.remove(&leader);
            } else if let Some(group) = self.groups.get_mut(&leader) {
                group.members.remove(id);
            }
            messages.push(set_aux(leader, self.groups.get(&leader), &user_data));
        }
        self.regions.remove(&id);
        messages.push(delete(id));
        messages
    }

    /// The group of that id, to be removed.
    ///
    /// # Errors
    /// There is none.
    pub fn find_group(&self, id: u64) -> Result<&Group, GroupError> {
        match self.group(id) {
            Some(group) => Ok(group),
            None if id > self.last_id() => Err(GroupError::InvalidGroup(id)),
            None => Err(GroupError::NoGroup(id)),
        }
    }

    /// Removes a group and leaves its regions: the message that does it.
    ///
    /// # Errors
    /// There is no such group.
    pub fn ungroup(&mut self, id: u64) -> Result<Text, GroupError> {
        self.find_group(id)?;
        self.groups.remove(&id);
        Ok(self.stored(id))
    }

    /// Makes a group of the regions.
    ///
    /// # Errors
    /// The regions are not there, are in another group, or have histograms of different bounds.
    pub fn group_regions(&self, members: Members, alias: Option<Text>) -> Result<Group, GroupError> {
        let (Some(id), Some(last)) = (members.first(), members.last()) else { return Err(GroupError::Empty) };
        if last > self.last_id() {
            return Err(GroupError::Beyond(last));
        }
        let present: Members = self.regions.keys().copied().collect();
        let missing = members.first_not_in(&present);
        let mut bounds = None;
        let there = |region: &&Region| members.contains(region.id) && missing.is_none_or(|id| region.id < id);
        for region in self.regions().filter(there) {
            if let Some(group) = self.group_of(region.id) {
                return Err(GroupError::Grouped(region.id, group.id));
            }
            if let Some(own) = &region.bounds
                && bounds.replace(own).is_some_and(|other| other != own)
            {
                return Err(GroupError::Bounds);
            }
        }
        if let Some(id) = missing {
            return Err(GroupError::NoRegion(id));
        }
        Ok(Group { id, alias, members })
    }

    /// Keeps the group: the message that does it.
    pub fn add_group(&mut self, group: Group) -> Text {
        let id = group.id;
        self.groups.insert(id, group);
        self.stored(id)
    }

    /// Takes more regions into a group: the message that does it.
    pub fn extend_group(&mut self, id: u64, regions: &[u64]) -> Text {
        if let Some(group) = self.groups.get_mut(&id) {
            regions.iter().for_each(|&region| group.members.insert(region));
        }
        self.stored(id)
    }

    /// Pairs of the group's regions that lie over one another, where events are counted twice.
    pub fn overlaps(&self, group: &Group) -> Vec<(u64, u64)> {
        overlaps(self.members(group))
    }

    /// The message that stores what is to be stored with a region.
    fn stored(&self, id: u64) -> Text {
        let user_data = self.region(id).map(|region| region.user_data.clone()).unwrap_or_default();
        set_aux(id, self.group(id), &user_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"0: 0+1024 1024 dmstats DMS_GROUP=seg:0-1,4#mine\n1: 1024+1024 1024 dmstats -\n\
        2: 0+4096 200 dmstats x precise_timestamps histogram:10000,1000000,2000000\n4: 8+64 64 dmstats -\n";

    fn statistics() -> Statistics {
        let mut faults = Vec::new();
        let statistics = Statistics::parse(LIST, &mut faults).unwrap();
        assert_eq!(faults, []);
        statistics
    }

    #[test]
    fn objects_come_by_kind_and_then_by_id() {
        let all = Kinds { areas: true, regions: true, groups: true, no_single_area: true };
        let objects: Vec<Object> = statistics().walk(all).collect();
        assert_eq!(objects.len(), 1 + 1 + 21 + 1 + 1 + 1);
        assert_eq!(objects[..3], [Object::Area(0, 0), Object::Area(1, 0), Object::Area(2, 0)]);
        assert_eq!(objects[24..], [Object::Region(2), Object::Group(0)]);
        assert_eq!(statistics().walk(Kinds { regions: true, ..Kinds::default() }).count(), 4);
    }

    #[test]
    fn counters_and_histograms_add_up() {
        let mut statistics = statistics();
        let row = |start: u64, reads: u64| format!("{start}+1024 {reads} 0 8 1 0 0 0 0 0 1 1 1 0\n");
        statistics.set_counters(0, row(0, 3).as_bytes(), false).unwrap();
        statistics.set_counters(1, row(1024, 4).as_bytes(), false).unwrap();
        assert_eq!(statistics.counters(Object::Group(0)).reads, 7);
        assert_eq!(statistics.counters(Object::Area(1, 0)).reads, 4);
        assert_eq!(statistics.counters(Object::Area(1, 9)).reads, 0);
        assert_eq!(statistics.histogram(Object::Group(0)), None);
        assert_eq!(statistics.histogram(Object::Area(2, 20)).unwrap().1, [0; 4]);
        let rows = "0+200 3 1 200 7 25 1 200 9 0 5 8 6 8 0:28:0:0\n200+200 2 0 200 2 25 0 200 8 0 1 3 0 6 0:27:1:0\n";
        statistics.set_counters(2, rows.as_bytes(), true).unwrap();
        assert_eq!(statistics.histogram(Object::Region(2)).unwrap().1, [0, 55, 1, 0]);
        assert_eq!(statistics.histogram(Object::Area(2, 1)).unwrap().1, [0, 27, 1, 0]);
        assert_eq!(statistics.region(2).unwrap().length, Sectors(400));
    }

    #[test]
    fn a_region_leaves_its_group_before_it_goes() {
        let mut statistics = statistics();
        let texts = |messages: Vec<Text>| messages.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(statistics.remove_region(2)), ["@stats_delete 2"]);
        assert_eq!(
            texts(statistics.remove_region(1)),
            ["@stats_set_aux 0 DMS_GROUP=seg:0,4#mine", "@stats_delete 1"]
        );
        assert_eq!(texts(statistics.remove_region(0)), ["@stats_set_aux 0 mine", "@stats_delete 0"]);
        assert!(!statistics.has_groups());
        assert_eq!(texts(statistics.remove_region(4)), ["@stats_delete 4"]);
        assert!(statistics.is_empty());
    }

    #[test]
    fn groups_are_made_of_regions_that_are_free() {
        let mut statistics = statistics();
        let group = |statistics: &Statistics, list: &str| {
            statistics.group_regions(Members::parse(list.as_bytes()).unwrap(), Some("a".into()))
        };
        assert_eq!(group(&statistics, "0,2"), Err(GroupError::Grouped(0, 0)));
        assert_eq!(group(&statistics, "2-3"), Err(GroupError::NoRegion(3)));
        assert_eq!(group(&statistics, "2-77"), Err(GroupError::Beyond(77)));
        assert_eq!(group(&statistics, ""), Err(GroupError::Empty));
        assert_eq!(statistics.ungroup(1), Err(GroupError::NoGroup(1)));
        assert_eq!(statistics.ungroup(99), Err(GroupError::InvalidGroup(99)));
        assert_eq!(statistics.ungroup(0).unwrap(), "@stats_set_aux 0 mine");
        let made = group(&statistics, "1-2").unwrap();
        assert_eq!(statistics.overlaps(&made), [(2, 1)]);
        assert_eq!(statistics.add_group(made), "@stats_set_aux 1 DMS_GROUP=a:1-2#-");
        assert_eq!(statistics.group_of(2).unwrap().id, 1);
    }

    #[test]
    fn histograms_of_a_group_must_match() {
        let list =
            b"0: 0+8 8 p - histogram:1\n1: 8+8 8 p - histogram:2\n2: 16+8 8 p -\n3: 24+8 8 p - histogram:1\n";
        let statistics = Statistics::parse(list, &mut Vec::new()).unwrap();
        let group = |list: &[u8]| statistics.group_regions(Members::parse(list).unwrap(), None);
        assert_eq!(group(b"0-1"), Err(GroupError::Bounds));
        assert!(group(b"0,2,3").is_ok());
    }

    #[test]
    fn a_group_that_lost_a_region_says_so() {
        let mut faults = Vec::new();
        let list = b"3: 0+8 8 p DMS_GROUP=:3-4,6,9-18446744073709551615#-\n6: 0+8 8 p -\n";
        let statistics = Statistics::parse(list, &mut faults).unwrap();
        assert_eq!(faults, [StatsError::Missing { group: 3, region: 4 }]);
        assert_eq!(statistics.group(3).unwrap().members.to_string(), "3,6");
    }

    #[test]
    fn no_answer_makes_it_panic() {
        arbtest::arbtest(|u| {
            let raw: Vec<u8> = u.arbitrary()?;
            let list = [LIST, &raw].concat();
            if let Ok(mut statistics) = Statistics::parse(&list, &mut Vec::new()) {
                let ids: Vec<u64> = statistics.regions().map(|region| region.id).collect();
                for id in ids {
                    statistics.remove_region(id);
                }
                assert!(statistics.is_empty() && !statistics.has_groups());
            }
            Ok(())
        });
    }
}
