//! Telling a session what has changed: when EXISTS, EXPUNGE, FETCH and RECENT may be said
//! (RFC 9051 §5.2, §7.4.1, §7.5.1).
//!
//! The view changes here and nowhere else, and every step of it is told in order: what a client
//! counts from our responses is at all times what the view says.

use super::Session;
use super::dialogue::Dialogue;
use super::fetch::rows::FlagsShown;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use super::select::write_flags;
use crate::wire::imap::command::Body;
use crate::wire::imap::response::fetch::Fetch;
use crate::wire::imap::response::{code, data, text};
use store::mail::flags::{Flags, Keywords};
use store::mail::id::Uid;
use store::mail::uidset::UidSet;
use store::mailbox::Change;

/// Whether EXPUNGE may be said at the end of this command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expunges {
    Tell,
    HoldBack,
}

impl Expunges {
    /// RFC 9051 §7.5.1: not while answering FETCH, STORE or SEARCH; a client that pipelines more
    /// of them still counts by the old numbers. Their UID forms are other commands.
    pub(super) fn after(body: &Body) -> Expunges {
        match body {
            Body::Fetch { uid, .. } | Body::Store { uid, .. } | Body::Search { uid, .. }
                if !uid =>
            {
                Expunges::HoldBack
            }
            Body::Find(find) if find.tells_numbers() => Expunges::HoldBack,
            _ => Expunges::Tell,
        }
    }
}

impl<S: Mailstore> Session<S> {
    /// Brings the view up to now and tells the client; `quiet` says which changes of flags it
    /// need not be told, because it made them.
    pub(super) async fn tell<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        expunges: Expunges,
        mut quiet: impl FnMut(Uid, Flags, Keywords) -> bool,
    ) -> Result<(), Ended> {
        let Some(selected) = &mut self.selected else {
            return Ok(());
        };
        let changes = self
            .store
            .sync(&mut selected.view, expunges == Expunges::Tell);
        if !changes.is_empty() {
            self.tell_keywords(dialogue.out());
        }
        let touched = changes.iter().filter_map(|change| match change {
            Change::Fetch { uid, .. } => Some((uid.0, uid.0)),
            _ => None,
        });
        let touched = UidSet::from_ranges(touched);
        for change in changes {
            match change {
                Change::Expunge { sequence, uid } => {
                    self.leave_results(dialogue.out(), uid, sequence);
                    data::expunge(dialogue.out(), sequence);
                }
                Change::Exists(exists) => data::exists(dialogue.out(), exists),
                Change::Recent(recent) if !self.rev2 => {
                    data::recent(dialogue.out(), recent);
                }
                Change::Recent(_) => {}
                Change::Fetch {
                    uid,
                    flags,
                    keywords,
                    ..
                } if quiet(uid, flags, keywords) => {}
                Change::Fetch {
                    sequence,
                    uid,
                    flags,
                    keywords,
                    ..
                } => {
                    self.write_changed(dialogue.out(), sequence, uid, (flags, keywords), true);
                }
                Change::Gone => return self.leave_deleted(dialogue).await,
            }
            dialogue.flush_if_full().await?;
        }
        match self.has_results() {
            true => Box::pin(self.update_results(dialogue, &touched)).await,
            false => Ok(()),
        }
    }

    /// A new keyword is told before the first FETCH that has it.
    pub(super) fn tell_keywords(&mut self, out: &mut Vec<u8>) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        let keywords = self.store.keywords(self.account, selected.view.mailbox());
        if keywords.len() != selected.keywords.len() {
            selected.keywords = keywords;
            write_flags(out, selected);
        }
    }

    /// `* n FETCH (UID u FLAGS (…))`. What nobody asked for bears its UID, for clients that keep no
    /// numbers; the answer to a STORE by number does not.
    pub(super) fn write_changed(
        &self,
        out: &mut Vec<u8>,
        sequence: u32,
        uid: Uid,
        flags: (Flags, Keywords),
        with_uid: bool,
    ) {
        let mut fetch = Fetch::open(out, sequence);
        if with_uid {
            fetch.uid(out, uid);
        }
        if let Some(selected) = &self.selected {
            FlagsShown::in_session(selected, self.rev2).write(out, &mut fetch, uid, flags);
        }
        fetch.close(out);
    }

    /// Somebody else deleted the mailbox (RFC 2180 §3.3): there is nothing to go on with, and only
    /// an end of the connection is understood by every client.
    async fn leave_deleted<I: Io>(&mut self, dialogue: &mut Dialogue<I>) -> Result<(), Ended> {
        self.selected = None;
        code::bye(dialogue.out(), None, text::MAILBOX_GONE);
        dialogue.flush().await?;
        Err(Ended::Finished)
    }
}
