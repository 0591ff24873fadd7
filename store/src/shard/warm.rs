//! Reading ahead of the memory map: loading an account or a mailbox is a plain function over mapped
//! files, and would stall the shard where their pages are not in memory.

use super::Shard;
use crate::disk::{Disk, File, Mode};
use crate::mail::id::{AccountId, MailboxId};
use std::io;
use std::ops::Range;

impl<D: Disk> Shard<D> {
    /// Brings what is known of an account into memory, if it is not there.
    pub async fn warm_account(&self, account: AccountId) {
        if !self.state.borrow().slots().is_loaded(account) {
            self.warm(account, MailboxId(0)).await;
        }
    }

    /// Brings the rows of a mailbox into memory, if they are not there.
    pub async fn warm_mailbox(&self, account: AccountId, mailbox: MailboxId) {
        self.warm_account(account).await;
        let is_open = {
            let state = self.state.borrow();
            let owner = state.account(account);
            let contents = owner.and_then(|owner| owner.contents(mailbox));
            contents.is_none_or(|contents| contents.is_open())
        };
        if !is_open {
            self.warm(account, mailbox).await;
        }
    }

    async fn warm(&self, account: AccountId, mailbox: MailboxId) {
        let snapshot = self.snapshot();
        for warm in snapshot.index.warm(account, mailbox) {
            // Whoever loads it finds and names what is wrong.
            let _ = self.read_through(warm.path, warm.range).await;
        }
    }

    /// Reads a range into the page cache.
    async fn read_through(&self, path: &str, range: Range<u64>) -> io::Result<()> {
        let file = self.disk.open(path, Mode::Read).await?;
        let mut from = range.start;
        while from < range.end {
            let bytes = (range.end - from).min(WARMED_BYTES);
            file.read_at(from, bytes as usize).await?;
            from += bytes;
        }
        Ok(())
    }
}

/// Read at a time: little, because it is thrown away, and the memory for it is not fresh then.
const WARMED_BYTES: u64 = 128 << 10;
