//! MEMO: a small durable fact under a key, which a later one replaces or takes away.
//!
//! ```text
//!   nothing known ── put ──→ in force ── put ──→ in force ── its time is over ──→ nothing
//!                                    └── removed ──→ nothing
//! ```

use super::{Broken, kind};
use crate::codec::{Fields, Put};
use crate::limit::{MEMO_KEY_BYTES_MAX, MEMO_VALUE_BYTES_MAX};

/// Which book a memo is in: keys of different books never meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Space(pub u8);

impl Space {
    /// Addresses that no mail is sent to.
    pub const SUPPRESSION: Space = Space(1);
    /// What was injected under a key of the sender's choice.
    pub const IDEMPOTENCY: Space = Space(2);
    /// What of the queue is not to be tried for a time.
    pub const SUSPENSION: Space = Space(3);
    /// Numbers that outlive a start.
    pub const COUNTER: Space = Space(4);
    /// Other ways that the operator ordered for mail that waits.
    pub const REROUTE: Space = Space(5);
    /// Unique ids of POP3 that messages brought along from other servers.
    pub const UIDL: Space = Space(16);
    /// When messages were retrieved by POP3.
    pub const RETRIEVED: Space = Space(17);
    /// What others may do with a mailbox, by mailbox.
    pub const RIGHTS: Space = Space(6);
    /// The same by who may.
    pub const LENT: Space = Space(7);
    /// What is noted of mailboxes and accounts.
    pub const ANNOTATIONS: Space = Space(8);
    /// How many messages and mailboxes an account may have.
    pub const LIMITS: Space = Space(9);
    /// What rules ordered of a site.
    pub const RULED: Space = Space(32);
    /// Receipts that senders are owed.
    pub const RECEIPT: Space = Space(33);
}

/// A small durable fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memo {
    pub space: Space,
    /// At most [`MEMO_KEY_BYTES_MAX`] octets.
    pub key: Vec<u8>,
    /// At most [`MEMO_VALUE_BYTES_MAX`] octets.
    pub value: Vec<u8>,
    /// From this second since 1970 on it is not in force any more; 0: it always is.
    pub expiry_secs: i64,
}

/// What becomes of a memo.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemoChange {
    /// It is in force from now on, in place of one that has its key.
    Put(Memo),
    /// None has this key any more.
    Remove(Space, Vec<u8>),
}

/// A change of a memo as the log has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoFact {
    pub change: MemoChange,
    /// It is put, and nothing was known of its key when this was written: once its time is over,
    /// nothing need be kept of it.
    pub is_first: bool,
}

impl MemoChange {
    #[must_use]
    pub fn space(&self) -> Space {
        match self {
            MemoChange::Put(memo) => memo.space,
            MemoChange::Remove(space, _) => *space,
        }
    }

    #[must_use]
    pub fn key(&self) -> &[u8] {
        match self {
            MemoChange::Put(memo) => &memo.key,
            MemoChange::Remove(_, key) => key,
        }
    }

    /// Octets of key and value.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            MemoChange::Put(memo) => memo.octets(),
            MemoChange::Remove(_, key) => key.len(),
        }
    }

    /// Why it cannot be written down.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match self {
            MemoChange::Put(memo) => memo.fault(),
            MemoChange::Remove(_, key) => fault_of_key(key),
        }
    }
}

impl Memo {
    /// Octets of key and value.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.key.len() + self.value.len()
    }

    /// Why it cannot be written down.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let is_long = self.value.len() > MEMO_VALUE_BYTES_MAX;
        fault_of_key(&self.key)
            .or(is_long.then_some("the value of a memo is longer than 4,096 octets"))
            .or((self.expiry_secs < 0).then_some("the expiry of a memo lies before 1970"))
    }
}

fn fault_of_key(key: &[u8]) -> Option<&'static str> {
    (key.len() > MEMO_KEY_BYTES_MAX).then_some("the key of a memo is longer than 512 octets")
}

const _: () = assert!(MEMO_KEY_BYTES_MAX == 512 && MEMO_VALUE_BYTES_MAX == 4096);

impl MemoFact {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<MemoFact, Broken> {
        let sub = fields.u8()?;
        let space = Space(fields.u8()?);
        let key = fields.blob()?.to_vec();
        let change = match sub {
            REMOVED => MemoChange::Remove(space, key),
            PUT | FIRST_PUT => MemoChange::Put(Memo {
                space,
                key,
                expiry_secs: fields.i64()?,
                value: fields.blob()?.to_vec(),
            }),
            _ => return Err(Broken("unknown change of a memo")),
        };
        match change.fault() {
            Some(what) => Err(Broken(what)),
            None => Ok(MemoFact {
                change,
                is_first: sub == FIRST_PUT,
            }),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        let sub = match (&self.change, self.is_first) {
            (MemoChange::Remove(..), _) => REMOVED,
            (MemoChange::Put(_), false) => PUT,
            (MemoChange::Put(_), true) => FIRST_PUT,
        };
        out.put_u8(sub);
        out.put_u8(self.change.space().0);
        out.put_blob(self.change.key());
        if let MemoChange::Put(memo) = &self.change {
            out.put_i64(memo.expiry_secs);
            out.put_blob(&memo.value);
        }
        kind::MEMO
    }
}

const REMOVED: u8 = 0;
const PUT: u8 = 1;
const FIRST_PUT: u8 = 2;
