//! Mail in our custody that other shards are owed, and what we have taken from them.
//!
//! The coordinator of a message for several owners commits it with one OFFER per other owner and
//! answers 250. Each offer is handed over in the order of its sequence number, again and again,
//! until the owner says that it is durable there; then OFFERED settles it. The owner writes SEEN
//! into the frame of its deliveries and turns away what it has seen, so that each offer counts
//! exactly once, whatever crashes in between:
//!
//! ```text
//!   coordinator   OFFER n ──────────────── hand over ──────────── OFFERED n
//!   owner                        SEEN n + DELIVER… (one frame)
//! ```
//!
//! Several offers may be under way at a time ([`Window`]); the owner takes them in the order of
//! their numbers, and OFFERED settles everything up to its number.
//!
//! Shards of a live copy or of a restored backup may be of different moments, so both sides of
//! every pair compare what they know at each start ([`Spool::catch_up`], [`Spool::recall`],
//! [`Spool::seen`]); where all shards are of one moment that changes nothing.

pub(crate) mod chunk;
mod frozen;
pub(crate) mod items;
mod names;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use frozen::FrozenItems;
pub use items::Item;
pub(crate) use items::Items;
pub use window::Window;

use crate::bell::{Bell, Watch};
use crate::record::{Fact, Offer};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

#[derive(Debug, Default)]
pub(crate) struct Spool {
    /// By target and sequence: durable here, not yet known to be durable there.
    offers: HashMap<u16, Outgoing>,
    /// By source: the highest sequence that lies in our log.
    seen: HashMap<u16, Incoming>,
    /// Rings when there is more to hand over, or room for it.
    arrivals: Rc<Bell>,
    /// Rings when another offer may be the next one.
    turns: Rc<Bell>,
    /// The log is replayed: what it settles is kept until the start has compared the shards.
    is_replaying: bool,
}

#[derive(Debug, Default)]
struct Outgoing {
    waiting: BTreeMap<u64, Rc<Offer>>,
    /// Settled in the part of the log that was replayed; empty once the start is over.
    settled: BTreeMap<u64, Rc<Offer>>,
    last_durable: u64,
    tip: u64,
}

#[derive(Debug, Default)]
struct Incoming {
    durable: u64,
    tip: u64,
}

impl Outgoing {
    fn keep_settled(&mut self, offers: BTreeMap<u64, Rc<Offer>>) {
        self.settled.extend(offers);
        while self.settled.len() > SETTLED_KEPT_MAX {
            self.settled.pop_first();
        }
    }

    fn settled_through(&self) -> u64 {
        let oldest = self.waiting.first_key_value();
        oldest.map_or(self.last_durable, |(sequence, _)| sequence - 1)
    }
}

/// What an owner does with an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judgement {
    /// It is the next one: deliver it.
    Fresh,
    /// It is durable here already.
    Durable,
    /// It is on its way to the disk, or one before it is missing: its turn comes later.
    Later,
}

impl Spool {
    pub(crate) fn next_sequence(&mut self, target: u16) -> u64 {
        let outgoing = self.offers.entry(target).or_default();
        outgoing.tip += 1;
        outgoing.tip
    }

    /// The oldest offers to `target` above `after`, in order.
    pub(crate) fn waiting(&self, target: u16, after: u64, most: usize) -> Vec<Rc<Offer>> {
        let Some(outgoing) = self.offers.get(&target) else {
            return Vec::new();
        };
        outgoing
            .waiting
            .range(after + 1..)
            .take(most)
            .map(|(_, offer)| Rc::clone(offer))
            .collect()
    }

    /// How many offers wait for all targets.
    pub(crate) fn waiting_count(&self) -> usize {
        self.offers
            .values()
            .map(|outgoing| outgoing.waiting.len())
            .sum()
    }

    pub(crate) fn judge(&self, source: u16, sequence: u64) -> Judgement {
        let (durable, tip) = match self.seen.get(&source) {
            Some(incoming) => (incoming.durable, incoming.tip),
            None => (0, 0),
        };
        if sequence <= durable {
            Judgement::Durable
        } else if sequence == tip + 1 {
            Judgement::Fresh
        } else {
            Judgement::Later
        }
    }

    /// A fresh offer is on its way to the disk.
    pub(crate) fn taking(&mut self, source: u16, sequence: u64) {
        self.seen.entry(source).or_default().tip = sequence;
        self.turns.ring();
    }

