//! The directory: every domain, account and alias at one moment, ready to be asked.
//!
//! A directory never changes. A new one is built from the configuration and from what the store
//! keeps (`Plan`), and swapped in whole: `arc_swap::ArcSwap<Directory>` is what the shards hold.
//! Aliases are expanded while it is built, so a recipient costs two hash lookups and, for an
//! account in its plain spelling, no allocation. Only the usage gauges live through a swap: the
//! owner shard publishes to them, and the next directory takes them over.
//!
//! Names are canonical (`config::canonical`); hash tables are seeded by the process.

use super::Reason;
use crate::auth::Secrets;
use crate::config::{canonical_local, domain_name, partings};
use crate::wire::sasl::scram::Hash;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store::mail::address::Address;
use store::mail::id::ShardId;

pub struct Directory {
    pub(super) accounts: Vec<Arc<Account>>,
    pub(super) domains: HashMap<Box<str>, Domain>,
    /// The domain of a login name that has none.
    pub(super) first_domain: Option<Box<str>>,
    /// Takes `<postmaster>` and `postmaster@` our hostname.
    pub(super) postmaster: Leads,
    pub(super) hostname: Box<str>,
    pub(super) shards: u16,
    pub(super) scram: ScramServed,
}

/// With which hashes every account can log in by SCRAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ScramServed {
    sha1: bool,
    sha256: bool,
}

/// An owner of mailboxes.
#[derive(Debug)]
pub struct Account {
    pub address: Address,
    pub shard: ShardId,
    pub secrets: Secrets,
    /// Octets, `None` without limit.
    pub quota: Option<u64>,
    /// Neither logs in nor receives.
    pub disabled: bool,
    pub origin: Origin,
    pub(super) usage: Arc<AtomicU64>,
}

/// Where an account or domain is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The configuration file: only an editor changes it.
    File,
    /// The store: `ringpostctl` changes it.
    Store,
}

/// One of our domains.
pub(super) struct Domain {
    pub(super) delimiter: Option<char>,
    pub(super) names: HashMap<Box<str>, Name>,
    pub(super) catch_all: Option<Leads>,
    /// For `postmaster` where `names` has none.
    pub(super) postmaster: Leads,
}

/// A name of a domain: where its mail goes, and who logs in under it. The two differ where an
/// alias stands beside an account.
pub(super) struct Name {
    pub(super) leads: Leads,
    pub(super) account: Option<u32>,
}

/// Where a name leads; an account is its place in `Directory::accounts`.
#[derive(Clone)]
pub(super) enum Leads {
    Account(u32),
    Alias(Arc<Members>),
    Nowhere(Reason),
}

/// Whom an alias reaches; at least one.
#[derive(Default)]
pub(super) struct Members {
    pub(super) leaves: Box<[Leaf]>,
    pub(super) forwards: Arc<[Forward]>,
}

/// One account that an alias reaches.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) account: u32,
    /// The detail that the alias itself names.
    pub(super) detail: Option<Box<str>>,
    pub(super) owner: Option<Arc<Address>>,
}

/// One address at another host that an alias reaches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forward {
    pub address: Address,
    /// The reverse-path from here on, where the alias is a list (RFC 5321 §3.9.2).
    pub owner: Option<Arc<Address>>,
}

impl Directory {
    /// The account of exactly this address, in any case; no alias, no detail.
    #[must_use]
    pub fn account(&self, address: &Address) -> Option<&Arc<Account>> {
        self.account_of(&address.local, &address.domain)
    }

    /// The account that a store calls by this name, its address.
    #[must_use]
    pub fn account_named(&self, name: &str) -> Option<&Arc<Account>> {
        let (local, domain) = name.rsplit_once('@')?;
        self.account_of(local, domain)
    }

    /// The account of a login name: an address, or a local-part of the first domain.
    #[must_use]
    pub fn login(&self, name: &str) -> Option<&Arc<Account>> {
        match name.rsplit_once('@') {
            Some((local, domain)) if is_canonical(domain) => self.account_of(local, domain),
            Some((local, domain)) => self.account_of(local, &domain_name(domain)?),
            None => self.account_of(name, self.first_domain.as_deref()?),
        }
    }

