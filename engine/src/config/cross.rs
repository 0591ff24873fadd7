//! What the parts of a configuration mean together: names that lead nowhere, doubles, loops.

use super::dkim;
use super::listener::{ListenAt, Listener, TlsMode};
use super::name::partings;
use super::outbound::rule::Pattern;
use super::outbound::{Feedback, Outbound, Whom};
use super::problem::Problem;
use super::raw::Notes;
use super::{Domain, Found, Parts, Protocol, ResolverConfig};
use std::collections::{HashMap, HashSet};
use store::mail::address::Address;

/// Notes what contradicts itself and gives back what is allowed and probably not meant.
pub(super) fn check(parts: &Parts, outbound: &Outbound, notes: &mut Notes) -> Vec<Problem> {
    let names = Names::of(parts, outbound);
    domains(parts, notes);
    accounts(parts, &names, notes);
    aliases(parts, &names, notes);
    leads_somewhere(parts, &names, notes);
    catch_alls(parts, &names, notes);
    bounces_come_back(parts, &names, notes);
    listeners(&parts.listeners, parts, notes);
    dkim::check(&parts.dkim, notes);
    let mut found = warnings(parts);
    found.extend(outbound.feedback.iter().filter_map(believes_nobody));
    found
}

/// Reports would be read in vain.
fn believes_nobody(feedback: &Feedback) -> Option<Problem> {
    let what = format!(
        "[[feedback]] {}: without networks or token no report is believed, and none suppresses",
        feedback.address
    );
    let is_open = feedback.networks.is_empty() && feedback.token.is_none();
    is_open.then(|| Problem::new(feedback.line, what))
}

/// Rules about providers that are nowhere named, reports to domains of others.
pub(super) fn replies(
    outbound: &Outbound,
    resolver: &ResolverConfig,
    domains: &[Found<Domain>],
    notes: &mut Notes,
) {
    let is_site = |name: &str| resolver.rollups.iter().any(|known| known.site == name);
    for rule in outbound.rules.list().iter().filter(|rule| !rule.is_shipped) {
        let providers = rule.sites.iter().filter_map(Pattern::provider);
        for name in providers.filter(|name| !is_site(name)) {
            let known: Vec<&str> = resolver.rollups.iter().map(|one| &*one.site).collect();
            let what = format!(
                "site: there is no [[resolver.rollup]] {name}; there are {}",
                known.join(", ")
            );
            notes.problem(rule.line, what);
        }
    }
    for Feedback { address, line, .. } in &outbound.feedback {
        if !domains
            .iter()
            .any(|domain| domain.value.name == address.domain)
        {
            let what = format!(
                "address {address}: there is no [[domain]] with name = \"{}\"",
                address.domain
            );
            notes.problem(*line, what);
        }
    }
}

/// Every name that can take mail.
struct Names<'a> {
    domains: HashMap<&'a str, &'a Domain>,
    accounts: HashSet<&'a Address>,
    aliases: HashMap<&'a Address, Vec<&'a Address>>,
    outbound: &'a Outbound,
}

impl<'a> Names<'a> {
    fn of(parts: &'a Parts, outbound: &'a Outbound) -> Names<'a> {
        let mut aliases: HashMap<&Address, Vec<&Address>> = HashMap::new();
        for alias in &parts.aliases {
            for from in &alias.value.from {
                aliases.entry(from).or_default().extend(&alias.value.to);
            }
        }
        let domains = parts.domains.iter();
        let accounts = parts.accounts.iter();
        Names {
            domains: domains.map(|d| (d.value.name.as_str(), &d.value)).collect(),
            accounts: accounts.map(|account| &account.value.address).collect(),
            aliases,
            outbound,
        }
    }

    /// The name that takes mail for `address`: itself, or what stands before its detail.
    fn taker(&self, address: &Address) -> Option<Address> {
        if self.takes(address) {
            return Some(address.clone());
        }
        let delimiter = self.domains.get(address.domain.as_str())?.delimiter?;
        partings(&address.local, Some(delimiter))
            .map(|(user, _)| Address::new(user, address.domain.clone()))
            .find(|base| self.takes(base))
    }

    fn takes(&self, address: &Address) -> bool {
        self.accounts.contains(address) || self.aliases.contains_key(address)
    }

    /// The alias that takes mail for `address`, as the file names it.
    fn alias(&self, address: &Address) -> Option<&'a Address> {
        let taker = self.taker(address)?;
        self.aliases.get_key_value(&taker).map(|(name, _)| *name)
    }

    fn covers(&self, address: &Address) -> bool {
        let domain = self.domains.get(address.domain.as_str());
        let star = Address::new("*", address.domain.clone());
        domain.is_some_and(|domain| domain.catch_all.is_some())
            || self.aliases.contains_key(&star)
            || self.taker(address).is_some()
    }

    /// Why mail for an address at another host has no way there; `None`: it has one, for some
    /// senders at least.
    fn no_way(&self, to: &Address) -> Option<&'static str> {
        let has_route =
            self.outbound.asks_whom() || self.outbound.route(&to.domain, Whom::default()).is_some();
        match (self.outbound.is_on(), has_route) {
            (false, _) => Some("mail for other hosts needs a [[route]]"),
            (true, false) => Some("there is no [[route]] to its domain"),
            (true, true) => None,
        }
    }
}

