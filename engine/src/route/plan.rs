//! What a directory is built from: the configuration, and what the store keeps, as plain data.
//!
//! Where both name the same address or domain, the configuration holds. What does not fit together
//! any more (an alias whose account was removed) is told in words and left out; nothing here fails,
//! because a directory must be had even when one line of it is stale.

use super::Reason;
use super::directory::{
    Account, Directory, Domain, Forward, Leads, Leaf, Members, Name, Origin, ScramServed,
};
use super::place;
use crate::auth::Secrets;
use crate::config::{self, Alias, Config, canonical, canonical_local, partings};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::mail::address::Address;

/// Aliases that lead to aliases, one behind the other.
pub const ALIAS_DEPTH_MAX: usize = 16;

/// Accounts and addresses at other hosts that one alias can lead to: a list of that size is one
/// custody.
pub const ALIAS_TARGETS_MAX: usize = store::limit::RECIPIENTS_MAX;

/// Accounts of one host; their places are 32 bits wide.
pub const ACCOUNTS_MAX: usize = 100_000_000;

const _: () = assert!(ACCOUNTS_MAX < u32::MAX as usize);

#[derive(Clone, Debug)]
pub struct Plan {
    pub hostname: String,
    /// At least one.
    pub shards: u16,
    pub postmaster: Option<Address>,
    pub domains: Vec<config::Domain>,
    pub accounts: Vec<PlannedAccount>,
    pub aliases: Vec<Alias>,
}

#[derive(Clone, Debug)]
pub struct PlannedAccount {
    pub address: Address,
    pub secrets: Secrets,
    pub quota: Option<u64>,
    pub disabled: bool,
    pub origin: Origin,
}

impl Plan {
    /// The part that the configuration says. Fails only on a password that `auth::secret::check`
    /// would refuse.
    pub fn from_config(config: &Config, shards: u16) -> Result<Plan, String> {
        let mut accounts = Vec::with_capacity(config.accounts.len());
        for account in &config.accounts {
            let secrets = Secrets::parse(&account.password)
                .map_err(|what| format!("password of {}: {what}", account.address))?;
            accounts.push(PlannedAccount {
                address: account.address.clone(),
                secrets,
                quota: account.quota,
                disabled: false,
                origin: Origin::File,
            });
        }
        Ok(Plan {
            hostname: config.hostname.clone(),
            shards,
            postmaster: config.postmaster.clone(),
            domains: config.domains.clone(),
            accounts,
            aliases: config.aliases.clone(),
        })
    }

    /// A directory and what was left out of it. The usage gauges of `previous` are taken over.
    #[must_use]
    pub fn build(self, previous: Option<&Directory>) -> (Directory, Vec<String>) {
        let mut builder = Builder::default();
        for domain in &self.domains {
            builder.domain(domain);
        }
        for account in self.accounts {
            builder.account(account, self.shards, previous);
        }
        for alias in &self.aliases {
            builder.alias(alias);
        }
        builder.finish(
            self.hostname,
            self.shards,
            self.postmaster.as_ref(),
            &self.domains,
        )
    }
}

#[derive(Default)]
struct Builder {
    accounts: Vec<Arc<Account>>,
    /// Canonical address → place in `accounts`.
    places: HashMap<Address, u32>,
    aliases: HashMap<Address, Listed>,
    delimiters: HashMap<String, Option<char>>,
    left_out: Vec<String>,
}

/// What the tables say of one alias, together.
#[derive(Default)]
struct Listed {
    to: Vec<Address>,
    owner: Option<Arc<Address>>,
}

/// One alias on its way to its members.
struct Expansion<'b> {
    builder: &'b Builder,
    path: Vec<Address>,
    seen: HashSet<Address>,
    leaves: Vec<Leaf>,
    accounts: HashSet<u32>,
    forwards: Vec<Forward>,
    missing: Vec<Address>,
}

/// What an alias says of the way through it.
#[derive(Clone, Copy)]
struct Passing<'p> {
    detail: Option<&'p str>,
    /// Of the list that was met last.
    owner: Option<&'p Arc<Address>>,
}

impl Builder {
    fn domain(&mut self, domain: &config::Domain) {
        let name = domain.name.to_ascii_lowercase();
        if self.delimiters.contains_key(&name) {
            self.left_out.push(format!("domain {name} is there twice"));
            return;
        }
        self.delimiters.insert(name, domain.delimiter);
    }

    fn account(&mut self, planned: PlannedAccount, shards: u16, previous: Option<&Directory>) {
        let address = canonical(&planned.address);
        let why_not = if !self.delimiters.contains_key(&address.domain) {
            "its domain is not ours"
        } else if self.places.contains_key(&address) {
            "it is there twice"
        } else if self.accounts.len() >= ACCOUNTS_MAX {
            "there are too many accounts"
        } else {
            let usage = previous.and_then(|directory| directory.account(&address));
            let usage = usage.map(|before| Arc::clone(&before.usage));
            let place = self.accounts.len() as u32;
            self.places.insert(address.clone(), place);
            self.accounts.push(Arc::new(Account {
                shard: place::shard(&address, shards),
                address,
                secrets: planned.secrets,
                quota: planned.quota,
                disabled: planned.disabled,
                origin: planned.origin,
                usage: usage.unwrap_or_default(),
            }));
            return;
        };
        self.left_out.push(format!("account {address}: {why_not}"));
    }

