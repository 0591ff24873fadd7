//! What a client was told of the mailboxes that it watches, and how that differs from what is.

use super::super::mailstore::Mailstore;
use super::groups::Groups;
use crate::wire::imap::notify::Events;
use crate::wire::imap::response::data::Listed;
use std::collections::{BTreeMap, BTreeSet};
use store::mail::id::{AccountId, MailboxId, ModSeq, Uid};
use store::mailbox::tree::SEPARATOR;
use store::mailbox::{MailboxInfo, Status};

/// Mailboxes that one session watches; what more would cost is the client's to do without.
const WATCHED_MAX: usize = 2_000;

/// The account as it was told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    mailboxes: BTreeMap<MailboxId, Watched>,
    /// Only where somebody asks for them.
    subscriptions: BTreeSet<String>,
    tree_version: u64,
    modseq: ModSeq,
    /// Mailboxes above were made since.
    last_made: MailboxId,
}

/// A mailbox that events are told of.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    pub(super) events: Events,
    counts: Counts,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    messages: u32,
    uid_next: Uid,
    unseen: u32,
}

/// What LIST is to tell, and what its attributes are computed from.
pub(super) struct News {
    pub(super) lists: Vec<Told>,
    names: BTreeMap<String, MailboxInfo>,
    subscriptions: BTreeSet<String>,
}

/// A name of which something is to be told.
#[derive(Debug)]
pub(super) struct Told {
    name: String,
    old_name: Option<String>,
}

impl Seen {
    /// The account as it is; `None` where there is too much to watch.
    pub(super) fn now(store: &impl Mailstore, account: AccountId, groups: &Groups) -> Option<Seen> {
        let mut seen = Seen {
            tree_version: store.tree_version(account),
            ..Seen::default()
        };
        for info in store.mailboxes(account) {
            seen.last_made = seen.last_made.max(info.id);
            let events = groups.events_of(&info.name, info.subscribed);
            if events != Events::NONE {
                let watched = Watched {
                    name: info.name,
                    events,
                    counts: Counts::default(),
                };
                seen.mailboxes.insert(info.id, watched);
            }
        }
        if groups.ask_for(Events::SUBSCRIPTIONS) {
            seen.subscriptions = store.subscriptions(account).into_iter().collect();
        }
        for (id, status) in seen.changed(store, account) {
            seen.take_in(id, &status);
        }
        (seen.mailboxes.len() <= WATCHED_MAX).then_some(seen)
    }

    pub(super) fn mailboxes(&self) -> impl Iterator<Item = (MailboxId, &Watched)> {
        self.mailboxes.iter().map(|(id, watched)| (*id, watched))
    }

    /// The mailboxes that changed since they were last looked at, ascending.
    pub(super) fn changed(
        &self,
        store: &impl Mailstore,
        account: AccountId,
    ) -> Vec<(MailboxId, Status)> {
        let mut changed = store.changed_mailboxes(account, self.modseq);
        changed.sort_unstable_by_key(|(id, _)| *id);
        changed
    }

    /// Remembers the state of a mailbox; what was remembered, if it is watched.
    pub(super) fn take_in(&mut self, id: MailboxId, status: &Status) -> Option<(&Watched, Counts)> {
        self.modseq = self.modseq.max(status.highest_modseq);
        let watched = self.mailboxes.get_mut(&id)?;
        let before = std::mem::replace(&mut watched.counts, Counts::of(status));
        Some((watched, before))
    }

    /// What has become of names and subscriptions; `None` where that is as it was.
    pub(super) fn news(
        &self,
        store: &impl Mailstore,
        account: AccountId,
        groups: &Groups,
    ) -> Option<News> {
        if store.tree_version(account) == self.tree_version {
            return None;
        }
        let infos = store.mailboxes(account);
        let subscriptions = match groups.ask_for(Events::SUBSCRIPTIONS) {
            true => store.subscriptions(account).into_iter().collect(),
            false => BTreeSet::new(),
        };
        let mut lists = self.renamed_and_gone(&infos);
        lists.extend(self.made(&infos, groups));
        let names: BTreeMap<_, _> = infos.into_iter().map(|i| (i.name.clone(), i)).collect();
        lists.extend(parents(&lists, &names, groups));
        let changed = self.subscriptions.symmetric_difference(&subscriptions);
        let asked = changed.filter(|name| {
            let events = groups.events_of(name, true);
            events.has(Events::SUBSCRIPTIONS)
        });
        lists.extend(asked.map(|name| Told::of(name)));
        Some(News {
            lists,
            names,
            subscriptions,
        })
    }

