//! What the index keeps of an account beside its card and its rows, and its bytes (FORMAT.md,
//! "Account metadata").

use super::tally::Tally;
use super::tree::SpecialUse;
use crate::codec::{Fields, Put, Short};
use crate::limit::{KEYWORDS_MAX, MAILBOXES_MAX};
use crate::mail::id::{MailboxId, ModSeq, Uid, UidValidity};
use crate::record::Broken;
use std::collections::HashSet;

/// An account without its rows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountMeta {
    pub last_uid_validity: UidValidity,
    /// The highest MODSEQ given out.
    pub tip_modseq: ModSeq,
    /// The highest mailbox id given out.
    pub tip_mailbox: MailboxId,
    /// Ascending.
    pub subscriptions: Vec<String>,
    /// Ascending by id.
    pub mailboxes: Vec<MailboxMeta>,
}

/// A mailbox without its rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxMeta {
    pub id: MailboxId,
    pub name: String,
    pub uid_validity: UidValidity,
    pub special_use: SpecialUse,
    pub uid_next: Uid,
    pub highest_modseq: ModSeq,
    pub tally: Tally,
    /// Messages below are claimed as `\Recent`.
    pub recent_first: Uid,
    /// By position.
    pub keywords: Vec<String>,
}

impl AccountMeta {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(FORM);
        out.put_u32(self.last_uid_validity.0);
        out.put_u64(self.tip_modseq.0);
        out.put_u32(self.tip_mailbox.0);
        put_texts(&self.subscriptions, out);
        put_count(self.mailboxes.len(), out);
        self.mailboxes
            .iter()
            .for_each(|mailbox| mailbox.encode(out));
    }

    /// Reads what [`encode`](Self::encode) has written, and checks that it can be so.
    pub fn decode(octets: &[u8]) -> Result<AccountMeta, Broken> {
        let mut fields = Fields::new(octets);
        if fields.u8() != Ok(FORM) {
            return Err(Broken("metadata of an account in an unknown form"));
        }
        let meta = AccountMeta::read(&mut fields);
        let meta = meta.map_err(|_| Broken("metadata of an account that cannot be read"))?;
        meta.check()?;
        Ok(meta)
    }

    fn read(fields: &mut Fields<'_>) -> Result<AccountMeta, Short> {
        let mut meta = AccountMeta {
            last_uid_validity: UidValidity(fields.u32()?),
            tip_modseq: ModSeq(fields.u64()?),
            tip_mailbox: MailboxId(fields.u32()?),
            subscriptions: texts(fields)?,
            mailboxes: Vec::new(),
        };
        for _ in 0..fields.u32()? {
            meta.mailboxes.push(MailboxMeta::read(fields)?);
        }
        fields.end()?;
        Ok(meta)
    }

    fn check(&self) -> Result<(), Broken> {
        let names: HashSet<&str> = self.mailboxes.iter().map(|m| m.name.as_str()).collect();
        if names.len() != self.mailboxes.len() || self.mailboxes.len() > MAILBOXES_MAX {
            return Err(Broken("two mailboxes have one name, or there are too many"));
        }
        if !self.mailboxes.is_sorted_by(|a, b| a.id < b.id) {
            return Err(Broken("mailboxes out of order"));
        }
        if self.tip_modseq.0 > u64::MAX >> 1 || !self.mailboxes.iter().all(MailboxMeta::is_sound) {
            return Err(Broken("counts of a mailbox that cannot be"));
        }
        self.octets().map(|_| ())
    }

    /// Octets of all messages.
    pub fn octets(&self) -> Result<u64, Broken> {
        let mut octets = self.mailboxes.iter().map(|mailbox| mailbox.tally.octets);
        octets
            .try_fold(0u64, u64::checked_add)
            .ok_or(Broken("more octets than there can be"))
    }
}

