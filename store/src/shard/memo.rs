//! Memos: small durable facts under keys, for whoever must find them again after a start.
//!
//! Looking one up does not wait: it is in memory, or in a run that is mapped. What is seen is
//! durable, and in force.

use super::{Entry, Shard};
use crate::disk::Disk;
use crate::error::{ChangeError, Container, ReadError};
use crate::limit::{FRAME_BYTES_MAX, MEMOS_TOGETHER_MAX};
use crate::log::RECORD_HEADER_BYTES;
use crate::mail::id::AccountId;
use crate::mailbox::state::State;
use crate::memo::key_of;
use crate::record::{Fact, Memo, MemoChange, MemoFact, Space};
use crate::table::TableError;
use std::collections::BTreeSet;

impl<D: Disk> Shard<D> {
    /// The memo that is in force now. An error: the run that would say it is damaged.
    pub fn memo(&self, space: Space, key: &[u8]) -> Result<Option<Memo>, ReadError> {
        let key = key_of(space, key);
        let found = self.state.borrow().memos.find(&key, (self.now_secs)());
        found.map_err(unread)
    }

    /// Up to `max` memos of a book in the order of their keys, which begin with `prefix`, behind
    /// `after`. Fewer: that was all.
    pub fn memos(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Memo>, ReadError> {
        let prefix = key_of(space, prefix);
        let after = after.map(|after| key_of(space, after));
        let now = (self.now_secs)();
        let state = self.state.borrow();
        let listed = state.memos.list(&prefix, after.as_deref(), max, now);
        listed.map_err(unread)
    }

    /// Puts and takes away memos, all of them in one frame and in this order; durable on return.
    /// `Limit`: more than [`MEMOS_TOGETHER_MAX`], or longer than a frame has room for, together.
    /// `Cannot`: a key, a value or an expiry that no memo has.
    pub async fn write_memos(&self, changes: Vec<MemoChange>) -> Result<(), ChangeError> {
        let sizes = changes
            .iter()
            .map(|change| (change.fault(), change.octets()));
        let bytes = memo_bytes(sizes)?;
        if changes.is_empty() {
            return Ok(());
        }
        let gives_back = |change: &MemoChange| matches!(change, MemoChange::Remove(..));
        match changes.iter().all(gives_back) {
            true => self.log.room_urgent(bytes).await?,
            false => self.log.room(bytes).await?,
        }
        let mut batches = Vec::with_capacity(changes.len());
        draft_memos(&self.state.borrow(), changes, &mut batches);
        let frame = self.put_all(batches)?;
        Ok(self.log.durable(frame).await?)
    }
}

/// What changes take in the log; of each why it cannot be written, and its octets.
pub(super) fn memo_bytes(
    changes: impl Iterator<Item = (Option<&'static str>, usize)>,
) -> Result<usize, ChangeError> {
    let (mut count, mut bytes) = (0, 0);
    for (fault, octets) in changes {
        if let Some(what) = fault {
            return Err(ChangeError::Cannot(what));
        }
        count += 1;
        bytes += octets + MEMO_BYTES;
    }
    if count > MEMOS_TOGETHER_MAX || bytes > TOGETHER_BYTES_MAX {
        return Err(ChangeError::Limit("memos of one change"));
    }
    Ok(bytes)
}

/// Whether nobody has these keys yet, or is about to.
pub(super) fn may_claim(state: &State, memos: &[MemoChange], now: i64) -> Result<(), ChangeError> {
    let mut keys = BTreeSet::new();
    for memo in memos {
        let key = key_of(memo.space(), memo.key());
        let is_free = match state.memos.find(&key, now) {
            Ok(found) => found.is_none() && !state.memos.is_going(&key),
            Err(_) => return Err(ChangeError::Damaged),
        };
        if !is_free || !keys.insert(key) {
            return Err(ChangeError::Cannot(IS_CLAIMED));
        }
    }
    Ok(())
}

/// Changes whose lengths were looked at.
pub(super) fn draft_memos(
    state: &State,
    changes: Vec<MemoChange>,
    batches: &mut Vec<(AccountId, Entry<'_>)>,
) {
    let mut keys = BTreeSet::new();
    for change in changes {
        let key = key_of(change.space(), change.key());
        let is_put = matches!(change, MemoChange::Put(_));
        let is_first = is_put && !state.memos.is_known(&key) && !keys.contains(&key);
        keys.insert(key);
        let fact = MemoFact { change, is_first };
        batches.push((AccountId(0), Entry::of(Fact::Memo(Box::new(fact)))));
    }
}

fn unread(error: TableError) -> ReadError {
    let (path, offset) = match &error {
        TableError::Damaged { path, offset, .. } => (path.as_str(), *offset),
        TableError::Io { path, .. } => (path.as_str(), 0),
        _ => ("", 0),
    };
    let container = Container::Run(crate::table::name::number(path).unwrap_or(0));
    match error {
        TableError::Damaged { what, .. } => ReadError::Damaged {
            container,
            offset,
            what,
        },
        TableError::Io { kind, .. } => ReadError::Io {
            container,
            offset,
            kind,
        },
        _ => ReadError::Gone,
    }
}

/// Why a custody is refused whose memo is there already.
pub const IS_CLAIMED: &str = "a memo of this key is there already";

/// The fixed fields of a MEMO, rounded up.
const MEMO_BYTES: usize = 32 + RECORD_HEADER_BYTES;

/// Memos of one change, in bytes.
const TOGETHER_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;
