//! What the parts of a configuration mean together: names that lead nowhere, doubles, loops.

use super::listener::{Listener, TlsMode};
use super::name::partings;
use super::problem::Problem;
use super::raw::Notes;
use super::{Domain, Found, Parts, Protocol};
use std::collections::{HashMap, HashSet};
use store::mail::address::Address;

/// Notes what contradicts itself and gives back what is allowed and probably not meant.
pub(super) fn check(parts: &Parts, notes: &mut Notes) -> Vec<Problem> {
    let names = Names::of(parts);
    domains(parts, notes);
    accounts(parts, &names, notes);
    aliases(parts, &names, notes);
    leads_somewhere(parts, &names, notes);
    listeners(&parts.listeners, parts, notes);
    warnings(parts)
}

/// Every name that can take mail.
struct Names<'a> {
    domains: HashMap<&'a str, &'a Domain>,
    accounts: HashSet<&'a Address>,
    aliases: HashMap<&'a Address, Vec<&'a Address>>,
}

impl<'a> Names<'a> {
    fn of(parts: &'a Parts) -> Names<'a> {
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

    fn covers(&self, address: &Address) -> bool {
        let domain = self.domains.get(address.domain.as_str());
        domain.is_some_and(|domain| domain.catch_all.is_some()) || self.taker(address).is_some()
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
    let mut in_loop = HashSet::new();
    for alias in &parts.aliases {
        for from in &alias.value.from {
            in_known_domain("alias", from, alias.line, names, notes);
            // One loop is one fault: the other names of it are not told again.
            if let Some(path) = find_loop(from, names)
                && !in_loop.contains(from)
            {
                let steps: Vec<String> = path.iter().map(ToString::to_string).collect();
                notes.problem(
                    alias.line,
                    format!("aliases in a loop: {}", steps.join(" → ")),
                );
                in_loop.extend(path);
            }
        }
    }
}

/// The way from `start` back to `start`, if there is one. An alias that names itself and is an
/// account too keeps a copy; that is no loop.
fn find_loop(start: &Address, names: &Names) -> Option<Vec<Address>> {
    let mut came_from: HashMap<Address, Address> = HashMap::new();
    let mut open = vec![start.clone()];
    while let Some(here) = open.pop() {
        for next in names.aliases.get(&here).into_iter().flatten() {
            let Some(next) = names.taker(next) else {
                continue;
            };
            if next == *start && !names.accounts.contains(start) {
                return Some(way_back(start, here, &came_from));
            }
            if next != *start && !came_from.contains_key(&next) {
                came_from.insert(next.clone(), here.clone());
                open.push(next);
            }
        }
    }
    None
}

fn way_back(start: &Address, last: Address, came_from: &HashMap<Address, Address>) -> Vec<Address> {
    let mut path = vec![start.clone()];
    let mut step = Some(&last);
    while let Some(address) = step.filter(|address| *address != start) {
        path.push(address.clone());
        step = came_from.get(address);
    }
    path.push(start.clone());
    path.reverse();
    path
}

/// Targets of aliases, catch-alls and the postmaster must exist here: mail for other hosts is not
/// sent yet, and accounts of the control socket are not known to this file.
fn leads_somewhere(parts: &Parts, names: &Names, notes: &mut Notes) {
    for alias in &parts.aliases {
        for to in &alias.value.to {
            leads("alias to", to, alias.line, names, notes);
        }
    }
    for domain in &parts.domains {
        let Some(catch_all) = &domain.value.catch_all else {
            continue;
        };
        // Not `covers`: a catch-all that leads to a catch-all leads nowhere.
        if names.domains.contains_key(catch_all.domain.as_str()) && names.taker(catch_all).is_none()
        {
            let what = format!("catch_all {catch_all} leads nowhere: no such account or alias");
            notes.problem(domain.line, what);
        }
        in_known_domain("catch_all", catch_all, domain.line, names, notes);
    }
    if let Some(postmaster) = &parts.postmaster {
        leads(
            "postmaster",
            &postmaster.value,
            postmaster.line,
            names,
            notes,
        );
    }
}

fn leads(what: &str, to: &Address, line: usize, names: &Names, notes: &mut Notes) {
    if !names.domains.contains_key(to.domain.as_str()) {
        let what = format!(
            "{what} {to}: mail for other hosts is not sent yet; expected an address in a [[domain]]"
        );
        notes.problem(line, what);
    } else if !names.covers(to) {
        let what = format!("{what} {to} leads nowhere: no such account or alias");
        notes.problem(line, what);
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
    let (a, b) = (one.value.address, other.value.address);
    let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && same_ip
}

fn warnings(parts: &Parts) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut warn = |line, what: String| found.push(Problem::new(line, what));
    for Found { line, value } in &parts.listeners {
        let outside = !value.address.ip().is_loopback();
        match value.protocol {
            Protocol::Lmtp if outside => warn(
                *line,
                format!(
                    "lmtp on {} takes mail from everybody without login",
                    value.address
                ),
            ),
            Protocol::Http if outside => warn(
                *line,
                format!("http on {} shows metrics to everybody", value.address),
            ),
            Protocol::Submission | Protocol::Imap if outside && value.login_without_tls => warn(
                *line,
                format!(
                    "{} on {} takes passwords in clear",
                    value.protocol, value.address
                ),
            ),
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