fn domains(parts: &Parts, notes: &mut Notes) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for domain in &parts.domains {
        if let Some(first) = seen.insert(&domain.value.name, domain.line) {
            let what = format!(
                "domain {} stands in line {first} already",
                domain.value.name
            );
            notes.problem(domain.line, what);
        }
    }
}

fn accounts(parts: &Parts, names: &Names, notes: &mut Notes) {
    let mut seen: HashMap<&Address, usize> = HashMap::new();
    for account in &parts.accounts {
        let address = &account.value.address;
        if let Some(first) = seen.insert(address, account.line) {
            let what = format!("account {address} stands in line {first} already");
            notes.problem(account.line, what);
        }
        in_known_domain("account", address, account.line, names, notes);
    }
}

fn aliases(parts: &Parts, names: &Names, notes: &mut Notes) {
    let mut walk = Walk {
        names,
        done: HashSet::new(),
        lines: HashMap::new(),
    };
    for alias in &parts.aliases {
        for from in &alias.value.from {
            in_known_domain("alias", from, alias.line, names, notes);
            walk.lines.entry(from).or_insert(alias.line);
        }
    }
    for alias in &parts.aliases {
        for from in &alias.value.from {
            walk.from(from, notes);
        }
    }
}

/// A walk through all aliases, each entered once.
struct Walk<'a> {
    names: &'a Names<'a>,
    done: HashSet<&'a Address>,
    lines: HashMap<&'a Address, usize>,
}

