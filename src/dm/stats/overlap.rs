//! Which regions of a group lie over one another: what happens there is counted twice.

use super::Region;

/// A stretch of a device, by the region that is named for it.
struct Extent {
    id: u64,
    start: u64,
    /// Its last sector.
    last: u64,
}

/// Pairs of regions that overlap. As libdm finds them (`_stats_group_check_overlap`): each with the one that begins
/// next, both then taken for one; so not every pair is told of, but some is wherever there is any.
pub(super) fn overlaps<'a>(regions: impl Iterator<Item = &'a Region>) -> Vec<(u64, u64)> {
    let extent = |region: &Region| Extent {
        id: region.id,
        start: region.start.0,
        last: region.end().saturating_sub(1),
    };
    let mut extents: Vec<Extent> = regions.map(extent).collect();
    extents.sort_by_key(|extent| extent.start);
    let mut found = Vec::new();
    loop {
        let before = found.len();
        let mut place = 0;
        while place + 1 < extents.len() {
            let [this, next] = &mut extents[place..place + 2] else { break };
            if this.last <= next.start {
                place += 1;
                continue;
            }
            found.push((this.id, next.id));
            if this.last > next.last {
                (next.id, next.last) = (this.id, this.last);
            }
            next.start = next.start.min(this.start);
            extents.remove(place);
        }
        if found.len() == before {
            return found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dm::{Sectors, Text};

    fn pairs(parts: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let regions: Vec<Region> = (0..)
            .zip(parts)
            .map(|(id, &(start, length))| Region {
                id,
                start: Sectors(start),
                length: Sectors(length),
                step: Sectors(length),
                program_id: Text::new(),
                user_data: Text::new(),
                precise: false,
                bounds: None,
                areas: Vec::new(),
            })
            .collect();
        overlaps(regions.iter())
    }

    #[test]
    fn neighbours_do_not_overlap() {
        assert_eq!(pairs(&[]), []);
        assert_eq!(pairs(&[(0, 8)]), []);
        assert_eq!(pairs(&[(8, 8), (0, 8), (100, 1)]), []);
    }

    #[test]
    fn each_is_told_of_with_the_next() {
        assert_eq!(pairs(&[(0, 8), (0, 8), (0, 8), (0, 8)]), [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(pairs(&[(0, 100), (10, 8), (50, 8), (100, 8)]), [(0, 1), (0, 2)]);
    }

    #[test]
    fn it_always_ends() {
        arbtest::arbtest(|u| {
            let parts: Vec<(u64, u64)> = u.arbitrary()?;
            assert!(pairs(&parts).len() < parts.len().max(1));
            Ok(())
        });
    }
}
