//! MESSAGE and DELIVER: a body with its envelope, and one recipient's share of it.

use super::{Broken, kind};
use crate::codec::{Fields, Put};
use crate::log::Place;
use crate::mail::address::Address;
use crate::mail::date::InternalDate;
use crate::mail::envelope::{BodyKind, Notify, Ret};
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{MailboxId, ModSeq, ObjectId, QueueId, Uid};

/// What a MESSAGE record says before the octets of its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageHead {
    pub object: ObjectId,
    /// The queue id of the transaction, as logs and Received show it; 0 for APPEND.
    pub queue: QueueId,
    /// When custody began, seconds since 1970.
    pub received_secs: i64,
    /// Octets of the body.
    pub octets: u64,
    pub source: Source,
    /// Where the body lies: empty when it follows inline.
    pub pieces: Vec<Piece>,
}

/// The message's part of the envelope (RFC 5321, RFC 3461, RFC 6531); APPEND has the default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// Whether an SMTP or LMTP transaction brought the message.
    pub is_transaction: bool,
    pub reverse_path: Option<Address>,
    pub body: BodyKind,
    pub smtputf8: bool,
    pub ret: Option<Ret>,
    pub envid: Option<String>,
}

/// One BODY record of a large message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    pub place: Place,
    pub octets: u32,
}

impl MessageHead {
    pub fn decode(payload: &[u8]) -> Result<MessageHead, Broken> {
        MessageHead::split(payload).map(|(head, _)| head)
    }

    /// The head and the octets that follow it: the body when it is inline.
    pub fn split(payload: &[u8]) -> Result<(MessageHead, &[u8]), Broken> {
        let mut fields = Fields::new(payload);
        let head = MessageHead {
            object: ObjectId(fields.u64()?),
            queue: QueueId(fields.u64()?),
            received_secs: fields.i64()?,
            octets: fields.u64()?,
            source: Source::read(&mut fields)?,
            pieces: read_pieces(&mut fields)?,
        };
        let body = fields.rest();
        let lying: u64 = head
            .pieces
            .iter()
            .map(|piece| u64::from(piece.octets))
            .sum();
        if lying + body.len() as u64 != head.octets {
            return Err(Broken("a body has another size than its message says"));
        }
        Ok((head, body))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u64(self.object.0);
        out.put_u64(self.queue.0);
        out.put_i64(self.received_secs);
        out.put_u64(self.octets);
        self.source.write(out);
        out.put_u32(u32::try_from(self.pieces.len()).expect("MESSAGE_BYTES_MAX bounds the pieces"));
        for piece in &self.pieces {
            out.put_u64(piece.place.0);
            out.put_u32(piece.octets);
        }
        kind::MESSAGE
    }
}

fn read_pieces(fields: &mut Fields<'_>) -> Result<Vec<Piece>, Broken> {
    let count = fields.u32()?;
    let mut pieces = Vec::new();
    for _ in 0..count {
        pieces.push(Piece {
            place: Place(fields.u64()?),
            octets: fields.u32()?,
        });
    }
    Ok(pieces)
}

const TRANSACTION: u8 = 1;
const SMTPUTF8: u8 = 1 << 1;
const RET_FULL: u8 = 1 << 2;
const RET_HEADERS: u8 = 1 << 3;
const EIGHT_BIT: u8 = 1 << 4;
const BINARY: u8 = 1 << 5;
const NULL_PATH: u8 = 1 << 6;

