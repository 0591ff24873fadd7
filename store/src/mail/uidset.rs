//! A set of UIDs as sorted, disjoint, non-adjacent ranges.

use super::id::Uid;

/// UIDs as inclusive ranges, ascending; the form of the log and of COPYUID, ESEARCH and VANISHED.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    #[must_use]
    pub fn new() -> UidSet {
        UidSet::default()
    }

    /// A set from ascending UIDs; equal neighbours count once.
    pub fn from_ascending(uids: impl IntoIterator<Item = Uid>) -> UidSet {
        let mut set = UidSet::new();
        for uid in uids {
            set.push(uid);
        }
        set
    }

    /// A set from inclusive ranges in any order.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> UidSet {
        let mut sorted: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        sorted.sort_unstable();
        let mut set = UidSet::new();
        for (first, last) in sorted {
            set.push_range(first, last);
        }
        set
    }

    /// Adds a UID that is not below any in the set.
    pub fn push(&mut self, uid: Uid) {
        self.push_range(uid.0, uid.0);
    }

    /// Adds a range that does not begin below the last range's beginning.
    pub fn push_range(&mut self, first: u32, last: u32) {
        assert!(first <= last, "a range runs upwards");
        match self.ranges.last_mut() {
            Some(tail) if first <= tail.1.saturating_add(1) => {
                assert!(first >= tail.0, "ranges are pushed in ascending order");
                tail.1 = tail.1.max(last);
            }
            _ => self.ranges.push((first, last)),
        }
    }

    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < uid.0);
        self.ranges.get(at).is_some_and(|r| r.0 <= uid.0)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many UIDs the set holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|r| u64::from(r.1 - r.0) + 1).sum()
    }

    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Every UID, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|r| r.0..=r.1).map(Uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_neighbours_and_overlaps() {
        let set = UidSet::from_ranges([(7, 9), (1, 3), (4, 4), (8, 12)]);
        assert_eq!(set.ranges(), [(1, 4), (7, 12)]);
        assert_eq!(set.len(), 10);
        assert!(set.contains(Uid(4)) && !set.contains(Uid(5)) && set.contains(Uid(12)));
    }
}
