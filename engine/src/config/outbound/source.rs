//! Where mail leaves from: `[[source]]`, its proxy and its warm-up, and `[[pool]]` of sources.
//!
//! A message leaves by one source of one pool. The pool is the one that names its sender, else the
//! one that names its tenant, else the one of its route, else `default`, which holds all sources
//! where the file has no pool of that name.

use super::super::Found;
use super::super::dkim::day;
use super::super::name::domain_name;
use super::super::raw::{At, Notes, Section};
use super::super::{Base, address};
use super::read::parse_host;
use super::tls::{self, Identity};
use super::{Login, NextHost};
use std::collections::HashSet;
use std::net::IpAddr;

/// Where connections come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EgressSource {
    pub name: String,
    /// At most one of each family; none at all: the kernel or the proxy chooses.
    pub addresses: Vec<IpAddr>,
    /// What we call ourselves there.
    pub hello: String,
    /// Share of the mail of the pool `default`, beside the others.
    pub weight: u32,
    pub proxy: Option<Proxy>,
    /// Connections of all shards together.
    pub connections_max: Option<u32>,
    /// Messages a minute of all shards together.
    pub per_minute_max: Option<u32>,
    pub warmup: Option<Warmup>,
    /// The certificate that is shown to hosts that ask for one.
    pub identity: Option<Identity>,
}

/// What stands between a source and the hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proxy {
    /// Takes PROXY protocol version 2, and connects from the address that it names.
    HaProxy(NextHost),
    /// RFC 1928, with the login of RFC 1929 where there is one.
    Socks5(NextHost, Option<Login>),
}

/// How a new address gets known: so many messages a day to each site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warmup {
    /// Days since 1970, in UTC.
    pub start_day: u32,
    pub ramp: Ramp,
    /// Sites with a ramp of their own.
    pub sites: Vec<(String, Ramp)>,
}

/// Messages a day, from the first day on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ramp {
    /// Behind the last of these days the source is warm. Never empty.
    Days(Vec<u32>),
    /// So many on the first day, each day so much more, until the target is reached.
    Curve {
        first: u32,
        growth_percent: u32,
        target: u32,
    },
}

/// Sources that share mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    pub name: String,
    /// Places among the sources, with their shares. Never empty.
    pub members: Vec<(usize, u32)>,
    /// Whose mail leaves here: accounts, or `@domain` of senders that have no login.
    pub tenants: Vec<String>,
    /// Addresses of senders, or `@` and a domain.
    pub senders: Vec<String>,
}

impl Warmup {
    /// Messages that may leave for a site on a day, counted from 1970; `None`: as many as come.
    #[must_use]
    pub fn allows(&self, site: &str, day: u32) -> Option<u32> {
        let Some(nth) = day.checked_sub(self.start_day) else {
            return Some(0);
        };
        let own = self.sites.iter().find(|(name, _)| name == site);
        own.map_or(&self.ramp, |(_, ramp)| ramp).on(nth)
    }
}

impl Ramp {
    /// On the n-th day, counted from 0.
    fn on(&self, nth: u32) -> Option<u32> {
        match self {
            Ramp::Days(days) => days.get(nth as usize).copied(),
            Ramp::Curve {
                first,
                growth_percent,
                target,
            } => {
                let factor = 1.0 + f64::from(*growth_percent) / 100.0;
                let today = f64::from(*first) * factor.powi(nth.min(DAYS_MAX) as i32);
                // Below a target of 32 bits.
                (today < f64::from(*target)).then_some(today as u32)
            }
        }
    }
}

impl EgressSource {
    /// The one where the file names none.
    #[must_use]
    pub fn only(hostname: &str) -> EgressSource {
        EgressSource {
            name: DEFAULT.to_owned(),
            addresses: Vec::new(),
            hello: hostname.to_owned(),
            weight: 1,
            proxy: None,
            connections_max: None,
            per_minute_max: None,
            warmup: None,
            identity: None,
        }
    }
}

/// `[[source]]`, at least one.
pub(super) fn sources(
    top: &mut Section<'_, '_>,
    hostname: &str,
    base: &Base,
    notes: &mut Notes,
) -> Vec<EgressSource> {
    for old in top.sections(notes, "egress", "[[egress]]") {
        let what = "[[egress]] is called [[source]] now; the keys are the same";
        notes.problem(old.line, what);
    }
    let mut known = HashSet::new();
    let mut sources = Vec::new();
    for section in top.sections(notes, "source", "[[source]]") {
        let line = section.line;
        let Some(source) = source(section, hostname, base, notes) else {
            continue;
        };
        if !known.insert(source.name.clone()) {
            notes.problem(line, format!("there is another source {}", source.name));
        }
        sources.push(source);
    }
    if sources.is_empty() {
        sources.push(EgressSource::only(hostname));
    }
    sources
}

