//! The mailboxes of an account: names, hierarchy, subscriptions, special use.
//!
//! Names are UTF-8 in NFC with `/` between the levels. `INBOX` is that mailbox in any case; it
//! always exists, and its children begin with exactly `INBOX/`.

pub use crate::mail::mailbox::{SEPARATOR, SpecialUse};

use crate::mail::id::{MailboxId, ModSeq, Uid, UidValidity};

/// A mailbox as LIST shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxInfo {
    pub id: MailboxId,
    pub name: String,
    pub uid_validity: UidValidity,
    pub special_use: SpecialUse,
    pub subscribed: bool,
}

/// What STATUS and SELECT say of a mailbox (RFC 9051 §6.3.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    pub messages: u32,
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub octets: u64,
    /// Messages not yet claimed as `\Recent` by a session (RFC 3501 §2.3.2).
    pub recent: u32,
    pub uid_next: Uid,
    pub uid_validity: UidValidity,
    pub highest_modseq: ModSeq,
}
