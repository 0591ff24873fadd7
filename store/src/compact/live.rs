//! Liveness: which objects a row, an offer or a change on its way still names.
//!
//! A delivery is live when a row names it, a QUEUE when one of its items has not ended, an ATTEMPT
//! when it is the last one of such an item; a message when one of its deliveries or QUEUEs is, or
//! an offer waits for it. Rows and items are those of the index, so what came later lies behind
//! everything that a task may touch; the exception is a COPY that was on its way to the disk when
//! the index was frozen: it may name a row that was expunged before. The shard hands in what those
//! name (`held`).

use crate::codec::size::Size;
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
    sizes: Vec<Size>,
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
            liveness.mark(*object, Size::of(0));
        }
        let own = index.own()?.unwrap_or_default();
        for fact in own.facts {
            if let Fact::Offer(offer) = fact {
                liveness.mark(offer.message, Size::of(0));
            }
        }
        index.each_queued(|_, slot| {
            liveness.mark(slot.record(), slot.size);
            if let Some(attempt) = slot.last_attempt() {
                liveness.mark(attempt, Size::of(0));
            }
        })?;
        let newer = index.since(*range.start())?;
        each_mailbox_of(index, &newer, |_, _, layer| {
            for row in layer.arrivals.iter() {
                liveness.mark(row.delivery, Size::of(row.octets));
            }
        })?;
        Ok(liveness)
    }

    fn none(range: &RangeInclusive<ObjectId>) -> Liveness {
        let count = (range.end().0 + 1).saturating_sub(range.start().0);
        Liveness {
            first: range.start().0,
            sizes: vec![Size::NONE; count as usize],
        }
    }

    fn mark(&mut self, object: ObjectId, size: Size) {
        let at = object.0.checked_sub(self.first);
        if let Some(known) = at.and_then(|at| self.sizes.get_mut(at as usize)) {
            *known = (*known).max(size);
        }
    }

    pub(super) fn is_live(&self, object: ObjectId) -> bool {
        self.size(object) > Size::NONE
    }

    /// About how many octets prefix and body of a delivery have; 0 where it is not known or dead.
    pub(super) fn octets(&self, object: ObjectId) -> u64 {
        self.size(object).octets()
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

    fn size(&self, object: ObjectId) -> Size {
        let at = object.0.checked_sub(self.first);
        let known = at.and_then(|at| self.sizes.get(at as usize));
        known.copied().unwrap_or(Size::NONE)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_of_the_range_are_marked() {
        let mut liveness = Liveness::none(&(ObjectId(10)..=ObjectId(12)));
        for object in [9, 10, 13, u64::MAX] {
            liveness.mark(ObjectId(object), Size::of(5000));
        }
        let live: Vec<u64> = (0..20)
            .filter(|object| liveness.is_live(ObjectId(*object)))
            .collect();
        assert_eq!(live, [10]);
        assert!(liveness.is_message_live(ObjectId(9), 1));
        assert!(!liveness.is_message_live(ObjectId(11), 5));
    }
}
