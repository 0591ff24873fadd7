//! ESEARCH: one search over several mailboxes (RFC 7377).
//!
//! Each mailbox is searched with a view of its own, which is gone when it was; the selected one
//! with the view that its client knows. Only mailboxes in which something was found are told.

use super::super::Session;
use super::super::dialogue::Dialogue;
use super::super::io::{Ended, Io};
use super::super::mailstore::{Mailstore, Picture};
use super::super::reply::Reply;
use super::hunt::{Caught, Ground};
use super::progress::Progress;
use super::{ALL, Searched, answer, live};
use crate::wire::imap::command::Search;
use crate::wire::imap::find::Source;
use crate::wire::imap::response::code::{self, Code};
use crate::wire::imap::response::esearch::Correlator;
use crate::wire::imap::response::{Condition, text};
use crate::wire::imap::rights::Rights;
use ::store::mail::id::{MailboxId, Uid};
use ::store::mail::uidset::UidSet;
use ::store::mailbox::MailboxInfo;
use ::store::mailbox::tree::SEPARATOR;
use std::collections::BTreeSet;

impl<S: Mailstore> Session<S> {
    pub(super) async fn multi_search<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        sources: Option<Vec<Source>>,
        search: Search,
    ) -> Result<Reply, Ended> {
        // With sources it is a part of a search that another session answers.
        let is_errand = self.is_guest() && sources.is_some();
        let sources = sources.unwrap_or_else(|| vec![Source::Selected]);
        let reply = self.search_sources(dialogue, tag, sources, search).await?;
        Ok(if is_errand { Reply::silent() } else { reply })
    }

    async fn search_sources<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        sources: Vec<Source>,
        search: Search,
    ) -> Result<Reply, Ended> {
        let returns = search.returns.unwrap_or(ALL);
        let has_selected = self.selected.is_some() || self.is_visiting();
        if sources.contains(&Source::Selected) && !has_selected {
            return Ok(Reply::not_selected());
        }
        // RFC 7377 §2.2: SAVE is of the selected mailbox alone, UPDATE of no other.
        let is_alone = sources.iter().all(|source| *source == Source::Selected);
        if (returns.save && !is_alone) || (returns.update && !has_selected) {
            return Ok(Reply::bad(text::SELECTED_ONLY));
        }
        if self.updates_already(tag, search.returns) {
            return Ok(Reply::bad(text::TAG_REUSED));
        }
        for mailbox in self.mailboxes_of(&sources) {
            if let Err(reply) = self.search_one(dialogue, tag, &mailbox, &search).await? {
                self.forget_saved(returns.save, &reply);
                return Ok(reply);
            }
        }
        self.search_at_others(dialogue, tag, &sources, &search)
            .await?;
        Ok(Reply::ok(text::SEARCH_DONE))
    }

    async fn search_one<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        tag: &str,
        mailbox: &MailboxInfo,
        search: &Search,
    ) -> Result<Result<(), Reply>, Ended> {
        let returns = search.returns.unwrap_or(ALL);
        let is_selected = self.selected_mailbox() == Some(mailbox.id);
        let searched = match is_selected {
            true => {
                self.search_selected(dialogue, search, returns.relevancy)
                    .await
            }
            false => match self.search_elsewhere(dialogue, mailbox, search).await {
                Some(searched) => searched,
                None => return Ok(Ok(())),
            },
        };
        let caught = match searched {
            Searched::Caught(caught) => caught,
            Searched::Refused(reply) => return Ok(Err(reply)),
        };
        let uids: Vec<u32> = caught.found.iter().map(|uid| uid.0).collect();
        if is_selected {
            self.save(&uids, returns);
        }
        let name = self.shown(&mailbox.name);
        let of = Correlator {
            tag,
            mailbox: Some((&name, mailbox.uid_validity, self.utf8())),
            uid: true,
        };
        if !uids.is_empty() {
            let scores = uids
                .iter()
                .filter_map(|uid| caught.scores.get(uid).copied());
            let results = answer::Results {
                scores: scores.collect(),
                order: uids.clone(),
                modseq: None,
            };
            answer::extended(dialogue, &of, &results, returns).await?;
        }
        if is_selected {
            self.keep_up_to_date(dialogue.out(), &of, search, live::Order::Mailbox(uids));
        }
        Ok(Ok(()))
    }

    /// `None` where the mailbox is gone or cannot be shown.
    async fn search_elsewhere<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        mailbox: &MailboxInfo,
        search: &Search,
    ) -> Option<Searched> {
        let view = self.store.view(self.account, mailbox.id, false).await?;
        let scored = search.returns.is_some_and(|returns| returns.relevancy);
        // `$` is of the selected mailbox.
        let hunt = match self.hunt_in(&view, &UidSet::new(), search, scored) {
            Ok(hunt) => hunt,
            Err(fault) => return Some(Searched::Refused(fault.into())),
        };
        let ground = Ground {
            store: &self.store,
            account: self.account,
            view: &view,
        };
        let among = UidSet::from_ascending(view.uids().iter().copied().map(Uid));
        let with = (&mut *dialogue, &mut Progress::default());
        let caught: Caught = hunt.run(&ground, &among, &mut self.structures, with).await;
        if !caught.damaged.is_empty() {
            let code = Some(Code::ServerBug);
            code::untagged(dialogue.out(), Condition::No, code, text::MESSAGE_DAMAGED);
        }
        for (uid, error) in &caught.damaged {
            self.report_in(mailbox.id, *uid, error.clone());
        }
        Some(Searched::Caught(caught))
    }

    fn selected_mailbox(&self) -> Option<MailboxId> {
        self.selected
            .as_ref()
            .map(|selected| selected.view.mailbox())
    }

    /// The mailboxes that the sources mean, each once.
    fn mailboxes_of(&self, sources: &[Source]) -> Vec<MailboxInfo> {
        let mut all = self.store.mailboxes(self.account);
        let subscribed: BTreeSet<String> = match sources.contains(&Source::Subscribed) {
            true => self.store.subscriptions(self.account).into_iter().collect(),
            false => BTreeSet::new(),
        };
        let selected = self.selected_mailbox();
        all.retain(|mailbox| {
            sources.iter().any(|source| match source {
                Source::Selected => selected == Some(mailbox.id),
                Source::Inboxes => mailbox.name == "INBOX",
                Source::Personal => true,
                Source::Subscribed => subscribed.contains(&mailbox.name),
                source => names(source, &mailbox.name),
            })
        });
        // Whoever visits finds what they may read, selected or not.
        all.retain(|mailbox| self.rights_on(mailbox.id).contains(Rights::READ));
        all
    }
}

