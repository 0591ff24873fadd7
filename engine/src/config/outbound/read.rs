//! TOML → [`Outbound`], every fault with its line.

use super::super::fingerprint::Fingerprint;
use super::super::name::domain_name;
use super::super::pattern::{self, NULL_PATH};
use super::super::quantity;
use super::super::raw::{At, Notes, Section};
use super::super::{Base, Found};
use super::{
    ALL, Copies, DomainTls, HopProtocol, Index, Login, Network, NextHost, Outbound, Pace, Pool,
    Queue, Relay, Route, Via, feedback, rule, source, tls,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// All tables about mail that leaves. `hostname` is what we call ourselves where no source says.
pub(in super::super) fn outbound(
    top: &mut Section<'_, '_>,
    base: &Base,
    hostname: &str,
    notes: &mut Notes,
) -> Outbound {
    let queue = match top.section(notes, "queue", "[queue]") {
        Some(section) => queue(section, notes),
        None => Queue::default(),
    };
    let sources = source::sources(top, hostname, base, notes);
    let pools = source::pools(top, &sources, notes);
    let routes = top.sections(notes, "route", "[[route]]");
    let usual = Usual {
        pace: &queue.pace,
        pools: &pools,
        base,
    };
    let routes: Vec<Found<Route>> = routes
        .into_iter()
        .filter_map(|section| route(section, &usual, notes))
        .collect();
    let policies = top.sections(notes, "tls_policy", "[[tls_policy]]");
    let policies: Vec<Found<DomainTls>> = policies
        .into_iter()
        .filter_map(|section| tls_policy(section, base, notes))
        .collect();
    let relay = match top.section(notes, "relay", "[relay]") {
        Some(section) => relay(section, base, notes),
        None => Relay::default(),
    };
    // A rule may name a source where it means that one alone.
    let mut leaves_by: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
    for source in &sources {
        if !leaves_by.contains(&source.name.as_str()) {
            leaves_by.push(&source.name);
        }
    }
    let has_shipped = queue.default_rules && !routes.is_empty();
    Outbound {
        index: index(&routes, notes),
        tls_index: tls_index(&policies, notes),
        rules: rule::rules(top, has_shipped, &leaves_by, notes),
        suppression: feedback::suppression(top, notes),
        feedback: feedback::feedback(top, notes),
        tls: tls::common(top, base, notes),
        tls_policies: policies.into_iter().map(|found| found.value).collect(),
        sources,
        pools,
        routes: routes.into_iter().map(|found| found.value).collect(),
        queue,
        relay,
    }
}

/// What a route has where it says nothing else.
struct Usual<'a> {
    pace: &'a Pace,
    pools: &'a [Pool],
    base: &'a Base<'a>,
}

/// Every pattern of every policy; one that stands twice is a fault.
fn tls_index(policies: &[Found<DomainTls>], notes: &mut Notes) -> BTreeMap<String, usize> {
    let mut index = BTreeMap::new();
    for (place, policy) in policies.iter().enumerate() {
        for domain in &policy.value.domains {
            if index.insert(domain.clone(), place).is_some() {
                let what = format!("there is another [[tls_policy]] for {domain}");
                notes.problem(policy.line, what);
            }
        }
    }
    index
}

/// Every pattern of every route; one that stands twice for the same mail is a fault.
fn index(routes: &[Found<Route>], notes: &mut Notes) -> Index {
    let mut index = Index::default();
    for (place, route) in routes.iter().enumerate() {
        if let Some(domain) = index.add(place, &route.value) {
            let what = match route.value.senders.is_empty() && route.value.tenants.is_empty() {
                true => format!("there is another [[route]] for {domain}"),
                false => format!("there is another [[route]] for {domain} and the same mail"),
            };
            notes.problem(route.line, what);
        }
    }
    index
}

