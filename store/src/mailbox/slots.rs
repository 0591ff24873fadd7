//! The accounts of a shard: what stays in memory of each, and those that are loaded.
//!
//! ```text
//!  cold ── first use ──→ loaded ── a fact ──→ dirty ── freeze ──→ frozen ── published ──→ loaded
//!   ↑                                                                                       │
//!   └────────────────────── idle since the checkpoint before ─────────────────────────────┘
//! ```
//!
//! A cold account costs its card. Loading reads the memory map and is therefore a plain function;
//! whoever can wait warms the pages first (`Shard::warm`).

use super::account::Account;
use super::card::Card;
use super::frozen::Frozen;
use super::index::Index;
use crate::mail::id::{AccountId, IdMap};
use crate::table::TableError;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: IdMap<AccountId, Slot>,
    by_address: HashMap<Rc<str>, AccountId>,
    index: Rc<Index>,
    /// Accounts that are loaded, in no order.
    loaded: RefCell<Vec<AccountId>>,
    /// Accounts that changed since the last freeze.
    dirty: Vec<AccountId>,
    /// Cards of accounts that were removed since the last freeze.
    removed: Vec<Card>,
    /// Counts checkpoints; an account that was not used since the one before is idle.
    round: Cell<u32>,
}

#[derive(Debug)]
struct Slot {
    /// As of the last checkpoint while the account is loaded.
    card: Card,
    /// Where other shards read the usage, in octets.
    gauge: Arc<AtomicU64>,
    /// As the configuration file has it, in octets; it wins.
    configured_quota: Option<u64>,
    account: OnceCell<Box<Account>>,
    is_dirty: bool,
    /// Facts of the account that are on their way to the disk.
    on_the_way: u32,
    used: Cell<u32>,
}

/// What the configuration says of an account.
pub struct Configured {
    /// Octets; wins over what the log has.
    pub quota: Option<u64>,
    /// Where other shards read the usage.
    pub usage: Arc<AtomicU64>,
}

/// What other rooms know an account by, loaded or not.
pub(crate) struct Owner<'a> {
    pub(crate) card: &'a Card,
    pub(crate) gauge: &'a Arc<AtomicU64>,
}

impl Slots {
    /// The accounts of the index, all of them cold.
    pub(crate) fn cold(index: Rc<Index>) -> Result<Slots, TableError> {
        let cards = index.cards()?;
        let mut slots = Slots {
            index,
            ..Slots::default()
        };
        for card in cards.into_values().filter(|card| !card.is_removed) {
            slots.keep(card, None);
        }
        Ok(slots)
    }

    fn keep(&mut self, card: Card, account: Option<Box<Account>>) {
        let id = card.id;
        self.by_address.insert(card.address.as_str().into(), id);
        let gauge = Arc::new(AtomicU64::new(card.octets));
        let cell = OnceCell::new();
        if let Some(mut account) = account {
            account.publish_to(Arc::clone(&gauge));
            self.loaded.borrow_mut().push(id);
            let _ = cell.set(account);
        }
        let slot = Slot {
            card,
            gauge,
            configured_quota: None,
            account: cell,
            is_dirty: false,
            on_the_way: 0,
            used: Cell::new(self.round.get()),
        };
        self.slots.insert(id, slot);
    }

    /// The account, loaded where it is cold.
    pub(crate) fn account(&self, id: AccountId) -> Option<&Account> {
        let slot = self.slots.get(&id)?;
        slot.used.set(self.round.get());
        Some(slot.account.get_or_init(|| self.load(slot)))
    }