    fn renamed_and_gone(&self, infos: &[MailboxInfo]) -> Vec<Told> {
        let now: BTreeMap<MailboxId, &str> = infos.iter().map(|i| (i.id, &*i.name)).collect();
        let asked = self.mailboxes.iter();
        let asked = asked.filter(|(_, watched)| watched.events.has(Events::NAMES));
        let told = asked.filter_map(|(id, watched)| match now.get(id) {
            None => Some(Told::of(&watched.name)),
            Some(name) if *name != watched.name => Some(Told {
                name: (*name).to_owned(),
                old_name: Some(watched.name.clone()),
            }),
            Some(_) => None,
        });
        told.collect()
    }

    fn made(&self, infos: &[MailboxInfo], groups: &Groups) -> Vec<Told> {
        let new = infos.iter().filter(|info| info.id > self.last_made);
        let asked = new.filter(|info| {
            let events = groups.events_of(&info.name, info.subscribed);
            events.has(Events::NAMES)
        });
        asked.map(|info| Told::of(&info.name)).collect()
    }

    /// Takes over what is watched now, but not the counts of what was watched before: they are to
    /// be told. The mailboxes that were not.
    pub(super) fn adopt(&mut self, now: Seen) -> Vec<(MailboxId, String, Events)> {
        let before = std::mem::replace(
            self,
            Seen {
                modseq: self.modseq,
                ..now
            },
        );
        let mut new = Vec::new();
        for (id, watched) in &mut self.mailboxes {
            match before.mailboxes.get(id) {
                Some(known) => watched.counts = known.counts,
                None => new.push((*id, watched.name.clone(), watched.events)),
            }
        }
        new
    }
}

impl Counts {
    fn of(status: &Status) -> Counts {
        Counts {
            messages: status.messages,
            uid_next: status.uid_next,
            unseen: status.unseen,
        }
    }

    /// Whether messages came or went, and whether the number of unseen ones is another.
    pub(super) fn differs(self, status: &Status) -> (bool, bool) {
        let now = Counts::of(status);
        let moved = (self.messages, self.uid_next) != (now.messages, now.uid_next);
        (moved, self.unseen != now.unseen)
    }
}

impl Told {
    fn of(name: &str) -> Told {
        Told {
            name: name.to_owned(),
            old_name: None,
        }
    }
}

impl News {
    /// Every attribute as it is now (RFC 5465 §5.4, §5.5).
    pub(super) fn listed<'a>(&'a self, told: &'a Told) -> Listed<'a> {
        let info = self.names.get(&told.name);
        let below = format!("{}{SEPARATOR}", told.name);
        let mut from = self.names.range(below.clone()..);
        let has_children = from
            .next()
            .is_some_and(|(name, _)| name.starts_with(&below));
        let subscribed = info.map_or_else(
            || self.subscriptions.contains(&told.name),
            |info| info.subscribed,
        );
        Listed {
            name: &told.name,
            nonexistent: info.is_none(),
            subscribed,
            has_children: Some(has_children),
            special_use: info.map_or_else(Default::default, |info| info.special_use),
            child_info: &[],
            old_name: told.old_name.as_deref(),
        }
    }
}

/// The levels above what was made or deleted: whether they have children may have changed.
fn parents(lists: &[Told], names: &BTreeMap<String, MailboxInfo>, groups: &Groups) -> Vec<Told> {
    let told: BTreeSet<&str> = lists.iter().map(|told| told.name.as_str()).collect();
    let above = lists.iter().filter_map(|told| {
        let (parent, _) = told.name.rsplit_once(SEPARATOR)?;
        let info = names.get(parent)?;
        let events = groups.events_of(parent, info.subscribed);
        events.has(Events::NAMES).then_some(parent)
    });
    let above: BTreeSet<&str> = above.filter(|parent| !told.contains(parent)).collect();
    above.into_iter().map(Told::of).collect()
}
