//! What hangs on a mailbox or an account beside its messages, as memos: the rights of others, what
//! is noted of it, limits.
//!
//! Keys begin with the ids, which are never given out twice: a renamed mailbox keeps everything,
//! and what a crash left of a deleted one belongs to nobody. A right is written under both its
//! mailbox and its identifier, so that either is found without a look at the rest.
//!
//! ```text
//! RIGHTS       account mailbox identifier        → letters of RFC 4314
//! LENT         identifier 0 account mailbox      → nothing
//! ANNOTATIONS  account mailbox who 0 path 0 part → up to 4,096 octets of a value; `who` is empty
//!                                                  for what everybody sees; mailbox 0: the account
//! LIMITS       account                           → messages, mailboxes: two u64, u64::MAX for none
//! ```

use super::Shard;
use crate::disk::Disk;
use crate::error::ChangeError;
use crate::limit::MAILBOXES_MAX;
use crate::mail::id::{AccountId, MailboxId};
use crate::mailbox::state::State;
use crate::memo::key_of;
use crate::record::{Memo, MemoChange, Space};

/// Where all rights of a mailbox are.
#[must_use]
pub fn rights_prefix(account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    ids(account, mailbox)
}

/// Where the rights of one identifier are.
#[must_use]
pub fn rights_key(account: AccountId, mailbox: MailboxId, identifier: &str) -> Vec<u8> {
    [ids(account, mailbox).as_slice(), identifier.as_bytes()].concat()
}

/// The identifier of a key that [`rights_key`] made.
#[must_use]
pub fn identifier_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(IDS_BYTES..)?).ok()
}

/// Where the mailboxes are that an identifier has rights on.
#[must_use]
pub fn lent_prefix(identifier: &str) -> Vec<u8> {
    [identifier.as_bytes(), &[0]].concat()
}

/// One of them.
#[must_use]
pub fn lent_key(identifier: &str, account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    [lent_prefix(identifier), ids(account, mailbox)].concat()
}

/// The mailbox of a key that [`lent_key`] made.
#[must_use]
pub fn lent_of(key: &[u8]) -> Option<(AccountId, MailboxId)> {
    let (account, mailbox) = key.last_chunk::<IDS_BYTES>()?.split_at(IDS_BYTES / 2);
    let number = |octets: &[u8]| octets.try_into().map(u32::from_be_bytes).ok();
    Some((AccountId(number(account)?), MailboxId(number(mailbox)?)))
}

/// Where the annotations of a mailbox are that `who` sees.
#[must_use]
pub fn annotations_prefix(account: AccountId, mailbox: MailboxId, who: &str) -> Vec<u8> {
    [ids(account, mailbox).as_slice(), who.as_bytes(), &[0]].concat()
}

/// Where the annotations of all mailboxes of an account are.
#[must_use]
pub fn annotations_of_account(account: AccountId) -> Vec<u8> {
    account.0.to_be_bytes().to_vec()
}

/// How many messages and mailboxes an account may have, beside what the house allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub messages: Option<u64>,
    pub mailboxes: Option<u64>,
}

impl Counts {
    /// The change that makes them hold.
    #[must_use]
    pub fn put(self, account: AccountId) -> MemoChange {
        let key = account.0.to_be_bytes().to_vec();
        if self == Counts::default() {
            return MemoChange::Remove(Space::LIMITS, key);
        }
        let numbers = [self.messages, self.mailboxes];
        let octets = numbers.map(|n| n.unwrap_or(u64::MAX).to_le_bytes());
        MemoChange::Put(Memo {
            space: Space::LIMITS,
            key,
            value: octets.concat(),
            expiry_secs: 0,
        })
    }

    /// What [`Counts::put`] wrote; what cannot be read is no limit.
    #[must_use]
    pub fn read(value: &[u8]) -> Counts {
        let number = |at: usize| {
            let octets = value.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(octets)).filter(|n| *n != u64::MAX)
        };
        Counts {
            messages: number(0),
            mailboxes: number(8),
        }
    }
}

impl<D: Disk> Shard<D> {
    /// The limits of an account that [`Counts::put`] has set.
    pub fn counts(&self, account: AccountId) -> Counts {
        counts(&self.state.borrow(), account)
    }

    /// The address of an account, loaded or not.
    pub fn address(&self, account: AccountId) -> Option<String> {
        let state = self.state.borrow();
        let owner = state.slots().owner(account)?;
        Some(owner.card.address.clone())
    }

    /// Wakes whoever watches a mailbox, or its account, for a change that these themselves know
    /// nothing of.
    pub fn ring(&self, account: AccountId, mailbox: Option<MailboxId>) {
        if let Some(mailbox) = mailbox {
            let _ = self.with_contents(account, mailbox, |contents| contents.bell.ring());
        }
        if let Some(account) = self.state.borrow().account(account) {
            account.bell.ring();
        }
    }