    pub(crate) fn account_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.account(id)?;
        let account = self.slots.get_mut(&id)?.account.get_mut()?;
        Some(account)
    }

    fn load(&self, slot: &Slot) -> Box<Account> {
        let loaded = self.index.account(&slot.card);
        let loaded = loaded.unwrap_or_else(|damage| Account::damaged(&slot.card, damage));
        let mut account = Box::new(loaded);
        account.configured_quota = slot.configured_quota;
        account.publish_to(Arc::clone(&slot.gauge));
        self.loaded.borrow_mut().push(slot.card.id);
        account
    }

    pub(crate) fn is_loaded(&self, id: AccountId) -> bool {
        let slot = self.slots.get(&id);
        slot.is_some_and(|slot| slot.account.get().is_some())
    }

    /// The account, which is about to change: it is in the next checkpoint. A damaged one is not,
    /// so that what the index still has of it stays.
    pub(crate) fn changing(&mut self, id: AccountId) -> Option<&mut Account> {
        self.account(id)?;
        let slot = self.slots.get_mut(&id)?;
        let account = slot
            .account
            .get_mut()
            .filter(|account| account.is_sound())?;
        if !slot.is_dirty {
            slot.is_dirty = true;
            self.dirty.push(id);
        }
        Some(account)
    }

    /// What the rows of open mailboxes occupy in memory, in bytes.
    pub(crate) fn rows_bytes(&self) -> usize {
        let loaded = self.loaded.borrow();
        let accounts = loaded
            .iter()
            .filter_map(|id| self.slots.get(id)?.account.get());
        accounts.map(|account| account.heap_bytes()).sum()
    }

    pub(crate) fn at(&self, address: &str) -> Option<AccountId> {
        self.by_address.get(address).copied()
    }

    /// Every account, without loading any. The card of a loaded one is as of the last checkpoint,
    /// but for what [`Slots::refresh`] brought.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Owner<'_>> {
        self.slots.values().map(Slot::owner)
    }

    pub(crate) fn owner(&self, id: AccountId) -> Option<Owner<'_>> {
        self.slots.get(&id).map(Slot::owner)
    }

    pub(crate) fn create(&mut self, account: Account) {
        let id = account.id;
        self.keep(account.card(), Some(Box::new(account)));
        self.changing(id);
    }

    /// Removes an account; its sessions learn it.
    pub(crate) fn remove(&mut self, id: AccountId) {
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        if self.at(&slot.card.address) == Some(id) {
            self.by_address.remove(slot.card.address.as_str());
        }
        if let Some(account) = slot.account.get() {
            account.ring_all();
        }
        self.loaded.borrow_mut().retain(|loaded| *loaded != id);
        self.dirty.retain(|dirty| *dirty != id);
        self.removed.push(Card {
            is_removed: true,
            ..slot.card
        });
    }

    /// Sets what the configuration says of each account.
    pub(crate) fn configure(&mut self, lookup: &dyn Fn(&str) -> Option<Configured>) {
        for slot in self.slots.values_mut() {
            slot.configure(lookup);
        }
    }

    pub(crate) fn configure_one(
        &mut self,
        id: AccountId,
        lookup: &dyn Fn(&str) -> Option<Configured>,
    ) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.configure(lookup);
        }
    }

    /// Changes what the card says; the card is where the truth of it is.
    pub(crate) fn change_card(&mut self, id: AccountId, change: impl FnOnce(&mut Card)) {
        if self.changing(id).is_some()
            && let Some(slot) = self.slots.get_mut(&id)
        {
            change(&mut slot.card);
            let quota = slot.card.quota;
            if let Some(account) = slot.account.get_mut() {
                account.quota = quota;
            }
        }
    }

    /// A fact of the account is appended and not yet durable: the account stays loaded.
    pub(crate) fn departed(&mut self, id: AccountId) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.on_the_way += 1;
        }
    }

    pub(crate) fn arrived(&mut self, id: AccountId) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.on_the_way = slot.on_the_way.saturating_sub(1);
        }
    }

    /// The frames on their way were given up.
    pub(crate) fn abort(&mut self) {
        for id in self.loaded.get_mut() {
            if let Some(slot) = self.slots.get_mut(id) {
                slot.on_the_way = 0;
                if let Some(account) = slot.account.get_mut() {
                    account.abort();
                }
            }
        }
    }

    /// Everything that changed since the last freeze, ascending by account.
    pub(crate) fn freeze(&mut self, frozen: &mut Frozen) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for id in dirty {
            let Some(slot) = self.slots.get_mut(&id) else {
                continue;
            };
            slot.is_dirty = false;
            if let Some(account) = slot.account.get_mut() {
                slot.card.octets = account.octets();
                frozen.account(&slot.card, account);
            }
        }
        for card in self.removed.drain(..) {
            frozen.card(&card);
        }
    }

    /// The checkpoint is published: loaded accounts stand on the new index, idle ones are unloaded.
    pub(crate) fn published(&mut self, index: Rc<Index>) {
        self.index = index;
        let round = self.round.get();
        self.round.set(round.wrapping_add(1));
        let slots = &mut self.slots;
        let index = &self.index;
        self.loaded.get_mut().retain(|id| {
            let Some(slot) = slots.get_mut(id) else {
                return false;
            };
            if slot.is_idle(round) {
                slot.account.take();
                return false;
            }
            if let Some(account) = slot.account.get_mut() {
                account.rebase(|mailbox| index.fetch(*id, mailbox));
            }
            true
        });
    }
}

impl Slot {
    fn owner(&self) -> Owner<'_> {
        Owner {
            card: &self.card,
            gauge: &self.gauge,
        }
    }

    fn configure(&mut self, lookup: &dyn Fn(&str) -> Option<Configured>) {
        let configured = lookup(&self.card.address);
        self.configured_quota = configured.as_ref().and_then(|configured| configured.quota);
        if let Some(configured) = configured {
            let octets = self.gauge.load(Ordering::Relaxed);
            configured.usage.store(octets, Ordering::Relaxed);
            self.gauge = configured.usage;
        }
        if let Some(account) = self.account.get_mut() {
            account.configured_quota = self.configured_quota;
            account.publish_to(Arc::clone(&self.gauge));
        }
    }

    /// Whether the account can be made cold without anybody noticing.
    fn is_idle(&self, round: u32) -> bool {
        let is_free = !self.is_dirty && self.on_the_way == 0 && self.used.get() != round;
        is_free
            && self
                .account
                .get()
                .is_some_and(|account| !account.is_watched())
    }
}
