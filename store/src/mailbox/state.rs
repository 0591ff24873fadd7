//! Everything that the facts of one shard add up to. `apply` is the only way it changes, live and
//! at recovery, so both come to the same.

use super::account::Account;
use super::contents::Contents;
use super::frozen::Frozen;
use super::index::Index;
use super::own::Own;
use super::places::Places;
use super::row::Row;
use super::slots::Slots;
use super::tree::SpecialUse;
use crate::log::Place;
use crate::mail::id::{AccountId, MailboxId, ObjectId};
use crate::memo::{Memos, Shelf};
use crate::record::{AccountFact, Deliver, DomainFact, Fact, MailboxFact};
use crate::spool::{Items, Spool};
use crate::table::TableError;
use crate::table::locations::{Kind, Location};
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Debug, Default)]
pub(crate) struct State {
    slots: Slots,
    last_account: AccountId,
    pub(crate) places: Places,
    pub(crate) spool: Spool,
    pub(crate) items: Items,
    pub(crate) memos: Memos,
    /// Domain → catch-all.
    pub(crate) domains: BTreeMap<String, Option<String>>,
    pub(crate) tip_object: ObjectId,
    /// Messages put into mailboxes, by delivery or APPEND.
    pub(crate) deliveries: u64,
}

impl State {
    /// The state as of the last checkpoint.
    pub(crate) fn from_index(index: Rc<Index>, shelf: Rc<Shelf>) -> Result<State, TableError> {
        let mut state = State {
            slots: Slots::cold(Rc::clone(&index))?,
            memos: Memos::on(shelf),
            ..State::default()
        };
        if let Some(own) = index.own()? {
            own.facts.into_iter().for_each(|fact| state.apply_own(fact));
            state.last_account = own.last_account;
            state.tip_object = own.last_object;
            state.places = Places::after(own.last_object, own.straddling);
            state.items.resume(own.last_item);
        }
        index.each_chunk(|number, octets| state.items.load(number, octets))?;
        Ok(state)
    }

    pub(crate) fn account(&self, id: AccountId) -> Option<&Account> {
        self.slots.account(id)
    }

    pub(crate) fn account_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.slots.account_mut(id)
    }

    pub(crate) fn account_at(&self, address: &str) -> Option<AccountId> {
        self.slots.at(address)
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    pub(crate) fn slots_mut(&mut self) -> &mut Slots {
        &mut self.slots
    }

    pub(crate) fn next_account(&mut self) -> AccountId {
        self.last_account.0 += 1;
        self.last_account
    }

    pub(crate) fn next_object(&mut self) -> ObjectId {
        self.tip_object.0 += 1;
        self.tip_object
    }

    pub(crate) fn abort(&mut self) {
        self.slots.abort();
        self.spool.abort();
        self.items.abort();
        self.memos.abort();
    }

    /// Everything that changed since the last freeze.
    pub(crate) fn freeze(&mut self) -> Frozen {
        let mut frozen = Frozen::default();
        let own = Own {
            last_account: self.last_account,
            last_object: self.places.last(),
            straddling: self.places.straddling().to_vec(),
            facts: self.own_facts(),
            last_item: self.items.last(),
        };
        frozen.shard(&own);
        frozen.items = self.items.freeze();
        self.slots.freeze(&mut frozen);
        self.places.freeze(&mut frozen);
        (frozen.memos, frozen.secs) = self.memos.freeze();
        frozen.finish();
        frozen
    }

    /// What was frozen last is in `index` now; objects up to `last_object` are found there.
    pub(crate) fn published(
        &mut self,
        (index, shelf): (Rc<Index>, Rc<Shelf>),
        first_segment: u32,
        last_object: ObjectId,
    ) {
        self.slots.published(index);
        self.memos.published(shelf);
        self.places.published(first_segment, last_object);
    }

    fn own_facts(&self) -> Vec<Fact> {
        let domains = self.domains.iter().map(|(name, catch_all)| {
            Fact::Domain(DomainFact::Add {
                name: name.clone(),
                catch_all: catch_all.clone(),
            })
        });
        domains.chain(self.spool.facts()).collect()
    }

    /// Applies one durable fact. `place` is where its record begins.
    pub(crate) fn apply(&mut self, account: AccountId, place: Place, fact: Fact) {
        match fact {
            Fact::Body => {}
            Fact::Message(head) => {
                self.locate(head.object, place, Kind::Message);
                self.places.note_pieces(&head, place);
            }
            Fact::Queue(queue) => {
                self.locate(queue.object, place, Kind::Deliver);
                self.items.enqueued(&queue);
            }
            Fact::Attempt { object, attempt } => {
                self.locate(object, place, Kind::Message);
                self.items.attempted(object, &attempt);
            }
            Fact::End(end) => self.items.ended(end.item),
            Fact::Hold(hold) => self.items.held(&hold),
            Fact::Memo(memo) => self.memos.apply(*memo),
            Fact::Time { secs } => self.memos.told_time(secs),
            Fact::Account(fact) => self.apply_account(fact),
            Fact::Deliver(deliver) => {
                self.locate(deliver.object, place, Kind::Deliver);
                self.deliveries += 1;
                self.with_account(account, |account| account.apply_deliver(&deliver));
            }
            Fact::Mailbox(fact) => self.with_account(account, |account| account.apply_tree(fact)),
            Fact::Flags(change) => self.with_account(account, |account| {
                account.saw_modseq(change.modseq);
                account.change(change.mailbox, |contents| contents.flag(&change));
            }),
            Fact::Expunge(expunge) => self.with_account(account, |account| {
                account.saw_modseq(expunge.modseq);
                let octets = account.change(expunge.mailbox, |contents| {
                    contents.expunge(&expunge.uids, expunge.modseq)
                });
                account.shrink(octets.unwrap_or(0));
            }),
            Fact::Copy(copy) => self.with_account(account, |account| {
                account.saw_modseq(copy.modseq);
                let octets: u64 = copy.rows.iter().map(|row| u64::from(row.octets)).sum();
                if account
                    .change(copy.target, |contents| contents.copy_in(&copy))
                    .is_some()
                {
                    account.grow(octets);
                }
            }),
            own => self.apply_own(own),
        }
    }

    /// Applies a fact about the shard itself.
    fn apply_own(&mut self, fact: Fact) {
        match fact {
            Fact::Domain(DomainFact::Add { name, catch_all }) => {
                self.domains.insert(name, catch_all);
            }
            Fact::Domain(DomainFact::Remove { name }) => {
                self.domains.remove(&name);
            }
            Fact::Offer(offer) => self.spool.offered(*offer),
            Fact::Offered { target, sequence } => self.spool.settled(target, sequence),
            Fact::Seen { source, sequence } => self.spool.seen(source, sequence),
            _ => {}
        }
    }

    fn with_account(&mut self, id: AccountId, change: impl FnOnce(&mut Account)) {
        // An account that was removed while a change was on its way takes the change along.
        if let Some(account) = self.slots.changing(id) {
            change(account);
        }
    }

    fn apply_account(&mut self, fact: AccountFact) {
        match fact {
            AccountFact::Create {
                account: id,
                address,
            } => {
                self.last_account = self.last_account.max(id);
                self.slots.create(Account::new(id, address));
            }
            AccountFact::Secret { account, secret } => {
                self.slots.change_card(account, |card| card.secret = secret);
            }
            AccountFact::Quota { account, octets } => {
                self.slots.change_card(account, |card| card.quota = octets);
            }
            AccountFact::Remove { account } => self.slots.remove(account),
        }
    }

    fn locate(&mut self, object: ObjectId, place: Place, kind: Kind) {
        self.places.put(object, Location { place, kind });
        self.tip_object = self.tip_object.max(object);
    }
}

