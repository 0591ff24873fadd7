//! The complete list of facts that the log can hold, and their bytes (FORMAT.md, "Records").
//!
//! A fact says what is so from now on; applying the same facts in the same order gives the same
//! state, live and after a crash. Decoding never panics: a broken payload is [`Broken`].

mod mailbox;
mod memo;
mod message;
mod owner;
mod queue;
#[cfg(test)]
mod tests;

pub use mailbox::{CopiedRow, Copy, Expunge, FlagChange, FlagOp, MailboxFact};
pub use memo::{Memo, MemoChange, MemoFact, Space};
pub use message::{Deliver, DeliveredPart, MessageHead, Piece, Source};
pub use owner::{AccountFact, DomainFact, Offer, Share};
pub use queue::{Attempt, End, Ending, Enhanced, Hold, HostReply, Leaving, Outbound, Queue, Way};

use crate::codec::{Fields, Put, Short};
use crate::mail::id::ObjectId;
use std::fmt;

/// One fact, decoded. Octets of a body are not in here: they are read by place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A piece of a body whose MESSAGE comes in a later frame, or never.
    Body,
    Message(MessageHead),
    Deliver(Box<Deliver>),
    Flags(FlagChange),
    Expunge(Expunge),
    Copy(Copy),
    Mailbox(MailboxFact),
    Account(AccountFact),
    Domain(DomainFact),
    Offer(Box<Offer>),
    /// Everything offered to shard `target` up to `sequence` is durable there.
    Offered {
        target: u16,
        sequence: u64,
    },
    /// What shard `source` offered under `sequence` lies in this frame.
    Seen {
        source: u16,
        sequence: u64,
    },
    /// The wall clock when this was appended, in seconds since 1970: the first frame of each
    /// second has it, so that a backup can be restored to a moment.
    Time {
        secs: i64,
    },
    Queue(Box<Queue>),
    /// The object finds the record as long as it is the last attempt of its item.
    Attempt {
        object: ObjectId,
        attempt: Box<Attempt>,
    },
    End(Box<End>),
    Hold(Hold),
    Memo(Box<MemoFact>),
}

/// The kind byte of a record header.
pub mod kind {
    pub const BODY: u8 = 0x01;
    pub const MESSAGE: u8 = 0x02;
    pub const DELIVER: u8 = 0x03;
    pub const FLAGS: u8 = 0x04;
    pub const EXPUNGE: u8 = 0x05;
    pub const COPY: u8 = 0x06;
    pub const MAILBOX: u8 = 0x07;
    pub const ACCOUNT: u8 = 0x08;
    pub const DOMAIN: u8 = 0x09;
    pub const OFFER: u8 = 0x0a;
    pub const OFFERED: u8 = 0x0b;
    pub const SEEN: u8 = 0x0c;
    pub const TIME: u8 = 0x0d;
    pub const QUEUE: u8 = 0x0e;
    pub const ATTEMPT: u8 = 0x0f;
    pub const END: u8 = 0x10;
    pub const HOLD: u8 = 0x11;
    pub const MEMO: u8 = 0x12;

    /// Those that are objects: their payload begins with the number.
    pub const OBJECTS: [u8; 4] = [MESSAGE, DELIVER, QUEUE, ATTEMPT];
}

/// Why a payload cannot be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken(pub &'static str);

