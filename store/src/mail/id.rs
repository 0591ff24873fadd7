//! Numbers with a meaning: one type each, so that none is taken for another.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by numbers that we give out ourselves: nobody chooses them so that they collide.
pub(crate) type IdMap<Id, T> = HashMap<Id, T, BuildHasherDefault<IdHasher>>;

/// Spreads numbers that follow one another (Fibonacci hashing).
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// The table looks at the highest and the lowest bits; the highest are the best.
    fn finish(&self) -> u64 {
        self.0.rotate_left(20)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A shard of this host, from 0.
    ShardId(u16)
}
number! {
    /// An account within its owner shard; never used again after the account is removed.
    AccountId(u32)
}
number! {
    /// A mailbox within its account; never used again after the mailbox is deleted.
    MailboxId(u32)
}
number! {
    /// A message within its mailbox, RFC 9051 §2.3.1.1: rises, and is never used again.
    Uid(u32)
}
number! {
    /// The life of a mailbox under its name, RFC 9051 §2.3.1.1.
    UidValidity(u32)
}
number! {
    /// A mod-sequence, RFC 7162 §3.1: one counter per account, 63 bits.
    ModSeq(u64)
}
number! {
    /// What the location table of a shard finds: a message or a delivery of it. Dense from 1.
    ObjectId(u64)
}
number! {
    /// One transaction that took custody, for logs and headers: unique on this host for ever.
    QueueId(u64)
}
number! {
    /// The position of a record in its shard's log: counts records and survives compaction.
    Lsn(u64)
}
number! {
    /// A frame of a shard's log: counts from 1, by one, for ever.
    FrameSeq(u64)
}
number! {
    /// One recipient of another host in the queue of a shard: rises, and is never used again.
    ItemId(u64)
}
