//! Values of annotations as memos: one entry is several, of 4,096 octets each.

use super::super::mailstore::Mailstore;
use crate::wire::imap::metadata::{Depth, Entry};
use std::collections::BTreeMap;
use store::error::ReadError;
use store::limit::{MEMO_KEY_BYTES_MAX, MEMO_VALUE_BYTES_MAX, MEMOS_TOGETHER_MAX};
use store::mail::id::{AccountId, MailboxId};
use store::shard::belonging::{annotations_of_account, annotations_prefix};
use store::shard::{Memo, MemoChange, Space};

/// Octets of one value.
pub(super) const VALUE_BYTES_MAX: usize = 64 << 10;

/// Octets of all values of one account, and how many memos they are.
const ACCOUNT_BYTES_MAX: usize = 4 << 20;
const ACCOUNT_MEMOS_MAX: usize = MEMOS_TOGETHER_MAX;

/// Memos of one value.
const PARTS_MAX: usize = VALUE_BYTES_MAX / MEMO_VALUE_BYTES_MAX;

const _: () = assert!(PARTS_MAX < u8::MAX as usize);
const _: () =
    assert!(8 + 320 + 1 + crate::wire::imap::metadata::ENTRY_BYTES_MAX + 2 < MEMO_KEY_BYTES_MAX);

/// Where annotations are: of a mailbox, or with 0 of the account; what `who` alone sees, or with
/// nobody what all see.
#[derive(Clone, Copy)]
pub(super) struct Shelf<'a> {
    pub(super) account: AccountId,
    pub(super) mailbox: MailboxId,
    pub(super) who: &'a str,
}

impl Shelf<'_> {
    /// The value of an entry.
    pub(super) fn value(
        &self,
        store: &impl Mailstore,
        entry: &Entry,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        let parts = self.parts(store, entry)?;
        let is_there = !parts.is_empty();
        let whole = parts.into_iter().flat_map(|part| part.value).collect();
        Ok(is_there.then_some(whole))
    }

    /// The values of the entries that `entry` reaches, itself among them, by name.
    pub(super) fn reached(
        &self,
        store: &impl Mailstore,
        entry: &Entry,
        depth: Depth,
    ) -> Result<BTreeMap<Entry, Vec<u8>>, ReadError> {
        let own = self.prefix();
        let prefix = [own.as_slice(), entry.path().as_bytes()].concat();
        let mut values: BTreeMap<Entry, Vec<u8>> = BTreeMap::new();
        for memo in store.memos(Space::ANNOTATIONS, &prefix, ACCOUNT_MEMOS_MAX)? {
            let Some(found) = named(&memo.key, own.len(), entry) else {
                continue;
            };
            if entry.reaches(&found, depth) {
                values
                    .entry(found)
                    .or_default()
                    .extend_from_slice(&memo.value);
            }
        }
        Ok(values)
    }

    /// What gives an entry a value, or takes it away.
    pub(super) fn change(
        &self,
        store: &impl Mailstore,
        (entry, value): (&Entry, Option<&[u8]>),
    ) -> Result<Vec<MemoChange>, ReadError> {
        let before = self.parts(store, entry)?;
        let chunks: Vec<&[u8]> = match value {
            None => Vec::new(),
            Some([]) => vec![&[]],
            Some(value) => value.chunks(MEMO_VALUE_BYTES_MAX).collect(),
        };
        let put = |(part, chunk): (u8, &&[u8])| {
            MemoChange::Put(Memo {
                space: Space::ANNOTATIONS,
                key: self.key(entry, part),
                value: chunk.to_vec(),
                expiry_secs: 0,
            })
        };
        let removed = before.into_iter().skip(chunks.len());
        let removed = removed.map(|part| MemoChange::Remove(Space::ANNOTATIONS, part.key));
        Ok((0..).zip(&chunks).map(put).chain(removed).collect())
    }

    fn parts(&self, store: &impl Mailstore, entry: &Entry) -> Result<Vec<Memo>, ReadError> {
        let mut prefix = self.key(entry, 0);
        prefix.pop();
        store.memos(Space::ANNOTATIONS, &prefix, PARTS_MAX)
    }

    fn prefix(&self) -> Vec<u8> {
        annotations_prefix(self.account, self.mailbox, self.who)
    }

    fn key(&self, entry: &Entry, part: u8) -> Vec<u8> {
        [
            self.prefix().as_slice(),
            entry.path().as_bytes(),
            &[0, part],
        ]
        .concat()
    }
}

/// Whether there is room for `changes` beside all that an account has noted.
pub(super) fn fits(
    store: &impl Mailstore,
    account: AccountId,
    changes: &[MemoChange],
) -> Result<bool, ReadError> {
    let prefix = annotations_of_account(account);
    let kept = store.memos(Space::ANNOTATIONS, &prefix, ACCOUNT_MEMOS_MAX)?;
    let mut sizes: BTreeMap<&[u8], usize> = kept
        .iter()
        .map(|memo| (memo.key.as_slice(), memo.octets()))
        .collect();
    for change in changes {
        match change {
            MemoChange::Put(memo) => sizes.insert(&memo.key, memo.octets()),
            MemoChange::Remove(_, key) => sizes.remove(key.as_slice()),
        };
    }
    let octets: usize = sizes.values().sum();
    Ok(octets <= ACCOUNT_BYTES_MAX && sizes.len() < ACCOUNT_MEMOS_MAX)
}

/// The entry of a key whose path begins at `from`, in the scope of `like`.
fn named(key: &[u8], from: usize, like: &Entry) -> Option<Entry> {
    let path = key.get(from..key.len().checked_sub(2)?)?;
    let scope = like.as_str().strip_suffix(like.path())?;
    Entry::new(&format!("{scope}{}", std::str::from_utf8(path).ok()?))
}