impl Source {
    fn read(fields: &mut Fields<'_>) -> Result<Source, Broken> {
        let bits = fields.u8()?;
        let reverse_path = match bits & NULL_PATH {
            0 => Some(read_address(fields)?),
            _ => None,
        };
        Ok(Source {
            is_transaction: bits & TRANSACTION != 0,
            reverse_path,
            body: match bits & (EIGHT_BIT | BINARY) {
                0 => BodyKind::SevenBit,
                EIGHT_BIT => BodyKind::EightBitMime,
                BINARY => BodyKind::BinaryMime,
                _ => return Err(Broken("two kinds of body")),
            },
            smtputf8: bits & SMTPUTF8 != 0,
            ret: match bits & (RET_FULL | RET_HEADERS) {
                0 => None,
                RET_FULL => Some(Ret::Full),
                RET_HEADERS => Some(Ret::Headers),
                _ => return Err(Broken("two kinds of RET")),
            },
            envid: fields.optional_text()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut bits = 0;
        if self.is_transaction {
            bits |= TRANSACTION;
        }
        if self.smtputf8 {
            bits |= SMTPUTF8;
        }
        bits |= match self.ret {
            None => 0,
            Some(Ret::Full) => RET_FULL,
            Some(Ret::Headers) => RET_HEADERS,
        };
        bits |= match self.body {
            BodyKind::SevenBit => 0,
            BodyKind::EightBitMime => EIGHT_BIT,
            BodyKind::BinaryMime => BINARY,
        };
        if self.reverse_path.is_none() {
            bits |= NULL_PATH;
        }
        out.put_u8(bits);
        if let Some(path) = &self.reverse_path {
            write_address(path, out);
        }
        out.put_optional_text(self.envid.as_deref());
    }
}

pub(super) fn read_address(fields: &mut Fields<'_>) -> Result<Address, Broken> {
    Ok(Address {
        local: fields.text()?,
        domain: fields.text()?,
    })
}

pub(super) fn write_address(address: &Address, out: &mut Vec<u8>) {
    out.put_text(&address.local);
    out.put_text(&address.domain);
}

/// A message arrives in a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deliver {
    pub object: ObjectId,
    pub message: ObjectId,
    pub mailbox: MailboxId,
    pub uid: Uid,
    pub modseq: ModSeq,
    pub flags: Flags,
    pub keywords: Keywords,
    pub internal_date: InternalDate,
    /// When it was put into the mailbox, seconds since 1970 (RFC 8514).
    pub saved_secs: i64,
    /// Octets of prefix and body.
    pub octets: u32,
    /// The envelope's recipient; `None` for APPEND.
    pub recipient: Option<Address>,
    pub notify: Notify,
    pub orcpt: Option<String>,
    /// Return-Path, Delivered-To, Received: octets before the body.
    pub prefix: Vec<u8>,
}

impl Deliver {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Deliver, Broken> {
        let mut deliver = Deliver {
            object: ObjectId(fields.u64()?),
            message: ObjectId(fields.u64()?),
            mailbox: MailboxId(fields.u32()?),
            uid: Uid(fields.u32()?),
            modseq: ModSeq(fields.u64()?),
            flags: Flags(fields.u16()?),
            keywords: Keywords(fields.u64()?),
            internal_date: read_date(fields)?,
            saved_secs: 0,
            octets: fields.u32()?,
            recipient: match fields.u8()? {
                0 => None,
                1 => Some(read_address(fields)?),
                _ => return Err(Broken("an option is neither 0 nor 1")),
            },
            notify: Notify(fields.u8()?),
            orcpt: fields.optional_text()?,
            prefix: fields.blob()?.to_vec(),
        };
        // Most mail has one date only, and earlier builds knew no other.
        deliver.saved_secs = match fields.is_empty() {
            true => deliver.internal_date.unix_secs,
            false => fields.i64()?,
        };
        Ok(deliver)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u64(self.object.0);
        out.put_u64(self.message.0);
        out.put_u32(self.mailbox.0);
        out.put_u32(self.uid.0);
        out.put_u64(self.modseq.0);
        out.put_u16(self.flags.0);
        out.put_u64(self.keywords.0);
        write_date(self.internal_date, out);
        out.put_u32(self.octets);
        out.put_u8(u8::from(self.recipient.is_some()));
        if let Some(recipient) = &self.recipient {
            write_address(recipient, out);
        }
        out.put_u8(self.notify.0);
        out.put_optional_text(self.orcpt.as_deref());
        out.put_blob(&self.prefix);
        if self.saved_secs != self.internal_date.unix_secs {
            out.put_i64(self.saved_secs);
        }
        kind::DELIVER
    }
}

/// What of a DELIVER tells what its message is, lent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliveredPart<'a> {
    pub object: ObjectId,
    pub message: ObjectId,
    /// Octets before the body.
    pub prefix: &'a [u8],
}

impl<'a> DeliveredPart<'a> {
    /// Of the payload of a DELIVER.
    pub fn decode(payload: &'a [u8]) -> Result<DeliveredPart<'a>, Broken> {
        let mut fields = Fields::new(payload);
        let (object, message) = (ObjectId(fields.u64()?), ObjectId(fields.u64()?));
        fields.bytes(BETWEEN_BYTES)?;
        if fields.u8()? == 1 {
            read_address(&mut fields)?;
        }
        fields.u8()?;
        fields.optional_text()?;
        Ok(DeliveredPart {
            object,
            message,
            prefix: fields.blob()?,
        })
    }
}

/// Of a DELIVER from its mailbox to its octets: mailbox, UID, MODSEQ, flags, keywords, date with
/// zone, octets.
const BETWEEN_BYTES: usize = 4 + 4 + 8 + 2 + 8 + 8 + 2 + 4;

pub(super) fn read_date(fields: &mut Fields<'_>) -> Result<InternalDate, Broken> {
    Ok(InternalDate {
        unix_secs: fields.i64()?,
        zone_minutes: fields.i16()?,
    })
}

pub(super) fn write_date(date: InternalDate, out: &mut Vec<u8>) {
    out.put_i64(date.unix_secs);
    out.put_i16(date.zone_minutes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_part_of_a_deliver_is_as_in_the_whole(
            recipient in proptest::option::of((".{0,9}", "[a-z.]{0,9}")),
            orcpt: Option<String>,
            prefix in proptest::collection::vec(any::<u8>(), 0..40),
            numbers: [u64; 5],
            is_saved_later: bool,
        ) {
            let internal_date = InternalDate { unix_secs: numbers[3] as i64, zone_minutes: 60 };
            let deliver = Deliver {
                object: ObjectId(numbers[0]),
                message: ObjectId(numbers[1]),
                mailbox: MailboxId(7),
                uid: Uid(9),
                modseq: ModSeq(numbers[2]),
                flags: Flags::SEEN,
                keywords: Keywords(numbers[4]),
                internal_date,
                saved_secs: internal_date.unix_secs.wrapping_add(i64::from(is_saved_later)),
                octets: 17,
                recipient: recipient.map(|(local, domain)| Address::new(local, domain)),
                notify: Notify(3),
                orcpt,
                prefix,
            };
            let mut payload = Vec::new();
            deliver.write(&mut payload);
            let part = DeliveredPart::decode(&payload).unwrap();
            prop_assert_eq!((part.object, part.message), (deliver.object, deliver.message));
            prop_assert_eq!(part.prefix, deliver.prefix.as_slice());
            prop_assert!(Deliver::read(&mut Fields::new(&payload)).unwrap() == deliver);
        }
    }
}
