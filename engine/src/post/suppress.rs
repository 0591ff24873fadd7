//! What is asked and said of the suppression list: addresses that get no mail from us any more.
//!
//! An entry lies in the shard that keeps the queue of its domain. Times are seconds since 1970.

use serde::{Deserialize, Serialize};
use store::mail::address::Address;

/// One question or order to the shard that keeps the domains of its addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SuppressAsk {
    /// Is mail of this tenant to this address suppressed?
    Check { address: Address, tenant: String },
    /// Writes entries; each replaces one that is there.
    Put(Vec<Suppressed>),
    /// An address was refused as one that is not there any more.
    Bounced(Bounced),
    /// Takes entries back: addresses with whose mail they are about.
    Remove(Vec<(String, Option<String>)>),
    /// Entries by the order of their keys.
    List {
        /// Of this domain only.
        domain: Option<String>,
        /// Go on behind this key.
        after: Option<Vec<u8>>,
        most: usize,
    },
}

/// What a shard says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SuppressAnswer {
    Found(Option<Suppressed>),
    /// So many were written, or were there to be taken back.
    Count(u64),
    Lines {
        lines: Vec<Suppressed>,
        /// Go on behind this key; `None`: that was all.
        next: Option<Vec<u8>>,
    },
    /// Nothing was changed, or not all.
    Failed(String),
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Suppressed {
    pub address: String,
    /// Whose mail it is about; `None`: everybody's.
    pub tenant: Option<String>,
    pub reason: SuppressReason,
    pub since_secs: i64,
    /// 0: never.
    pub expiry_secs: i64,
    /// What was said, or why somebody wrote it; at most [`TEXT_BYTES_MAX`] octets.
    pub text: String,
    /// When the address was refused lately.
    pub bounces: Vec<i64>,
}

/// Why an address is on the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuppressReason {
    /// It is only watched: it was refused, and not often enough.
    Watched,
    Bounce,
    Complaint,
    /// A `[[rule]]` wanted it.
    Rule,
    /// The operator.
    Manual,
}

/// A refusal, and what the configuration makes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bounced {
    pub address: Address,
    pub tenant: Option<String>,
    pub at_secs: i64,
    pub text: String,
    /// So many of them within so many seconds suppress the address.
    pub needed: u32,
    pub within_secs: u32,
    /// How long the entry lasts; `None`: for ever.
    pub lasts_secs: Option<u32>,
}

/// Octets of a text that are kept.
pub const TEXT_BYTES_MAX: usize = 500;

/// Entries of one order, and of one answer.
pub const ENTRIES_MAX: usize = 1_000;

impl Suppressed {
    /// Whether mail is kept back, and not only counted.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.reason != SuppressReason::Watched
    }
}

impl SuppressReason {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SuppressReason::Watched => "watched",
            SuppressReason::Bounce => "bounce",
            SuppressReason::Complaint => "complaint",
            SuppressReason::Rule => "rule",
            SuppressReason::Manual => "manual",
        }
    }

    #[must_use]
    pub fn of_name(name: &str) -> Option<SuppressReason> {
        [
            SuppressReason::Watched,
            SuppressReason::Bounce,
            SuppressReason::Complaint,
            SuppressReason::Rule,
            SuppressReason::Manual,
        ]
        .into_iter()
        .find(|reason| reason.name() == name)
    }
}