fn queue(mut section: Section<'_, '_>, notes: &mut Notes) -> Queue {
    let usual = Queue::default();
    let pace = pace(&mut section, &usual.pace, notes);
    let mut number = |key, usual, to| {
        let found = section.number(notes, key, 1, to);
        found.map_or(usual, |found| found.value)
    };
    let items_max = number("items_max", usual.items_max, 100_000_000);
    let connections_max = number("shard_connections_max", usual.connections_max, 100_000);
    let bytes = section.size(notes, "sending_bytes_max", 1 << 20, 1 << 40);
    let hold = section.seconds(notes, "hold_max", 0, 366 * 86_400);
    let deliver_by = section.seconds(notes, "deliver_by_min", 0, 30 * 86_400);
    let postmaster_copies = copies(section.texts(notes, "postmaster_copies"), notes);
    let default_rules = section.bool(notes, "default_rules");
    section.finish(notes);
    Queue {
        pace,
        postmaster_copies,
        default_rules: default_rules.map_or(usual.default_rules, |at| at.value),
        items_max,
        connections_max,
        sending_bytes_max: bytes.map_or(usual.sending_bytes_max, |found| found.value),
        hold_secs_max: hold.map_or(usual.hold_secs_max, |found| found.value),
        deliver_by_secs_min: deliver_by.map_or(usual.deliver_by_secs_min, |found| found.value),
    }
}

fn copies(words: Vec<At<&str>>, notes: &mut Notes) -> Copies {
    let mut copies = Copies::default();
    for word in words {
        match word.value {
            "failed" => copies.failed = true,
            "delayed" => copies.delayed = true,
            other => {
                let what =
                    format!("postmaster_copies: \"{other}\" is neither \"failed\" nor \"delayed\"");
                notes.problem(word.line, what);
            }
        }
    }
    copies
}

/// The keys that `[queue]` and `[[route]]` have in common.
fn pace(section: &mut Section<'_, '_>, usual: &Pace, notes: &mut Notes) -> Pace {
    let retry_secs = match section.texts(notes, "retry") {
        list if list.is_empty() => usual.retry_secs.clone(),
        list => list.into_iter().filter_map(|at| wait(at, notes)).collect(),
    };
    let expire = section.seconds(notes, "expire", 1, 30 * 86_400);
    let warn = section.seconds(notes, "warn", 0, 30 * 86_400);
    let mut number = |key, usual: u32, to: u32| {
        let found = section.number(notes, key, 1, u64::from(to));
        found.map_or(usual, |at| u32::try_from(at.value).unwrap_or(to))
    };
    Pace {
        retry_secs,
        expire_secs: expire.map_or(usual.expire_secs, |at| at.value),
        warn_secs: warn.map_or(usual.warn_secs, |at| Some(at.value).filter(|n| *n > 0)),
        connections_max: number("connections_max", usual.connections_max, 10_000),
        messages_max: number("messages_per_connection_max", usual.messages_max, 100_000),
        // RFC 5321 §4.5.3.1.8: a server takes at least 100.
        recipients_max: number("recipients_per_message_max", usual.recipients_max, 1_000),
        per_minute_max: match number("messages_per_minute_max", 0, 100_000_000) {
            0 => usual.per_minute_max,
            rate => Some(rate),
        },
    }
}

