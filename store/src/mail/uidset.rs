//! A set of UIDs as sorted, disjoint, non-adjacent ranges.

use super::id::Uid;
use crate::codec::{Fields, Put, Short};

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

    /// Both sets in one.
    #[must_use]
    pub fn union(&self, other: &UidSet) -> UidSet {
        UidSet::from_ranges(self.ranges.iter().chain(&other.ranges).copied())
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(&self, other: &UidSet) -> UidSet {
        let mut left = UidSet::new();
        for &(mut first, last) in &self.ranges {
            let from = other.ranges.partition_point(|hole| hole.1 < first);
            let holes = other.ranges.iter().skip(from);
            for hole in holes.take_while(|hole| hole.0 <= last) {
                if first < hole.0 {
                    left.push_range(first, hole.0 - 1);
                }
                first = hole.1.saturating_add(1);
            }
            let ends_in_a_hole = other.contains(Uid(last));
            if first <= last && !ends_in_a_hole {
                left.push_range(first, last);
            }
        }
        left
    }

    /// Appends the set as FORMAT.md has it under "Records", `uids`.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_u32(u32::try_from(self.ranges.len()).expect("UIDs have 32 bits"));
        let mut end = 0;
        for &(first, last) in &self.ranges {
            out.put_varint(u64::from(first - end));
            out.put_varint(u64::from(last - first));
            end = last;
        }
    }

    /// Reads what [`encode`](Self::encode) has written.
    pub fn decode(fields: &mut Fields<'_>) -> Result<UidSet, Short> {
        let mut set = UidSet::new();
        let mut end = 0u32;
        for _ in 0..fields.u32()? {
            let first = end.checked_add(fields.varint32()?).ok_or(Short)?;
            let last = first.checked_add(fields.varint32()?).ok_or(Short)?;
            if first <= end {
                return Err(Short);
            }
            set.push_range(first, last);
            end = last;
        }
        Ok(set)
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
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set() -> impl Strategy<Value = UidSet> {
        let near_the_end = (u32::MAX - 20..=u32::MAX, 0u32..5);
        let ranges = prop_oneof![4 => (1u32..60, 0u32..9), 1 => near_the_end];
        prop::collection::vec(ranges, 0..12).prop_map(|ranges| {
            let ends = ranges
                .into_iter()
                .map(|(at, more)| (at, at.saturating_add(more)));
            UidSet::from_ranges(ends)
        })
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in set(), b in set()) {
            let (x, y): (BTreeSet<Uid>, BTreeSet<Uid>) = (a.iter().collect(), b.iter().collect());
            prop_assert_eq!(a.union(&b), UidSet::from_ascending(x.union(&y).copied()));
            prop_assert_eq!(a.without(&b), UidSet::from_ascending(x.difference(&y).copied()));
        }

        #[test]
        fn sets_come_back_from_their_bytes(set in set()) {
            let mut bytes = Vec::new();
            set.encode(&mut bytes);
            let mut fields = Fields::new(&bytes);
            prop_assert_eq!(UidSet::decode(&mut fields), Ok(set));
            prop_assert!(fields.is_empty());
        }

        #[test]
        fn any_bytes_are_a_set_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = UidSet::decode(&mut Fields::new(&bytes));
        }
    }

    #[test]
    fn joins_neighbours_and_overlaps() {
        let set = UidSet::from_ranges([(7, 9), (1, 3), (4, 4), (8, 12)]);
        assert_eq!(set.ranges(), [(1, 4), (7, 12)]);
        assert_eq!(set.len(), 10);
        assert!(set.contains(Uid(4)) && !set.contains(Uid(5)) && set.contains(Uid(12)));
    }
}
