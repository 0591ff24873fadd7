//! What changed in a shard since its last checkpoint, as bytes that another thread can write down.
//!
//! A freeze is one plain function between two frames, so everything in it is as of one position of
//! the log: replaying from there on gives what the shard has.

use super::account::Account;
use super::card::Card;
use super::own::Own;
use crate::mail::id::{AccountId, MailboxId, ObjectId};
use crate::memo::Tail;
use crate::spool::FrozenItems;
use crate::table::locations::Location;
use std::ops::Range;
use std::sync::Arc;

/// Parts of the next run and entries of the location table.
#[derive(Debug, Default)]
pub struct Frozen {
    octets: Vec<u8>,
    /// Ascending by account and mailbox; mailbox 0 is the account itself, account 0 the shard,
    /// whose other parts are `items`.
    parts: Vec<(AccountId, MailboxId, Range<usize>)>,
    /// Ascending by account.
    cards: Vec<(AccountId, Range<usize>)>,
    /// The object of the first entry of `places`.
    pub first_object: ObjectId,
    /// Where objects lie that were made since the last checkpoint; some numbers were never used.
    pub places: Vec<Option<Location>>,
    /// What changed of the queue.
    pub(crate) items: FrozenItems,
    /// What changed of the memos.
    pub(crate) memos: Arc<Tail>,
    /// What time it was, in seconds since 1970.
    pub(crate) secs: i64,
}

impl Frozen {
    /// Parts in order: account, mailbox, octets.
    pub fn parts(&self) -> impl Iterator<Item = (AccountId, MailboxId, &[u8])> {
        let octets = |range: &Range<usize>| self.octets.get(range.clone()).unwrap_or_default();
        let parts = self.parts.iter();
        parts.map(move |(account, mailbox, range)| (*account, *mailbox, octets(range)))
    }

    /// Cards in order: account, octets.
    pub fn cards(&self) -> impl Iterator<Item = (AccountId, &[u8])> {
        let octets = |range: &Range<usize>| self.octets.get(range.clone()).unwrap_or_default();
        let cards = self.cards.iter();
        cards.map(move |(account, range)| (*account, octets(range)))
    }

    /// The part of the shard itself; it goes first.
    pub(crate) fn shard(&mut self, own: &Own) {
        self.part(AccountId(0), MailboxId(0), |out| own.encode(out));
    }

    /// An account and what changed in its mailboxes.
    pub(crate) fn account(&mut self, card: &Card, account: &mut Account) {
        self.card(card);
        let id = account.id;
        self.part(id, MailboxId(0), |out| account.meta().encode(out));
        for (mailbox, layer) in account.take_deltas() {
            self.part(id, mailbox, |out| layer.encode(out));
        }
    }

    pub(crate) fn card(&mut self, card: &Card) {
        let start = self.octets.len();
        card.encode(&mut self.octets);
        self.cards.push((card.id, start..self.octets.len()));
    }

    /// Nothing follows: cards of removed accounts take their place among the others.
    pub(crate) fn finish(&mut self) {
        self.cards.sort_unstable_by_key(|(account, _)| *account);
    }

    fn part(&mut self, account: AccountId, mailbox: MailboxId, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.octets.len();
        write(&mut self.octets);
        self.parts
            .push((account, mailbox, start..self.octets.len()));
    }
}
