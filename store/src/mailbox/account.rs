//! One account: its mailboxes by id and by name, subscriptions, usage, secrets.

use super::card::Card;
use super::contents::Contents;
use super::layer::Layer;
use super::meta::AccountMeta;
use super::name::{INBOX, is_below};
use super::shelf::Fetch;
use super::tree::{MailboxInfo, SpecialUse, Status};
use crate::bell::Bell;
use crate::error::ChangeError;
use crate::gate::Gate;
use crate::limit::MAILBOXES_MAX;
use crate::mail::id::{AccountId, IdMap, MailboxId, ModSeq, UidValidity};
use crate::table::TableError;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) address: String,
    mailboxes: IdMap<MailboxId, Contents>,
    names: BTreeMap<String, MailboxId>,
    subscriptions: BTreeSet<String>,
    /// Why the mailboxes cannot be had.
    damage: Option<TableError>,
    /// As the log has it.
    pub(crate) quota: Option<u64>,
    /// As the configuration file has it; it wins.
    pub(crate) configured_quota: Option<u64>,
    /// Where other shards read the usage.
    pub(crate) gauge: Arc<AtomicU64>,
    /// Octets of all messages; a copy counts again (RFC 9208 §5).
    octets: u64,
    last_uid_validity: UidValidity,
    /// Octets on their way to the disk.
    pub(crate) tip_octets: u64,
    pub(crate) tip_modseq: ModSeq,
    tip_mailbox: MailboxId,
    /// Held while the tree of names changes, so that two changes never decide on the same names.
    pub(crate) tree_gate: Rc<Gate>,
    /// Changes of names and subscriptions since the account was loaded.
    tree_version: u64,
    /// Rings at every change of any mailbox, of a name and of a subscription.
    pub(crate) bell: Rc<Bell>,
}

impl Account {
    pub(crate) fn new(id: AccountId, address: String) -> Account {
        Account {
            id,
            address,
            mailboxes: IdMap::default(),
            names: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            damage: None,
            quota: None,
            configured_quota: None,
            gauge: Arc::default(),
            octets: 0,
            last_uid_validity: UidValidity(0),
            tip_octets: 0,
            tip_modseq: ModSeq(0),
            tip_mailbox: MailboxId(0),
            tree_gate: Rc::default(),
            tree_version: 0,
            bell: Rc::default(),
        }
    }

    pub(crate) fn octets(&self) -> u64 {
        self.octets
    }

    /// Messages of all mailboxes.
    pub(crate) fn messages(&self) -> u64 {
        let each = self.mailboxes.values();
        each.map(|contents| u64::from(contents.status().messages))
            .sum()
    }

    /// Whether `octets` more would be above the quota, what is on its way counted.
    pub(crate) fn would_exceed(&self, octets: u64) -> bool {
        self.limit().is_some_and(|quota| {
            self.octets
                .saturating_add(self.tip_octets)
                .saturating_add(octets)
                > quota
        })
    }

    /// Tells the usage to `gauge` from now on.
    pub(crate) fn publish_to(&mut self, gauge: Arc<AtomicU64>) {
        gauge.store(self.octets, Ordering::Relaxed);
        self.gauge = gauge;
    }