    fn alias(&mut self, alias: &Alias) {
        let to: Vec<Address> = alias.to.iter().map(canonical_target).collect();
        let owner = alias.owner.clone().map(Arc::new);
        for from in alias.from.iter().map(canonical) {
            if self.delimiters.contains_key(&from.domain) {
                let listed = self.aliases.entry(from).or_default();
                listed.to.extend(to.iter().cloned());
                listed.owner = listed.owner.take().or_else(|| owner.clone());
            } else {
                self.left_out
                    .push(format!("alias {from}: its domain is not ours"));
            }
        }
    }

    fn finish(
        mut self,
        hostname: String,
        shards: u16,
        postmaster: Option<&Address>,
        planned: &[config::Domain],
    ) -> (Directory, Vec<String>) {
        let postmaster = postmaster.map(|address| self.leads(address));
        let mut domains: HashMap<Box<str>, Domain> = HashMap::new();
        for domain in planned {
            let name = domain.name.to_ascii_lowercase();
            if domains.contains_key(name.as_str()) {
                continue;
            }
            let catch_all = self.catch_all(&name, domain.catch_all.as_ref());
            let of_domain = postmaster.clone().or_else(|| catch_all.clone());
            let held = Domain {
                delimiter: domain.delimiter,
                names: HashMap::new(),
                postmaster: self.postmaster(of_domain, Some(&name)),
                catch_all,
            };
            domains.insert(name.into(), held);
        }
        self.fill(&mut domains);
        let directory = Directory {
            postmaster: self.postmaster(postmaster, None),
            scram: ScramServed::of(&self.accounts),
            accounts: self.accounts,
            domains,
            first_domain: planned.first().map(|d| d.name.to_ascii_lowercase().into()),
            hostname: hostname.to_ascii_lowercase().into(),
            shards,
        };
        (directory, self.left_out)
    }

    /// Names of accounts and aliases; where one is both, mail follows the alias.
    fn fill(&mut self, domains: &mut HashMap<Box<str>, Domain>) {
        let mut put = |address: &Address, leads: Leads| {
            let account = self.places.get(address).copied();
            if let Some(domain) = domains.get_mut(address.domain.as_str()) {
                let name = Name { leads, account };
                domain.names.insert(address.local.as_str().into(), name);
            }
        };
        for (address, place) in &self.places {
            put(address, Leads::Account(*place));
        }
        let mut left_out = Vec::new();
        for from in self.aliases.keys() {
            put(from, self.expand(from, &mut left_out));
        }
        left_out.sort();
        self.left_out.append(&mut left_out);
    }

    /// What takes the unknown names of a domain: its alias `*`, or the address that it names.
    fn catch_all(&mut self, domain: &str, named: Option<&Address>) -> Option<Leads> {
        let star = Address::new(CATCH_ALL, domain);
        match self.aliases.contains_key(&star) {
            true => Some(self.leads(&star)),
            false => named.map(|address| self.leads(address)),
        }
    }

    /// Where an address of the configuration leads, without any catch-all.
    fn leads(&mut self, address: &Address) -> Leads {
        let target = canonical_target(address);
        let mut left_out = Vec::new();
        let leads = match self.taker(&target) {
            Some((name, _)) if self.aliases.contains_key(&name) => {
                self.expand(&name, &mut left_out)
            }
            Some((name, _)) => self
                .places
                .get(&name)
                .map_or(NOBODY, |at| Leads::Account(*at)),
            None if self.is_foreign(&target) => Leads::Alias(Arc::new(Members {
                leaves: Box::default(),
                forwards: [Forward {
                    address: target,
                    owner: None,
                }]
                .into(),
            })),
            None => NOBODY,
        };
        if matches!(leads, Leads::Nowhere(_)) {
            self.left_out.push(format!("{address} leads nowhere"));
        }
        leads
    }

    /// RFC 5321 §4.5.1: postmaster is always taken. The configured one, else the first account of
    /// the domain, else the first of all.
    fn postmaster(&self, configured: Option<Leads>, domain: Option<&str>) -> Leads {
        let configured = configured.filter(|leads| !matches!(leads, Leads::Nowhere(_)));
        let of_domain = || {
            let mut accounts = self.accounts.iter();
            accounts.position(|account| Some(account.address.domain.as_str()) == domain)
        };
        let first = || of_domain().or((!self.accounts.is_empty()).then_some(0));
        configured
            .or_else(|| first().map(|place| Leads::Account(place as u32)))
            .unwrap_or(Leads::Nowhere(Reason::NoPostmaster))
    }

    /// Is this the address of another host?
    fn is_foreign(&self, address: &Address) -> bool {
        !self.delimiters.contains_key(&address.domain)
    }

