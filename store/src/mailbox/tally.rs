//! What STATUS says of a mailbox without a look at its rows: counts kept up with every change.

use super::row::Row;
use crate::mail::flags::Flags;
use crate::mail::id::Uid;

/// Counts of the messages of one mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    pub messages: u32,
    /// Without `\Seen`.
    pub unseen: u32,
    /// With `\Deleted`.
    pub deleted: u32,
    /// With a UID that no session has claimed as `\Recent`.
    pub recent: u32,
    pub octets: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, row: &Row, recent_first: Uid) {
        self.messages += 1;
        self.reckon(row.flags);
        self.recent += u32::from(row.uid >= recent_first);
        self.octets += u64::from(row.octets);
    }

    /// Counts the flags of one message, and nothing else of it.
    pub(super) fn reckon(&mut self, flags: Flags) {
        self.unseen += u32::from(is_unseen(flags));
        self.deleted += u32::from(is_deleted(flags));
    }

    pub(crate) fn remove(&mut self, row: &Row, recent_first: Uid) {
        let mut one = Tally::default();
        one.add(row, recent_first);
        *self = self
            .without(&one)
            .expect("a message is counted once, then uncounted");
    }

    fn without(&self, other: &Tally) -> Option<Tally> {
        Some(Tally {
            messages: self.messages.checked_sub(other.messages)?,
            unseen: self.unseen.checked_sub(other.unseen)?,
            deleted: self.deleted.checked_sub(other.deleted)?,
            recent: self.recent.checked_sub(other.recent)?,
            octets: self.octets.checked_sub(other.octets)?,
        })
    }

    /// A message that is counted has other flags now.
    pub(crate) fn reflag(&mut self, old: Flags, new: Flags) {
        recount(&mut self.unseen, is_unseen(old), is_unseen(new));
        recount(&mut self.deleted, is_deleted(old), is_deleted(new));
    }
}

fn is_unseen(flags: Flags) -> bool {
    !flags.contains(Flags::SEEN)
}

fn is_deleted(flags: Flags) -> bool {
    flags.contains(Flags::DELETED)
}

fn recount(counter: &mut u32, before: bool, after: bool) {
    *counter = (*counter + u32::from(after))
        .checked_sub(u32::from(before))
        .expect("a message is counted once, then uncounted");
}
