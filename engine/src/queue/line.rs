//! Who waits for a connection of this shard: first come, first served, the unproven apart.
//!
//! The connections of a shard are fewer than the sites that may want some. Without an order, those
//! that are looked at first would have them again and again. A queue stands in line once; hosts
//! that have not answered yet have a line of their own, because they share a part of the
//! connections only, and neither line waits for the other.

use super::board::QueueIndex;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Line {
    proven: VecDeque<QueueIndex>,
    unproven: VecDeque<QueueIndex>,
    /// Whose turn it is, where both may come.
    is_turn_of_unproven: bool,
}

impl Line {
    pub(super) fn stand(&mut self, queue: QueueIndex, is_proven: bool) {
        match is_proven {
            true => self.proven.push_back(queue),
            false => self.unproven.push_back(queue),
        }
    }

    /// The next one; of the unproven only where `may_probe`.
    pub(super) fn next(&mut self, may_probe: bool) -> Option<QueueIndex> {
        self.is_turn_of_unproven = !self.is_turn_of_unproven;
        let unproven = match may_probe {
            true => &mut self.unproven,
            false => return self.proven.pop_front(),
        };
        match self.is_turn_of_unproven {
            true => unproven.pop_front().or_else(|| self.proven.pop_front()),
            false => self.proven.pop_front().or_else(|| unproven.pop_front()),
        }
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.proven.is_empty() && self.unproven.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_move_and_the_unproven_wait_for_leave() {
        let queues = queues(4);
        let mut line = Line::default();
        for (at, queue) in queues.iter().enumerate() {
            line.stand(*queue, at < 2);
        }
        assert_eq!(line.next(false), Some(queues[0]));
        let mut rest: Vec<Option<QueueIndex>> = (0..3).map(|_| line.next(true)).collect();
        rest.sort_by_key(|queue| queues.iter().position(|known| Some(*known) == *queue));
        assert_eq!(rest, [Some(queues[1]), Some(queues[2]), Some(queues[3])]);
        assert!(line.is_empty() && line.next(true).is_none());
    }

    fn queues(count: usize) -> Vec<QueueIndex> {
        (0..count).map(QueueIndex).collect()
    }
}
