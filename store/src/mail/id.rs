//! Numbers with a meaning: one type each, so that none is taken for another.

use std::fmt;

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
