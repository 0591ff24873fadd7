//! What an ESEARCH looks for in the mailboxes of others (RFC 7377 §2.2, RFC 4314 §4).
//!
//! The session of the user finds out which of them are meant, by the names that the user has for
//! them; at each owner's account a guest session searches, and is silent where it found nothing.
//! Mailboxes that may not be read are as good as not there.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::Mailstore;
use super::super::search::multi;
use super::place::{OTHER_USERS, Place, SHARED};
use super::visit::attend;
use crate::wire::imap::command::{Body, Command, Search};
use crate::wire::imap::find::{Find, Source};
use crate::wire::imap::rights::Rights;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Accounts of others that one search looks into.
const OWNERS_MAX: usize = 256;

impl<S: Mailstore> Session<S> {
    /// Whether what is selected is of somebody else.
    pub(in super::super) fn is_visiting(&self) -> bool {
        self.sharing.visit.is_some()
    }

    /// Searches what of `sources` lies with others.
    pub(in super::super) async fn search_at_others<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        sources: &[Source],
        search: &Search,
    ) -> Result<(), Ended> {
        if self.is_guest() || !self.sharing.house.has_others() {
            return Ok(());
        }
        let errand = |sources, search| Command {
            tag: tag.to_owned(),
            body: Body::Find(Find::Multi {
                sources: Some(sources),
                search,
            }),
        };
        if let Some(visit) = &self.sharing.visit
            && sources.contains(&Source::Selected)
        {
            let guest = Rc::clone(&visit.guest);
            let command = errand(vec![Source::Selected], search.clone());
            attend(dialogue, &*guest, command).await?;
        }
        let mut elsewhere = search.clone();
        if let Some(returns) = &mut elsewhere.returns {
            // Both are of the selected mailbox alone.
            (returns.update, returns.context) = (false, false);
        }
        for (owner, names) in self.meant_at_others(sources).await {
            let Some(guest) = self.guest_of(&owner).await else {
                continue;
            };
            let command = errand(vec![Source::Mailboxes(names)], elsewhere.clone());
            attend(dialogue, &*guest, command).await?;
        }
        Ok(())
    }

    /// Names at each owner's account.
    async fn meant_at_others(&self, sources: &[Source]) -> BTreeMap<String, Vec<String>> {
        let house = &self.sharing.house;
        let sources: Vec<Source> = sources.iter().map(|source| self.normal(source)).collect();
        let subscribed: BTreeSet<String> = match sources.contains(&Source::Subscribed) {
            true => self.store.subscriptions(self.account).into_iter().collect(),
            false => BTreeSet::new(),
        };
        let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let is_asked = subscribed.iter().any(|name| leads_away(name))
            || sources.iter().flat_map(tops).any(|name| leads_away(name));
        let Some(abroad) = house.abroad.as_ref().filter(|_| is_asked) else {
            return owners;
        };
        for lent in abroad.lent(&self.visitor()).await {
            let name = house.name_of(&lent.owner, &lent.name);
            let is_meant = subscribed.contains(&name)
                || sources.iter().any(|source| multi::names(source, &name));
            let has_room = owners.len() < OWNERS_MAX || owners.contains_key(&lent.owner);
            if is_meant && has_room && lent.rights.contains(Rights::READ) {
                owners.entry(lent.owner).or_default().push(lent.name);
            }
        }
        owners
    }

    /// The source with every name as LIST tells it.
    fn normal(&self, source: &Source) -> Source {
        let normal = |names: &Vec<String>| {
            let normal = names.iter().map(|name| match self.locate(name) {
                Place::There { owner, name } => self.sharing.house.name_of(&owner, &name),
                Place::Here(_) | Place::Nowhere => name.clone(),
            });
            normal.collect()
        };
        match source {
            Source::Mailboxes(names) => Source::Mailboxes(normal(names)),
            Source::Subtree(names) => Source::Subtree(normal(names)),
            Source::SubtreeOne(names) => Source::SubtreeOne(normal(names)),
            source => source.clone(),
        }
    }
}

fn tops(source: &Source) -> &[String] {
    match source {
        Source::Mailboxes(names) | Source::Subtree(names) | Source::SubtreeOne(names) => names,
        Source::Selected | Source::Inboxes | Source::Personal | Source::Subscribed => &[],
    }
}

/// Whether a name is that of a namespace of others, or below it.
fn leads_away(name: &str) -> bool {
    [OTHER_USERS, SHARED]
        .into_iter()
        .any(|prefix| name.starts_with(prefix) || Some(name) == prefix.strip_suffix('/'))
}
