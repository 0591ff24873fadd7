//! QUEUE, ATTEMPT, END and HOLD: mail for other hosts, and what became of each recipient.
//!
//! ```text
//!   QUEUE ──→ item ──┬─ ATTEMPT … ATTEMPT ─┬──→ END
//!                    └─ HOLD ──── HOLD ────┘
//! ```
//!
//! An *item* is one recipient of one message. QUEUE gives out ids that follow each other; after an
//! END nothing is said of an item any more.

use super::message::{read_address, write_address};
use super::{Broken, kind};
use crate::codec::{Fields, Put};
use crate::limit::{HOST_BYTES_MAX, REPLY_BYTES_MAX, WAY_BYTES_MAX};
use crate::mail::address::Address;
use crate::mail::envelope::Notify;
use crate::mail::id::{ItemId, ObjectId};
use std::ops::Range;
use std::sync::Arc;

/// One recipient at another host, as custody is taken of it. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outbound {
    pub recipient: Address,
    pub notify: Notify,
    pub orcpt: Option<String>,
    /// Whose mail it is: the account or the name that submitted it.
    pub tenant: String,
    /// It is given up then.
    pub expiry_secs: i64,
    /// It is not tried before (RFC 4865); 0 for at once.
    pub not_before_secs: i64,
    /// RFC 6710 §4: from −9 to 9.
    pub priority: i8,
    /// What else the queue has to know of it, kept as it is; below 2^15.
    pub marks: u16,
    /// It is to be delivered by then (RFC 2852); 0 for no such wish.
    pub by_secs: i64,
    /// Received and other trace: octets before the body. Recipients of one message that have the
    /// same ones share them, here and on disk.
    pub prefix: Arc<[u8]>,
}

/// Recipients of one message at other hosts. They are the items from `first_item` on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    pub object: ObjectId,
    pub message: ObjectId,
    pub first_item: ItemId,
    pub enqueued_secs: i64,
    /// Octets of prefix and body.
    pub octets: u32,
    pub tenant: String,
    pub prefix: Arc<[u8]>,
    pub recipients: Vec<Leaving>,
}

/// What a QUEUE says of one recipient; see [`Outbound`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaving {
    pub address: Address,
    pub notify: Notify,
    pub orcpt: Option<String>,
    pub expiry_secs: i64,
    pub not_before_secs: i64,
    pub priority: i8,
    pub marks: u16,
    pub by_secs: i64,
}

impl Queue {
    /// The items, in the order of the recipients.
    #[must_use]
    pub fn items(&self) -> Range<u64> {
        self.first_item.0
            ..self
                .first_item
                .0
                .saturating_add(self.recipients.len() as u64)
    }

