//! What the runs of a shard say: its accounts and mailboxes as of the last checkpoint.
//!
//! The newest part of an account is its metadata; the rows of a mailbox are the composition of its
//! layers, oldest first. Reading is from memory maps and never suspends.

use super::account::Account;
use super::card::Card;
use super::layer::Layer;
use super::meta::AccountMeta;
use super::own::Own;
use super::shelf::Fetch;
use crate::codec::Short;
use crate::mail::id::{AccountId, ItemId, MailboxId, ObjectId};
use crate::record::Broken;
use crate::spool::chunk::{Part, Slot, item_at};
use crate::table::TableError;
use crate::table::run::Run;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::rc::Rc;

/// Runs from the oldest to the newest.
#[derive(Debug, Default)]
pub struct Index {
    runs: Vec<Rc<Run>>,
}

/// Octets of a file that would be read to load something.
pub struct Warm<'a> {
    pub path: &'a str,
    pub range: Range<u64>,
}

impl Index {
    #[must_use]
    pub fn new(runs: Vec<Rc<Run>>) -> Index {
        Index { runs }
    }

    #[must_use]
    pub fn runs(&self) -> &[Rc<Run>] {
        &self.runs
    }

    /// The newest runs, from the first on that can have a row of this object, or of a later one:
    /// rows of a run name nothing that was made after it.
    pub(crate) fn since(&self, object: ObjectId) -> Result<Index, TableError> {
        let mut older = 0;
        for run in &self.runs {
            let own = run.part(0, 0).transpose()?.map(Own::decode);
            let own = own.transpose().map_err(|_| self.unreadable())?;
            if own.is_none_or(|own| own.last_object >= object) {
                break;
            }
            older += 1;
        }
        let newer = self.runs.iter().skip(older);
        Ok(Index::new(newer.map(Rc::clone).collect()))
    }

    /// The newest part of a key.
    pub fn newest(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Option<Result<&[u8], TableError>> {
        let mut runs = self.runs.iter().rev();
        runs.find_map(|run| run.part(account.0, mailbox.0))
    }

    /// The card of every account, the newest of each.
    pub(crate) fn cards(&self) -> Result<HashMap<AccountId, Card>, TableError> {
        let mut cards = HashMap::new();
        for run in &self.runs {
            for (id, octets) in run.cards()? {
                let id = AccountId(id);
                let card = Card::decode(id, octets).map_err(|_| self.unreadable())?;
                cards.insert(id, card);
            }
        }
        Ok(cards)
    }

    /// An account with its mailboxes; their rows stay here until they are asked for.
    pub(crate) fn account(self: &Rc<Self>, card: &Card) -> Result<Account, TableError> {
        let meta = self.meta(card.id)?;
        Ok(Account::from_meta(card, meta, |mailbox| {
            self.fetch(card.id, mailbox)
        }))
    }

    /// Fetches the rows of a mailbox when they are asked for.
    pub(crate) fn fetch(self: &Rc<Self>, account: AccountId, mailbox: MailboxId) -> Fetch {
        let index = Rc::clone(self);
        Rc::new(move || {
            let layer = index.layer(account, mailbox, true);
            layer.map_err(|_| Broken("a layer of the mailbox is damaged"))
        })
    }

    /// What the checkpoint keeps of the shard itself.
    pub(crate) fn own(&self) -> Result<Option<Own>, TableError> {
        let part = self.newest(AccountId(0), MailboxId(0)).transpose()?;
        part.map(|part| Own::decode(part).map_err(|_| self.unreadable()))
            .transpose()
    }

    /// Calls `each` with every chunk of the queue, the newest of each, by number.
    pub(crate) fn each_chunk(
        &self,
        mut each: impl FnMut(u32, &[u8]) -> Result<(), Short>,
    ) -> Result<(), TableError> {
        let mut seen = BTreeSet::new();
        for run in self.runs.iter().rev() {
            for key in run.keys() {
                let (account, mailbox) = key?;
                if account != 0 {
                    break;
                }
                if mailbox == 0 || !seen.insert(mailbox) {
                    continue;
                }
                let part = run.part(account, mailbox).unwrap_or(Ok(&[]))?;
                each(mailbox - 1, part).map_err(|Short| self.unreadable())?;
            }
        }
        Ok(())
    }

    /// Calls `each` with every item of the queue.
    pub(crate) fn each_queued(
        &self,
        mut each: impl FnMut(ItemId, &Slot),
    ) -> Result<(), TableError> {
        self.each_chunk(|number, octets| {
            let part = Part::decode(octets)?;
            let items = part.slots.iter();
            items.for_each(|slot| each(item_at(number, slot.low), slot));
            Ok(())
        })
    }

    /// The metadata of an account.
    pub(crate) fn meta(&self, account: AccountId) -> Result<AccountMeta, TableError> {
        let part = self.newest(account, MailboxId(0)).unwrap_or(Ok(&[]))?;
        AccountMeta::decode(part).map_err(|_| self.unreadable())
    }

    /// The mailboxes that an account has.
    pub(crate) fn mailboxes(&self, account: AccountId) -> Result<BTreeSet<MailboxId>, TableError> {
        let meta = self.meta(account)?;
        Ok(meta.mailboxes.iter().map(|mailbox| mailbox.id).collect())
    }

    /// All layers of a mailbox as one. With `is_bottom` there are no older runs than these.
    pub(crate) fn layer(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        is_bottom: bool,
    ) -> Result<Layer, TableError> {
        let mut all: Option<Layer> = None;
        for run in &self.runs {
            let Some(part) = run.part(account.0, mailbox.0) else {
                continue;
            };
            let layer = Layer::decode(part?).map_err(|_| self.unreadable())?;
            all = Some(
                match all {
                    None if is_bottom => Layer::default().compose(layer, true),
                    None => Ok(layer),
                    Some(older) => older.compose(layer, is_bottom),
                }
                .map_err(|_| self.unreadable())?,
            );
        }
        Ok(all.unwrap_or_default())
    }

    /// Accounts and mailboxes that have a part in any run, each once, rising.
    pub(crate) fn keys(&self) -> Result<Vec<(AccountId, MailboxId)>, TableError> {
        let mut keys = Vec::new();
        for run in &self.runs {
            for key in run.keys() {
                let (account, mailbox) = key?;
                keys.push((AccountId(account), MailboxId(mailbox)));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Gives up the memory of a mailbox that is not needed again soon.
    pub(crate) fn forget(&self, account: AccountId, mailbox: MailboxId) {
        for run in &self.runs {
            if let Some(range) = run.range(account.0, mailbox.0) {
                run.forget(range);
            }
        }
    }

    /// What would be read to load an account, or the rows of one of its mailboxes.
    pub(crate) fn warm(&self, account: AccountId, mailbox: MailboxId) -> Vec<Warm<'_>> {
        let found = self.runs.iter().filter_map(|run| {
            let range = run.range(account.0, mailbox.0)?;
            Some(Warm {
                path: run.path(),
                range,
            })
        });
        match mailbox {
            // Metadata is replaced, not composed.
            MailboxId(0) => found.into_iter().next_back().into_iter().collect(),
            _ => found.collect(),
        }
    }

    /// Checked octets that do not say what they should.
    fn unreadable(&self) -> TableError {
        let path = self.runs.last().map_or("", |run| run.path());
        TableError::Damaged {
            path: path.to_owned(),
            offset: 0,
            what: "a part passes its checksum and cannot be read",
        }
    }
}
