//! What POP3 needs of a mailbox beside its messages: marks of messages that are kept as memos, and
//! the end of a session in one frame.
//!
//! A mark is some octets under mark, UIDVALIDITY and UID, none of which is ever given out again,
//! so a mark that outlives its message means nothing. Of 32 UIDs it is one memo (FORMAT.md,
//! Memos).

use super::change::{UIDS_BYTES_MAX, in_records};
use super::{Entry, Shard};
use crate::disk::Disk;
use crate::error::{ChangeError, ReadError};
use crate::limit::{FRAME_BYTES_MAX, MEMO_VALUE_BYTES_MAX};
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{AccountId, MailboxId, Uid, UidValidity};
use crate::mail::uidset::UidSet;
use crate::mailbox::Account;
use crate::record::{Expunge, Fact, FlagChange, FlagOp, Memo, MemoChange, Space};
use std::collections::{BTreeMap, BTreeSet};

/// What is remembered of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// The unique id that a message brought along (RFC 1939 §7).
    Uidl,
    /// When it was retrieved.
    Retrieved,
}

/// Marks of one mailbox, at most [`UIDL_BYTES_MAX`] octets each.
pub type Marks = BTreeMap<Uid, Box<[u8]>>;

/// A unique id, in octets (RFC 1939 §7).
pub const UIDL_BYTES_MAX: usize = 70;

/// Whether RFC 1939 §7 lets this be a unique id.
#[must_use]
pub fn is_uidl(octets: &[u8]) -> bool {
    (1..=UIDL_BYTES_MAX).contains(&octets.len()) && octets.iter().all(u8::is_ascii_graphic)
}

impl Mark {
    fn space(self) -> Space {
        match self {
            Mark::Uidl => Space::UIDL,
            Mark::Retrieved => Space::RETRIEVED,
        }
    }
}

impl<D: Disk> Shard<D> {
    /// Every mark of a mailbox.
    pub fn marks(
        &self,
        mark: Mark,
        account: AccountId,
        uid_validity: UidValidity,
    ) -> Result<Marks, ReadError> {
        let prefix = mailbox_key(account, uid_validity);
        let mut marks = Marks::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.memos(mark.space(), &prefix, after.as_deref(), MEMOS_AT_ONCE)?;
            for memo in &page {
                if let Some(block) = block_of(&memo.key) {
                    read_block(block, &memo.value, &mut marks);
                }
            }
            match page.into_iter().nth(MEMOS_AT_ONCE - 1) {
                Some(last) => after = Some(last.key),
                None => return Ok(marks),
            }
        }
    }

    /// Gives messages these marks, in place of those that they have; durable on return. `Limit`:
    /// one is longer than [`UIDL_BYTES_MAX`].
    pub async fn mark(
        &self,
        mark: Mark,
        account: AccountId,
        uid_validity: UidValidity,
        marks: &Marks,
    ) -> Result<(), ChangeError> {
        if marks.values().any(|octets| octets.len() > UIDL_BYTES_MAX) {
            return Err(ChangeError::Limit("octets of a mark"));
        }
        let blocks = marks.keys().map(|uid| uid.0 / BLOCK_UIDS).collect();
        let mailbox = (account, uid_validity);
        self.change_marks(mark, mailbox, blocks, |block, known| {
            let range = Uid(block * BLOCK_UIDS)..=Uid(block * BLOCK_UIDS + (BLOCK_UIDS - 1));
            let new = marks.range(range);
            known.extend(new.map(|(uid, octets)| (*uid, octets.clone())));
        })
        .await
    }

    /// Takes the marks of messages away, as far as they have any.
    pub async fn unmark(
        &self,
        mark: Mark,
        account: AccountId,
        uid_validity: UidValidity,
        uids: &UidSet,
    ) -> Result<(), ChangeError> {
        let blocks = uids.iter().map(|uid| uid.0 / BLOCK_UIDS).collect();
        let mailbox = (account, uid_validity);
        self.change_marks(mark, mailbox, blocks, |_, known| {
            known.retain(|uid, _| !uids.contains(*uid));
        })
        .await
    }

    async fn change_marks(
        &self,
        mark: Mark,
        (account, uid_validity): (AccountId, UidValidity),
        blocks: BTreeSet<u32>,
        change: impl Fn(u32, &mut Marks),
    ) -> Result<(), ChangeError> {
        let blocks: Vec<u32> = blocks.into_iter().collect();
        for some in blocks.chunks(MEMOS_AT_ONCE) {
            let mut changes = Vec::new();
            for &block in some {
                let key = block_key(account, uid_validity, block);
                let found = self.memo(mark.space(), &key);
                let before = found.map_err(|_| ChangeError::Damaged)?;
                let mut marks = Marks::new();
                if let Some(memo) = &before {
                    read_block(block, &memo.value, &mut marks);
                }
                change(block, &mut marks);
                changes.extend(change_of(mark.space(), key, before, &marks));
            }
            self.write_memos(changes).await?;
        }
        Ok(())
    }

    /// The end of a POP3 session: `deleted` are expunged, whatever their flags, and `seen` get
    /// `\Seen`; those that do not exist any more are passed over. One frame, unless more than
    /// [`RECORDS_TOGETHER`] records of 50,000 ranges of UIDs are needed; durable on return, and
    /// nothing is written where there is nothing to do.
    pub async fn end_maildrop(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        deleted: &UidSet,
        seen: &UidSet,
    ) -> Result<(), ChangeError> {
        let steps = self.maildrop_steps(account, mailbox, deleted, seen)?;
        for some in steps.chunks(RECORDS_TOGETHER) {
            self.log.room_urgent(some.len() * UIDS_BYTES_MAX).await?;
            let entries = {
                let mut state = self.state.borrow_mut();
                let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
                let steps = some.iter();
                steps.map(|step| step.entry(owner, mailbox)).collect()
            };
            let frame = self.put_in(account, mailbox, entries)?;
            self.log.durable(frame).await?;
        }
        Ok(())
    }

    fn maildrop_steps(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        deleted: &UidSet,
        seen: &UidSet,
    ) -> Result<Vec<Step>, ChangeError> {
        if deleted.is_empty() && seen.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.state.borrow_mut();
        let owner = state.account_mut(account).ok_or(ChangeError::NoAccount)?;
        let rows = owner.open_contents(mailbox)?.rows();
        let there = rows.of(deleted).map(|row| row.uid);
        let doomed = UidSet::from_ascending(there);
        let unseen = rows.of(seen);
        let unseen = unseen.filter(|row| !row.flags.contains(Flags::SEEN));
        let unseen = UidSet::from_ascending(unseen.map(|row| row.uid));
        let seen = in_records(&unseen).into_iter().map(Step::See);
        let removals = in_records(&doomed).into_iter().map(Step::Expunge);
        Ok(seen.chain(removals).collect())
    }
}