    /// A QUEUE without recipients, and those of it that are `wanted`, each with its item: one for
    /// hundreds of sites is read once for each of them, and then by far the most are not.
    pub(crate) fn decode_some(
        payload: &[u8],
        wanted: &[ItemId],
    ) -> Result<(Queue, Vec<(ItemId, Leaving)>), Broken> {
        let mut fields = Fields::new(payload);
        let (queue, count) = Queue::read_head(&mut fields)?;
        let mut found = Vec::with_capacity(wanted.len().min(count as usize));
        for item in (queue.first_item.0..).take(count as usize).map(ItemId) {
            match wanted.contains(&item) {
                true => found.push((item, Leaving::read(&mut fields)?)),
                false => Leaving::pass(&mut fields)?,
            }
        }
        let end = fields.end();
        end.map_err(|_| Broken("octets behind the last field"))?;
        Ok((queue, found))
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Queue, Broken> {
        let (mut queue, count) = Queue::read_head(fields)?;
        for _ in 0..count {
            queue.recipients.push(Leaving::read(fields)?);
        }
        Ok(queue)
    }

    /// What comes before the recipients, and how many these are.
    fn read_head(fields: &mut Fields<'_>) -> Result<(Queue, u32), Broken> {
        let queue = Queue {
            object: ObjectId(fields.u64()?),
            message: ObjectId(fields.u64()?),
            first_item: ItemId(fields.u64()?),
            enqueued_secs: fields.i64()?,
            octets: fields.u32()?,
            tenant: fields.text()?,
            prefix: fields.blob()?.into(),
            recipients: Vec::new(),
        };
        let count = fields.u32()?;
        let last = queue.first_item.0.checked_add(u64::from(count));
        if queue.first_item.0 == 0 || last.is_none_or(|last| last > ITEMS_MAX) {
            return Err(Broken("numbers of items that cannot be"));
        }
        if queue.object.0 >= OBJECTS_MAX {
            return Err(Broken("the number of an object that cannot be"));
        }
        Ok((queue, count))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u64(self.object.0);
        out.put_u64(self.message.0);
        out.put_u64(self.first_item.0);
        out.put_i64(self.enqueued_secs);
        out.put_u32(self.octets);
        out.put_text(&self.tenant);
        out.put_blob(&self.prefix);
        out.put_u32(u32::try_from(self.recipients.len()).expect("RECIPIENTS_MAX bounds them"));
        for recipient in &self.recipients {
            recipient.write(out);
        }
        kind::QUEUE
    }
}

impl Leaving {
    fn read(fields: &mut Fields<'_>) -> Result<Leaving, Broken> {
        let mut leaving = Leaving {
            address: read_address(fields)?,
            notify: Notify(fields.u8()?),
            orcpt: fields.optional_text()?,
            expiry_secs: fields.i64()?,
            not_before_secs: fields.i64()?,
            priority: fields.i8()?,
            marks: fields.u16()?,
            by_secs: 0,
        };
        if leaving.marks & HAS_BY != 0 {
            leaving.marks &= !HAS_BY;
            leaving.by_secs = fields.i64()?;
            if leaving.by_secs == 0 {
                return Err(Broken("a time to deliver by that is none"));
            }
        }
        Ok(leaving)
    }

    /// Passes over one.
    fn pass(fields: &mut Fields<'_>) -> Result<(), Broken> {
        fields.blob()?;
        fields.blob()?;
        fields.u8()?;
        match fields.u8()? {
            0 => {}
            1 => drop(fields.blob()?),
            _ => return Err(Broken("an optional text that is neither there nor not")),
        }
        fields.bytes(PACE_BYTES)?;
        if fields.u16()? & HAS_BY != 0 {
            fields.i64()?;
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_address(&self.address, out);
        out.put_u8(self.notify.0);
        out.put_optional_text(self.orcpt.as_deref());
        out.put_i64(self.expiry_secs);
        out.put_i64(self.not_before_secs);
        out.put_i8(self.priority);
        assert!(self.marks & HAS_BY == 0, "the engine's marks are 15");
        match self.by_secs {
            0 => out.put_u16(self.marks),
            by_secs => {
                out.put_u16(self.marks | HAS_BY);
                out.put_i64(by_secs);
            }
        }
    }
}

impl Outbound {
    /// Tenant and prefix, which recipients of one message share, and the rest.
    pub(crate) fn split(self) -> (Leaving, String, Arc<[u8]>) {
        let leaving = Leaving {
            address: self.recipient,
            notify: self.notify,
            orcpt: self.orcpt,
            expiry_secs: self.expiry_secs,
            not_before_secs: self.not_before_secs,
            priority: self.priority,
            marks: self.marks,
            by_secs: self.by_secs,
        };
        (leaving, self.tenant, self.prefix)
    }

    /// In an OFFER. With `same` tenant and prefix are those of the one before.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        before: Option<&Outbound>,
    ) -> Result<Outbound, Broken> {
        let leaving = Leaving::read(fields)?;
        let (tenant, prefix) = match (fields.u8()?, before) {
            (0, _) => (fields.text()?, fields.blob()?.into()),
            (1, Some(before)) => (before.tenant.clone(), before.prefix.clone()),
            _ => return Err(Broken("trace that is neither there nor that of another")),
        };
        Ok(Outbound {
            recipient: leaving.address,
            notify: leaving.notify,
            orcpt: leaving.orcpt,
            tenant,
            expiry_secs: leaving.expiry_secs,
            not_before_secs: leaving.not_before_secs,
            priority: leaving.priority,
            marks: leaving.marks,
            by_secs: leaving.by_secs,
            prefix,
        })
    }

