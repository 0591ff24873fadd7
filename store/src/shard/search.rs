//! Searches and lists without reading every message: by the signatures and columns that the
//! compactor makes of them.

use super::Shard;
use crate::compact::{Aside, CompactError, Report, Signing, Task};
use crate::disk::Disk;
use crate::mail::id::{AccountId, MailboxId, ObjectId, Uid};
use crate::mail::uidset::UidSet;
use crate::mailbox::Contents;
use crate::search::{Anchor, Column, Needle, Reader, Texts, Wanted, keys_of};
use crate::table::TableError;
use std::sync::Arc;

impl<D: Disk> Shard<D> {
    /// From now on messages are signed by this reader, and what it signed earlier is believed.
    /// Without one everything is a candidate.
    pub async fn sign_by(&self, texts: Arc<dyn Texts>) -> Result<(), TableError> {
        self.reader.replace(Some(Reader(texts)));
        self.look_at_signatures().await
    }

    /// Of `uids`, those that may hold the needle: a superset of those that do. What is not signed
    /// stays in it, as everything does where the needle is shorter than three octets.
    pub async fn may_hold(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        needle: &Needle<'_>,
    ) -> UidSet {
        let keys = keys_of(needle.text);
        if keys.is_empty() {
            return uids.clone();
        }
        let Some(mut wanted) = self.wanted(account, mailbox, uids) else {
            return uids.clone();
        };
        let asked = (needle.field, keys.as_slice());
        self.signatures.narrow(account, asked, &mut wanted).await;
        UidSet::from_ascending(wanted.left())
    }

    /// Shows what a column keeps of each of `uids`, by rising UIDs. Gives those back of which it
    /// keeps nothing: the messages themselves tell. UIDs that are not there any more are neither
    /// shown nor given back.
    pub async fn columns(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        uids: &UidSet,
        column: Column,
        each: &mut dyn FnMut(Uid, &[u8]),
    ) -> UidSet {
        let Some(wanted) = self.wanted(account, mailbox, uids) else {
            return uids.clone();
        };
        let found = self.signatures.locate(account, &wanted).await;
        let without = self.signatures.columns(&found, column, each).await;
        UidSet::from_ascending(without)
    }

    /// Writes down what came since the last checkpoint, so that it can be signed, and keeps no
    /// house beside that.
    pub async fn write_fresh(&self, aside: &impl Aside) -> Result<(), CompactError> {
        self.checkpoint(aside).await?;
        self.compact(aside, Task::Merge).await.map(drop)
    }

    /// Signs what is written down and not signed yet, in the steps of one task, until all is or
    /// another checkpoint is due after so many bytes of log.
    pub async fn sign(&self, aside: &impl Aside, log_bytes: u64) -> Result<Report, CompactError> {
        let mut report = Report::default();
        loop {
            report.add(self.sign_step(aside, false).await?);
            if !report.has_more_to_sign || self.log_bytes_since() >= log_bytes {
                return Ok(report);
            }
        }
    }

    /// One step of signing; `is_anew`: all that is there is dropped before.
    pub async fn sign_step(
        &self,
        aside: &impl Aside,
        is_anew: bool,
    ) -> Result<Report, CompactError> {
        let reader = self.reader.borrow().clone();
        let Some(reader) = reader else {
            return Ok(Report::default());
        };
        let damaged = self.signatures.take_damaged();
        let signing = Signing {
            reader,
            damaged,
            is_anew,
        };
        let report = self.compact(aside, Task::Sign(signing)).await?;
        if report.has_more_to_sign || is_anew {
            self.look_at_signatures().await?;
        }
        Ok(report)
    }

    /// What open signatures take in memory, in bytes.
    pub fn signatures_bytes(&self) -> usize {
        self.signatures.resident_bytes()
    }

    async fn look_at_signatures(&self) -> Result<(), TableError> {
        let version = self
            .reader
            .borrow()
            .as_ref()
            .map(|reader| reader.0.version());
        let Some(version) = version else {
            return Ok(());
        };
        let anchor = Anchor::of(self.snapshot().manifest.replay);
        self.signatures.look(anchor, version).await
    }

    /// The deliveries of the rows that there are of `uids`; `None` for a mailbox that cannot be
    /// read.
    fn wanted(&self, account: AccountId, mailbox: MailboxId, uids: &UidSet) -> Option<Wanted> {
        let rows = |contents: &Contents| {
            let mut rows: Vec<(ObjectId, Uid)> = Vec::new();
            let most = uids.len().min(contents.rows().len() as u64);
            rows.reserve(most as usize);
            contents
                .rows()
                .each_delivery(uids, |uid, delivery| rows.push((delivery, uid)));
            rows
        };
        self.with_contents(account, mailbox, rows).map(Wanted::of)
    }
}
