//! Saying up to which MODSEQ a client has heard everything (RFC 7162 §3.2.7, RFC 6851 §4.5).
//!
//! Always with the reply to what expunges. A client that keeps a state (QRESYNC) is told with any
//! other plain OK once the MODSEQ moved: of a message that it appended itself no FETCH comes, and
//! by an old MODSEQ its next conditional STORE would fail and the flags pass for a conflict.

use super::Session;
use super::mailstore::{Mailstore, Picture};
use super::reply::Reply;
use super::sync::Expunges;
use crate::wire::imap::command::Body;
use crate::wire::imap::response::code::Code;

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
        let notify = self.notify.as_ref();
        let hears_flags = notify.is_none_or(|notify| notify.tells_flags());
        let Some(selected) = &mut self.selected else {
            return reply;
        };
        let modseq = selected.view.modseq();
        let hears_all = hears_flags && expunges == Expunges::Tell;
        let has_moved = self.dialect.qresync && hears_all && modseq > selected.dated;
        if !reply.is_plain_ok() || !(has_moved || must && self.dialect.condstore) {
            return reply;
        }
        selected.dated = modseq;
        reply.with(Code::HighestModSeq(modseq))
    }
}
