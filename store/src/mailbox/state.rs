//! Everything that the facts of one shard add up to. `apply` is the only way it changes, live and
//! at recovery, so both come to the same.

use super::account::Account;
use super::contents::Contents;
use super::row::Row;
use super::tree::SpecialUse;
use crate::log::Place;
use crate::mail::id::{AccountId, MailboxId, ObjectId};
use crate::record::{AccountFact, Deliver, DomainFact, Fact, MailboxFact};
use crate::spool::Spool;
use std::collections::{BTreeMap, HashMap};

#[derive(Debug, Default)]
pub(crate) struct State {
    accounts: HashMap<AccountId, Account>,
    by_address: HashMap<String, AccountId>,
    last_account: AccountId,
    /// Where each object lies; index 0 is never used.
    places: Vec<Option<Place>>,
    pub(crate) spool: Spool,
    /// Domain → catch-all.
    pub(crate) domains: BTreeMap<String, Option<String>>,
    pub(crate) tip_object: ObjectId,
    /// Messages put into mailboxes, by delivery or APPEND.
    pub(crate) deliveries: u64,
}

impl State {
    pub(crate) fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    pub(crate) fn account_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    pub(crate) fn account_at(&self, address: &str) -> Option<AccountId> {
        self.by_address.get(address).copied()
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(crate) fn accounts_mut(&mut self) -> impl Iterator<Item = &mut Account> {
        self.accounts.values_mut()
    }

    pub(crate) fn next_account(&mut self) -> AccountId {
        self.last_account.0 += 1;
        self.last_account
    }

    pub(crate) fn next_object(&mut self) -> ObjectId {
        self.tip_object.0 += 1;
        self.tip_object
    }

    pub(crate) fn place(&self, object: ObjectId) -> Option<Place> {
        *self.places.get(usize::try_from(object.0).ok()?)?
    }

    pub(crate) fn abort(&mut self) {
        self.accounts.values_mut().for_each(Account::abort);
        self.spool.abort();
    }

    /// Applies one durable fact. `place` is where its record begins.
    pub(crate) fn apply(&mut self, account: AccountId, place: Place, fact: Fact) {
        match fact {
            Fact::Body => {}
            Fact::Message(head) => self.locate(head.object, place),
            Fact::Account(fact) => self.apply_account(fact),
            Fact::Domain(DomainFact::Add { name, catch_all }) => {
                self.domains.insert(name, catch_all);
            }
            Fact::Domain(DomainFact::Remove { name }) => {
                self.domains.remove(&name);
            }
            Fact::Offer(offer) => self.spool.offered(*offer),
            Fact::Offered { target, sequence } => self.spool.settled(target, sequence),
            Fact::Seen { source, sequence } => self.spool.seen(source, sequence),
            Fact::Deliver(deliver) => {
                self.locate(deliver.object, place);
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
        }
    }

    fn with_account(&mut self, id: AccountId, change: impl FnOnce(&mut Account)) {
        // An account that was removed while a change was on its way takes the change along.
        if let Some(account) = self.accounts.get_mut(&id) {
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
                self.by_address.insert(address.clone(), id);
                self.accounts.insert(id, Account::new(id, address));
            }
            AccountFact::Secret { account, secret } => {
                self.with_account(account, |account| account.secret = secret);
            }
            AccountFact::Quota { account, octets } => {
                self.with_account(account, |account| account.quota = octets);
            }
            AccountFact::Remove { account } => {
                if let Some(account) = self.accounts.remove(&account) {
                    self.by_address.remove(&account.address);
                    account.ring_all();
                }
            }
        }
    }

    fn locate(&mut self, object: ObjectId, place: Place) {
        let Ok(at) = usize::try_from(object.0) else {
            return;
        };
        if at >= self.places.len() {
            self.places.resize(at + 1, None);
        }
        if let Some(slot) = self.places.get_mut(at) {
            *slot = Some(place);
        }
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
        Some(outcome)
    }
}
