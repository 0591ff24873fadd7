//! One session's frozen picture of a mailbox: sequence number ↔ UID (RFC 9051 §2.3.1.2).

use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{AccountId, MailboxId, ModSeq, Uid, UidValidity};
use crate::mail::uidset::UidSet;

/// What a session believes to be in the mailbox. It changes only by `Shard::sync`.
#[derive(Debug)]
pub struct View {
    pub account: AccountId,
    pub mailbox: MailboxId,
    pub uid_validity: UidValidity,
    /// Ascending; the message with sequence number `n` is `uids[n - 1]`.
    pub(crate) uids: Vec<u32>,
    /// Every change up to here is in the picture.
    pub(crate) modseq: ModSeq,
    /// Expunges up to here are in the picture; behind `modseq` while they are held back.
    pub(crate) expunged_modseq: ModSeq,
    /// UIDs from here on have not been looked at.
    pub(crate) uid_next: Uid,
    /// The messages that this session was the first to see: `\Recent` (RFC 3501 §2.3.2).
    pub(crate) recent: UidSet,
    /// SELECT takes `\Recent` away from later sessions, EXAMINE does not.
    pub(crate) claims_recent: bool,
    /// The mailbox was deleted, and the session was told.
    pub(crate) is_gone: bool,
}

impl View {
    /// How many messages the session believes to be there.
    #[must_use]
    pub fn exists(&self) -> u32 {
        self.uids.len() as u32
    }

    /// The UID of a sequence number, from 1.
    #[must_use]
    pub fn uid(&self, sequence: u32) -> Option<Uid> {
        self.uids
            .get(sequence.checked_sub(1)? as usize)
            .copied()
            .map(Uid)
    }

    /// The sequence number of a UID, from 1.
    #[must_use]
    pub fn sequence(&self, uid: Uid) -> Option<u32> {
        self.uids.binary_search(&uid.0).ok().map(|at| at as u32 + 1)
    }

    /// Every UID in the picture, ascending: index 0 is sequence number 1.
    #[must_use]
    pub fn uids(&self) -> &[u32] {
        &self.uids
    }

    #[must_use]
    pub fn recent(&self) -> &UidSet {
        &self.recent
    }

    /// UIDs from here on are not in the picture, whether they exist or not.
    #[must_use]
    pub fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// The MODSEQ up to which the session has seen every change.
    #[must_use]
    pub fn modseq(&self) -> ModSeq {
        self.modseq
    }
}

/// One step from an old picture to a new one, in the order in which to tell the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// `sequence` is counted after the expunges told before this one.
    Expunge {
        sequence: u32,
        uid: Uid,
    },
    Exists(u32),
    Recent(u32),
    Fetch {
        sequence: u32,
        uid: Uid,
        modseq: ModSeq,
        flags: Flags,
        keywords: Keywords,
    },
    /// The mailbox was deleted; the view is empty for ever.
    Gone,
}
