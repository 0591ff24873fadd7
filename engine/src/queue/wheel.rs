//! A hierarchical timer wheel of one-second ticks over the nodes of the queue; no clock of its own.
//!
//! Six levels of 64 slots span every second that 32 bits hold. A node lies on the level of the
//! highest group of six bits in which its time differs from the present, so that each slot holds
//! what is due within its span, and comes down a level when the present enters that span: five
//! moves at most in a life, and nothing is looked at before its time.

use super::nodes::{Chain, Index, Nodes};

/// Everything that waits for a time.
pub(super) struct Wheel {
    /// What was advanced to.
    now: u32,
    levels: [Level; LEVELS],
}

struct Level {
    /// One bit for each slot that is not empty.
    occupied: u64,
    slots: [Chain; SLOTS],
}

impl Wheel {
    #[must_use]
    pub(super) fn new(now: u32) -> Wheel {
        let level = || Level {
            occupied: 0,
            slots: [Chain::EMPTY; SLOTS],
        };
        Wheel {
            now,
            levels: std::array::from_fn(|_| level()),
        }
    }

    /// Adds a node by its `due`; one that is late fires with the next tick.
    pub(super) fn add(&mut self, nodes: &mut Nodes, index: Index) {
        let due = nodes.node(index).due.max(self.now.saturating_add(1));
        let (level, slot) = place(self.now, due);
        let Some(level) = self.levels.get_mut(level) else {
            return;
        };
        if let Some(chain) = level.slots.get_mut(slot) {
            nodes.push(chain, index);
            level.occupied |= 1 << slot;
        }
    }

    /// When there is something to do, or what to look at, at the earliest.
    #[cfg(test)]
    fn next(&self) -> Option<u32> {
        self.earliest().map(|(_, _, at)| at)
    }

    /// Hands out everything due by `now`, in the order of ticks.
    pub(super) fn advance(&mut self, nodes: &mut Nodes, now: u32, due: &mut Vec<Index>) {
        while let Some((level, slot, at)) = self.earliest().filter(|(_, _, at)| *at <= now) {
            self.now = at;
            let mut chain = self.empty(level, slot);
            while let Some(index) = nodes.pop(&mut chain) {
                match nodes.node(index).due <= at {
                    true => due.push(index),
                    false => self.add(nodes, index),
                }
            }
        }
        self.now = self.now.max(now);
    }

    fn empty(&mut self, level: usize, slot: usize) -> Chain {
        let Some(level) = self.levels.get_mut(level) else {
            return Chain::EMPTY;
        };
        level.occupied &= !(1 << slot);
        level
            .slots
            .get_mut(slot)
            .map_or(Chain::EMPTY, std::mem::take)
    }

    /// Level and slot that the present enters next, and when. What lies on a lower level is due
    /// before anything on a higher one.
    fn earliest(&self) -> Option<(usize, usize, u32)> {
        let mut levels = self.levels.iter().enumerate();
        let (number, level) = levels.find(|(_, level)| level.occupied != 0)?;
        let slot = level.occupied.trailing_zeros();
        let shift = number as u32 * SLOT_BITS;
        let above = shift + SLOT_BITS;
        let base = match above {
            32.. => 0,
            _ => self.now >> above << above,
        };
        Some((number, slot as usize, base | slot << shift))
    }
}

/// Where `due`, which is after `now`, lies.
fn place(now: u32, due: u32) -> (usize, usize) {
    let differ = (now ^ due) | (SLOTS as u32 - 1);
    let level = (31 - differ.leading_zeros()) / SLOT_BITS;
    let slot = due >> (level * SLOT_BITS) & (SLOTS as u32 - 1);
    (level as usize, slot as usize)
}

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 6;

const _: () = assert!(LEVELS as u32 * SLOT_BITS >= u32::BITS);

#[cfg(test)]
mod tests {
    use super::super::nodes::{Band, State};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn add(wheel: &mut Wheel, nodes: &mut Nodes, item: u64, due: u32) -> Index {
        let index = nodes.add(item, 0, 0, Band::Normal).unwrap();
        nodes.node_mut(index).enter(State::Timed, due);
        wheel.add(nodes, index);
        index
    }

    #[test]
    fn nothing_fires_early_or_twice() {
        let (mut nodes, mut wheel) = (Nodes::default(), Wheel::new(1_000));
        for (item, due) in [(0, 1_001), (1, 1_064), (2, 5_096), (3, u32::MAX), (4, 900)] {
            add(&mut wheel, &mut nodes, item, due);
        }
        let mut fired = Vec::new();
        let mut told = Vec::new();
        while let Some(at) = wheel.next() {
            let mut due = Vec::new();
            wheel.advance(&mut nodes, at, &mut due);
            fired.extend(due.iter().map(|index| (at, nodes.node(*index).item)));
            told.push(at);
        }
        fired.sort_unstable();
        assert_eq!(
            fired,
            [
                (1_001, 0),
                (1_001, 4),
                (1_064, 1),
                (5_096, 2),
                (u32::MAX, 3)
            ]
        );
        assert!(told.is_sorted());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// The wheel says what a sorted list says, whatever is added, taken out and skipped.
        #[test]
        fn agrees_with_a_sorted_list(
            start in 0u32..2_000_000_000,
            steps in prop::collection::vec(
                prop_oneof![
                    (0u32..200_000).prop_map(|after| (0u8, after)),
                    (0u32..100).prop_map(|after| (0u8, after)),
                    (0u32..10_000).prop_map(|by| (1u8, by)),
                    (0u32..10).prop_map(|which| (2u8, which)),
                ],
                1..200,
            ),
        ) {
            let (mut nodes, mut wheel) = (Nodes::default(), Wheel::new(start));
            let mut list: BTreeSet<(u32, u64)> = BTreeSet::new();
            let mut places = std::collections::HashMap::new();
            let mut now = start;
            for (number, (kind, value)) in steps.into_iter().enumerate() {
                match kind {
                    0 => {
                        let (item, due) = (number as u64, now + 1 + value);
                        places.insert(item, add(&mut wheel, &mut nodes, item, due));
                        list.insert((due, item));
                    }
                    1 => {
                        now += value;
                        let mut due = Vec::new();
                        wheel.advance(&mut nodes, now, &mut due);
                        let mut fired: Vec<(u32, u64)> = due
                            .iter()
                            .map(|index| (nodes.node(*index).due, nodes.node(*index).item))
                            .collect();
                        prop_assert!(fired.is_sorted_by_key(|(due, _)| *due));
                        fired.sort_unstable();
                        due.into_iter().for_each(|index| nodes.let_go(index));
                        let later = list.split_off(&(now + 1, 0));
                        let expected = std::mem::replace(&mut list, later);
                        prop_assert_eq!(fired, expected.into_iter().collect::<Vec<_>>());
                    }
                    _ => {
                        if let Some((due, item)) = list.iter().nth(value as usize).copied() {
                            list.remove(&(due, item));
                            nodes.let_go(places[&item]);
                        }
                    }
                }
                let first = list.first().map(|(due, _)| *due);
                prop_assert!(first.is_none_or(|due| wheel.next().is_some_and(|at| at <= due)));
            }
            let mut due = Vec::new();
            wheel.advance(&mut nodes, u32::MAX, &mut due);
            prop_assert_eq!(due.len(), list.len());
            prop_assert_eq!(nodes.live(), list.len());
        }
    }
}
