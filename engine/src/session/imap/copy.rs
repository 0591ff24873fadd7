//! COPY and MOVE, by sequence number and by UID (RFC 9051 §6.4.7, §6.4.8, RFC 4315 §3).

use super::Session;
use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::{Mailstore, Picture};
use super::reply::{Reply, say};
use super::sequence;
use crate::wire::imap::command::SequenceSet;
use crate::wire::imap::response::text;
use store::error::ChangeError;
use store::mail::uidset::UidSet;
use store::shard::{Copied, Transfer};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Copy,
    Move,
}

impl<S: Mailstore> Session<S> {
    pub(super) async fn copy<I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        kind: Kind,
        uid: bool,
        set: &SequenceSet,
        name: &str,
    ) -> Result<Reply, Ended> {
        let Some(selected) = &self.selected else {
            return Ok(Reply::not_selected());
        };
        let view = &selected.view;
        let Ok(uids) = sequence::messages(view, set, uid, &selected.saved) else {
            return Ok(Reply::out_of_range());
        };
        if kind == Kind::Move && selected.read_only {
            return Ok(Reply::read_only());
        }
        let Some(target) = self.store.mailbox(self.account, name) else {
            return Ok(Reply::try_create());
        };
        if uids.is_empty() {
            return Ok(Reply::ok(say::NOTHING_THERE));
        }
        let source = view.mailbox();
        let within = match kind {
            Kind::Copy => self.whole_within_limit(&uids).map(|()| uids),
            Kind::Move => self.within_limit(uids, None),
        };
        let uids = match within {
            Ok(uids) => uids,
            Err(reply) => return Ok(reply),
        };
        let transfer = Transfer {
            source,
            uids: &uids,
            target: target.id,
            and_expunge: kind == Kind::Move,
        };
        let copied = dialogue
            .meanwhile(self.store.copy(self.account, transfer))
            .await;
        match (copied, kind) {
            (Err(ChangeError::NoMailbox), _) => Ok(Reply::try_create()),
            (Err(error), _) => Ok(Reply::failed(&error)),
            (Ok(copied), _) if copied.pairs.is_empty() => Ok(Reply::expunge_issued()),
            (Ok(copied), Kind::Copy) => Ok(with_copy_uid(Reply::ok(text::COPY_DONE), &copied)),
            (Ok(copied), Kind::Move) => {
                // RFC 9051 §6.4.8: COPYUID comes before the EXPUNGEs, which the sync tells.
                with_copy_uid(Reply::ok(text::MOVE_DONE), &copied).write_untagged(dialogue.out());
                dialogue.flush_if_full().await?;
                Ok(Reply::ok(text::MOVE_DONE))
            }
        }
    }
}

pub(super) fn with_copy_uid(reply: Reply, copied: &Copied) -> Reply {
    let from = UidSet::from_ascending(copied.pairs.iter().map(|pair| pair.0));
    let to = UidSet::from_ascending(copied.pairs.iter().map(|pair| pair.1));
    reply.with_copy_uid(copied.uid_validity, from, to)
}
