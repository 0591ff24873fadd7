//! The names that LIST shows: mailboxes, the levels above them, subscriptions, and what others
//! let the user see.

use super::mailstore::Mailstore;
use crate::post::visit::Lent;
use std::collections::BTreeMap;
use store::mail::id::AccountId;
use store::mailbox::tree::SEPARATOR;
use store::mailbox::{MailboxInfo, SpecialUse};

/// Every name, sorted so that what is below a name follows it.
#[derive(Debug)]
pub(super) struct Tree {
    entries: Vec<Entry>,
}

#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) name: String,
    /// A mailbox of this account.
    pub(super) mailbox: Option<MailboxInfo>,
    /// A mailbox of somebody else. Neither: only a level above others, or a subscription of what
    /// does not exist.
    pub(super) lent: Option<Lent>,
    pub(super) subscribed: bool,
    pub(super) children: bool,
    pub(super) subscribed_below: bool,
}

/// A tree while it grows. Sorting by levels and not by octets keeps `a/b` next to `a`, before
/// `a b`.
#[derive(Default)]
pub(super) struct Growing(BTreeMap<Vec<String>, Entry>);

impl Growing {
    /// The mailboxes of an account.
    pub(super) fn of(store: &impl Mailstore, account: AccountId) -> Growing {
        let mut growing = Growing::default();
        for mailbox in store.mailboxes(account) {
            growing.grow(&mailbox.name).mailbox = Some(mailbox.clone());
        }
        growing
    }

    /// A mailbox of somebody else, under the name that this user has for it.
    pub(super) fn lend(&mut self, name: &str, lent: Lent) {
        self.grow(name).lent = Some(lent);
    }

    /// With the subscriptions of the account; `missing`: those of names that do not exist, too.
    pub(super) fn subscribed(
        mut self,
        store: &impl Mailstore,
        account: AccountId,
        missing: bool,
    ) -> Tree {
        for name in store.subscriptions(account) {
            let levels = levels(&name);
            if missing {
                for above in proper_prefixes(&levels) {
                    self.0.entry(above).or_default().subscribed_below = true;
                }
                self.0.entry(levels).or_default().subscribed = true;
            } else if let Some(entry) = self.0.get_mut(&levels) {
                entry.subscribed = true;
            }
        }
        let named = |(levels, entry): (Vec<String>, Entry)| Entry {
            name: levels.join(SEPARATOR.encode_utf8(&mut [0; 4])),
            ..entry
        };
        Tree {
            entries: self.0.into_iter().map(named).collect(),
        }
    }

    fn grow(&mut self, name: &str) -> &mut Entry {
        let levels = levels(name);
        for above in proper_prefixes(&levels) {
            self.0.entry(above).or_default().children = true;
        }
        self.0.entry(levels).or_default()
    }
}

impl Tree {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is below entry `at`, with its place.
    pub(super) fn below(&self, at: usize) -> impl Iterator<Item = (usize, &Entry)> {
        let above = self.entries.get(at).map_or("", |e| e.name.as_str());
        let is_below = move |entry: &&Entry| {
            let rest = entry.name.strip_prefix(above);
            rest.is_some_and(|rest| rest.starts_with(SEPARATOR))
        };
        let following = self.entries.iter().skip(at + 1).take_while(is_below);
        following
            .enumerate()
            .map(move |(offset, entry)| (at + 1 + offset, entry))
    }
}

impl Entry {
    /// Whether there is a mailbox of this name.
    pub(super) fn exists(&self) -> bool {
        self.mailbox.is_some() || self.lent.is_some()
    }

    /// The RFC 6154 attributes of the user's own mailbox: what others use theirs for is not for
    /// this user's client to go by.
    pub(super) fn special_use(&self) -> SpecialUse {
        self.mailbox
            .as_ref()
            .map_or(SpecialUse::NONE, |mailbox| mailbox.special_use)
    }
}

fn levels(name: &str) -> Vec<String> {
    name.split(SEPARATOR).map(str::to_owned).collect()
}

/// `a`, `a/b` of `a/b/c`.
fn proper_prefixes(levels: &[String]) -> impl Iterator<Item = Vec<String>> {
    (1..levels.len()).filter_map(|end| levels.get(..end).map(<[String]>::to_vec))
}
