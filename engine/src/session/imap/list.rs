//! LIST with its options, and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 6154, RFC 5819, RFC 8440,
//! RFC 9590, RFC 3501 §6.3.9).

use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::Mailstore;
use super::reply::{Reply, say};
use super::tree::{Entry, Growing, Tree};
use crate::wire::imap::command::{List, ListReturn, ListSelect};
use crate::wire::imap::name::Pattern;
use crate::wire::imap::response::data::{self, Listed};
use crate::wire::imap::response::sharing;
use store::mailbox::SpecialUse;

/// How often names are held against patterns before other connections run.
const MATCHES_A_TURN: usize = 512;

impl<S: Mailstore> Session<S> {
    pub(super) async fn list<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        list: &List,
    ) -> Result<Reply, Ended> {
        if !list.extended && list.patterns.iter().all(String::is_empty) {
            // RFC 9051 §6.3.9: an empty pattern asks for the separator and the root's name.
            data::list_separator(dialogue.out());
            return Ok(Reply::done());
        }
        if list.select.recursive_match && !list.select.subscribed && !list.select.special_use {
            return Ok(Reply::bad(say::RECURSIVE_MATCH));
        }
        let tree = self.tree(list).await;
        let matched = match_names(dialogue, &tree, list).await;
        let choice = Choice {
            tree: &tree,
            matched: &matched,
            select: list.select,
        };
        for (at, entry) in tree.entries().iter().enumerate() {
            let child_info = choice.has_child_info(at);
            if choice.is_chosen(at) || child_info {
                self.write_list(dialogue.out(), entry, list, child_info);
                self.write_details(dialogue.out(), entry, &list.returns)
                    .await;
                dialogue.flush_if_full().await?;
            }
        }
        Ok(Reply::done())
    }

    pub(super) async fn lsub<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        reference: &str,
        pattern: &str,
    ) -> Result<Reply, Ended> {
        if pattern.is_empty() {
            data::lsub(dialogue.out(), "", true, self.utf8());
            return Ok(Reply::done());
        }
        // RFC 3501 §6.3.9: a name of `%` that is not subscribed, but has subscribed names below
        // it, is told with \Noselect.
        let parents = pattern.contains('%');
        let pattern = Pattern::new(reference, pattern);
        let growing = Growing::of(&self.store, self.account);
        let tree = growing.subscribed(&self.store, self.account, true);
        for entry in tree.entries().iter().filter(|e| pattern.matches(&e.name)) {
            let no_select = !entry.subscribed;
            if no_select && !(parents && entry.subscribed_below) {
                continue;
            }
            data::lsub(dialogue.out(), &entry.name, no_select, self.utf8());
            dialogue.flush_if_full().await?;
        }
        Ok(Reply::done())
    }

    /// What there is, with mailboxes of others where a pattern can mean them.
    async fn tree(&self, list: &List) -> Tree {
        let mut growing = Growing::of(&self.store, self.account);
        for (name, lent) in self.lent_for(list).await {
            growing.lend(&name, lent);
        }
        growing.subscribed(&self.store, self.account, list.select.subscribed)
    }

    fn write_list(&self, out: &mut Vec<u8>, entry: &Entry, list: &List, child_info: bool) {
        let select = list.select;
        let options = [
            (select.subscribed, "SUBSCRIBED"),
            (select.special_use, "SPECIAL-USE"),
        ];
        let met = options.iter().filter(|option| child_info && option.0);
        let met: Vec<&str> = met.map(|option| option.1).collect();
        let listed = Listed {
            name: &entry.name,
            nonexistent: !entry.exists(),
            subscribed: entry.subscribed && (select.subscribed || list.returns.subscribed),
            has_children: Some(entry.children),
            special_use: entry.special_use(),
            child_info: &met,
            old_name: None,
        };
        data::list(out, &listed, self.utf8());
    }

    /// STATUS, MYRIGHTS and METADATA behind the LIST of every mailbox there is (RFC 5819 §2,
    /// RFC 8440 §3, RFC 9590 §3).
    async fn write_details(&self, out: &mut Vec<u8>, entry: &Entry, returns: &ListReturn) {
        let rights = match (&entry.mailbox, &entry.lent) {
            (Some(mailbox), _) => self.rights_on(mailbox.id),
            (None, Some(lent)) => lent.rights,
            (None, None) => return,
        };
        if returns.my_rights {
            sharing::my_rights(out, &entry.name, rights, self.utf8());
        }
        let Some(mailbox) = &entry.mailbox else {
            return self.write_lent_details(out, entry, returns).await;
        };
        if let Some(items) = &returns.status {
            self.write_status_of(out, &mailbox.name, items).await;
        }
        if !returns.metadata.is_empty() {
            self.write_annotations(out, &mailbox.name, mailbox.id, &returns.metadata);
        }
    }
}

/// Which entries of the tree some pattern means.
async fn match_names<I: Io>(dialogue: &mut Dialogue<I>, tree: &Tree, list: &List) -> Vec<bool> {
    let patterns: Vec<Pattern> = list
        .patterns
        .iter()
        .map(|pattern| Pattern::new(&list.reference, pattern))
        .collect();
    let names_a_turn = (MATCHES_A_TURN / patterns.len().max(1)).max(1);
    let mut matched = Vec::with_capacity(tree.entries().len());
    for entries in tree.entries().chunks(names_a_turn) {
        let means = |entry: &Entry| patterns.iter().any(|p| p.matches(&entry.name));
        matched.extend(entries.iter().map(means));
        dialogue.pause().await;
    }
    matched
}

/// What the selection options leave of the names that match (RFC 9051 §6.3.9.1).
struct Choice<'a> {
    tree: &'a Tree,
    matched: &'a [bool],
    select: ListSelect,
}

impl Choice<'_> {
    fn is_chosen(&self, at: usize) -> bool {
        let matches = self.matched.get(at) == Some(&true);
        let entry = self.tree.entries().get(at);
        matches && entry.is_some_and(|entry| is_selected(entry, self.select))
    }

    /// RECURSIVEMATCH: a mailbox below that meets the options is told by CHILDINFO; where the name
    /// itself is not chosen, only if the one below is not told either (RFC 5258 §4, note 2).
    fn has_child_info(&self, at: usize) -> bool {
        if !self.select.recursive_match || self.matched.get(at) != Some(&true) {
            return false;
        }
        let chosen = self.is_chosen(at);
        let select = self.select;
        let mut below = self
            .tree
            .below(at)
            .filter(|(_, entry)| is_selected(entry, select));
        below.any(|(below, _)| chosen || !self.is_chosen(below))
    }
}

fn is_selected(entry: &Entry, select: ListSelect) -> bool {
    (!select.subscribed || entry.subscribed)
        && (!select.special_use || entry.special_use() != SpecialUse::NONE)
}
