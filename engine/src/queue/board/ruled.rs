//! What rules order, on the board: by which source of its site mail leaves, and what waits.

use super::{Board, Queue, QueueIndex, Share};
use crate::queue::nodes::Index;
use crate::queue::rules::{Mail, Suspended};
use slab::Slab;
use std::sync::Arc;

impl Board {
    /// Whose mail it is, in the terms of rules.
    #[must_use]
    pub(in super::super) fn mail_of(&self, index: Index) -> [Mail; 2] {
        let (tenant, campaign) = self.owner_of(index);
        [Mail::Tenant(tenant.into()), Mail::Campaign(campaign.into())]
    }

    /// Takes those out of a ready queue, at most `most`, that rules let leave by another source of
    /// their site; they start anew.
    pub(in super::super) fn move_on(&mut self, index: QueueIndex, most: usize, now: u32) {
        let is_open = |queue: &Queue| queue.is_open(now);
        if self.queues.get(index.0).is_none_or(is_open) {
            return;
        }
        let mut moved = 0;
        while moved < most {
            let Some(queue) = self.queues.get_mut(index.0) else {
                return;
            };
            let first = queue.lanes.first(&mut self.nodes);
            if first.is_none_or(|first| self.queue_of(first, now) == Some(index)) {
                return;
            }
            let taken = self.take(index, most - moved, now, |_, _, _| true);
            moved += taken.len().max(1);
            taken.into_iter().for_each(|one| self.start(one, now));
        }
    }
}

impl Queue {
    /// What a rule wants to wait: all mail to the site, or all that leaves by this source.
    #[must_use]
    pub(in super::super) fn suspended(&self, now: u32) -> Option<Suspended> {
        let effects = &self.site.effects;
        if !effects.are_any(now) {
            return None;
        }
        let source = Mail::Source(Arc::clone(&self.source_name));
        effects.suspended(&[Mail::All, source], now)
    }

    /// Whether rules let mail leave by this source.
    fn is_open(&self, now: u32) -> bool {
        let effects = &self.site.effects;
        if !effects.are_any(now) {
            return true;
        }
        let source = Mail::Source(Arc::clone(&self.source_name));
        let is_meant = effects
            .switched(now)
            .is_none_or(|switched| *switched.pool == *self.source_name);
        is_meant && effects.suspended(&[source], now).is_none()
    }
}

/// A part of the items by weight, always the same for one item; of the sources that rules leave
/// open, where they leave one.
pub(super) fn choose(
    queues: &Slab<Queue>,
    shares: &[Share],
    item: u64,
    now: u32,
) -> Option<QueueIndex> {
    let is_open = |share: &Share| {
        let queue = queues.get(share.queue.0);
        queue.is_none_or(|queue| queue.is_open(now))
    };
    if shares.iter().all(is_open) {
        return by_weight(shares, item);
    }
    let open: Vec<Share> = shares.iter().copied().filter(is_open).collect();
    match open.is_empty() {
        true => by_weight(shares, item),
        false => by_weight(&open, item),
    }
}

fn by_weight(shares: &[Share], item: u64) -> Option<QueueIndex> {
    let all: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let mut left = item.wrapping_mul(SPREAD) >> 32;
    left %= all.max(1);
    for share in shares {
        match left.checked_sub(u64::from(share.weight)) {
            Some(rest) => left = rest,
            None => return Some(share.queue),
        }
    }
    shares.first().map(|share| share.queue)
}

/// Spreads numbers that follow each other (Knuth's multiplicative hashing).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
