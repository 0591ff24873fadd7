//! LIST with its options, and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 6154, RFC 5819, RFC 3501
//! §6.3.9).

use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::Mailstore;
use super::manage::write_status;
use super::reply::{Reply, say};
use super::tree::{Entry, Tree};
use crate::wire::imap::command::{List, ListReturn, ListSelect};
use crate::wire::imap::name::Pattern;
use crate::wire::imap::response::data::{self, Listed};
use store::mailbox::SpecialUse;

/// Names held against the patterns before other connections run.
const NAMES_A_TURN: usize = 512;

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
        let patterns: Vec<Pattern> = list
            .patterns
            .iter()
            .map(|p| Pattern::new(&list.reference, p))
            .collect();
        let tree = Tree::of(&self.store, self.account, list.select.subscribed);
        let mut matched = Vec::with_capacity(tree.entries().len());
        for entries in tree.entries().chunks(NAMES_A_TURN) {
            matched.extend(
                entries
                    .iter()
                    .map(|e| patterns.iter().any(|p| p.matches(&e.name))),
            );
            dialogue.pause().await;
        }
        let returned = |at: usize| {
            let entry = tree.entries().get(at);
            entry.is_some_and(|e| matched.get(at) == Some(&true) && is_selected(e, list.select))
        };
        for (at, entry) in tree.entries().iter().enumerate() {
            let below = list.select.recursive_match
                && list.select.subscribed
                && (returned(at) || matched.get(at) == Some(&true))
                && tree
                    .below(at)
                    .any(|b| b.1.subscribed && (returned(at) || !returned(b.0)));
            if returned(at) || below {
                self.write_list(dialogue.out(), entry, list, below);
                self.write_list_status(dialogue.out(), entry, &list.returns);
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
            data::lsub(dialogue.out(), "", true, self.rev2);
            return Ok(Reply::done());
        }
        // RFC 3501 §6.3.9: a name of `%` that is not subscribed, but has subscribed names below
        // it, is told with \Noselect.
        let parents = pattern.contains('%');
        let pattern = Pattern::new(reference, pattern);
        let tree = Tree::of(&self.store, self.account, true);
        for entry in tree.entries().iter().filter(|e| pattern.matches(&e.name)) {
            let no_select = !entry.subscribed;
            if no_select && !(parents && entry.subscribed_below) {
                continue;
            }
            data::lsub(dialogue.out(), &entry.name, no_select, self.rev2);
            dialogue.flush_if_full().await?;
        }
        Ok(Reply::done())
    }

    fn write_list(&self, out: &mut Vec<u8>, entry: &Entry, list: &List, child_subscribed: bool) {
        let listed = Listed {
            name: &entry.name,
            nonexistent: entry.mailbox.is_none(),
            subscribed: entry.subscribed && (list.select.subscribed || list.returns.subscribed),
            has_children: Some(entry.children),
            special_use: entry.special_use(),
            child_subscribed,
            old_name: None,
        };
        data::list(out, &listed, self.rev2);
    }

    /// RFC 5819 §2: STATUS behind the LIST of every mailbox that can be selected.
    fn write_list_status(&self, out: &mut Vec<u8>, entry: &Entry, returns: &ListReturn) {
        let (Some(items), Some(mailbox)) = (&returns.status, &entry.mailbox) else {
            return;
        };
        if let Some(status) = self.store.status(self.account, mailbox.id) {
            write_status(
                out,
                &entry.name,
                items,
                &status,
                self.terms.append_bytes_max,
                self.rev2,
            );
        }
    }
}

fn is_selected(entry: &Entry, select: ListSelect) -> bool {
    (!select.subscribed || entry.subscribed)
        && (!select.special_use || entry.special_use() != SpecialUse::NONE)
}