    /// Takes away what hangs on a mailbox, or on all that an account has.
    pub(super) async fn forget(
        &self,
        account: AccountId,
        mailbox: Option<MailboxId>,
    ) -> Result<(), ChangeError> {
        let prefix = match mailbox {
            Some(mailbox) => ids(account, mailbox),
            None => account.0.to_be_bytes().to_vec(),
        };
        if mailbox.is_none() {
            self.forget_book(Space::LIMITS, &prefix).await?;
        }
        self.forget_book(Space::RIGHTS, &prefix).await?;
        self.forget_book(Space::ANNOTATIONS, &prefix).await
    }

    /// Takes away what an identifier may do, and what it may not do, on all mailboxes of this
    /// shard: whoever bears the address later is somebody else.
    pub async fn forget_identifier(&self, identifier: &str) -> Result<(), ChangeError> {
        for identifier in [identifier.to_owned(), format!("-{identifier}")] {
            self.forget_book(Space::LENT, &lent_prefix(&identifier))
                .await?;
        }
        Ok(())
    }

    async fn forget_book(&self, space: Space, prefix: &[u8]) -> Result<(), ChangeError> {
        // Each round takes away what it found: it ends, and no sooner than nothing is left.
        for _ in 0..FORGET_ROUNDS_MAX {
            let found = self.memos(space, prefix, None, FORGOTTEN_TOGETHER);
            let found = found.map_err(|_| ChangeError::Damaged)?;
            if found.is_empty() {
                return Ok(());
            }
            self.write_memos(found.iter().flat_map(removals).collect())
                .await?;
        }
        Err(ChangeError::Limit("annotations of one account"))
    }
}

/// `OverQuota` where `more` messages would be too many.
pub(super) fn messages_fit(
    state: &State,
    account: AccountId,
    more: usize,
) -> Result<(), ChangeError> {
    let Some(limit) = counts(state, account).messages else {
        return Ok(());
    };
    let owner = state.account(account).ok_or(ChangeError::NoAccount)?;
    match owner.messages().saturating_add(more as u64) > limit {
        true => Err(ChangeError::OverQuota),
        false => Ok(()),
    }
}

/// What the store knows of the limits of an account; a damaged run lets mail in.
pub(super) fn counts(state: &State, account: AccountId) -> Counts {
    let key = key_of(Space::LIMITS, &account.0.to_be_bytes());
    let found = state.memos.find(&key, 0).ok().flatten();
    found.map_or_else(Counts::default, |memo| Counts::read(&memo.value))
}

/// What takes a memo away, and the other half of a right with it.
fn removals(memo: &Memo) -> Vec<MemoChange> {
    let mut removals = vec![MemoChange::Remove(memo.space, memo.key.clone())];
    if memo.space == Space::LENT
        && let Some((account, mailbox)) = lent_of(&memo.key)
        && let Some(identifier) = memo.key.get(..memo.key.len().saturating_sub(IDS_BYTES + 1))
    {
        let key = [ids(account, mailbox).as_slice(), identifier].concat();
        removals.push(MemoChange::Remove(Space::RIGHTS, key));
    }
    if memo.space == Space::RIGHTS
        && let Some(identifier) = identifier_of(&memo.key)
        && let Some((ids, _)) = memo.key.split_at_checked(IDS_BYTES)
    {
        let key = [lent_prefix(identifier).as_slice(), ids].concat();
        removals.push(MemoChange::Remove(Space::LENT, key));
    }
    removals
}

fn ids(account: AccountId, mailbox: MailboxId) -> Vec<u8> {
    [account.0.to_be_bytes(), mailbox.0.to_be_bytes()].concat()
}

/// Octets of both ids.
const IDS_BYTES: usize = 8;

/// Memos taken away by one frame: each may be two, of 512 octets.
const FORGOTTEN_TOGETHER: usize = 1024;

/// More than the annotations and rights of all mailboxes of an account.
const FORGET_ROUNDS_MAX: usize = MAILBOXES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_made_them() {
        let (account, mailbox) = (AccountId(7), MailboxId(9));
        let key = rights_key(account, mailbox, "bob@example.test");
        assert_eq!(identifier_of(&key), Some("bob@example.test"));
        let key = lent_key("bob@example.test", account, mailbox);
        assert_eq!(lent_of(&key), Some((account, mailbox)));
        assert_eq!(lent_of(b"short"), None);
    }

    #[test]
    fn limits_come_back_from_their_bytes() {
        let counts = Counts {
            messages: Some(3),
            mailboxes: None,
        };
        let MemoChange::Put(memo) = counts.put(AccountId(1)) else {
            panic!("limits are put");
        };
        assert_eq!(Counts::read(&memo.value), counts);
        assert_eq!(Counts::read(b"short"), Counts::default());
    }
}
