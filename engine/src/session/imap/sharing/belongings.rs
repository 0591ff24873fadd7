//! What of the store rights, quotas and annotations need, beside what every session does.

use std::rc::Rc;
use store::disk::Disk;
use store::error::{ChangeError, ReadError};
use store::mail::id::{AccountId, MailboxId};
use store::shard::belonging::Counts;
use store::shard::{Memo, MemoChange, Shard, Space};

/// As the doors of the same names of [`Shard`].
#[expect(async_fn_in_trait, reason = "a session and its store share one thread")]
pub trait Belongings {
    fn memo(&self, space: Space, key: &[u8]) -> Result<Option<Memo>, ReadError>;
    fn memos(&self, space: Space, prefix: &[u8], max: usize) -> Result<Vec<Memo>, ReadError>;
    async fn write_memos(&self, changes: Vec<MemoChange>) -> Result<(), ChangeError>;
    async fn set_quota(&self, account: AccountId, octets: Option<u64>) -> Result<(), ChangeError>;
    fn counts(&self, account: AccountId) -> Counts;
    /// The address of an account.
    fn address(&self, account: AccountId) -> Option<String>;
    /// An account that exists, ready for use.
    async fn open(&self, address: &str) -> Option<AccountId>;
    /// Wakes the sessions that idle in a mailbox.
    fn ring(&self, account: AccountId, mailbox: Option<MailboxId>);
}

impl<D: Disk> Belongings for Rc<Shard<D>> {
    fn memo(&self, space: Space, key: &[u8]) -> Result<Option<Memo>, ReadError> {
        Shard::memo(self, space, key)
    }

    fn memos(&self, space: Space, prefix: &[u8], max: usize) -> Result<Vec<Memo>, ReadError> {
        Shard::memos(self, space, prefix, None, max)
    }

    async fn write_memos(&self, changes: Vec<MemoChange>) -> Result<(), ChangeError> {
        Shard::write_memos(self, changes).await
    }

    async fn set_quota(&self, account: AccountId, octets: Option<u64>) -> Result<(), ChangeError> {
        Shard::set_quota(self, account, octets).await
    }

    fn counts(&self, account: AccountId) -> Counts {
        Shard::counts(self, account)
    }

    fn address(&self, account: AccountId) -> Option<String> {
        Shard::address(self, account)
    }

    async fn open(&self, address: &str) -> Option<AccountId> {
        Shard::account(self, address)?;
        self.open_account(address).await.ok()
    }

    fn ring(&self, account: AccountId, mailbox: Option<MailboxId>) {
        Shard::ring(self, account, mailbox);
    }
}