    /// The quota that counts, in octets.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.configured_quota.or(self.quota)
    }

    pub(crate) fn next_modseq(&mut self) -> ModSeq {
        self.tip_modseq.0 += 1;
        self.tip_modseq
    }

    pub(crate) fn next_mailbox(&mut self) -> MailboxId {
        self.tip_mailbox.0 += 1;
        self.tip_mailbox
    }

    /// RFC 9051 §2.3.1.1: greater for every mailbox made later, whatever the clock says.
    pub(crate) fn next_uid_validity(&mut self, now_secs: i64) -> UidValidity {
        let clock = u32::try_from(now_secs).unwrap_or(0);
        self.last_uid_validity.0 = clock.max(self.last_uid_validity.0.saturating_add(1));
        self.last_uid_validity
    }

    pub(crate) fn id_of(&self, canonical_name: &str) -> Option<MailboxId> {
        self.names.get(canonical_name).copied()
    }

    pub(crate) fn contents(&self, mailbox: MailboxId) -> Option<&Contents> {
        self.mailboxes.get(&mailbox)
    }

    pub(crate) fn contents_mut(&mut self, mailbox: MailboxId) -> Option<&mut Contents> {
        self.mailboxes.get_mut(&mailbox)
    }

    /// The mailbox, if something may still be added to it.
    pub(crate) fn open_contents(&mut self, id: MailboxId) -> Result<&mut Contents, ChangeError> {
        match self.mailboxes.get_mut(&id) {
            Some(contents) if !contents.tip_deleted => Ok(contents),
            _ if self.damage.is_some() => Err(ChangeError::Damaged),
            _ => Err(ChangeError::NoMailbox),
        }
    }

    pub(crate) fn inbox(&self) -> Option<MailboxId> {
        self.id_of(INBOX)
    }

    pub(crate) fn info(&self, mailbox: MailboxId) -> Option<MailboxInfo> {
        let contents = self.mailboxes.get(&mailbox)?;
        Some(MailboxInfo {
            id: contents.id,
            name: contents.name.clone(),
            uid_validity: contents.uid_validity,
            special_use: contents.special_use,
            subscribed: self.subscriptions.contains(&contents.name),
        })
    }

    /// Every mailbox, INBOX first, then by name.
    pub(crate) fn list(&self) -> Vec<MailboxInfo> {
        let inbox = self.inbox();
        let others = self.names.values().filter(|id| Some(**id) != inbox);
        inbox
            .iter()
            .chain(others)
            .filter_map(|id| self.info(*id))
            .collect()
    }

    pub(crate) fn has_room_for_mailboxes(&self, more: usize) -> bool {
        self.mailboxes.len() + more <= MAILBOXES_MAX
    }

    /// The mailbox and those below it, as (id, name).
    pub(crate) fn family(&self, name: &str) -> Vec<(MailboxId, String)> {
        let below = self.names.iter().filter(|(other, _)| is_below(other, name));
        let own = self.names.get_key_value(name);
        own.into_iter()
            .chain(below)
            .map(|(name, id)| (*id, name.clone()))
            .collect()
    }

    pub(crate) fn subscriptions(&self) -> Vec<String> {
        self.subscriptions.iter().cloned().collect()
    }

    /// Another number after each change of names and subscriptions, while somebody listens.
    pub(crate) fn tree_version(&self) -> u64 {
        self.tree_version
    }

    /// The mailboxes with a change after `modseq`, in no order.
    pub(crate) fn changed_since(&self, modseq: ModSeq) -> Vec<(MailboxId, Status)> {
        let all = self.mailboxes.values();
        let changed = all.filter(|contents| contents.highest_modseq() > modseq);
        changed
            .map(|contents| (contents.id, contents.status()))
            .collect()
    }

    // What follows applies facts.

    pub(crate) fn create(&mut self, contents: Contents) {
        self.last_uid_validity = self.last_uid_validity.max(contents.uid_validity);
        self.tip_mailbox = self.tip_mailbox.max(contents.id);
        self.names.insert(contents.name.clone(), contents.id);
        self.mailboxes.insert(contents.id, contents);
        self.tree_changed();
    }

    pub(crate) fn rename(&mut self, mailbox: MailboxId, name: String) {
        if let Some(contents) = self.mailboxes.get_mut(&mailbox) {
            if self.names.get(&contents.name) == Some(&mailbox) {
                self.names.remove(&contents.name);
            }
            contents.name.clone_from(&name);
            contents.bell.ring();
            self.names.insert(name, mailbox);
            self.tree_changed();
        }
    }

    pub(crate) fn delete(&mut self, mailbox: MailboxId) {
        if let Some(contents) = self.mailboxes.remove(&mailbox) {
            if self.names.get(&contents.name) == Some(&mailbox) {
                self.names.remove(&contents.name);
            }
            self.shrink(contents.status().octets);
            contents.bell.ring();
            self.tree_changed();
        }
    }

    pub(crate) fn subscribe(&mut self, name: String, on: bool) {
        if on {
            self.subscriptions.insert(name);
        } else {
            self.subscriptions.remove(&name);
        }
        self.tree_changed();
    }

    fn tree_changed(&mut self) {
        self.tree_version += 1;
        self.bell.ring();
    }

    pub(crate) fn grow(&mut self, octets: u64) {
        self.octets += octets;
        self.gauge.store(self.octets, Ordering::Relaxed);
    }

    pub(crate) fn shrink(&mut self, octets: u64) {
        self.octets = self
            .octets
            .checked_sub(octets)
            .expect("octets are counted once each way");
        self.gauge.store(self.octets, Ordering::Relaxed);
    }

    pub(crate) fn saw_modseq(&mut self, modseq: ModSeq) {
        self.tip_modseq = self.tip_modseq.max(modseq);
    }

    /// The frames on their way were given up.
    pub(crate) fn abort(&mut self) {
        self.tip_octets = 0;
        self.mailboxes.values_mut().for_each(Contents::abort);
    }

    /// The account is removed: sessions learn it.
    pub(crate) fn ring_all(&self) {
        self.mailboxes
            .values()
            .for_each(|contents| contents.bell.ring());
        self.bell.ring();
    }

    pub(crate) fn is_subscribed(&self, name: &str) -> bool {
        self.subscriptions.contains(name)
    }

    pub(crate) fn special_use_taken(&self, special_use: SpecialUse) -> bool {
        self.mailboxes
            .values()
            .any(|contents| contents.special_use.0 & special_use.0 != 0)
    }
}

