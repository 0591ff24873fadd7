//! What the runs of a shard say: its accounts and mailboxes as of the last checkpoint.
//!
//! The newest part of an account is its metadata; the rows of a mailbox are the composition of its
//! layers, oldest first. Reading is from memory maps and never suspends.

use super::account::Account;
use super::card::Card;
use super::layer::{self, Layer};
use crate::mail::id::{AccountId, MailboxId};
use crate::table::TableError;
use crate::table::run::Run;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// Runs from the oldest to the newest.
#[derive(Debug, Default)]
pub struct Index {
    runs: Vec<Rc<Run>>,
}

impl Index {
    pub fn new(runs: Vec<Rc<Run>>) -> Index {
        Index { runs }
    }

    pub fn runs(&self) -> &[Rc<Run>] {
        &self.runs
    }

    /// The newest part of a key.
    pub fn newest(&self, account: AccountId, mailbox: MailboxId) -> Option<Result<&[u8], TableError>> {
        let mut runs = self.runs.iter().rev();
        runs.find_map(|run| run.part(account.0, mailbox.0))
    }
}