fn wait(text: At<&str>, notes: &mut Notes) -> Option<u32> {
    let secs = quantity::seconds(text.value).filter(|secs| (1..=7 * 86_400).contains(secs));
    if secs.is_none() {
        let what = format!(
            "retry: \"{}\" is no time from 1s to 7d, e.g. \"15m\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    secs
}

fn route(mut section: Section<'_, '_>, usual: &Usual, notes: &mut Notes) -> Option<Found<Route>> {
    let line = section.line;
    let domains = domains(&mut section, notes);
    let senders = section.texts(notes, "senders");
    let senders = senders
        .into_iter()
        .filter_map(|text| sender(text, notes))
        .collect();
    let tenants = section.texts(notes, "tenants");
    let tenants = tenants
        .into_iter()
        .filter_map(|text| pattern::read("tenants", text, notes))
        .collect();
    let via = via(&mut section, notes);
    let tls = tls::policy(&mut section, usual.base, notes);
    let pool = section.text(notes, "pool");
    let pool = pool.and_then(|name| pool_of(name, usual.pools, notes));
    let pace = pace(&mut section, usual.pace, notes);
    section.finish(notes);
    let value = Route {
        domains,
        senders,
        tenants,
        via: via?,
        tls: tls?,
        pool,
        pace,
    };
    check_login(line, &value, notes);
    Some(Found { line, value })
}

fn tls_policy(
    mut section: Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<Found<DomainTls>> {
    let line = section.line;
    let domains = domains(&mut section, notes);
    let policy = tls::policy(&mut section, base, notes);
    section.finish(notes);
    let value = DomainTls {
        domains,
        policy: policy?,
    };
    Some(Found { line, value })
}

fn domains(section: &mut Section<'_, '_>, notes: &mut Notes) -> Vec<String> {
    let patterns = section.texts(notes, "domains");
    if patterns.is_empty() {
        let what = "needs domains = [\"example.net\"], or \"*\" for all others";
        notes.problem(section.line, format!("{} {what}", section.name));
    }
    let patterns = patterns.into_iter();
    patterns.filter_map(|text| pattern(text, notes)).collect()
}

fn pool_of(name: At<&str>, pools: &[Pool], notes: &mut Notes) -> Option<usize> {
    let place = pools.iter().position(|pool| pool.name == name.value);
    if place.is_none() {
        let what = format!("pool: there is no [[pool]] with name = \"{}\"", name.value);
        notes.problem(name.line, what);
    }
    place
}

/// A password goes over no line that others may read.
fn check_login(line: usize, route: &Route, notes: &mut Notes) {
    let Via::Host {
        login: Some(_),
        host,
        ..
    } = &route.via
    else {
        return;
    };
    let is_here = host
        .name
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback());
    if !is_here && !route.tls.demand.is_always() {
        let what = "a login needs tls = \"verified\", \"required\" or \"implicit\"";
        notes.problem(line, what);
    }
}

fn sender(text: At<&str>, notes: &mut Notes) -> Option<String> {
    match text.value {
        NULL_PATH => Some(NULL_PATH.to_owned()),
        _ => pattern::read("senders", text, notes),
    }
}

fn pattern(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let (star, name) = match text.value.strip_prefix("*.") {
        Some(name) => ("*.", name),
        None => ("", text.value),
    };
    if text.value == ALL {
        return Some(ALL.to_owned());
    }
    let name = domain_name(name);
    if name.is_none() {
        let what = format!(
            "domains: \"{}\" is no domain, no *.domain and not \"*\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    Some(format!("{star}{}", name?))
}

fn via(section: &mut Section<'_, '_>, notes: &mut Notes) -> Option<Via> {
    let line = section.line;
    let expected = "\"mx\", \"smarthost\", \"relay\", \"lmtp\", \"discard\" or \"reject\"";
    let via = section.text_required(notes, "via", expected);
    let host = section.text(notes, "host");
    let user = section.text(notes, "user");
    let password = section.text(notes, "password");
    let reason = section.text(notes, "reason");
    let via = via?;
    let takes_host = matches!(via.value, "smarthost" | "relay" | "lmtp");
    if let Some(host) = host.filter(|_| !takes_host) {
        notes.problem(host.line, format!("via = \"{}\" takes no host", via.value));
    }
    if takes_host && host.is_none() {
        let what = format!(
            "via = \"{}\" needs host = \"mail.example.org:587\"",
            via.value
        );
        notes.problem(line, what);
    }
    let login = login(user, password, via, notes);
    let fixed = |protocol, port, notes: &mut Notes| {
        Some(Via::Host {
            host: next_host(host?, port, notes)?,
            login,
            protocol,
        })
    };
    match via.value {
        "mx" => Some(Via::Mx),
        "smarthost" => fixed(HopProtocol::Smtp, 587, notes),
        "relay" => fixed(HopProtocol::Smtp, 25, notes),
        "lmtp" => fixed(HopProtocol::Lmtp, 24, notes),
        "discard" => Some(Via::Discard),
        "reject" => Some(Via::Reject {
            reason: reject_words(reason, notes)?,
        }),
        other => {
            let what = format!("via: \"{other}\" is unknown; expected {expected}");
            notes.problem(via.line, what);
            None
        }
    }
}

fn login(
    user: Option<At<&str>>,
    password: Option<At<&str>>,
    via: At<&str>,
    notes: &mut Notes,
) -> Option<Login> {
    match (user, password) {
        (None, None) => None,
        (Some(user), Some(password)) if via.value == "smarthost" => Some(Login {
            user: user.value.to_owned(),
            password: password.value.to_owned(),
        }),
        (Some(at), Some(_)) => {
            notes.problem(at.line, "only via = \"smarthost\" logs in");
            None
        }
        (Some(at), None) | (None, Some(at)) => {
            notes.problem(at.line, "user and password go together");
            None
        }
    }
}

/// What a refused recipient is told: one line of printable ASCII.
fn reject_words(reason: Option<At<&str>>, notes: &mut Notes) -> Option<String> {
    let Some(reason) = reason else {
        return Some("No mail is sent to this domain".to_owned());
    };
    let is_clean = reason.value.bytes().all(|b| (32..127).contains(&b));
    if reason.value.is_empty() || reason.value.len() > REASON_BYTES_MAX || !is_clean {
        let what = format!("reason: expected 1 to {REASON_BYTES_MAX} printable ASCII characters");
        notes.problem(reason.line, what);
        return None;
    }
    Some(reason.value.to_owned())
}

/// `name`, `name:port`, `address:port` or `[v6]:port`.
fn next_host(text: At<&str>, usual_port: u16, notes: &mut Notes) -> Option<NextHost> {
    let found = parse_host(text.value, usual_port);
    if found.is_none() {
        let what = format!(
            "host: \"{}\" is no name or address with a port, e.g. \"mail.example.org:587\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

pub(super) fn parse_host(text: &str, usual_port: u16) -> Option<NextHost> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        let (name, port) = (address.ip().to_string(), address.port());
        return (port > 0).then_some(NextHost { name, port });
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(NextHost {
            name: address.to_string(),
            port: usual_port,
        });
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0)?),
        None => (text, usual_port),
    };
    Some(NextHost {
        name: domain_name(name)?,
        port,
    })
}

impl Network {
    /// The networks of a list; what is none is named.
    pub(super) fn parse_all(written: Vec<At<&str>>, notes: &mut Notes) -> Vec<Network> {
        let mut networks = Vec::with_capacity(written.len());
        for text in written {
            match Network::parse(text.value) {
                Some(network) => networks.push(network),
                None => {
                    let what = format!(
                        "networks: \"{}\" is no network, e.g. \"192.0.2.0/24\" or \
                         \"2001:db8::/32\"",
                        text.value
                    );
                    notes.problem(text.line, what);
                }
            }
        }
        networks
    }
}

fn relay(mut section: Section<'_, '_>, base: &Base, notes: &mut Notes) -> Relay {
    let written = section.texts(notes, "networks");
    let certificates = section.texts(notes, "certificates");
    let authorities = section.text(notes, "client_authorities");
    section.finish(notes);
    if let Some(file) = authorities {
        base.check_readable(file, notes);
    }
    let certificates = certificates.into_iter();
    Relay {
        networks: Network::parse_all(written, notes),
        certificates: certificates
            .filter_map(|text| fingerprint(text, notes))
            .collect(),
        client_authorities: authorities.map(|file| base.path(file.value)),
    }
}

fn fingerprint(text: At<&str>, notes: &mut Notes) -> Option<Fingerprint> {
    let found = Fingerprint::parse(text.value);
    if found.is_none() {
        let what = format!(
            "certificates: \"{}\" is no SHA-256 fingerprint; \
             `openssl x509 -noout -fingerprint -sha256 -in FILE` shows that of a certificate",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

/// What fits a reply line beside its codes.
const REASON_BYTES_MAX: usize = 200;