    pub(super) fn write(&self, before: Option<&Outbound>, out: &mut Vec<u8>) {
        let (leaving, tenant, prefix) = self.clone().split();
        leaving.write(out);
        let is_same =
            before.is_some_and(|before| before.tenant == tenant && before.prefix == prefix);
        out.put_u8(u8::from(is_same));
        if !is_same {
            out.put_text(&tenant);
            out.put_blob(&prefix);
        }
    }
}

/// What the other host said, or what kept us from asking it. Longer texts are cut when written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostReply {
    /// The host that was asked; empty where there was none to ask.
    pub host: String,
    /// RFC 5321 §4.2: three digits; 0 where no reply came.
    pub code: u16,
    /// RFC 3463, if the reply had one or we found one.
    pub enhanced: Option<Enhanced>,
    /// Its words, or ours where no reply came; at most [`REPLY_BYTES_MAX`] octets.
    pub text: String,
    /// How it came; `None` where nobody was reached, and in records of the first builds.
    pub way: Option<Arc<Way>>,
}

/// The connection that a reply came by. Each text has at most [`WAY_BYTES_MAX`] octets; longer ones
/// are cut when written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Way {
    /// Address and port of the host.
    pub address: String,
    /// The address that we connected from; empty where the kernel chose it.
    pub source: String,
    /// Version and cipher, and whether the host has proven who it is; empty: in clear.
    pub tls: String,
}

impl Way {
    fn read(fields: &mut Fields<'_>) -> Result<Way, Broken> {
        let way = Way {
            address: fields.text()?,
            source: fields.text()?,
            tls: fields.text()?,
        };
        let texts = [&way.address, &way.source, &way.tls];
        match texts.iter().any(|text| text.len() > WAY_BYTES_MAX) {
            true => Err(Broken("the way of a reply is longer than any is kept")),
            false => Ok(way),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for text in [&self.address, &self.source, &self.tls] {
            out.put_text(cut(text, WAY_BYTES_MAX));
        }
    }
}

/// An enhanced status code: class, subject, detail (RFC 3463 §2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enhanced {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl HostReply {
    fn read(fields: &mut Fields<'_>) -> Result<HostReply, Broken> {
        let mut reply = HostReply {
            host: fields.text()?,
            code: fields.u16()?,
            enhanced: match fields.u8()? {
                0 => None,
                class => Some(Enhanced {
                    class,
                    subject: fields.u16()?,
                    detail: fields.u16()?,
                }),
            },
            text: fields.text()?,
            way: None,
        };
        // The first builds ended here, and so does what has no way.
        if !fields.is_empty() {
            reply.way = Some(Arc::new(Way::read(fields)?));
        }
        if reply.host.len() > HOST_BYTES_MAX || reply.text.len() > REPLY_BYTES_MAX {
            return Err(Broken("a reply is longer than any is kept"));
        }
        Ok(reply)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put_text(cut(&self.host, HOST_BYTES_MAX));
        out.put_u16(self.code);
        match self.enhanced.filter(|enhanced| enhanced.class != 0) {
            None => out.put_u8(0),
            Some(enhanced) => {
                out.put_u8(enhanced.class);
                out.put_u16(enhanced.subject);
                out.put_u16(enhanced.detail);
            }
        }
        out.put_text(cut(&self.text, REPLY_BYTES_MAX));
        if let Some(way) = &self.way {
            way.write(out);
        }
    }
}

fn cut(text: &str, most: usize) -> &str {
    let end = text.floor_char_boundary(most);
    text.get(..end).unwrap_or_default()
}

/// An item was tried, and is to be tried again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    pub item: ItemId,
    pub at_secs: i64,
    /// This one included.
    pub attempts: u16,
    /// Not before then again.
    pub due_secs: i64,
    pub reply: HostReply,
}

impl Attempt {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Attempt, Broken> {
        Ok(Attempt {
            item: ItemId(fields.u64()?),
            at_secs: fields.i64()?,
            attempts: fields.u16()?,
            due_secs: fields.i64()?,
            reply: HostReply::read(fields)?,
        })
    }

