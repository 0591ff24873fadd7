//! How many recipients are in which state: of a domain, of a tenant, and of a site.
//!
//! A tally changes with every state that is entered, so that nobody counts nodes. What a site has
//! is the sum of its domains, made when somebody asks.

use super::nodes::State;
use super::site::Site;
use std::sync::Arc;

/// Recipients by state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) timed: u32,
    pub(super) resolving: u32,
    pub(super) ready: u32,
    pub(super) sending: u32,
    pub(super) held: u32,
}

/// What a shard has for one site.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// `None`: domains whose hosts were never known.
    pub(super) site: Option<Arc<Site>>,
    pub(super) tally: Tally,
    /// The oldest recipient, as of the last round of the watchdog.
    pub(super) oldest: Option<u64>,
    /// Connections and messages a minute that the route allows.
    pub(super) connections_max: u32,
    pub(super) per_minute_max: Option<u32>,
    pub(super) is_suspended: bool,
}

impl Tally {
    pub(super) fn enter(&mut self, state: State) {
        if let Some(count) = self.of(state) {
            *count += 1;
        }
    }

    pub(super) fn leave(&mut self, state: State) {
        if let Some(count) = self.of(state) {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn add(&mut self, other: &Tally) {
        self.timed += other.timed;
        self.resolving += other.resolving;
        self.ready += other.ready;
        self.sending += other.sending;
        self.held += other.held;
    }

    /// What is gone is counted nowhere.
    fn of(&mut self, state: State) -> Option<&mut u32> {
        match state {
            State::Timed => Some(&mut self.timed),
            State::Resolving => Some(&mut self.resolving),
            State::Ready => Some(&mut self.ready),
            State::Sending => Some(&mut self.sending),
            State::Held => Some(&mut self.held),
            State::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_was_counted_once() {
        let mut tally = Tally::default();
        for state in [State::Timed, State::Ready, State::Gone, State::Held] {
            tally.enter(state);
        }
        assert_eq!((tally.timed, tally.ready, tally.held), (1, 1, 1));
        tally.leave(State::Ready);
        tally.leave(State::Ready);
        assert_eq!((tally.timed, tally.ready, tally.held), (1, 0, 1));
        let mut sum = tally;
        sum.add(&tally);
        assert_eq!((sum.timed, sum.held), (2, 2));
    }
}
