//! A table that never grows: a few ways for each key, the weakest entry gives way.
//!
//! Keys are hashed with a seed of this process, so nobody outside can aim at one set of ways. An
//! entry is lost when its set is full and another is stronger; what is kept here must be allowed to
//! be lost.

use std::hash::{BuildHasher, Hash, RandomState};

/// Entries that share a place.
const WAYS: usize = 8;

pub(super) struct Table<K, V> {
    ways: Vec<Option<(K, V)>>,
    sets: usize,
    seed: RandomState,
}

impl<K: Copy + Eq + Hash, V: Copy> Table<K, V> {
    /// At least `entries` places, allocated once.
    pub(super) fn new(entries: usize, seed: RandomState) -> Table<K, V> {
        let sets = entries.div_ceil(WAYS).max(1);
        Table {
            ways: vec![None; sets * WAYS],
            sets,
            seed,
        }
    }

    pub(super) fn find(&self, key: K) -> Option<V> {
        let set = self.place(key);
        let ways = self.ways.get(set..set + WAYS)?;
        let mut held = ways.iter().flatten();
        held.find(|(k, _)| *k == key).map(|(_, value)| *value)
    }

    /// Puts `value` for `key`. In a full set the entry of least `strength` gives way, even if it is
    /// as strong as the new one: the newest is always kept.
    pub(super) fn put<S: PartialOrd>(&mut self, key: K, value: V, strength: impl Fn(&V) -> S) {
        let set = self.place(key);
        let Some(ways) = self.ways.get_mut(set..set + WAYS) else {
            return;
        };
        let place = ways
            .iter()
            .position(|way| way.is_some_and(|(k, _)| k == key))
            .or_else(|| ways.iter().position(Option::is_none))
            .unwrap_or_else(|| weakest(ways, strength));
        if let Some(way) = ways.get_mut(place) {
            *way = Some((key, value));
        }
    }

    pub(super) fn remove(&mut self, key: K) {
        let set = self.place(key);
        for way in self.ways.iter_mut().skip(set).take(WAYS) {
            if way.is_some_and(|(k, _)| k == key) {
                *way = None;
            }
        }
    }

    fn place(&self, key: K) -> usize {
        let hash = self.seed.hash_one(key);
        let set = (u128::from(hash) * self.sets as u128) >> 64;
        set as usize * WAYS
    }
}

fn weakest<K, V, S: PartialOrd>(ways: &[Option<(K, V)>], strength: impl Fn(&V) -> S) -> usize {
    let mut least: Option<(usize, S)> = None;
    for (index, (_, value)) in ways.iter().flatten().enumerate() {
        let strength = strength(value);
        if least.as_ref().is_none_or(|(_, so_far)| strength < *so_far) {
            least = Some((index, strength));
        }
    }
    least.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::{Table, WAYS};
    use proptest::prelude::*;
    use std::hash::RandomState;

    #[test]
    fn the_strong_outlive_a_flood() {
        let mut table: Table<u64, u32> = Table::new(WAYS, RandomState::new());
        table.put(0, 1000, |strength| *strength);
        for key in 1..10_000 {
            table.put(key, 1, |strength| *strength);
        }
        assert_eq!(table.find(0), Some(1000));
        assert_eq!(table.find(9_999), Some(1));
    }

    /// Attack class 15: keys that meet in one process do not meet in another.
    #[test]
    fn collisions_cannot_be_prepared() {
        let known: Table<u64, ()> = Table::new(1 << 10, RandomState::new());
        let place = known.place(0);
        let meeting: Vec<u64> = (0..)
            .filter(|key| known.place(*key) == place)
            .take(30)
            .collect();
        let mut attacked: Table<u64, ()> = Table::new(1 << 10, RandomState::new());
        meeting
            .iter()
            .for_each(|key| attacked.put(*key, (), |()| 0));
        let kept = meeting
            .iter()
            .filter(|key| attacked.find(**key).is_some())
            .count();
        assert_eq!(kept, meeting.len());
    }

    proptest! {
        /// Against a plain list: the newest value of a key, or nothing.
        #[test]
        fn finds_the_newest_value_or_nothing(
            steps in prop::collection::vec((0u8..40, any::<u16>(), any::<bool>()), 0..200)
        ) {
            let mut table: Table<u8, u16> = Table::new(16, RandomState::new());
            let mut model = std::collections::HashMap::new();
            for (key, value, put) in steps {
                if put {
                    table.put(key, value, |strength| *strength);
                    model.insert(key, value);
                    prop_assert_eq!(table.find(key), Some(value));
                } else {
                    table.remove(key);
                    model.remove(&key);
                }
                for key in 0..40 {
                    let found = table.find(key);
                    prop_assert!(found.is_none() || found == model.get(&key).copied());
                }
            }
        }
    }
}