    /// The name that takes mail for `address`, and the detail that is left.
    fn taker(&self, address: &Address) -> Option<(Address, Option<Box<str>>)> {
        let takes =
            |name: &Address| self.places.contains_key(name) || self.aliases.contains_key(name);
        let whole = canonical(address);
        if takes(&whole) {
            return Some((whole, None));
        }
        let delimiter = *self.delimiters.get(&address.domain)?;
        partings(&address.local, delimiter)
            .map(|(user, detail)| (Address::new(user, address.domain.clone()), detail))
            .find(|(name, _)| takes(name))
            .map(|(name, detail)| (name, (!detail.is_empty()).then(|| detail.into())))
    }

    fn expand(&self, from: &Address, left_out: &mut Vec<String>) -> Leads {
        let mut expansion = Expansion {
            builder: self,
            path: Vec::new(),
            seen: HashSet::new(),
            leaves: Vec::new(),
            accounts: HashSet::new(),
            forwards: Vec::new(),
            missing: Vec::new(),
        };
        let nothing = Passing {
            detail: None,
            owner: None,
        };
        if let Err(reason) = expansion.visit(from, nothing) {
            left_out.push(format!("alias {from}: {reason}"));
            return Leads::Nowhere(reason);
        }
        for target in &expansion.missing {
            left_out.push(format!(
                "alias {from}: {target} is no account or alias here"
            ));
        }
        match expansion.count() {
            0 => NOBODY,
            _ => Leads::Alias(Arc::new(Members {
                leaves: expansion.leaves.into(),
                forwards: expansion.forwards.into(),
            })),
        }
    }
}

impl<'b> Expansion<'b> {
    /// Follows an alias; recursion ends at [`ALIAS_DEPTH_MAX`].
    fn visit(&mut self, alias: &Address, passing: Passing<'_>) -> Result<(), Reason> {
        if self.path.len() >= ALIAS_DEPTH_MAX {
            return Err(Reason::AliasLoop);
        }
        let builder: &'b Builder = self.builder;
        let Some(listed) = builder.aliases.get(alias) else {
            return Ok(());
        };
        self.path.push(alias.clone());
        self.seen.insert(alias.clone());
        let passing = Passing {
            owner: listed.owner.as_ref().or(passing.owner),
            ..passing
        };
        for target in &listed.to {
            self.target(target, passing)?;
        }
        self.path.pop();
        Ok(())
    }

    fn target(&mut self, target: &Address, passing: Passing<'_>) -> Result<(), Reason> {
        let Some((name, own)) = self.builder.taker(target) else {
            return match self.builder.is_foreign(target) {
                true => self.forward(target, passing.owner),
                false => {
                    self.missing.push(target.clone());
                    Ok(())
                }
            };
        };
        let passing = Passing {
            detail: own.as_deref().or(passing.detail),
            ..passing
        };
        let account = self.builder.places.get(&name);
        match (self.builder.aliases.contains_key(&name), account) {
            (true, account) if self.path.contains(&name) => {
                // An alias that comes back to itself means its own account, or goes in a circle.
                let place = account.ok_or(Reason::AliasLoop)?;
                self.leaf(*place, passing)
            }
            (true, _) if self.seen.contains(&name) => Ok(()),
            (true, _) => self.visit(&name, passing),
            (false, Some(place)) => self.leaf(*place, passing),
            (false, None) => Ok(()),
        }
    }

    /// One copy for each account, whatever ways lead to it; the first way says the detail.
    fn leaf(&mut self, account: u32, passing: Passing<'_>) -> Result<(), Reason> {
        if !self.accounts.insert(account) {
            return Ok(());
        }
        self.has_room()?;
        self.leaves.push(Leaf {
            account,
            detail: passing.detail.map(Into::into),
            owner: passing.owner.cloned(),
        });
        Ok(())
    }

    /// One copy for each address at another host, too.
    fn forward(&mut self, to: &Address, owner: Option<&Arc<Address>>) -> Result<(), Reason> {
        if !self.seen.insert(to.clone()) {
            return Ok(());
        }
        self.has_room()?;
        self.forwards.push(Forward {
            address: to.clone(),
            owner: owner.cloned(),
        });
        Ok(())
    }

    fn has_room(&self) -> Result<(), Reason> {
        match self.count() >= ALIAS_TARGETS_MAX {
            true => Err(Reason::TooManyTargets),
            false => Ok(()),
        }
    }

    fn count(&self) -> usize {
        self.leaves.len() + self.forwards.len()
    }
}

/// The name of an alias that takes all unknown names of its domain.
pub(super) const CATCH_ALL: &str = "*";

const NOBODY: Leads = Leads::Nowhere(Reason::NoSuchUser);

/// The case of a detail is kept: it may become the name of a mailbox.
fn canonical_target(address: &Address) -> Address {
    let local = match address.local.is_ascii() {
        true => address.local.clone(),
        false => canonical_local(&address.local).into_owned(),
    };
    Address::new(local, address.domain.to_ascii_lowercase())
}
