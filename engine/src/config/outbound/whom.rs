//! Which route holds: by the domain of the recipient, then by whose mail it is.
//!
//! ```text
//! domain   example.net, then *.net, then *
//! sender   alice@example.org, then @example.org, then *.org, then routes that name none
//! tenant   alice@example.org, then @example.org, then routes that name none
//! ```
//!
//! The domain decides first: a route to a host of our own stands beside a smarthost for all that
//! an account sends. A pattern whose routes are all for somebody else does not hold, and the next
//! one is asked.

use super::super::pattern::fitting;
use super::{ALL, Route};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Whose mail it is, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Whom<'a> {
    /// The reverse-path ([`text_of`](super::super::pattern::text_of)), or the pattern that once
    /// fitted it; empty where nothing is known of it.
    pub sender: &'a str,
    /// The account that submitted it, or `@` and the domain of a sender without a login.
    pub tenant: &'a str,
}

/// Every pattern of every route.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in super::super) struct Index {
    domains: BTreeMap<String, BySender>,
    /// What routes name of senders.
    senders: BTreeSet<String>,
    has_tenants: bool,
}

/// Routes of one pattern of domains; the empty text is that of routes that name no sender.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct BySender(BTreeMap<String, ByTenant>);

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct ByTenant(BTreeMap<String, usize>);

impl Index {
    /// Adds a route; gives a domain of which another one says the same.
    pub(super) fn add(&mut self, place: usize, route: &Route) -> Option<String> {
        self.senders.extend(route.senders.iter().cloned());
        self.has_tenants |= !route.tenants.is_empty();
        let mut twice = None;
        for domain in &route.domains {
            let by_sender = self.domains.entry(domain.clone()).or_default();
            for sender in or_any(&route.senders) {
                let by_tenant = by_sender.0.entry(sender.to_owned()).or_default();
                for tenant in or_any(&route.tenants) {
                    if by_tenant.0.insert(tenant.to_owned(), place).is_some() {
                        twice = Some(domain.clone());
                    }
                }
            }
        }
        twice
    }

    /// The place of the route that holds.
    pub(super) fn find(&self, domain: &str, whom: Whom<'_>) -> Option<usize> {
        if let Some(place) = self.of(domain, whom) {
            return Some(place);
        }
        let mut rest = domain;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(place) = self.of(&format!("*.{parent}"), whom) {
                return Some(place);
            }
            rest = parent;
        }
        self.of(ALL, whom)
    }

    fn of(&self, pattern: &str, whom: Whom<'_>) -> Option<usize> {
        let by_sender = &self.domains.get(pattern)?.0;
        let of_any = by_sender
            .get("")
            .and_then(|routes| routes.find(whom.tenant));
        if self.senders.is_empty() || whom.sender.is_empty() {
            return of_any;
        }
        let mut named = fitting(whom.sender).filter_map(|sender| by_sender.get(&*sender));
        named.find_map(|routes| routes.find(whom.tenant)).or(of_any)
    }

    /// The most exact pattern of a sender that any route names.
    pub(super) fn sender<'a>(&self, sender: &'a str) -> Option<Cow<'a, str>> {
        if self.senders.is_empty() {
            return None;
        }
        fitting(sender).find(|pattern| self.senders.contains(&**pattern))
    }

    pub(super) fn has_senders(&self) -> bool {
        !self.senders.is_empty()
    }

    /// Does any route ask whose mail it is?
    pub(super) fn asks_whom(&self) -> bool {
        self.has_tenants || self.has_senders()
    }
}

impl ByTenant {
    fn find(&self, tenant: &str) -> Option<usize> {
        let of_all = self.0.get("");
        if tenant.is_empty() || self.0.len() == usize::from(of_all.is_some()) {
            return of_all.copied();
        }
        let mut named = fitting(tenant).filter_map(|tenant| self.0.get(&*tenant));
        named.next().or(of_all).copied()
    }
}

fn or_any(names: &[String]) -> impl Iterator<Item = &str> {
    let any = names.is_empty().then_some("");
    names.iter().map(String::as_str).chain(any)
}
