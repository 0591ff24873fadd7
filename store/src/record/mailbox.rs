//! FLAGS, EXPUNGE, COPY and MAILBOX: how a mailbox changes after the arrival of mail.

use super::field::{Reader, Write};
use super::message::{read_date, write_date};
use super::{Broken, kind};
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<FlagChange, Broken> {
        Ok(FlagChange {
            mailbox: MailboxId(reader.u32()?),
            modseq: ModSeq(reader.u64()?),
            op: match reader.u8()? {
                0 => FlagOp::Set,
                1 => FlagOp::Add,
                2 => FlagOp::Remove,
                _ => return Err(Broken("unknown change of flags")),
            },
            flags: Flags(reader.u16()?),
            keywords: Keywords(reader.u64()?),
            uids: reader.uids()?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.u32(self.mailbox.0);
        out.u64(self.modseq.0);
        out.u8(match self.op {
            FlagOp::Set => 0,
            FlagOp::Add => 1,
            FlagOp::Remove => 2,
        });
        out.u16(self.flags.0);
        out.u64(self.keywords.0);
        out.uids(&self.uids);
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Expunge, Broken> {
        Ok(Expunge {
            mailbox: MailboxId(reader.u32()?),
            modseq: ModSeq(reader.u64()?),
            uids: reader.uids()?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.u32(self.mailbox.0);
        out.u64(self.modseq.0);
        out.uids(&self.uids);
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Copy, Broken> {
        let mut copy = Copy {
            source: MailboxId(reader.u32()?),
            target: MailboxId(reader.u32()?),
            modseq: ModSeq(reader.u64()?),
            first_uid: Uid(reader.u32()?),
            rows: Vec::new(),
        };
        let count = reader.u32()?;
        copy.first_uid
            .0
            .checked_add(count)
            .ok_or(Broken("UIDs overflow"))?;
        for _ in 0..count {
            copy.rows.push(CopiedRow {
                source_uid: Uid(reader.u32()?),
                flags: Flags(reader.u16()?),
                keywords: Keywords(reader.u64()?),
                internal_date: read_date(reader)?,
                octets: reader.u32()?,
                delivery: ObjectId(reader.u64()?),
            });
        }
        Ok(copy)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.u32(self.source.0);
        out.u32(self.target.0);
        out.u64(self.modseq.0);
        out.uid(self.first_uid);
        out.u32(u32::try_from(self.rows.len()).expect("COPY_ROWS_MAX bounds the rows"));
        for row in &self.rows {
            out.uid(row.source_uid);
            out.u16(row.flags.0);
            out.u64(row.keywords.0);
            write_date(row.internal_date, out);
            out.u32(row.octets);
            out.u64(row.delivery.0);
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<MailboxFact, Broken> {
        Ok(match reader.u8()? {
            0 => MailboxFact::Create {
                mailbox: MailboxId(reader.u32()?),
                uid_validity: UidValidity(reader.u32()?),
                modseq: ModSeq(reader.u64()?),
                special_use: reader.u16()?,
                name: reader.text()?,
            },
            1 => MailboxFact::Rename {
                mailbox: MailboxId(reader.u32()?),
                modseq: ModSeq(reader.u64()?),
                name: reader.text()?,
            },
            2 => MailboxFact::Delete {
                mailbox: MailboxId(reader.u32()?),
                modseq: ModSeq(reader.u64()?),
            },
            3 => MailboxFact::Keyword {
                mailbox: MailboxId(reader.u32()?),
                position: reader.u8()?,
                name: reader.text()?,
            },
            4 => MailboxFact::Recent {
                mailbox: MailboxId(reader.u32()?),
                first: Uid(reader.u32()?),
            },
            5 => MailboxFact::Subscribe {
                name: reader.text()?,
            },
            6 => MailboxFact::Unsubscribe {
                name: reader.text()?,
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
                out.u8(0);
                out.u32(mailbox.0);
                out.u32(uid_validity.0);
                out.u64(modseq.0);
                out.u16(*special_use);
                out.text(name);
            }
            MailboxFact::Rename {
                mailbox,
                modseq,
                name,
            } => {
                out.u8(1);
                out.u32(mailbox.0);
                out.u64(modseq.0);
                out.text(name);
            }
            MailboxFact::Delete { mailbox, modseq } => {
                out.u8(2);
                out.u32(mailbox.0);
                out.u64(modseq.0);
            }
            MailboxFact::Keyword {
                mailbox,
                position,
                name,
            } => {
                out.u8(3);
                out.u32(mailbox.0);
                out.u8(*position);
                out.text(name);
            }
            MailboxFact::Recent { mailbox, first } => {
                out.u8(4);
                out.u32(mailbox.0);
                out.uid(*first);
            }
            MailboxFact::Subscribe { name } => {
                out.u8(5);
                out.text(name);
            }
            MailboxFact::Unsubscribe { name } => {
                out.u8(6);
                out.text(name);
            }
        }
        kind::MAILBOX
    }
}