enum Step {
    See(UidSet),
    Expunge(UidSet),
}

impl Step {
    fn entry(&self, owner: &mut Account, mailbox: MailboxId) -> Entry<'static> {
        let modseq = owner.next_modseq();
        Entry::of(match self {
            Step::See(uids) => Fact::Flags(FlagChange {
                mailbox,
                modseq,
                op: FlagOp::Add,
                flags: Flags::SEEN,
                keywords: Keywords::default(),
                uids: uids.clone(),
            }),
            Step::Expunge(uids) => Fact::Expunge(Expunge {
                mailbox,
                modseq,
                uids: uids.clone(),
            }),
        })
    }
}

/// What makes a memo say these marks, if it does not.
fn change_of(
    space: Space,
    key: Vec<u8>,
    before: Option<Memo>,
    marks: &Marks,
) -> Option<MemoChange> {
    let value = write_block(marks);
    match before {
        None if value.is_empty() => None,
        Some(memo) if memo.value == value => None,
        Some(_) if value.is_empty() => Some(MemoChange::Remove(space, key)),
        _ => Some(MemoChange::Put(Memo {
            space,
            key,
            value,
            expiry_secs: 0,
        })),
    }
}

fn mailbox_key(account: AccountId, uid_validity: UidValidity) -> Vec<u8> {
    let numbers = [account.0, uid_validity.0];
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn block_key(account: AccountId, uid_validity: UidValidity, block: u32) -> Vec<u8> {
    let mut key = mailbox_key(account, uid_validity);
    key.extend(block.to_be_bytes());
    key
}

fn block_of(key: &[u8]) -> Option<u32> {
    let octets: [u8; 4] = key.get(8..)?.try_into().ok()?;
    Some(u32::from_be_bytes(octets))
}

/// A value that ends too early says what stands before.
fn read_block(block: u32, mut value: &[u8], marks: &mut Marks) {
    while let Some((&[at, length], rest)) = value.split_first_chunk::<2>() {
        let Some((octets, rest)) = rest.split_at_checked(usize::from(length)) else {
            return;
        };
        let uid = block.checked_mul(BLOCK_UIDS);
        if let Some(uid) = uid.and_then(|first| first.checked_add(u32::from(at))) {
            marks.insert(Uid(uid), octets.into());
        }
        value = rest;
    }
}

fn write_block(marks: &Marks) -> Vec<u8> {
    let mut value = Vec::new();
    for (uid, octets) in marks {
        value.extend([(uid.0 % BLOCK_UIDS) as u8, octets.len() as u8]);
        value.extend_from_slice(octets);
    }
    value
}

/// UIDs whose marks are one memo.
const BLOCK_UIDS: u32 = 32;

/// Memos that are listed or written at a time.
const MEMOS_AT_ONCE: usize = 512;

/// Records of UIDs in one frame.
const RECORDS_TOGETHER: usize = 4;

/// The marks of one memo.
const BLOCK_BYTES_MAX: usize = BLOCK_UIDS as usize * (UIDL_BYTES_MAX + 2);

const _: () = assert!(BLOCK_BYTES_MAX <= MEMO_VALUE_BYTES_MAX);
const _: () = assert!(MEMOS_AT_ONCE * (BLOCK_BYTES_MAX + 128) <= FRAME_BYTES_MAX / 2);
const _: () = assert!(RECORDS_TOGETHER * UIDS_BYTES_MAX <= FRAME_BYTES_MAX / 4 * 3);

#[cfg(test)]
mod tests;
