//! How many recipients are in which state: of a domain, of a tenant, and of a site.
//!
//! A tally changes with every state that is entered, so that nobody counts nodes. What a site has
//! is the sum of its domains, made when somebody asks.

use super::board::Board;
use super::nodes::{Index, State};
use super::site::Site;
use super::suspend::Field;
use std::collections::HashMap;
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

impl Board {
    /// As [`late`](Self::late); on the way it is seen which recipient of each domain is the oldest:
    /// numbers rise.
    pub(super) fn survey(&mut self, from: u32, most: u32, now: u32) -> (Vec<Index>, u32) {
        let (found, next) = self.nodes.walk(from, most);
        for index in found {
            let node = self.nodes.node(index);
            if let Some(domain) = self.domains.value_mut(node.domain) {
                let oldest = domain.oldest_so_far.get_or_insert(node.item);
                *oldest = node.item.min(*oldest);
            }
        }
        if next == 0 {
            for domain in self.domains.values_mut() {
                domain.oldest = domain.oldest_so_far.take();
            }
        }
        self.late(from, most, now)
    }

    /// What there is for each site. `None` of a part: for domains whose hosts were never known.
    pub(super) fn parts(&mut self, now: u32) -> Vec<Part> {
        let mut parts: HashMap<Option<*const Site>, Part> = HashMap::new();
        for domain in self.domains.values() {
            let site = domain.site.as_ref();
            let part = parts.entry(site.map(Arc::as_ptr)).or_default();
            part.site = site.cloned();
            part.tally.add(&domain.tally);
            part.oldest = part.oldest.into_iter().chain(domain.oldest).min();
        }
        for (_, queue) in self.queues.iter() {
            if let Some(part) = parts.get_mut(&Some(Arc::as_ptr(&queue.site))) {
                let pace = &queue.hop.route.pace;
                part.connections_max = part.connections_max.max(pace.connections_max);
                part.per_minute_max = pace.per_minute_max;
            }
        }
        let mut parts: Vec<Part> = parts.into_values().collect();
        for part in &mut parts {
            let Some(site) = &part.site else { continue };
            let is_meant = |field: &Field| field.is_site(site.name());
            part.is_suspended = self.suspensions.find(now, is_meant).is_some();
        }
        parts
    }

    #[must_use]
    pub(super) fn domain_count(&self) -> usize {
        self.domains.len()
    }

    /// Tenants with what they have.
    pub(super) fn tenants(&self) -> impl Iterator<Item = (&str, &Tally)> {
        let tenants = self.owners.entries().filter(|(_, one)| one.turn.is_none());
        tenants.map(|(name, one)| (name, &one.tally))
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
