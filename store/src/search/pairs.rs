//! Which members have which keys in one field, while a block is gathered: two octets each.
//!
//! Keys are put to stretches by their highest bits, so that what is left of a key fits into
//! fourteen bits, as the number of a member does, and each stretch can be laid out and given back
//! by itself. Pairs come member by member when messages are signed, and key by key when files are
//! united; so a unit of sixteen bits says one half of a pair, and the other is the one before:
//!
//! ```text
//! 0 0 key        a pair of this key and the present member
//! 0 1 member     a pair of the present key and this member
//! 1 0 member     the present member
//! ```

use super::{KEY_BITS, KEYS, MEMBER_BITS};

/// The pairs of one field.
#[derive(Default)]
pub(super) struct Pairs {
    stretches: [Stretch; STRETCHES],
}

/// The pairs whose keys begin with the same bits.
#[derive(Default)]
pub(super) struct Stretch {
    /// Chunks of so many units that none is ever copied to a larger place.
    units: Vec<Vec<u16>>,
    count: usize,
    /// Key and member of the last pair.
    present: Option<(u16, u16)>,
}

impl Pairs {
    pub(super) fn add(&mut self, key: u32, member: u16) {
        if let Some(stretch) = self.stretches.get_mut((key >> LOW_BITS) as usize) {
            stretch.add((key & LOW_MASK) as u16, member);
        }
    }

    /// Takes the stretches out: each, and its lowest key.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (u32, Stretch)> {
        let stretches = std::mem::take(&mut self.stretches);
        (0..KEYS as u32).step_by(STRETCH_KEYS).zip(stretches)
    }
}

impl Stretch {
    fn add(&mut self, low: u16, member: u16) {
        match self.present {
            Some((_, present)) if present == member => self.push(low),
            Some((present, _)) if present == low => self.push(PAIR_OF_MEMBER | member),
            _ => {
                self.push(PRESENT_MEMBER | member);
                self.push(low);
            }
        }
        self.present = Some((low, member));
        self.count += 1;
    }

    fn push(&mut self, unit: u16) {
        match self.units.last_mut() {
            Some(chunk) if chunk.len() < CHUNK_UNITS => chunk.push(unit),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK_UNITS);
                chunk.push(unit);
                self.units.push(chunk);
            }
        }
    }

    /// Shows each pair as it came: key, less the lowest of the stretch, and member.
    fn each(&self, show: impl FnMut(u16, u16)) {
        read(self.units.iter().flatten(), show);
    }

    /// As [`each`](Self::each), with the runs of units that one member begins in the order of the
    /// numbers that their members have: of pairs that came member by member, those with one key
    /// are then shown by rising number, and nobody has to sort them.
    fn each_in_order(&self, numbers: &[u16], mut show: impl FnMut(u16, u16)) {
        let units = self.units.iter().flatten();
        let mut runs: Vec<(u16, u32)> = units
            .zip(0..)
            .filter(|(unit, _)| **unit & !UNIT_MASK == PRESENT_MEMBER)
            .map(|(unit, at)| (number(numbers, unit & UNIT_MASK), at))
            .collect();
        runs.sort_unstable();
        for (_, at) in runs {
            let (chunk, within) = (at as usize / CHUNK_UNITS, at as usize % CHUNK_UNITS);
            let mut chunks = self.units.get(chunk..).unwrap_or_default().iter();
            let first = chunks.next().and_then(|units| units.get(within..));
            let (begin, rest) = first.and_then(<[u16]>::split_first).unzip();
            let run = rest.into_iter().flatten().chain(chunks.flatten());
            let run = run.take_while(|unit| **unit & !UNIT_MASK != PRESENT_MEMBER);
            read(begin.into_iter().chain(run), &mut show);
        }
    }

    /// Shows the members of each key by rising key, as `numbers` has them, rising. Where there are
    /// few pairs, sorting them is less work than going through all keys that there can be.
    pub(super) fn lists(&self, numbers: &[u16], mut each: impl FnMut(u32, &[u16])) {
        if self.count >= STRETCH_KEYS {
            return self.deal(numbers, each);
        }
        let mut pairs = Vec::with_capacity(self.count);
        self.each(|key, member| pairs.push((key, number(numbers, member))));
        pairs.sort_unstable();
        let mut list = Vec::new();
        for of_key in pairs.chunk_by(|a, b| a.0 == b.0) {
            list.clear();
            list.extend(of_key.iter().map(|(_, member)| *member));
            if let Some((key, _)) = of_key.first() {
                each(u32::from(*key), &list);
            }
        }
    }

    /// Deals the pairs out to lists, which are counted before.
    fn deal(&self, numbers: &[u16], mut each: impl FnMut(u32, &[u16])) {
        let mut ends = vec![0u32; STRETCH_KEYS];
        self.each(|key, _| {
            if let Some(count) = ends.get_mut(usize::from(key)) {
                *count += 1;
            }
        });
        let mut begin = 0;
        for end in &mut ends {
            begin += std::mem::replace(end, begin);
        }
        let mut dealt = vec![0u16; self.count];
        self.each_in_order(numbers, |key, member| {
            if let Some(next) = ends.get_mut(usize::from(key)) {
                if let Some(slot) = dealt.get_mut(*next as usize) {
                    *slot = number(numbers, member);
                }
                *next += 1;
            }
        });
        // Each key's slot now says where its list ends.
        let mut start = 0;
        for (end, key) in ends.iter().zip(0..) {
            let list = dealt.get_mut(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            if !list.is_empty() {
                if !list.is_sorted() {
                    list.sort_unstable();
                }
                each(key, list);
            }
        }
    }
}

