//! ACCOUNT, DOMAIN and OFFER: who owns mail here, and what other owners are still owed.

use super::field::{Reader, Write};
use super::message::{read_address, write_address};
use super::{Broken, kind};
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<AccountFact, Broken> {
        let sub = reader.u8()?;
        let account = AccountId(reader.u32()?);
        Ok(match sub {
            0 => AccountFact::Create {
                account,
                address: reader.text()?,
            },
            1 => AccountFact::Secret {
                account,
                secret: reader.optional_text()?,
            },
            2 => AccountFact::Quota {
                account,
                octets: match reader.u64()? {
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
            out.u8(sub);
            out.u32(account.0);
        };
        match self {
            AccountFact::Create { account, address } => {
                head(0, account);
                out.text(address);
            }
            AccountFact::Secret { account, secret } => {
                head(1, account);
                out.optional_text(secret.as_deref());
            }
            AccountFact::Quota { account, octets } => {
                head(2, account);
                out.u64(octets.unwrap_or(u64::MAX));
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<DomainFact, Broken> {
        Ok(match reader.u8()? {
            0 => DomainFact::Add {
                name: reader.text()?,
                catch_all: reader.optional_text()?,
            },
            1 => DomainFact::Remove {
                name: reader.text()?,
            },
            _ => return Err(Broken("unknown change of a domain")),
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            DomainFact::Add { name, catch_all } => {
                out.u8(0);
                out.text(name);
                out.optional_text(catch_all.as_deref());
            }
            DomainFact::Remove { name } => {
                out.u8(1);
                out.text(name);
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
    pub recipients: Vec<Share>,
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
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Offer, Broken> {
        let mut offer = Offer {
            target: reader.u16()?,
            sequence: reader.u64()?,
            message: ObjectId(reader.u64()?),
            recipients: Vec::new(),
        };
        for _ in 0..reader.u32()? {
            offer.recipients.push(Share {
                account: reader.text()?,
                recipient: read_address(reader)?,
                notify: Notify(reader.u8()?),
                orcpt: reader.optional_text()?,
                prefix: reader.blob()?.to_vec(),
            });
        }
        Ok(offer)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> u8 {
        out.u16(self.target);
        out.u64(self.sequence);
        out.u64(self.message.0);
        out.u32(u32::try_from(self.recipients.len()).expect("RECIPIENTS_MAX bounds them"));
        for recipient in &self.recipients {
            out.text(&recipient.account);
            write_address(&recipient.recipient, out);
            out.u8(recipient.notify.0);
            out.optional_text(recipient.orcpt.as_deref());
            out.blob(&recipient.prefix);
        }
        kind::OFFER
    }
}