fn source(
    mut section: Section<'_, '_>,
    hostname: &str,
    base: &Base,
    notes: &mut Notes,
) -> Option<EgressSource> {
    let line = section.line;
    let name = section.text_required(notes, "name", "\"main\"");
    let addresses = addresses(section.texts(notes, "address"), notes);
    let hello = section.text(notes, "hello");
    let hello = hello.map_or(Some(hostname.to_owned()), |text| hello_name(text, notes));
    let weight = section.number(notes, "weight", 1, WEIGHT_MAX);
    let proxy = section.text(notes, "proxy");
    let connections_max = section.number(notes, "connections_max", 1, 100_000);
    let per_minute_max = section.number(notes, "messages_per_minute_max", 1, 100_000_000);
    let identity = tls::identity(&mut section, base, notes);
    let warmup = section.section(notes, "warmup", "[source.warmup]");
    let warmup = warmup.and_then(|section| warm_up(section, notes));
    section.finish(notes);
    let proxy = match proxy {
        Some(text) => Some(read_proxy(text, notes)?),
        None => None,
    };
    if matches!(proxy, Some(Proxy::Socks5(..))) && !addresses.is_empty() {
        notes.problem(line, "address: a SOCKS5 proxy chooses the address itself");
    }
    let small = |found: Option<At<u64>>| found.and_then(|at| u32::try_from(at.value).ok());
    Some(EgressSource {
        name: name?.value.to_owned(),
        addresses,
        hello: hello?,
        weight: small(weight).unwrap_or(1),
        proxy,
        connections_max: small(connections_max),
        per_minute_max: small(per_minute_max),
        warmup,
        identity,
    })
}

fn addresses(written: Vec<At<&str>>, notes: &mut Notes) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in written {
        let Ok(address) = text.value.parse::<IpAddr>() else {
            let what = format!("address: \"{}\" is no IP address", text.value);
            notes.problem(text.line, what);
            continue;
        };
        if addresses
            .iter()
            .any(|known| known.is_ipv4() == address.is_ipv4())
        {
            let what = "address: one of IPv4 and one of IPv6; others are sources of their own";
            notes.problem(text.line, what);
            continue;
        }
        addresses.push(address);
    }
    addresses
}

fn hello_name(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let name = domain_name(text.value);
    if name.is_none() {
        let what = format!("hello: \"{}\" is no host name", text.value);
        notes.problem(text.line, what);
    }
    name
}

fn read_proxy(text: At<&str>, notes: &mut Notes) -> Option<Proxy> {
    let found = parse_proxy(text.value);
    if found.is_none() {
        // The text may hold a password and is not repeated.
        let what = "proxy: expected \"haproxy:host:port\" or \"socks5://user:password@host:port\"";
        notes.problem(text.line, what);
    }
    found
}

fn parse_proxy(text: &str) -> Option<Proxy> {
    if let Some(host) = text.strip_prefix("haproxy:") {
        return Some(Proxy::HaProxy(with_port(host)?));
    }
    let rest = text.strip_prefix("socks5://")?;
    let Some((login, host)) = rest.rsplit_once('@') else {
        return Some(Proxy::Socks5(with_port(rest)?, None));
    };
    let (user, password) = login.split_once(':')?;
    // RFC 1929 §2: one octet counts each.
    let fits = |text: &str| (1..=255).contains(&text.len());
    let login = Login {
        user: user.to_owned(),
        password: password.to_owned(),
    };
    (fits(user) && fits(password)).then_some(())?;
    Some(Proxy::Socks5(with_port(host)?, Some(login)))
}

/// No port is usual here.
fn with_port(text: &str) -> Option<NextHost> {
    parse_host(text, 0).filter(|host| host.port > 0)
}