fn read<'a>(units: impl Iterator<Item = &'a u16>, mut show: impl FnMut(u16, u16)) {
    let (mut key, mut member) = (0, 0);
    units.for_each(|unit| {
        match unit & !UNIT_MASK {
            0 => key = unit & UNIT_MASK,
            PRESENT_MEMBER => {
                member = unit & UNIT_MASK;
                return;
            }
            _ => member = unit & UNIT_MASK,
        }
        show(key, member);
    });
}

fn number(numbers: &[u16], member: u16) -> u16 {
    numbers
        .get(usize::from(member))
        .copied()
        .unwrap_or_default()
}

/// Stretches of keys.
const STRETCHES: usize = 1 << (KEY_BITS - LOW_BITS);
const STRETCH_KEYS: usize = 1 << LOW_BITS;

const LOW_BITS: u32 = 14;
const LOW_MASK: u32 = (1 << LOW_BITS) - 1;

/// 16 KiB.
const CHUNK_UNITS: usize = 8192;

const UNIT_MASK: u16 = (1 << LOW_BITS) - 1;
const PAIR_OF_MEMBER: u16 = 1 << 14;
const PRESENT_MEMBER: u16 = 1 << 15;

const _: () = assert!(MEMBER_BITS == LOW_BITS && LOW_BITS + 2 == u16::BITS);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    type Lists = BTreeMap<u32, Vec<u16>>;

    fn lists(pairs: impl IntoIterator<Item = (u32, u16)>, numbers: &[u16]) -> (Lists, usize) {
        let mut gathered = Pairs::default();
        pairs
            .into_iter()
            .for_each(|(key, member)| gathered.add(key, member));
        let (mut lists, mut units) = (Lists::new(), 0);
        for (base, stretch) in gathered.take() {
            units += stretch.units.iter().flatten().count();
            stretch.lists(numbers, |key, list| {
                assert!(
                    lists
                        .last_key_value()
                        .is_none_or(|last| *last.0 < base + key)
                );
                lists.insert(base + key, list.to_vec());
            });
        }
        (lists, units)
    }

    proptest! {
        #[test]
        fn lists_are_the_pairs_whatever_their_order(
            pairs in prop::collection::btree_set((0u32..KEYS as u32, 0u16..40), 0..300),
            common in prop::collection::btree_set((0u32..5, 0u16..40), 0..100),
            by_key: bool,
        ) {
            let pairs: BTreeSet<(u32, u16)> = pairs.union(&common).copied().collect();
            let numbers: Vec<u16> = (0..40).rev().collect();
            let mut expected = Lists::new();
            for (key, member) in &pairs {
                expected.entry(*key).or_default().push(39 - member);
            }
            expected.values_mut().for_each(|list| list.sort_unstable());
            let mut order: Vec<(u32, u16)> = pairs.into_iter().collect();
            if !by_key {
                order.sort_unstable_by_key(|(key, member)| (*member, *key));
            }
            prop_assert_eq!(lists(order, &numbers).0, expected);
        }
    }

    #[test]
    fn many_pairs_take_two_octets_each() {
        let numbers: Vec<u16> = (0..16).collect();
        let keys = (0..KEYS as u32).step_by(3);
        let by_member = (0..16).flat_map(|member| keys.clone().map(move |key| (key, member)));
        let (dealt, units) = lists(by_member.clone(), &numbers);
        assert!(dealt.values().all(|list| *list == numbers));
        assert_eq!(dealt.len(), KEYS.div_ceil(3));
        let pairs = 16 * KEYS.div_ceil(3);
        assert!(units <= pairs + 16 * STRETCHES, "{units} for {pairs}");
        let turned: Vec<u16> = (0..16).rev().collect();
        assert_eq!(lists(by_member, &turned).0, dealt);
        let by_key = keys.flat_map(|key| (0..16).map(move |member| (key, member)));
        assert_eq!(lists(by_key.clone(), &turned).0, dealt);
        let (again, units) = lists(by_key, &numbers);
        assert_eq!(again, dealt);
        assert!(units <= pairs + KEYS.div_ceil(3), "{units} for {pairs}");
    }
}
