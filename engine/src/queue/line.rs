//! Who waits for a connection of this shard: first come, first served, each repute by itself.
//!
//! The connections of a shard are fewer than the sites that may want some. Without an order, those
//! that are looked at first would have them again and again. A queue stands in line once; hosts
//! that have not answered yet, and sites that put off everything, have lines of their own, because
//! each of them shares a part of the connections only, and no line waits for another.

use super::board::QueueIndex;
use super::site::Repute;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Line {
    good: VecDeque<QueueIndex>,
    unknown: VecDeque<QueueIndex>,
    sulking: VecDeque<QueueIndex>,
    /// Whose turn it is, where several may come.
    turn: usize,
}

impl Line {
    pub(super) fn stand(&mut self, queue: QueueIndex, repute: Repute) {
        self.of(repute).push_back(queue);
    }

    /// The next one of those that `may_go`.
    pub(super) fn next(&mut self, may_go: impl Fn(Repute) -> bool) -> Option<QueueIndex> {
        self.turn = (self.turn + 1) % REPUTES.len();
        let from_here = REPUTES.into_iter().cycle().skip(self.turn);
        let mut may = from_here
            .take(REPUTES.len())
            .filter(|repute| may_go(*repute));
        may.find_map(|repute| self.of(repute).pop_front())
    }

    /// Whether one of this repute waits.
    #[must_use]
    pub(super) fn has(&self, repute: Repute) -> bool {
        let line = match repute {
            Repute::Good => &self.good,
            Repute::Unknown => &self.unknown,
            Repute::Sulking => &self.sulking,
        };
        !line.is_empty()
    }

    fn of(&mut self, repute: Repute) -> &mut VecDeque<QueueIndex> {
        match repute {
            Repute::Good => &mut self.good,
            Repute::Unknown => &mut self.unknown,
            Repute::Sulking => &mut self.sulking,
        }
    }
}

const REPUTES: [Repute; 3] = [Repute::Good, Repute::Unknown, Repute::Sulking];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_move_and_each_waits_for_leave_of_its_own() {
        let queues: Vec<QueueIndex> = (0..6).map(QueueIndex).collect();
        let mut line = Line::default();
        for (queue, repute) in queues.iter().zip(REPUTES.into_iter().cycle()) {
            line.stand(*queue, repute);
        }
        let is_good = |repute| repute == Repute::Good;
        assert_eq!(line.next(is_good), Some(queues[0]));
        assert!(line.has(Repute::Good) && line.has(Repute::Sulking));
        assert_eq!(
            line.next(|repute| repute == Repute::Sulking),
            Some(queues[2])
        );
        let mut rest: Vec<usize> = (0..4)
            .filter_map(|_| Some(line.next(|_| true)?.0))
            .collect();
        rest.sort_unstable();
        assert_eq!(rest, [1, 3, 4, 5]);
        assert!(!line.has(Repute::Unknown) && line.next(|_| true).is_none());
    }
}