    /// `object` finds the record as long as it is the last one of its item.
    pub(super) fn write(&self, object: ObjectId, out: &mut Vec<u8>) -> u8 {
        out.put_u64(object.0);
        out.put_u64(self.item.0);
        out.put_i64(self.at_secs);
        out.put_u16(self.attempts);
        out.put_i64(self.due_secs);
        self.reply.write(out);
        kind::ATTEMPT
    }
}

/// How an item ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Another host has it.
    Delivered,
    /// Another host, or we, refused it for good.
    Failed,
    /// Its time was over.
    Expired,
    /// The operator took it away.
    Dropped,
}

/// Nothing is to be done for an item any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    pub item: ItemId,
    pub at_secs: i64,
    pub ending: Ending,
    pub reply: HostReply,
}

impl End {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<End, Broken> {
        Ok(End {
            item: ItemId(fields.u64()?),
            at_secs: fields.i64()?,
            ending: match fields.u8()? {
                0 => Ending::Delivered,
                1 => Ending::Failed,
                2 => Ending::Expired,
                3 => Ending::Dropped,
                _ => return Err(Broken("unknown end of an item")),
            },
            reply: HostReply::read(fields)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u64(self.item.0);
        out.put_i64(self.at_secs);
        out.put_u8(match self.ending {
            Ending::Delivered => 0,
            Ending::Failed => 1,
            Ending::Expired => 2,
            Ending::Dropped => 3,
        });
        self.reply.write(out);
        kind::END
    }
}

/// The operator holds an item, or lets it go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    pub item: ItemId,
    /// It is not tried until this is taken back, but expires all the same.
    pub is_held: bool,
    /// When it is due from now on.
    pub due_secs: i64,
}

impl Hold {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Hold, Broken> {
        Ok(Hold {
            item: ItemId(fields.u64()?),
            is_held: match fields.u8()? {
                0 => false,
                1 => true,
                _ => return Err(Broken("a hold is neither 0 nor 1")),
            },
            due_secs: fields.i64()?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u64(self.item.0);
        out.put_u8(u8::from(self.is_held));
        out.put_i64(self.due_secs);
        kind::HOLD
    }
}

/// Of one recipient: when it expires, when it may leave, and its priority.
const PACE_BYTES: usize = 8 + 8 + 1;

/// The mark that says that a time to deliver by follows the marks.
const HAS_BY: u16 = 1 << 15;

/// Items are numbered below this: the checkpoint keeps them in 2^32 − 1 parts of 2^12.
const ITEMS_MAX: u64 = ((1 << 32) - 1) << 12;

/// A QUEUE is found by 48 bits: 2^48 objects are never made.
const OBJECTS_MAX: u64 = 1 << 48;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Fact;

    #[test]
    fn some_recipients_are_read_without_the_others() {
        let leaving = |number: u8| Leaving {
            address: Address::new(format!("u{number}"), "far.test"),
            notify: Notify(number % 3),
            orcpt: number
                .is_multiple_of(2)
                .then(|| format!("rfc822;u{number}@far.test")),
            expiry_secs: 1_800_000_000,
            not_before_secs: 0,
            priority: -1,
            marks: u16::from(number),
            by_secs: if number.is_multiple_of(3) {
                1_795_000_000
            } else {
                0
            },
        };
        let queue = Queue {
            object: ObjectId(9),
            message: ObjectId(8),
            first_item: ItemId(100),
            enqueued_secs: 1_790_000_000,
            octets: 7,
            tenant: "t".to_owned(),
            prefix: Arc::from(&b"Received: x\r\n"[..]),
            recipients: (0..20).map(leaving).collect(),
        };
        let mut payload = Vec::new();
        Fact::Queue(Box::new(queue.clone())).encode(&mut payload);
        let wanted = [
            ItemId(103),
            ItemId(119),
            ItemId(100),
            ItemId(99),
            ItemId(120),
        ];
        let (head, found) = Queue::decode_some(&payload, &wanted).unwrap();
        let expected = [0u8, 3, 19].map(|at| (ItemId(100 + u64::from(at)), leaving(at)));
        assert_eq!(found, expected);
        assert_eq!((head.message, head.prefix), (queue.message, queue.prefix));
        for cut in 0..payload.len() {
            assert!(Queue::decode_some(&payload[..cut], &wanted).is_err());
        }
    }
}