    /// Rings whenever an offer that had to wait is to be judged again.
    pub(crate) fn watch_turns(&self) -> Watch {
        self.turns.watch()
    }

    /// Nothing is taken any more: whoever waits for a turn is to find out.
    pub(crate) fn end_turns(&self) {
        self.turns.ring();
    }

    pub(crate) fn offered(&mut self, offer: Offer) {
        let outgoing = self.offers.entry(offer.target).or_default();
        outgoing.last_durable = outgoing.last_durable.max(offer.sequence);
        outgoing.tip = outgoing.tip.max(offer.sequence);
        outgoing.waiting.insert(offer.sequence, Rc::new(offer));
        self.arrivals.ring();
    }

    pub(crate) fn watch(&self) -> Watch {
        self.arrivals.watch()
    }

    pub(crate) fn settled(&mut self, target: u16, sequence: u64) {
        let outgoing = self.offers.entry(target).or_default();
        let later = outgoing.waiting.split_off(&(sequence + 1));
        let settled = std::mem::replace(&mut outgoing.waiting, later);
        if self.is_replaying {
            outgoing.keep_settled(settled);
        }
        outgoing.last_durable = outgoing.last_durable.max(sequence);
        outgoing.tip = outgoing.tip.max(sequence);
        self.arrivals.ring();
    }

    pub(crate) fn replay(&mut self, is_replaying: bool) {
        self.is_replaying = is_replaying;
    }

    /// How far we have taken what `source` offers.
    pub(crate) fn seen_from(&self, source: u16) -> u64 {
        self.seen
            .get(&source)
            .map_or(0, |incoming| incoming.durable)
    }

    /// `target` has seen offers up to `seen`. If that is more than we ever made, we are of an
    /// earlier moment: those numbers are given out, and settled. `true`: it was more.
    pub(crate) fn catch_up(&mut self, target: u16, seen: u64) -> bool {
        let last_durable = self.offers.get(&target).map_or(0, |it| it.last_durable);
        if seen > last_durable {
            self.settled(target, seen);
        }
        seen > last_durable
    }

    /// Offers again what was settled and `target` has not seen, as far as we still have it without
    /// a gap. Returns up to where nothing will be offered any more.
    pub(crate) fn recall(&mut self, target: u16, seen: u64) -> u64 {
        let Some(outgoing) = self.offers.get_mut(&target) else {
            return 0;
        };
        let settled = std::mem::take(&mut outgoing.settled);
        for (sequence, offer) in settled.into_iter().rev() {
            if sequence <= seen || sequence != outgoing.settled_through() {
                break;
            }
            outgoing.waiting.insert(sequence, offer);
        }
        self.arrivals.ring();
        outgoing.settled_through()
    }

    /// The facts that give this spool, for a checkpoint.
    pub(crate) fn facts(&self) -> impl Iterator<Item = Fact> {
        let offers = self.offers.iter().flat_map(|(target, outgoing)| {
            let waiting = outgoing.waiting.values();
            let settled = Fact::Offered {
                target: *target,
                sequence: outgoing.settled_through(),
            };
            let waiting = waiting.map(|offer| Fact::Offer(Box::new(Offer::clone(offer))));
            std::iter::once(settled).chain(waiting)
        });
        let seen = self.seen.iter().map(|(source, incoming)| Fact::Seen {
            source: *source,
            sequence: incoming.durable,
        });
        offers.chain(seen)
    }

    pub(crate) fn seen(&mut self, source: u16, sequence: u64) {
        let incoming = self.seen.entry(source).or_default();
        incoming.durable = incoming.durable.max(sequence);
        incoming.tip = incoming.tip.max(sequence);
        self.turns.ring();
    }

    /// The frames on their way were given up: their numbers are free again.
    pub(crate) fn abort(&mut self) {
        for outgoing in self.offers.values_mut() {
            outgoing.tip = outgoing.last_durable;
        }
        for incoming in self.seen.values_mut() {
            incoming.tip = incoming.durable;
        }
        self.turns.ring();
    }
}

/// Offers to one shard that a replay keeps although they are settled. A replay covers little more
/// than [`CHECKPOINT_LOG_BYTES`](crate::limit::CHECKPOINT_LOG_BYTES) of log, in which more offers
/// than this are hardly found.
const SETTLED_KEPT_MAX: usize = 1 << 16;
