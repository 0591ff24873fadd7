//! Who asks, and as whom they may send: the rule of submission.

use crate::config::inject::SenderPattern;
use crate::route::{Account, Directory, owns};
use std::sync::Arc;
use store::mail::address::Address;

/// A client that has said who it is.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account, or the name of the token: for logs, and for the rate.
    pub name: String,
    pub may: May,
    /// Whose mail it is: the first unless a request says another.
    pub tenants: Vec<String>,
    /// Recipients a minute.
    pub per_minute_max: Option<u32>,
}

/// As whom.
#[derive(Clone, Debug)]
pub enum May {
    Account(Arc<Account>),
    Senders(Vec<SenderPattern>),
}

impl Principal {
    #[must_use]
    pub fn may_send_as(&self, directory: &Directory, sender: &Address) -> bool {
        match &self.may {
            May::Account(account) => owns(directory, account, sender),
            May::Senders(patterns) => patterns.iter().any(|pattern| pattern.covers(sender)),
        }
    }
}
