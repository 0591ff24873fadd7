//! The offers that are on their way from us to one other shard.
//!
//! Several are handed over at a time. They become durable there in the order of their numbers, but
//! the answers may overtake each other, so what we settle is the high-water mark: the last number
//! up to which every answer came.
//!
//! ```text
//!   … settled │ durable there, to be settled │ under way, durable there, under way … │ not begun
//! ```

use std::collections::VecDeque;

/// Unsettled offers that were begun, in the order of their numbers.
#[derive(Debug)]
pub struct Window {
    most: usize,
    begun: u64,
    unsettled: VecDeque<(u64, bool)>,
}

impl Window {
    /// Room for `most` offers that are begun and not settled.
    #[must_use]
    pub fn new(most: usize) -> Window {
        Window {
            most,
            begun: 0,
            unsettled: VecDeque::new(),
        }
    }

    /// How many offers may be begun now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.unsettled.len())
    }

    /// The last offer that was begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    pub fn begin(&mut self, sequence: u64) {
        assert!(
            sequence > self.begun,
            "offers are begun in order, each once"
        );
        self.begun = sequence;
        self.unsettled.push_back((sequence, false));
    }

    /// The other shard has it.
    pub fn durable(&mut self, sequence: u64) {
        let mut offers = self.unsettled.iter_mut();
        if let Some(offer) = offers.find(|offer| offer.0 == sequence) {
            offer.1 = true;
        }
    }

    /// Whether all the others that are under way wait for this one.
    #[must_use]
    pub fn is_oldest(&self, sequence: u64) -> bool {
        let oldest = self.unsettled.iter().find(|offer| !offer.1);
        oldest.is_some_and(|offer| offer.0 == sequence)
    }

    /// How many are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.unsettled.iter().filter(|offer| !offer.1).count()
    }

    /// Up to where everything is durable there, if that has not been settled.
    #[must_use]
    pub fn to_settle(&self) -> Option<u64> {
        let durable = self.unsettled.iter().take_while(|offer| offer.1);
        durable.last().map(|offer| offer.0)
    }

    pub fn settled(&mut self, sequence: u64) {
        while self
            .unsettled
            .pop_front_if(|offer| offer.0 <= sequence)
            .is_some()
        {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_only_what_has_no_gap_before_it() {
        let mut window = Window::new(3);
        (5..8).for_each(|sequence| window.begin(sequence));
        assert_eq!(
            (window.room(), window.begun(), window.under_way()),
            (0, 7, 3)
        );
        window.durable(6);
        assert_eq!(window.to_settle(), None, "5 is not durable");
        assert!(window.is_oldest(5) && !window.is_oldest(6) && !window.is_oldest(7));
        window.durable(5);
        assert_eq!(window.to_settle(), Some(6));
        assert!(window.is_oldest(7));
        window.settled(6);
        assert_eq!((window.to_settle(), window.room()), (None, 2));
    }
}
