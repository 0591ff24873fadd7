//! Memos: small durable facts under keys, looked up without a wait.
//!
//! ```text
//!   MEMO ─→ tail ── freeze ──→ frozen ── published ──→ run, run, … ── merged ──→ run
//!           what the newest says of a key counts; one whose time is over is not seen
//! ```
//!
//! In memory are the changes since the last checkpoint, and of each run ([`run`]) a filter and the
//! first key of each block: about one and a half octets a memo. So most keys of which nothing is
//! known cost no look at a run, and others one block. A run says what changed since the run before;
//! a removal stays until no older run can have the key.

mod block;
mod filter;
mod merge;
mod progress;
mod run;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use block::Entry;
pub(crate) use merge::Merged;
pub(crate) use run::{MemoRun, Shelf};
pub(crate) use writer::MemoWriter;

use crate::record::{Memo, MemoChange, MemoFact, Space};
use crate::table::TableError;
use progress::Progress;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// What is known of keys, by [`key_of`].
pub(crate) type Tail = BTreeMap<Box<[u8]>, Entry<'static>>;

/// The memos of a shard.
#[derive(Debug, Default)]
pub(crate) struct Memos {
    /// Since the last freeze.
    tail: Tail,
    /// Frozen, and not yet in a run that is read by.
    frozen: Arc<Tail>,
    shelf: Rc<Shelf>,
    /// Keys of which a change is on its way to the disk, and how many.
    going: HashMap<Box<[u8]>, u32>,
    /// What time they are dropped by.
    progress: Progress,
}

/// Space and key as one run of octets, which sorts as they do.
pub(crate) fn key_of(space: Space, key: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(1 + key.len());
    octets.push(space.0);
    octets.extend_from_slice(key);
    octets
}

impl Memos {
    pub(crate) fn on(shelf: Rc<Shelf>) -> Memos {
        Memos {
            progress: Progress::from(shelf.secs()),
            shelf,
            ..Memos::default()
        }
    }

    /// The memo that is in force at `now`.
    pub(crate) fn find(&self, key: &[u8], now: i64) -> Result<Option<Memo>, TableError> {
        let entry = self.entry(key)?;
        Ok(entry.and_then(|entry| memo(key, entry, now)))
    }

    /// What the newest says, in force or not.
    fn entry(&self, key: &[u8]) -> Result<Option<Entry<'_>>, TableError> {
        let newest = self.tail.get(key).or_else(|| self.frozen.get(key));
        match newest {
            Some(entry) => Ok(Some(entry.lent())),
            None => self.shelf.find(key),
        }
    }

    /// Whether anything was ever said of a key that is not forgotten, or is about to be. What
    /// cannot be read may have said something.
    pub(crate) fn is_known(&self, key: &[u8]) -> bool {
        self.is_going(key) || !matches!(self.entry(key), Ok(None))
    }

    /// Whether a change of this key is on its way to the disk.
    pub(crate) fn is_going(&self, key: &[u8]) -> bool {
        self.going.contains_key(key)
    }

    /// At most `max` memos in force at `now`, whose keys begin with `prefix`, behind `after`.
    pub(crate) fn list(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
        now: i64,
    ) -> Result<Vec<Memo>, TableError> {
        let from = match after.filter(|after| *after >= prefix) {
            Some(after) => [after, &[0]].concat(),
            None => prefix.to_vec(),
        };
        let mut found = Vec::new();
        let mut merged = self.merged(&from);
        while found.len() < max
            && let Some((key, entry)) = merged.next()?
        {
            if !key.starts_with(prefix) {
                break;
            }
            found.extend(memo(&key, entry, now));
        }
        Ok(found)
    }

    /// What is known of the keys from `from` on, each once, rising.
    pub(crate) fn merged(&self, from: &[u8]) -> Merged<'_> {
        let mut merged = Merged::default();
        merged.add_tail(&self.tail, from);
        merged.add_tail(&self.frozen, from);
        merged.add_shelf(&self.shelf, from);
        merged
    }

    /// A change is on its way to the disk.
    pub(crate) fn departed(&mut self, change: &MemoChange) {
        let key = key_of(change.space(), change.key());
        *self.going.entry(key.into()).or_default() += 1;
    }

    /// The frames on their way were given up.
    pub(crate) fn abort(&mut self) {
        self.going.clear();
    }

    /// Applies a change that is durable.
    pub(crate) fn apply(&mut self, fact: MemoFact) {
        let key = key_of(fact.change.space(), fact.change.key()).into_boxed_slice();
        if let Some(count) = self.going.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.going.remove(&key);
            }
        }
        let entry = match fact.change {
            MemoChange::Remove(..) => Entry::Gone,
            MemoChange::Put(memo) => Entry::Put {
                expiry_secs: memo.expiry_secs,
                value: Cow::Owned(memo.value),
                is_first: fact.is_first,
            },
        };
        self.tail.insert(key, entry);
    }

    /// Takes what a damaged run says, where nothing else is known of the key.
    pub(crate) fn salvage(&mut self, key: Vec<u8>, entry: Entry<'_>) {
        if let Entry::Put { is_first: true, .. } = entry {
            let known = self.tail.entry(key.into_boxed_slice());
            known.or_insert_with(|| entry.into_owned());
        }
    }

    /// Takes note of the time.
    pub(crate) fn told_time(&mut self, secs: i64) {
        self.progress.told(secs);
    }

    /// What changed since the last time, and the second up to which memos are dropped.
    pub(crate) fn freeze(&mut self) -> (Arc<Tail>, i64) {
        let mut tail = std::mem::take(&mut self.tail);
        if !self.frozen.is_empty() {
            // A checkpoint that is not read by yet.
            let older = self.frozen.iter();
            for (key, entry) in older {
                tail.entry(key.clone()).or_insert_with(|| entry.clone());
            }
        }
        self.frozen = Arc::new(tail);
        (Arc::clone(&self.frozen), self.progress.secs())
    }

    /// What was frozen last is on the shelf now.
    pub(crate) fn published(&mut self, shelf: Rc<Shelf>) {
        self.shelf = shelf;
        self.frozen = Arc::default();
    }
}

/// What an entry shows at `now`.
fn memo(key: &[u8], entry: Entry<'_>, now: i64) -> Option<Memo> {
    let (space, key) = key.split_first()?;
    match entry {
        entry if entry.is_over(now) => None,
        Entry::Gone => None,
        Entry::Put {
            expiry_secs, value, ..
        } => Some(Memo {
            space: Space(*space),
            key: key.to_vec(),
            value: value.into_owned(),
            expiry_secs,
        }),
    }
}
