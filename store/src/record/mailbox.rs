//! FLAGS, EXPUNGE, COPY and MAILBOX: how a mailbox changes after the arrival of mail.

use super::message::{read_date, write_date};
use super::{Broken, kind};
use crate::codec::{Fields, Put};
use crate::mail::date::InternalDate;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{MailboxId, ModSeq, ObjectId, Uid, UidValidity};
use crate::mail::uidset::UidSet;

/// How flags are changed (RFC 9051 §6.4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagOp {
    Set,
    Add,
    Remove,
}

/// Flags of those of `uids` that exist; a message whose flags stay as they are keeps its MODSEQ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlagChange {
    pub mailbox: MailboxId,
    pub modseq: ModSeq,
    pub op: FlagOp,
    pub flags: Flags,
    pub keywords: Keywords,
    pub uids: UidSet,
}

impl FlagChange {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<FlagChange, Broken> {
        Ok(FlagChange {
            mailbox: MailboxId(fields.u32()?),
            modseq: ModSeq(fields.u64()?),
            op: match fields.u8()? {
                0 => FlagOp::Set,
                1 => FlagOp::Add,
                2 => FlagOp::Remove,
                _ => return Err(Broken("unknown change of flags")),
            },
            flags: Flags(fields.u16()?),
            keywords: Keywords(fields.u64()?),
            uids: UidSet::decode(fields)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u32(self.mailbox.0);
        out.put_u64(self.modseq.0);
        out.put_u8(match self.op {
            FlagOp::Set => 0,
            FlagOp::Add => 1,
            FlagOp::Remove => 2,
        });
        out.put_u16(self.flags.0);
        out.put_u64(self.keywords.0);
        self.uids.encode(out);
        kind::FLAGS
    }
}

/// Those of `uids` that exist are gone for ever.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expunge {
    pub mailbox: MailboxId,
    pub modseq: ModSeq,
    pub uids: UidSet,
}

impl Expunge {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Expunge, Broken> {
        Ok(Expunge {
            mailbox: MailboxId(fields.u32()?),
            modseq: ModSeq(fields.u64()?),
            uids: UidSet::decode(fields)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u32(self.mailbox.0);
        out.put_u64(self.modseq.0);
        self.uids.encode(out);
        kind::EXPUNGE
    }
}

/// Rows arrive in a mailbox without a body of their own; they stand by themselves, so that an
/// expunge of the source cannot take them away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    pub source: MailboxId,
    pub target: MailboxId,
    pub modseq: ModSeq,
    /// The UID of the first row; the others follow by one.
    pub first_uid: Uid,
    pub rows: Vec<CopiedRow>,
    /// When they were copied, seconds since 1970 (RFC 8514); `None` where an earlier build did it.
    pub saved_secs: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopiedRow {
    pub source_uid: Uid,
    pub flags: Flags,
    /// By the keyword table of the target.
    pub keywords: Keywords,
    pub internal_date: InternalDate,
    pub octets: u32,
    pub delivery: ObjectId,
}

impl Copy {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Copy, Broken> {
        let mut copy = Copy {
            source: MailboxId(fields.u32()?),
            target: MailboxId(fields.u32()?),
            modseq: ModSeq(fields.u64()?),
            first_uid: Uid(fields.u32()?),
            rows: Vec::new(),
            saved_secs: None,
        };
        let count = fields.u32()?;
        copy.first_uid
            .0
            .checked_add(count)
            .ok_or(Broken("UIDs overflow"))?;
        for _ in 0..count {
            copy.rows.push(CopiedRow {
                source_uid: Uid(fields.u32()?),
                flags: Flags(fields.u16()?),
                keywords: Keywords(fields.u64()?),
                internal_date: read_date(fields)?,
                octets: fields.u32()?,
                delivery: ObjectId(fields.u64()?),
            });
        }
        if !fields.is_empty() {
            copy.saved_secs = Some(fields.i64()?);
        }
        Ok(copy)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u32(self.source.0);
        out.put_u32(self.target.0);
        out.put_u64(self.modseq.0);
        out.put_u32(self.first_uid.0);
        out.put_u32(u32::try_from(self.rows.len()).expect("COPY_ROWS_MAX bounds the rows"));
        for row in &self.rows {
            out.put_u32(row.source_uid.0);
            out.put_u16(row.flags.0);
            out.put_u64(row.keywords.0);
            write_date(row.internal_date, out);
            out.put_u32(row.octets);
            out.put_u64(row.delivery.0);
        }
        if let Some(secs) = self.saved_secs {
            out.put_i64(secs);
        }
        kind::COPY
    }
}

/// The mailbox itself changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MailboxFact {
    Create {
        mailbox: MailboxId,
        uid_validity: UidValidity,
        modseq: ModSeq,
        special_use: u16,
        name: String,
    },
    Rename {
        mailbox: MailboxId,
        modseq: ModSeq,
        name: String,
    },
    Delete {
        mailbox: MailboxId,
        modseq: ModSeq,
    },
    /// Bit `position` of a keyword set means `name` from now on.
    Keyword {
        mailbox: MailboxId,
        position: u8,
        name: String,
    },
    /// Messages below `first` were claimed as `\Recent` by a session.
    Recent {
        mailbox: MailboxId,
        first: Uid,
    },
    Subscribe {
        name: String,
    },
    Unsubscribe {
        name: String,
    },
}

impl MailboxFact {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<MailboxFact, Broken> {
        Ok(match fields.u8()? {
            0 => MailboxFact::Create {
                mailbox: MailboxId(fields.u32()?),
                uid_validity: UidValidity(fields.u32()?),
                modseq: ModSeq(fields.u64()?),
                special_use: fields.u16()?,
                name: fields.text()?,
            },
            1 => MailboxFact::Rename {
                mailbox: MailboxId(fields.u32()?),
                modseq: ModSeq(fields.u64()?),
                name: fields.text()?,
            },
            2 => MailboxFact::Delete {
                mailbox: MailboxId(fields.u32()?),
                modseq: ModSeq(fields.u64()?),
            },
            3 => MailboxFact::Keyword {
                mailbox: MailboxId(fields.u32()?),
                position: fields.u8()?,
                name: fields.text()?,
            },
            4 => MailboxFact::Recent {
                mailbox: MailboxId(fields.u32()?),
                first: Uid(fields.u32()?),
            },
            5 => MailboxFact::Subscribe {
                name: fields.text()?,
            },
            6 => MailboxFact::Unsubscribe {
                name: fields.text()?,
            },
            _ => return Err(Broken("unknown change of a mailbox")),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            MailboxFact::Create {
                mailbox,
                uid_validity,
                modseq,
                special_use,
                name,
            } => {
                out.put_u8(0);
                out.put_u32(mailbox.0);
                out.put_u32(uid_validity.0);
                out.put_u64(modseq.0);
                out.put_u16(*special_use);
                out.put_text(name);
            }
            MailboxFact::Rename {
                mailbox,
                modseq,
                name,
            } => {
                out.put_u8(1);
                out.put_u32(mailbox.0);
                out.put_u64(modseq.0);
                out.put_text(name);
            }
            MailboxFact::Delete { mailbox, modseq } => {
                out.put_u8(2);
                out.put_u32(mailbox.0);
                out.put_u64(modseq.0);
            }
            MailboxFact::Keyword {
                mailbox,
                position,
                name,
            } => {
                out.put_u8(3);
                out.put_u32(mailbox.0);
                out.put_u8(*position);
                out.put_text(name);
            }
            MailboxFact::Recent { mailbox, first } => {
                out.put_u8(4);
                out.put_u32(mailbox.0);
                out.put_u32(first.0);
            }
            MailboxFact::Subscribe { name } => {
                out.put_u8(5);
                out.put_text(name);
            }
            MailboxFact::Unsubscribe { name } => {
                out.put_u8(6);
                out.put_text(name);
            }
        }
        kind::MAILBOX
    }
}
