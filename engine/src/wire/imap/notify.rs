//! NOTIFY as a type: which events of which mailboxes a client wants to hear of (RFC 5465 §8).

use super::command::FetchItem;
use std::ops::BitOr;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notify {
    None,
    Set(Set),
}

/// `NOTIFY SET`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Set {
    /// The present state of every mailbox is told first.
    pub status: bool,
    pub selected: Option<Selected>,
    /// Mailboxes that are not selected, in the order they were said.
    pub groups: Vec<Group>,
    /// An event was named that we do not know.
    pub unsupported: bool,
}

/// `selected` or `selected-delayed`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selected {
    /// Expunges wait for a command that may tell them.
    pub delayed: bool,
    pub events: Events,
    /// What is told of each new message.
    pub fetch: Vec<FetchItem>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    pub filter: Filter,
    /// None: these mailboxes are not heard of, whatever comes behind.
    pub events: Events,
}

/// Names are canonical.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    Inboxes,
    Personal,
    Subscribed,
    /// The mailboxes and everything below.
    Subtree(Vec<String>),
    /// The mailboxes and what is one level below (RFC 7377 §2.2).
    SubtreeOne(Vec<String>),
    Mailboxes(Vec<String>),
}

impl Filter {
    /// The mailboxes that it names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Filter::Inboxes | Filter::Personal | Filter::Subscribed => &[],
            Filter::Subtree(names) | Filter::SubtreeOne(names) | Filter::Mailboxes(names) => names,
        }
    }
}

/// A set of events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events(u8);

impl Events {
    pub const NONE: Events = Events(0);
    /// MessageNew and MessageExpunge, which only come together (RFC 5465 §5).
    pub const MESSAGES: Events = Events(1);
    pub const FLAGS: Events = Events(2);
    pub const NAMES: Events = Events(4);
    pub const SUBSCRIPTIONS: Events = Events(8);
    /// Annotations of mailboxes (RFC 5465 §5.6).
    pub const MAILBOX_ENTRIES: Events = Events(16);
    /// Annotations of the server (RFC 5465 §5.7).
    pub const SERVER_ENTRIES: Events = Events(32);

    #[must_use]
    pub fn has(self, events: Events) -> bool {
        self.0 & events.0 == events.0
    }

    #[must_use]
    pub fn has_any(self, events: Events) -> bool {
        self.0 & events.0 != 0
    }
}

impl BitOr for Events {
    type Output = Events;

    fn bitor(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

/// Every event that can be asked for, by the names of RFC 5465 §8.
pub const SUPPORTED: [&str; 7] = [
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
];
