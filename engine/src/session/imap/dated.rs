//! Saying up to which MODSEQ a client has heard everything (RFC 7162 §3.2.7, RFC 6851 §4.5).
//!
//! Always with the reply to what expunges. A client that keeps a state (QRESYNC) is told with any
//! other plain OK once the MODSEQ moved: of a message that it appended itself no FETCH comes, and
//! by an old MODSEQ its next conditional STORE would fail and the flags pass for a conflict.

use super::Session;
use super::mailstore::{Mailstore, Picture};
use super::reply::{Reply, say};
use super::select::Selected;
use super::sync::Expunges;
use crate::wire::imap::command::Body;
use crate::wire::imap::response::Condition;
use crate::wire::imap::response::code::{self, Code};
use store::mail::id::ModSeq;

/// Whether the reply must say it.
pub(super) fn is_dated(body: &Body) -> bool {
    matches!(
        body,
        Body::Expunge | Body::UidExpunge(_) | Body::Move { .. }
    )
}

impl<S: Mailstore> Session<S> {
    /// The reply to a command after which `expunges` were told or held back.
    pub(super) fn dated(&mut self, reply: Reply, must: bool, expunges: Expunges) -> Reply {
        let owed = must && self.dialect.condstore;
        if !reply.is_plain_ok() || !(owed || self.has_moved(expunges)) {
            return reply;
        }
        match self.date() {
            Some(modseq) => reply.with(Code::HighestModSeq(modseq)),
            None => reply,
        }
    }

    /// The same without a command: VANISHED tells a client that waits for events what went, and
    /// only this tells it that the state is another one.
    pub(super) fn date_events(&mut self, out: &mut Vec<u8>, expunges: Expunges) {
        if !self.has_moved(expunges) {
            return;
        }
        if let Some(modseq) = self.date() {
            let code = Some(Code::HighestModSeq(modseq));
            code::untagged(out, Condition::Ok, code, say::HIGHEST_MODSEQ);
        }
    }

    /// Whether a client that keeps a state has heard everything up to a later MODSEQ than it knows.
    fn has_moved(&self, expunges: Expunges) -> bool {
        let notify = self.notify.as_ref();
        let hears_flags = notify.is_none_or(|notify| notify.tells_flags());
        let hears_all = hears_flags && expunges == Expunges::Tell;
        let has_moved = |selected: &Selected<S>| selected.view.modseq() > selected.dated;
        self.dialect.qresync && hears_all && self.selected.as_ref().is_some_and(has_moved)
    }

    fn date(&mut self) -> Option<ModSeq> {
        let selected = self.selected.as_mut()?;
        selected.dated = selected.view.modseq();
        Some(selected.dated)
    }
}
