//! How many messages one command may work on (RFC 9738).
//!
//! A command that names more works on those with the highest UIDs and says how far down it came;
//! one that does all or nothing does nothing.

use super::Session;
use super::mailstore::Mailstore;
use super::reply::{Reply, say};
use super::sequence;
use crate::wire::imap::find::Partial;
use crate::wire::imap::response::code::Code;
use store::mail::id::Uid;
use store::mail::uidset::UidSet;

impl<S: Mailstore> Session<S> {
    /// What of `uids` this command works on, remembered for its reply. PARTIAL asks for a number of
    /// messages that is known beforehand: too many are refused.
    pub(super) fn within_limit(
        &mut self,
        uids: UidSet,
        partial: Option<Partial>,
    ) -> Result<UidSet, Reply> {
        let Some(limit) = self.terms.messages_max else {
            return Ok(uids);
        };
        if partial.is_some_and(|partial| partial.first.abs_diff(partial.last) >= limit) {
            return Err(too_many(limit, None));
        }
        if uids.len() <= u64::from(limit) {
            return Ok(uids);
        }
        let some = highest(&uids, limit);
        self.came_down_to = lowest(&some);
        Ok(some)
    }

    /// Nothing where there are too many: COPY is all or nothing (RFC 9738 §3.1).
    pub(super) fn whole_within_limit(&self, uids: &UidSet) -> Result<(), Reply> {
        match self.terms.messages_max {
            Some(limit) if uids.len() > u64::from(limit) => {
                Err(too_many(limit, lowest(&highest(uids, limit))))
            }
            _ => Ok(()),
        }
    }

    /// RFC 9738 §3.1: MESSAGELIMIT in the tagged reply, or before it where that has another code.
    pub(super) fn with_limit(&mut self, out: &mut Vec<u8>, reply: Reply) -> Reply {
        let (Some(lowest), Some(limit)) = (self.came_down_to.take(), self.terms.messages_max)
        else {
            return reply;
        };
        let code = Code::MessageLimit(limit, Some(lowest));
        if reply.is_plain_ok() {
            return reply.with(code);
        }
        Reply::no(say::MESSAGE_LIMIT).with(code).write_untagged(out);
        reply
    }
}

fn too_many(limit: u32, lowest: Option<Uid>) -> Reply {
    Reply::no(say::MESSAGE_LIMIT).with(Code::MessageLimit(limit, lowest))
}

fn highest(uids: &UidSet, limit: u32) -> UidSet {
    let newest = Partial {
        from_last: true,
        first: 1,
        last: limit,
    };
    sequence::part(uids, newest)
}

fn lowest(uids: &UidSet) -> Option<Uid> {
    uids.ranges().first().map(|range| Uid(range.0))
}