/// To the index and back.
impl Account {
    /// An account as the index has it; `fetch` tells where the rows of a mailbox are.
    pub(crate) fn from_meta(
        card: &Card,
        meta: AccountMeta,
        fetch: impl Fn(MailboxId) -> Fetch,
    ) -> Account {
        let mut account = Account::new(card.id, card.address.clone());
        account.quota = card.quota;
        account.tip_modseq = meta.tip_modseq;
        account.subscriptions.extend(meta.subscriptions);
        for mailbox in meta.mailboxes {
            account.grow(mailbox.tally.octets);
            let fetch = fetch(mailbox.id);
            account.create(Contents::from_meta(mailbox, fetch));
        }
        account.last_uid_validity = account.last_uid_validity.max(meta.last_uid_validity);
        account.tip_mailbox = account.tip_mailbox.max(meta.tip_mailbox);
        account
    }

    /// An account of which the index is damaged: it is there, and nothing of it can be used.
    pub(crate) fn damaged(card: &Card, damage: TableError) -> Account {
        let mut account = Account::new(card.id, card.address.clone());
        account.octets = card.octets;
        account.damage = Some(damage);
        account
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.damage.is_none()
    }

    /// What the index keeps of the account beside its card and its layers.
    pub(crate) fn meta(&self) -> AccountMeta {
        let mut mailboxes: Vec<_> = self.mailboxes.values().map(Contents::meta).collect();
        mailboxes.sort_unstable_by_key(|mailbox| mailbox.id);
        AccountMeta {
            last_uid_validity: self.last_uid_validity,
            tip_modseq: self.tip_modseq,
            tip_mailbox: self.tip_mailbox,
            subscriptions: self.subscriptions(),
            mailboxes,
        }
    }

    /// The card of the account as far as the account knows it: without its secret.
    pub(crate) fn card(&self) -> Card {
        Card {
            id: self.id,
            address: self.address.clone(),
            secret: None,
            quota: self.quota,
            octets: self.octets,
            is_removed: false,
        }
    }

    /// What changed in each mailbox since the last time, ascending by mailbox.
    pub(crate) fn take_deltas(&mut self) -> Vec<(MailboxId, Layer)> {
        let deltas = self.mailboxes.iter_mut();
        let mut deltas: Vec<_> = deltas
            .filter_map(|(id, contents)| Some((*id, contents.take_delta()?)))
            .collect();
        deltas.sort_unstable_by_key(|delta| delta.0);
        deltas
    }

    /// Every delta taken so far is in the index that `fetch` reads.
    pub(crate) fn rebase(&mut self, fetch: impl Fn(MailboxId) -> Fetch) {
        for (id, contents) in &mut self.mailboxes {
            contents.rebase(fetch(*id));
        }
    }

    /// Somebody listens for changes of a mailbox, or of all.
    pub(crate) fn is_watched(&self) -> bool {
        Rc::strong_count(&self.bell) > 1 || self.mailboxes.values().any(Contents::is_watched)
    }

    /// What the rows of all mailboxes occupy in memory, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.mailboxes.values().map(Contents::heap_bytes).sum()
    }
}
