//! Liveness: which objects a row, an offer or a change on its way still names.
//!
//! A delivery is live when a row names it, a message when one of its deliveries is, or an offer
//! waits for it. The rows are those of the index, so what came later lies behind everything that a
//! task may touch; the exception is a COPY that was on its way to the disk when the index was
//! frozen: it may name a row that was expunged before. The shard hands in what those name (`held`).

use crate::mail::id::{AccountId, MailboxId, ObjectId};
use crate::mailbox::card::Card;
use crate::mailbox::index::Index;
use crate::mailbox::layer::Layer;
use crate::record::Fact;
use crate::table::TableError;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// One octet for each object of a range: nothing, or about how large what it names is.
#[derive(Debug)]
pub(super) struct Liveness {
    first: u64,
    classes: Vec<u8>,
}

impl Liveness {
    /// The live ones of a range of objects.
    pub(super) fn of(
        index: &Index,
        held: &[ObjectId],
        range: &RangeInclusive<ObjectId>,
    ) -> Result<Liveness, TableError> {
        let mut liveness = Liveness::none(range);
        for object in held {
            liveness.mark(*object, 0);
        }
        let own = index.own()?.unwrap_or_default();
        for fact in own.facts {
            if let Fact::Offer(offer) = fact {
                liveness.mark(offer.message, 0);
            }
        }
        let newer = index.since(*range.start())?;
        each_mailbox_of(index, &newer, |_, _, layer| {
            for row in layer.arrivals.iter() {
                liveness.mark(row.delivery, row.octets);
            }
        })?;
        Ok(liveness)
    }

    fn none(range: &RangeInclusive<ObjectId>) -> Liveness {
        let count = (range.end().0 + 1).saturating_sub(range.start().0);
        Liveness {
            first: range.start().0,
            classes: vec![0; count as usize],
        }
    }

    fn mark(&mut self, object: ObjectId, octets: u32) {
        let at = object.0.checked_sub(self.first);
        if let Some(class) = at.and_then(|at| self.classes.get_mut(at as usize)) {
            *class = (*class).max(class_of(octets));
        }
    }

    pub(super) fn is_live(&self, object: ObjectId) -> bool {
        self.class(object) > 0
    }

    /// About how many octets prefix and body of a delivery have; 0 where it is not known or dead.
    pub(super) fn octets(&self, object: ObjectId) -> u64 {
        octets_of(self.class(object))
    }

    /// Whether a message is live whose deliveries are among the `reach` objects behind it.
    pub(super) fn is_message_live(&self, message: ObjectId, reach: u32) -> bool {
        (message.0..=message.0 + u64::from(reach)).any(|object| self.is_live(ObjectId(object)))
    }

    /// About how many octets a message has whose deliveries are among the `reach` objects behind
    /// it.
    pub(super) fn message_octets(&self, message: ObjectId, reach: u32) -> u64 {
        let reached = message.0..=message.0 + u64::from(reach);
        let octets = reached.map(|object| self.octets(ObjectId(object)));
        octets.max().unwrap_or(0)
    }

    fn class(&self, object: ObjectId) -> u8 {
        let at = object.0.checked_sub(self.first);
        at.and_then(|at| self.classes.get(at as usize))
            .copied()
            .unwrap_or(0)
    }
}

/// Calls `each` with every mailbox that there is, one in memory at a time.
pub(super) fn each_mailbox(
    index: &Index,
    each: impl FnMut(AccountId, MailboxId, Layer),
) -> Result<(), TableError> {
    each_mailbox_of(index, index, each)
}

/// As `each_mailbox`, of the rows that the `newer` runs of the index have.
fn each_mailbox_of(
    index: &Index,
    newer: &Index,
    mut each: impl FnMut(AccountId, MailboxId, Layer),
) -> Result<(), TableError> {
    let cards: HashMap<AccountId, Card> = index.cards()?;
    let mut known: (AccountId, BTreeSet<MailboxId>) = Default::default();
    for (account, mailbox) in newer.keys()? {
        if mailbox == MailboxId(0) || cards.get(&account).is_none_or(|card| card.is_removed) {
            continue;
        }
        if known.0 != account {
            known = (account, index.mailboxes(account)?);
        }
        if known.1.contains(&mailbox) {
            each(account, mailbox, newer.layer(account, mailbox, true)?);
            newer.forget(account, mailbox);
        }
    }
    Ok(())
}

/// Objects that are judged at one time: so many octets are in memory. A shard with more of them
/// has its rows gone through as often.
pub(super) const OBJECTS_AT_ONCE: u64 = 64 << 20;

/// A record beside the octets of prefix and body, about.
pub(super) const RECORD_BYTES: u64 = 120;

/// Four classes to each power of two; never 0.
fn class_of(octets: u32) -> u8 {
    let octets = octets.max(4);
    let exponent = octets.ilog2();
    let fraction = octets >> (exponent - 2) & 3;
    (exponent * 4 + fraction) as u8
}

/// The middle of a class.
fn octets_of(class: u8) -> u64 {
    let (exponent, fraction) = (u32::from(class) / 4, u64::from(class) % 4);
    match exponent {
        0..=2 => 0,
        _ => (9 + 2 * fraction) << (exponent - 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_known_within_an_eighth() {
        for octets in [8, 100, 4096, 70_000, 1 << 30, u32::MAX] {
            let about = octets_of(class_of(octets)) as f64;
            let ratio = about / f64::from(octets);
            assert!((0.87..1.13).contains(&ratio), "{octets} is about {about}");
        }
        assert!(class_of(0) > 0, "live, however small");
        assert_eq!(octets_of(class_of(0)), 0);
    }

    #[test]
    fn only_objects_of_the_range_are_marked() {
        let mut liveness = Liveness::none(&(ObjectId(10)..=ObjectId(12)));
        for object in [9, 10, 13, u64::MAX] {
            liveness.mark(ObjectId(object), 5000);
        }
        let live: Vec<u64> = (0..20)
            .filter(|object| liveness.is_live(ObjectId(*object)))
            .collect();
        assert_eq!(live, [10]);
        assert!(liveness.is_message_live(ObjectId(9), 1));
        assert!(!liveness.is_message_live(ObjectId(11), 5));
    }
}