impl Account {
    fn apply_deliver(&mut self, deliver: &Deliver) {
        self.saw_modseq(deliver.modseq);
        self.tip_octets = self.tip_octets.saturating_sub(u64::from(deliver.octets));
        let row = Row {
            uid: deliver.uid,
            modseq: deliver.modseq,
            flags: deliver.flags,
            keywords: deliver.keywords,
            internal_date: deliver.internal_date,
            saved_secs: deliver.saved_secs,
            octets: deliver.octets,
            delivery: deliver.object,
        };
        if self
            .change(deliver.mailbox, |contents| contents.arrive(row))
            .is_some()
        {
            self.grow(u64::from(deliver.octets));
        }
    }

    fn apply_tree(&mut self, fact: MailboxFact) {
        match fact {
            MailboxFact::Create {
                mailbox,
                uid_validity,
                modseq,
                special_use,
                name,
            } => {
                self.saw_modseq(modseq);
                let special_use = SpecialUse(special_use);
                self.create(Contents::new(
                    mailbox,
                    name,
                    uid_validity,
                    special_use,
                    modseq,
                ));
            }
            MailboxFact::Rename {
                mailbox,
                modseq,
                name,
            } => {
                self.saw_modseq(modseq);
                self.rename(mailbox, name);
            }
            MailboxFact::Delete { mailbox, modseq } => {
                self.saw_modseq(modseq);
                self.delete(mailbox);
            }
            MailboxFact::Keyword {
                mailbox,
                position,
                name,
            } => {
                self.change(mailbox, |contents| contents.name_keyword(position, name));
            }
            MailboxFact::Recent { mailbox, first } => {
                self.change(mailbox, |contents| contents.claim_recent(first));
            }
            MailboxFact::Subscribe { name } => self.subscribe(name, true),
            MailboxFact::Unsubscribe { name } => self.subscribe(name, false),
        }
    }

    /// Changes a mailbox that is still there, and rings its bell.
    fn change<T>(
        &mut self,
        mailbox: MailboxId,
        change: impl FnOnce(&mut Contents) -> T,
    ) -> Option<T> {
        let contents = self.contents_mut(mailbox)?;
        let outcome = change(contents);
        contents.bell.ring();
        self.bell.ring();
        Some(outcome)
    }
}