fn warm_up(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Warmup> {
    let start = section.text_required(notes, "start", "\"2026-12-01\"");
    let start = start.and_then(|text| day("start", text, notes));
    let usual = ramp(&mut section, notes);
    let mut sites = Vec::new();
    for mut site in section.sections(notes, "site", "[[source.warmup.site]]") {
        let name = site.text_required(notes, "site", "\"google\"");
        let own = ramp(&mut site, notes);
        site.finish(notes);
        sites.extend(
            name.zip(own)
                .map(|(name, own)| (name.value.to_owned(), own)),
        );
    }
    section.finish(notes);
    Some(Warmup {
        start_day: u32::try_from(start? / DAY_SECS).ok()?,
        ramp: usual?,
        sites,
    })
}

fn ramp(section: &mut Section<'_, '_>, notes: &mut Notes) -> Option<Ramp> {
    let line = section.line;
    let days = section.numbers(notes, "days", 0, MESSAGES_MAX);
    let first = section.number(notes, "first", 1, MESSAGES_MAX);
    let growth = section.number(notes, "growth_percent", 1, 1_000);
    let target = section.number(notes, "target", 1, MESSAGES_MAX);
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    match (days.is_empty(), first, growth, target) {
        (false, None, None, None) if days.len() <= DAYS_MAX as usize => {
            Some(Ramp::Days(days.into_iter().map(small).collect()))
        }
        (true, Some(first), Some(growth), Some(target)) => Some(Ramp::Curve {
            first: small(first.value),
            growth_percent: small(growth.value),
            target: small(target.value),
        }),
        _ => {
            let what = "a warm-up needs days = [50, 100, …], or first, growth_percent and target";
            notes.problem(line, what);
            None
        }
    }
}

/// `[[pool]]`; the first one is `default`. Gives the line of each that the file has, too.
pub(super) fn pools(
    top: &mut Section<'_, '_>,
    sources: &[EgressSource],
    notes: &mut Notes,
) -> Vec<Pool> {
    let written = top.sections(notes, "pool", "[[pool]]");
    let written = written.into_iter();
    let found: Vec<Found<Pool>> = written
        .filter_map(|section| pool(section, sources, notes))
        .collect();
    check_pools(&found, notes);
    let mut pools: Vec<Pool> = found.into_iter().map(|found| found.value).collect();
    match pools.iter().position(|pool| pool.name == DEFAULT) {
        Some(at) => pools.swap(0, at),
        None => pools.insert(0, everything(sources)),
    }
    pools
}

fn everything(sources: &[EgressSource]) -> Pool {
    let members = sources.iter().enumerate();
    Pool {
        name: DEFAULT.to_owned(),
        members: members.map(|(at, source)| (at, source.weight)).collect(),
        tenants: Vec::new(),
        senders: Vec::new(),
    }
}

fn pool(
    mut section: Section<'_, '_>,
    sources: &[EgressSource],
    notes: &mut Notes,
) -> Option<Found<Pool>> {
    let line = section.line;
    let name = section.text_required(notes, "name", "\"bulk\"");
    let mut members = Vec::new();
    for mut member in section.sections(notes, "source", "[[pool.source]]") {
        let name = member.text_required(notes, "name", "\"main\"");
        let weight = member.number(notes, "weight", 1, WEIGHT_MAX);
        member.finish(notes);
        let weight = weight.map_or(1, |at| u32::try_from(at.value).unwrap_or(1));
        let place = name.and_then(|name| place_of(name, sources, notes));
        members.extend(place.map(|place| (place, weight)));
    }
    let tenants = section.texts(notes, "tenants");
    let tenants = tenants.into_iter().filter_map(|text| party(text, notes));
    let tenants = tenants.collect();
    let senders = section.texts(notes, "senders");
    let senders = senders.into_iter().filter_map(|text| party(text, notes));
    let senders = senders.collect();
    section.finish(notes);
    if members.is_empty() {
        let what = "[[pool]] needs source = [{ name = \"main\", weight = 1 }]";
        notes.problem(line, what);
        return None;
    }
    let value = Pool {
        name: name?.value.to_owned(),
        members,
        tenants,
        senders,
    };
    Some(Found { line, value })
}

fn place_of(name: At<&str>, sources: &[EgressSource], notes: &mut Notes) -> Option<usize> {
    let place = sources.iter().position(|source| source.name == name.value);
    if place.is_none() {
        let what = format!("there is no [[source]] with name = \"{}\"", name.value);
        notes.problem(name.line, what);
    }
    place
}

/// An address, or `@` and a domain.
fn party(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let found = match text.value.strip_prefix('@') {
        Some(domain) => domain_name(domain).map(|domain| format!("@{domain}")),
        None => address(text.value).ok().map(|address| address.to_string()),
    };
    if found.is_none() {
        let what = format!("\"{}\" is no address and no @domain", text.value);
        notes.problem(text.line, what);
    }
    found
}

/// A name, a tenant or a sender of two pools would leave open which one is meant.
fn check_pools(pools: &[Found<Pool>], notes: &mut Notes) {
    let mut known = HashSet::new();
    for Found { line, value } in pools {
        let tenants = value.tenants.iter().map(|name| ("tenant", name));
        let senders = value.senders.iter().map(|name| ("sender", name));
        let names = tenants.chain(senders).chain([("pool", &value.name)]);
        for (what, name) in names {
            if !known.insert((what, name)) {
                notes.problem(*line, format!("the {what} {name} stands in two pools"));
            }
        }
        let mut members = HashSet::new();
        if !value.members.iter().all(|(at, _)| members.insert(*at)) {
            notes.problem(*line, "a source stands in this pool twice");
        }
    }
}

/// The pool of all mail that nothing else is said of, and the source where there is none.
pub(super) const DEFAULT: &str = "default";

const WEIGHT_MAX: u64 = 1_000_000;

/// Messages a day to one site.
const MESSAGES_MAX: u64 = 1_000_000_000;

/// Days of a schedule.
const DAYS_MAX: u32 = 366;

const DAY_SECS: i64 = 86_400;
