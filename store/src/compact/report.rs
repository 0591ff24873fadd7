//! What a task has done: figures, and the damage that it came by.

use crate::error::Container;
use crate::mail::id::{AccountId, ItemId, MailboxId, Uid};
use std::fmt;

/// The sum of one or several tasks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Of the files that were emptied.
    pub bytes_before: u64,
    /// Of the files that were written instead.
    pub bytes_after: u64,
    pub segments_emptied: u32,
    pub packs_emptied: u32,
    pub packs_written: u32,
    pub records_moved: u64,
    /// Blocks of packs that were copied as they were stored.
    pub blocks_copied: u64,
    /// Of the records that were moved, before compression.
    pub moved_bytes: u64,
    /// Of packs, before compression, as far as it is known: nobody needs them any more.
    pub dead_bytes: u64,
    /// The same packs, all of them.
    pub packed_bytes: u64,
    pub damage: Vec<Damage>,
    /// Messages that were signed for searches.
    pub signed: u64,
    /// There is more to be signed, or to be tidied up of what is.
    pub has_more_to_sign: bool,
}

/// Something that was durable and is not what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    pub container: Container,
    /// In bytes from the start of the file.
    pub offset: u64,
    pub what: &'static str,
    /// What is lost by it; `None` where it costs nothing that somebody has.
    pub lost: Option<Lost>,
}

/// What somebody misses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    Message(LostMessage),
    /// An item of the queue: its recipient, or the message for it, cannot be read.
    Item(ItemId),
}

/// Where a message was, for those who miss it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LostMessage {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub uid: Uid,
}

impl Report {
    /// Adds what another task has done. What is dead, the later one knows better.
    pub fn add(&mut self, later: Report) {
        self.bytes_before += later.bytes_before;
        self.bytes_after += later.bytes_after;
        self.segments_emptied += later.segments_emptied;
        self.packs_emptied += later.packs_emptied;
        self.packs_written += later.packs_written;
        self.records_moved += later.records_moved;
        self.blocks_copied += later.blocks_copied;
        self.moved_bytes += later.moved_bytes;
        if later.packed_bytes > 0 {
            self.dead_bytes = later.dead_bytes;
            self.packed_bytes = later.packed_bytes;
        }
        self.damage.extend(later.damage);
        self.signed += later.signed;
        self.has_more_to_sign = later.has_more_to_sign;
    }

    /// Whether anything was emptied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments_emptied == 0 && self.packs_emptied == 0
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (container, offset, what) = (self.container, self.offset, self.what);
        write!(f, "{container} at {offset}: {what}")?;
        match &self.lost {
            Some(Lost::Item(item)) => write!(f, "; item {item} of the queue"),
            Some(Lost::Message(lost)) => write!(
                f,
                "; account {} mailbox {} uid {}",
                lost.account, lost.mailbox, lost.uid
            ),
            None => Ok(()),
        }
    }
}
