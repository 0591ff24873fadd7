//! ACCOUNT, DOMAIN and OFFER: who owns mail here, and what other owners are still owed.

use super::message::{read_address, write_address};
use super::queue::Outbound;
use super::{Broken, kind};
use crate::codec::{Fields, Put};
use crate::mail::address::Address;
use crate::mail::envelope::Notify;
use crate::mail::id::{AccountId, ObjectId};

/// An account changes. The record header names none: the id stands in the fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccountFact {
    Create {
        account: AccountId,
        address: String,
    },
    /// The account can log in with these secrets; `None` leaves it to the configuration file.
    Secret {
        account: AccountId,
        secret: Option<String>,
    },
    /// Octets; `None` is without a limit.
    Quota {
        account: AccountId,
        octets: Option<u64>,
    },
    /// The account, its mailboxes and their messages are gone; the id is never used again.
    Remove {
        account: AccountId,
    },
}

impl AccountFact {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<AccountFact, Broken> {
        let sub = fields.u8()?;
        let account = AccountId(fields.u32()?);
        Ok(match sub {
            0 => AccountFact::Create {
                account,
                address: fields.text()?,
            },
            1 => AccountFact::Secret {
                account,
                secret: fields.optional_text()?,
            },
            2 => AccountFact::Quota {
                account,
                octets: match fields.u64()? {
                    u64::MAX => None,
                    octets => Some(octets),
                },
            },
            3 => AccountFact::Remove { account },
            _ => return Err(Broken("unknown change of an account")),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        let mut head = |sub, account: &AccountId| {
            out.put_u8(sub);
            out.put_u32(account.0);
        };
        match self {
            AccountFact::Create { account, address } => {
                head(0, account);
                out.put_text(address);
            }
            AccountFact::Secret { account, secret } => {
                head(1, account);
                out.put_optional_text(secret.as_deref());
            }
            AccountFact::Quota { account, octets } => {
                head(2, account);
                out.put_u64(octets.unwrap_or(u64::MAX));
            }
            AccountFact::Remove { account } => head(3, account),
        }
        kind::ACCOUNT
    }
}

/// A domain made by `ringpostctl`; kept by shard 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DomainFact {
    Add {
        name: String,
        catch_all: Option<String>,
    },
    Remove {
        name: String,
    },
}

impl DomainFact {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<DomainFact, Broken> {
        Ok(match fields.u8()? {
            0 => DomainFact::Add {
                name: fields.text()?,
                catch_all: fields.optional_text()?,
            },
            1 => DomainFact::Remove {
                name: fields.text()?,
            },
            _ => return Err(Broken("unknown change of a domain")),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            DomainFact::Add { name, catch_all } => {
                out.put_u8(0);
                out.put_text(name);
                out.put_optional_text(catch_all.as_deref());
            }
            DomainFact::Remove { name } => {
                out.put_u8(1);
                out.put_text(name);
            }
        }
        kind::DOMAIN
    }
}

/// Shard `target` is owed a message that we took custody of: the coordinator's side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    pub target: u16,
    /// Rises by one for each offer to the same target.
    pub sequence: u64,
    pub message: ObjectId,
    /// For accounts of the other shard.
    pub recipients: Vec<Share>,
    /// For other hosts, of domains whose queue is the other shard's.
    pub outbound: Vec<Outbound>,
}

/// One recipient's share of a message: for whom, and the octets that only they get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Share {
    /// The address of the account whose INBOX it is for.
    pub account: String,
    /// The recipient of the envelope.
    pub recipient: Address,
    pub notify: Notify,
    pub orcpt: Option<String>,
    pub prefix: Vec<u8>,
}

impl Offer {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Offer, Broken> {
        let mut offer = Offer {
            target: fields.u16()?,
            sequence: fields.u64()?,
            message: ObjectId(fields.u64()?),
            recipients: Vec::new(),
            outbound: Vec::new(),
        };
        for _ in 0..fields.u32()? {
            offer.recipients.push(Share {
                account: fields.text()?,
                recipient: read_address(fields)?,
                notify: Notify(fields.u8()?),
                orcpt: fields.optional_text()?,
                prefix: fields.blob()?.to_vec(),
            });
        }
        // The first builds ended here.
        let count = match fields.is_empty() {
            true => 0,
            false => fields.u32()?,
        };
        for _ in 0..count {
            let outbound = Outbound::read(fields, offer.outbound.last())?;
            offer.outbound.push(outbound);
        }
        Ok(offer)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.put_u16(self.target);
        out.put_u64(self.sequence);
        out.put_u64(self.message.0);
        out.put_u32(u32::try_from(self.recipients.len()).expect("RECIPIENTS_MAX bounds them"));
        for recipient in &self.recipients {
            out.put_text(&recipient.account);
            write_address(&recipient.recipient, out);
            out.put_u8(recipient.notify.0);
            out.put_optional_text(recipient.orcpt.as_deref());
            out.put_blob(&recipient.prefix);
        }
        if !self.outbound.is_empty() {
            let count = u32::try_from(self.outbound.len());
            out.put_u32(count.expect("RECIPIENTS_MAX bounds them"));
            let mut before = None;
            for outbound in &self.outbound {
                outbound.write(before, out);
                before = Some(outbound);
            }
        }
        kind::OFFER
    }
}
