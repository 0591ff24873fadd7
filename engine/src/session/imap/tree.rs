//! The names of an account as LIST shows them: mailboxes, the levels above them, subscriptions.

use super::mailstore::Mailstore;
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
    /// `None`: only a level above others, or a subscription of what does not exist.
    pub(super) mailbox: Option<MailboxInfo>,
    pub(super) subscribed: bool,
    pub(super) children: bool,
    pub(super) subscribed_below: bool,
}

impl Tree {
    /// The tree as it is now; with `subscriptions`, subscribed names that do not exist are in it.
    pub(super) fn of(store: &impl Mailstore, account: AccountId, subscriptions: bool) -> Tree {
        // Sorting by levels and not by octets keeps `a/b` next to `a`, before `a b`.
        let mut names: BTreeMap<Vec<String>, Entry> = BTreeMap::new();
        for mailbox in store.mailboxes(account) {
            let levels = levels(&mailbox.name);
            for above in proper_prefixes(&levels) {
                names.entry(above).or_default().children = true;
            }
            names.entry(levels).or_default().mailbox = Some(mailbox);
        }
        for name in store.subscriptions(account) {
            let levels = levels(&name);
            if subscriptions {
                for above in proper_prefixes(&levels) {
                    names.entry(above).or_default().subscribed_below = true;
                }
                names.entry(levels).or_default().subscribed = true;
            } else if let Some(entry) = names.get_mut(&levels) {
                entry.subscribed = true;
            }
        }
        let named = |(levels, entry): (Vec<String>, Entry)| Entry {
            name: levels.join(SEPARATOR.encode_utf8(&mut [0; 4])),
            ..entry
        };
        Tree {
            entries: names.into_iter().map(named).collect(),
        }
    }

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
    /// The RFC 6154 attributes of the mailbox.
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