    #[must_use]
    pub fn accounts(&self) -> &[Arc<Account>] {
        &self.accounts
    }

    /// Is mail for this domain kept here?
    #[must_use]
    pub fn is_local(&self, domain: &str) -> bool {
        self.domains.contains_key(domain)
    }

    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.keys().map(|name| &**name)
    }

    #[must_use]
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// Can whoever has an account log in by SCRAM with this hash?
    #[must_use]
    pub fn serves_scram(&self, hash: Hash) -> bool {
        match hash {
            Hash::Sha1 => self.scram.sha1,
            Hash::Sha256 => self.scram.sha256,
        }
    }

    /// Where an address leads and which detail it carries; `None` where the domain is not ours.
    pub(super) fn find<'d, 'a>(
        &'d self,
        address: &'a Address,
    ) -> Option<(&'d Leads, Option<&'a str>)> {
        if is_postmaster(address) && self.is_our_host(&address.domain) {
            return Some((&self.postmaster, None));
        }
        let domain = self.domains.get(address.domain.as_str())?;
        Some(domain.find(&address.local))
    }

    /// The empty domain of `<postmaster>`, and our hostname where it is no domain of ours.
    fn is_our_host(&self, domain: &str) -> bool {
        domain.is_empty() || domain == &*self.hostname && !self.is_local(domain)
    }

    fn account_of(&self, local: &str, domain: &str) -> Option<&Arc<Account>> {
        let names = &self.domains.get(domain)?.names;
        let name = canonical_local(local);
        let place = names.get(&*name)?.account?;
        self.accounts.get(place as usize)
    }
}

impl ScramServed {
    pub(super) fn of(accounts: &[Arc<Account>]) -> ScramServed {
        let all = |hash| {
            let mut active = accounts.iter().filter(|account| !account.disabled);
            active.all(|account| account.secrets.serves_scram(hash))
        };
        ScramServed {
            sha1: all(Hash::Sha1),
            sha256: all(Hash::Sha256),
        }
    }
}

impl Domain {
    fn find<'d, 'a>(&'d self, local: &'a str) -> (&'d Leads, Option<&'a str>) {
        if let Some(name) = self.names.get(&*canonical_local(local)) {
            return (&name.leads, None);
        }
        for (user, detail) in partings(local, self.delimiter) {
            if let Some(name) = self.names.get(&*user) {
                return (
                    &name.leads,
                    Some(detail).filter(|detail| !detail.is_empty()),
                );
            }
        }
        if local.eq_ignore_ascii_case("postmaster") {
            return (&self.postmaster, None);
        }
        match &self.catch_all {
            Some(leads) if !looks_like_a_route(local) => (leads, None),
            _ => (&Leads::Nowhere(Reason::NoSuchUser), None),
        }
    }
}

impl Account {
    /// Octets stored, as the owner shard said last.
    #[must_use]
    pub fn usage(&self) -> u64 {
        self.usage.load(Ordering::Relaxed)
    }

    /// For the owner shard, and only for it: where it publishes the octets stored.
    #[must_use]
    pub fn usage_gauge(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.usage)
    }

    /// Is there room for a message of this size? The store has the last word.
    #[must_use]
    pub fn has_room(&self, octets: u64) -> bool {
        self.quota
            .is_none_or(|quota| self.usage().saturating_add(octets) <= quota)
    }

    /// Is the quota used up, whatever comes?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.quota.is_some_and(|quota| self.usage() >= quota)
    }
}

/// Needs the domain of a login name no A-labels and no lower case?
fn is_canonical(domain: &str) -> bool {
    domain
        .bytes()
        .all(|b| b.is_ascii() && !b.is_ascii_uppercase())
}

/// RFC 5321 §4.5.1: in any case.
fn is_postmaster(address: &Address) -> bool {
    address.local.eq_ignore_ascii_case("postmaster")
}

/// `user%other.org`, `other.org!user`, `user@other.org`: old ways to ask for a relay. A catch-all
/// does not take them, so that a probe never sees 250 (attack class 20).
fn looks_like_a_route(local: &str) -> bool {
    local.contains(['%', '!', '@', ':'])
}