impl<'a> Walk<'a> {
    /// Depth first, without recursion: a chain is as long as the file allows.
    fn from(&mut self, start: &'a Address, notes: &mut Notes) {
        let names = self.names;
        let mut path: Vec<(&Address, std::slice::Iter<'_, &Address>)> = Vec::new();
        let mut next = Some(start);
        while next.is_some() || !path.is_empty() {
            if let Some(alias) = next.take()
                && self.done.insert(alias)
                && let Some(targets) = names.aliases.get(alias)
            {
                path.push((alias, targets.iter()));
            }
            let Some((_, targets)) = path.last_mut() else {
                return;
            };
            let Some(target) = targets.next() else {
                path.pop();
                continue;
            };
            let Some(alias) = names.alias(target) else {
                continue;
            };
            match path.iter().position(|(on_path, _)| *on_path == alias) {
                // An alias that names itself and is an account too keeps a copy.
                Some(_) if names.accounts.contains(alias) => {}
                Some(first) => {
                    let round = path.iter().skip(first).map(|(on_path, _)| *on_path);
                    self.tell(round.collect(), notes);
                }
                None => next = Some(alias),
            }
        }
    }

    fn tell(&self, round: Vec<&Address>, notes: &mut Notes) {
        let Some(first) = round.first() else {
            return;
        };
        let steps: Vec<String> = round
            .iter()
            .chain([first])
            .map(ToString::to_string)
            .collect();
        let line = self.lines.get(*first).copied().unwrap_or(0);
        notes.problem(line, format!("aliases in a loop: {}", steps.join(" → ")));
    }
}

/// Targets of aliases, catch-alls and the postmaster must exist here, or have a route.
fn leads_somewhere(parts: &Parts, names: &Names, notes: &mut Notes) {
    for alias in &parts.aliases {
        for to in &alias.value.to {
            leads("alias to", to, alias.line, names.covers(to), names, notes);
        }
        if let Some(to) = &alias.value.owner {
            leads("owner", to, alias.line, names.covers(to), names, notes);
        }
    }
    for domain in &parts.domains {
        if let Some(to) = &domain.value.catch_all {
            // Not `covers`: a catch-all that leads to a catch-all leads nowhere.
            let found = names.taker(to).is_some();
            leads("catch_all", to, domain.line, found, names, notes);
        }
    }
    if let Some(Found { line, value }) = &parts.postmaster {
        leads(
            "postmaster",
            value,
            *line,
            names.covers(value),
            names,
            notes,
        );
    }
}

fn leads(what: &str, to: &Address, line: usize, found: bool, names: &Names, notes: &mut Notes) {
    let Some(domain) = names.domains.get(to.domain.as_str()) else {
        if let Some(why) = names.no_way(to) {
            let what = format!("{what} {to}: there is no [[domain]] of that name, and {why}");
            notes.problem(line, what);
        }
        return;
    };
    if !found && !domain.accounts_elsewhere {
        let what = format!(
            "{what} {to} leads nowhere: no such account or alias in this file; where \
             ringpostctl makes accounts, its [[domain]] says accounts_elsewhere = true"
        );
        notes.problem(line, what);
    }
}

/// All that is unknown goes one way.
fn catch_alls(parts: &Parts, names: &Names, notes: &mut Notes) {
    for alias in &parts.aliases {
        let stars = alias.value.from.iter().filter(|from| from.local == "*");
        for star in stars {
            let domain = names.domains.get(star.domain.as_str());
            if domain.is_some_and(|domain| domain.catch_all.is_some()) {
                let what = format!("alias {star}: its [[domain]] has a catch_all already");
                notes.problem(alias.line, what);
            }
        }
    }
}

/// Bounces come back to the domain that stands in rewritten reverse-paths: it must be ours.
fn bounces_come_back(parts: &Parts, names: &Names, notes: &mut Notes) {
    let (forwarding, line) = &parts.forwarding;
    if let Some(srs) = &forwarding.srs
        && !names.domains.contains_key(srs.domain.as_str())
    {
        let what = format!("srs: there is no [[domain]] with name = \"{}\"", srs.domain);
        notes.problem(*line, what);
    }
}

fn in_known_domain(what: &str, at: &Address, line: usize, names: &Names, notes: &mut Notes) {
    if !names.domains.contains_key(at.domain.as_str()) {
        let what = format!(
            "{what} {at}: there is no [[domain]] with name = \"{}\"",
            at.domain
        );
        notes.problem(line, what);
    }
}

fn listeners(listeners: &[Found<Listener>], parts: &Parts, notes: &mut Notes) {
    for (index, listener) in listeners.iter().enumerate() {
        let earlier = listeners.iter().take(index);
        if let Some(first) = earlier.into_iter().find(|other| overlap(other, listener)) {
            let what = format!(
                "address {} is taken by the listener in line {}",
                listener.value.address, first.line
            );
            notes.problem(listener.line, what);
        }
        if listener.value.tls != TlsMode::None && parts.certificates.is_empty() {
            let what = format!(
                "tls = \"{}\" needs a [[certificate]]; without one say tls = \"none\"",
                listener.value.tls
            );
            notes.problem(listener.line, what);
        }
    }
}

/// The same port on the same address, or on all addresses of that family.
fn overlap(one: &Found<Listener>, other: &Found<Listener>) -> bool {
    let (a, b) = match (&one.value.address, &other.value.address) {
        (ListenAt::Tcp(a), ListenAt::Tcp(b)) => (a, b),
        (ListenAt::Unix { path: a, .. }, ListenAt::Unix { path: b, .. }) => return a == b,
        _ => return false,
    };
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && same_ip
}

fn warnings(parts: &Parts) -> Vec<Problem> {
    let mut found = dkim::warnings(&parts.dkim);
    let mut warn = |line, what: String| found.push(Problem::new(line, what));
    for Found { line, value } in &parts.listeners {
        let outside = !value.address.is_local();
        match value.protocol {
            Protocol::Lmtp if outside => warn(
                *line,
                format!(
                    "lmtp on {} takes mail from everybody without login",
                    value.address
                ),
            ),
            Protocol::Http if outside && !value.inject => warn(
                *line,
                format!("http on {} shows metrics to everybody", value.address),
            ),
            Protocol::Submission | Protocol::Imap | Protocol::Pop3
                if outside && value.login_without_tls =>
            {
                warn(
                    *line,
                    format!(
                        "{} on {} takes passwords in clear",
                        value.protocol, value.address
                    ),
                );
            }
            _ => {}
        }
    }
    if parts.listeners.is_empty() {
        warn(
            0,
            "there is no [[listener]]: nobody can reach this server".to_owned(),
        );
    }
    found
}