/// Whether a source names a mailbox, or one above it.
pub(in super::super) fn names(source: &Source, mailbox: &str) -> bool {
    let is_within = |tops: &[String], levels_max: usize| {
        let mut tops = tops.iter();
        tops.any(|top| levels_below(mailbox, top).is_some_and(|levels| levels <= levels_max))
    };
    match source {
        Source::Selected | Source::Inboxes | Source::Personal | Source::Subscribed => false,
        Source::Mailboxes(tops) => is_within(tops, 0),
        Source::SubtreeOne(tops) => is_within(tops, 1),
        Source::Subtree(tops) => is_within(tops, usize::MAX),
    }
}

/// How many levels a mailbox lies below another; 0 if it is that one.
fn levels_below(name: &str, above: &str) -> Option<usize> {
    let rest = name.strip_prefix(above)?;
    if rest.is_empty() {
        return Some(0);
    }
    rest.strip_prefix(SEPARATOR)
        .map(|rest| rest.matches(SEPARATOR).count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_has_levels() {
        assert_eq!(levels_below("a", "a"), Some(0));
        assert_eq!(levels_below("a/b", "a"), Some(1));
        assert_eq!(levels_below("a/b/c", "a"), Some(2));
        assert_eq!(levels_below("ab", "a"), None);
        assert_eq!(levels_below("a", "a/b"), None);
    }
}