impl MailboxMeta {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.id.0);
        out.put_text(&self.name);
        out.put_u32(self.uid_validity.0);
        out.put_u16(self.special_use.0);
        out.put_u32(self.uid_next.0);
        out.put_u64(self.highest_modseq.0);
        out.put_u32(self.tally.messages);
        out.put_u32(self.tally.unseen);
        out.put_u32(self.tally.deleted);
        out.put_u32(self.tally.recent);
        out.put_u64(self.tally.octets);
        out.put_u32(self.recent_first.0);
        put_texts(&self.keywords, out);
    }

    fn read(fields: &mut Fields<'_>) -> Result<MailboxMeta, Short> {
        Ok(MailboxMeta {
            id: MailboxId(fields.u32()?),
            name: fields.text()?,
            uid_validity: UidValidity(fields.u32()?),
            special_use: SpecialUse(fields.u16()?),
            uid_next: Uid(fields.u32()?),
            highest_modseq: ModSeq(fields.u64()?),
            tally: Tally {
                messages: fields.u32()?,
                unseen: fields.u32()?,
                deleted: fields.u32()?,
                recent: fields.u32()?,
                octets: fields.u64()?,
            },
            recent_first: Uid(fields.u32()?),
            keywords: texts(fields)?,
        })
    }

    /// Whether the counts fit each other, so that counting on from them cannot overflow.
    fn is_sound(&self) -> bool {
        let tally = &self.tally;
        let parts = [tally.unseen, tally.deleted, tally.recent];
        self.uid_next > Uid(tally.messages)
            && parts.iter().all(|part| *part <= tally.messages)
            && tally.octets <= u64::from(tally.messages) * u64::from(u32::MAX)
            && self.highest_modseq.0 <= u64::MAX >> 1
            && self.keywords.len() <= KEYWORDS_MAX
    }
}

fn put_texts(texts: &[String], out: &mut Vec<u8>) {
    put_count(texts.len(), out);
    texts.iter().for_each(|text| out.put_text(text));
}

fn texts(fields: &mut Fields<'_>) -> Result<Vec<String>, Short> {
    let count = fields.u32()?;
    (0..count).map(|_| fields.text()).collect()
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    out.put_u32(u32::try_from(count).expect("the limits of an account bound it"));
}

/// The first octet of the metadata.
const FORM: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mailbox() -> impl Strategy<Value = MailboxMeta> {
        let counts = (0u32..1000, any::<[prop::sample::Index; 4]>(), any::<u32>());
        let texts = prop::collection::vec(".{0,8}", 0..4);
        (counts, ".{0,12}", 0u16..128, any::<u32>(), texts).prop_map(
            |((messages, at, more), name, special_use, number, keywords)| {
                let part = |at: prop::sample::Index| at.index(messages as usize + 1) as u32;
                MailboxMeta {
                    id: MailboxId(0),
                    name,
                    uid_validity: UidValidity(number),
                    special_use: SpecialUse(special_use),
                    uid_next: Uid(messages.saturating_add(more).max(messages + 1)),
                    highest_modseq: ModSeq(u64::from(number) << 20),
                    tally: Tally {
                        messages,
                        unseen: part(at[0]),
                        deleted: part(at[1]),
                        recent: part(at[2]),
                        octets: u64::from(part(at[3])) * u64::from(u32::MAX),
                    },
                    recent_first: Uid(number),
                    keywords,
                }
            },
        )
    }

    fn meta() -> impl Strategy<Value = AccountMeta> {
        let texts = prop::collection::vec(".{0,8}", 0..4);
        let mailboxes = prop::collection::vec(mailbox(), 0..6);
        (any::<[u32; 3]>(), texts, mailboxes).prop_map(|(numbers, subscriptions, mut mailboxes)| {
            for (id, mailbox) in (1..).zip(&mut mailboxes) {
                mailbox.id = MailboxId(id);
                mailbox.name.push_str(&id.to_string());
            }
            AccountMeta {
                last_uid_validity: UidValidity(numbers[0]),
                tip_modseq: ModSeq(u64::from(numbers[1]) << 30),
                tip_mailbox: MailboxId(numbers[2]),
                subscriptions,
                mailboxes,
            }
        })
    }

    proptest! {
        #[test]
        fn metadata_comes_back_from_its_bytes(meta in meta(), cut: prop::sample::Index) {
            let mut bytes = Vec::new();
            meta.encode(&mut bytes);
            prop_assert!(AccountMeta::decode(&bytes[..cut.index(bytes.len())]).is_err());
            // Names that happen to be equal are refused, everything else is what it was.
            match AccountMeta::decode(&bytes) {
                Ok(again) => prop_assert_eq!(again, meta),
                Err(broken) => prop_assert_eq!(Some(broken), meta.check().err()),
            }
        }

        #[test]
        fn damaged_metadata_is_metadata_or_an_error(
            meta in meta(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = Vec::new();
            meta.encode(&mut bytes);
            for (at, octet) in damage {
                let at = at.index(bytes.len());
                bytes[at] = octet;
            }
            let _ = AccountMeta::decode(&bytes);
        }
    }
}
