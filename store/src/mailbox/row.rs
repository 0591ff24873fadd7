//! One message in one mailbox: what the index knows of it without its body.

use crate::mail::date::InternalDate;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{ModSeq, ObjectId, Uid};

/// A row of the mailbox index, ascending by `uid`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    pub uid: Uid,
    /// The last change of this message, its arrival included (RFC 7162 §3.1).
    pub modseq: ModSeq,
    pub flags: Flags,
    pub keywords: Keywords,
    pub internal_date: InternalDate,
    /// When it was put into this mailbox, seconds since 1970 (RFC 8514).
    pub saved_secs: i64,
    /// RFC822.SIZE: prefix and body, in octets.
    pub octets: u32,
    /// The delivery that holds the prefix and names the message.
    pub delivery: ObjectId,
}
