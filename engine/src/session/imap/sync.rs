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
use crate::wire::imap::response::resync::{RANGES_A_LINE, vanished};
use crate::wire::imap::response::{code, data, text};
use store::mail::flags::{Flags, Keywords};
use store::mail::id::{ModSeq, Uid};
use store::mail::uidset::UidSet;
use store::mailbox::{Change, Row};

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

/// What of one message is told when its flags change.
#[derive(Clone, Copy)]
pub(super) struct Changed {
    pub(super) uid: Uid,
    pub(super) modseq: ModSeq,
    pub(super) flags: (Flags, Keywords),
}

impl From<&Row> for Changed {
    fn from(row: &Row) -> Changed {
        Changed {
            uid: row.uid,
            modseq: row.modseq,
            flags: (row.flags, row.keywords),
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
        let fresh = selected.view.uid_next();
        let changes = self
            .store
            .sync(&mut selected.view, expunges == Expunges::Tell);
        if changes.is_empty() {
            return Ok(());
        }
        self.tell_keywords(dialogue.out());
        let notify = self.notify.as_ref();
        let tells_flags = notify.is_none_or(|notify| notify.tells_flags());
        // The store names them first.
        let is_expunge = |change: &Change| matches!(change, Change::Expunge { .. });
        let (gone, changes): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_expunge);
        self.tell_expunges(dialogue, &gone).await?;
        let touched = changes.iter().filter_map(|change| match change {
            Change::Fetch { uid, .. } => Some((uid.0, uid.0)),
            _ => None,
        });
        let touched = UidSet::from_ranges(touched);
        for change in changes {
            match change {
                Change::Expunge { .. } => {}
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
                } if !tells_flags || quiet(uid, flags, keywords) => {}
                Change::Fetch {
                    sequence,
                    uid,
                    flags,
                    keywords,
                    modseq,
                } => {
                    let flags = (flags, keywords);
                    let changed = Changed { uid, modseq, flags };
                    self.write_changed(dialogue.out(), sequence, changed);
                }
                Change::Gone => return self.leave_deleted(dialogue).await,
            }
            dialogue.flush_if_full().await?;
        }
        self.tell_new(dialogue, fresh).await?;
        match self.has_results() {
            true => Box::pin(self.update_results(dialogue, &touched)).await,
            false => Ok(()),
        }
    }

    /// EXPUNGE one by one, or VANISHED together (RFC 7162 §3.2.10, RFC 9586 §3.6).
    async fn tell_expunges<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        gone: &[Change],
    ) -> Result<(), Ended> {
        let mut uids = Vec::new();
        for change in gone {
            let Change::Expunge { sequence, uid } = *change else {
                continue;
            };
            self.leave_results(dialogue.out(), uid, sequence);
            match self.dialect.tells_vanished() {
                true => uids.push((uid.0, uid.0)),
                false => data::expunge(dialogue.out(), sequence),
            }
            dialogue.flush_if_full().await?;
        }
        for ranges in UidSet::from_ranges(uids).ranges().chunks(RANGES_A_LINE) {
            let some = UidSet::from_ranges(ranges.iter().copied());
            vanished(dialogue.out(), false, &some);
            dialogue.flush_if_full().await?;
        }
        Ok(())
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

    /// `* n FETCH (UID u FLAGS (…))`, with MODSEQ for those who know it (RFC 7162 §3.2.4): what
    /// nobody asked for bears its UID, for clients that keep no numbers.
    pub(super) fn write_changed(&self, out: &mut Vec<u8>, sequence: u32, changed: Changed) {
        let mut fetch = self.open_fetch(out, sequence, changed.uid);
        if !self.dialect.uid_only {
            fetch.uid(out, changed.uid);
        }
        if let Some(selected) = &self.selected {
            let shown = FlagsShown::in_session(selected, self.rev2);
            shown.write(out, &mut fetch, changed.uid, changed.flags);
        }
        if self.dialect.condstore {
            fetch.modseq(out, changed.modseq);
        }
        fetch.close(out);
    }

    /// FETCH, or UIDFETCH where there are no numbers (RFC 9586 §3.3).
    pub(super) fn open_fetch(&self, out: &mut Vec<u8>, sequence: u32, uid: Uid) -> Fetch {
        match self.dialect.uid_only {
            true => Fetch::open_uid(out, uid),
            false => Fetch::open(out, sequence),
        }
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