impl From<Short> for Broken {
    fn from(_: Short) -> Broken {
        Broken("a field is cut off or not well formed")
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Fact {
    pub fn decode(record_kind: u8, payload: &[u8]) -> Result<Fact, Broken> {
        let mut fields = Fields::new(payload);
        let fact = match record_kind {
            kind::BODY => return Ok(Fact::Body),
            kind::MESSAGE => return MessageHead::decode(payload).map(Fact::Message),
            kind::DELIVER => Fact::Deliver(Box::new(Deliver::read(&mut fields)?)),
            kind::FLAGS => Fact::Flags(FlagChange::read(&mut fields)?),
            kind::EXPUNGE => Fact::Expunge(Expunge::read(&mut fields)?),
            kind::COPY => Fact::Copy(Copy::read(&mut fields)?),
            kind::MAILBOX => Fact::Mailbox(MailboxFact::read(&mut fields)?),
            kind::ACCOUNT => Fact::Account(AccountFact::read(&mut fields)?),
            kind::DOMAIN => Fact::Domain(DomainFact::read(&mut fields)?),
            kind::OFFER => Fact::Offer(Box::new(Offer::read(&mut fields)?)),
            kind::OFFERED => Fact::Offered {
                target: fields.u16()?,
                sequence: fields.u64()?,
            },
            kind::SEEN => Fact::Seen {
                source: fields.u16()?,
                sequence: fields.u64()?,
            },
            kind::TIME => Fact::Time {
                secs: fields.i64()?,
            },
            kind::QUEUE => Fact::Queue(Box::new(Queue::read(&mut fields)?)),
            kind::ATTEMPT => Fact::Attempt {
                object: ObjectId(fields.u64()?),
                attempt: Box::new(Attempt::read(&mut fields)?),
            },
            kind::END => Fact::End(Box::new(End::read(&mut fields)?)),
            kind::HOLD => Fact::Hold(Hold::read(&mut fields)?),
            kind::MEMO => Fact::Memo(Box::new(MemoFact::read(&mut fields)?)),
            _ => return Err(Broken("unknown kind of record")),
        };
        fields
            .end()
            .map_err(|_| Broken("octets behind the last field"))?;
        Ok(fact)
    }

    /// Whether only segments may hold it that say so (FORMAT.md, "Segment").
    pub(crate) fn is_queue(&self) -> bool {
        match self {
            Fact::Queue(_) | Fact::Attempt { .. } | Fact::End(_) | Fact::Hold(_) => true,
            Fact::Offer(offer) => !offer.outbound.is_empty(),
            _ => false,
        }
    }

    /// The same of memos.
    pub(crate) fn is_memo(&self) -> bool {
        matches!(self, Fact::Memo(_))
    }

    /// Whether it says how a reply came, which came with the memos.
    pub(crate) fn has_way(&self) -> bool {
        match self {
            Fact::Attempt { attempt, .. } => attempt.reply.way.is_some(),
            Fact::End(end) => end.reply.way.is_some(),
            _ => false,
        }
    }

    /// Whether it says when a message was saved, which came with SAVEDATE.
    pub(crate) fn has_saves(&self) -> bool {
        match self {
            Fact::Deliver(deliver) => deliver.saved_secs != deliver.internal_date.unix_secs,
            Fact::Copy(copy) => copy.saved_secs.is_some(),
            _ => false,
        }
    }

    /// The kind byte, and the payload appended to `out`. A MESSAGE's body follows its head as
    /// further parts of the record.
    pub fn encode(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            Fact::Body => kind::BODY,
            Fact::Message(head) => head.write(out),
            Fact::Deliver(deliver) => deliver.write(out),
            Fact::Flags(change) => change.write(out),
            Fact::Expunge(expunge) => expunge.write(out),
            Fact::Copy(copy) => copy.write(out),
            Fact::Mailbox(fact) => fact.write(out),
            Fact::Account(fact) => fact.write(out),
            Fact::Domain(fact) => fact.write(out),
            Fact::Offer(offer) => offer.write(out),
            Fact::Offered { target, sequence } => {
                out.put_u16(*target);
                out.put_u64(*sequence);
                kind::OFFERED
            }
            Fact::Seen { source, sequence } => {
                out.put_u16(*source);
                out.put_u64(*sequence);
                kind::SEEN
            }
            Fact::Time { secs } => {
                out.put_i64(*secs);
                kind::TIME
            }
            Fact::Queue(queue) => queue.write(out),
            Fact::Attempt { object, attempt } => attempt.write(*object, out),
            Fact::End(end) => end.write(out),
            Fact::Hold(hold) => hold.write(out),
            Fact::Memo(memo) => memo.write(out),
        }
    }
}

/// Decodes anything without a panic; for the seeded fuzzer.
pub fn fuzz_record(record_kind: u8, payload: &[u8]) {
    if let Ok(fact) = Fact::decode(record_kind, payload)
        && !matches!(fact, Fact::Body | Fact::Message(_))
    {
        let mut again = Vec::new();
        assert_eq!(
            fact.encode(&mut again),
            record_kind,
            "a fact keeps its kind"
        );
        assert_eq!(
            Fact::decode(record_kind, &again),
            Ok(fact),
            "what was read is written alike"
        );
    }
}
