//! What hangs on mailboxes: memos in a map.

use super::{ALICE, Fake};
use crate::session::imap::sharing::Belongings;
use store::error::{ChangeError, ReadError};
use store::mail::id::{AccountId, MailboxId};
use store::shard::belonging::Counts;
use store::shard::{Memo, MemoChange, Space};

impl Belongings for Fake {
    fn memo(&self, space: Space, key: &[u8]) -> Result<Option<Memo>, ReadError> {
        let memos = self.0.memos.borrow();
        Ok(memos.get(&(space.0, key.to_vec())).cloned())
    }

    fn memos(&self, space: Space, prefix: &[u8], max: usize) -> Result<Vec<Memo>, ReadError> {
        let memos = self.0.memos.borrow();
        let from = memos.range((space.0, prefix.to_vec())..);
        let found = from.take_while(|(key, _)| key.0 == space.0 && key.1.starts_with(prefix));
        Ok(found.take(max).map(|(_, memo)| memo.clone()).collect())
    }

    async fn write_memos(&self, changes: Vec<MemoChange>) -> Result<(), ChangeError> {
        self.commit().await?;
        let mut memos = self.0.memos.borrow_mut();
        for change in changes {
            assert_eq!(change.fault(), None);
            match change {
                MemoChange::Put(memo) => memos.insert((memo.space.0, memo.key.clone()), memo),
                MemoChange::Remove(space, key) => memos.remove(&(space.0, key)),
            };
        }
        Ok(())
    }

    async fn set_quota(&self, account: AccountId, octets: Option<u64>) -> Result<(), ChangeError> {
        self.commit().await?;
        self.account(account, |a| a.quota = octets);
        Ok(())
    }

    fn counts(&self, account: AccountId) -> Counts {
        let found = self.memo(Space::LIMITS, &account.0.to_be_bytes());
        let memo = found.ok().flatten();
        memo.map_or_else(Counts::default, |memo| Counts::read(&memo.value))
    }

    fn address(&self, account: AccountId) -> Option<String> {
        let name = if account == ALICE { "alice" } else { "bob" };
        Some(format!("{name}@example.test"))
    }

    async fn open(&self, address: &str) -> Option<AccountId> {
        let known = self.0.accounts.borrow().keys().copied().collect::<Vec<_>>();
        let mut known = known.into_iter().map(AccountId);
        known.find(|id| self.address(*id).as_deref() == Some(address))
    }

    fn ring(&self, _: AccountId, _: Option<MailboxId>) {
        Fake::ring(self);
    }
}
