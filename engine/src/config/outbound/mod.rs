//! What leaves this host and how: `[[route]]`, `[relay]`, `[queue]`, `[[source]]`, `[[pool]]`,
//! `[[tls_policy]]`, `[tls]`; and what replies and reports bring about: `[[rule]]`,
//! `[suppression]`, `[[feedback]]`.
//!
//! Nothing leaves without a route: a file without `[[route]]` refuses every foreign recipient, and
//! so does the demo. The route of a domain is the most exact one: its own name, then `*.` with the
//! longest end of it, then `*`; routes of one pattern may be for some senders and tenants
//! ([`Whom`]). What a route does not say of its pace, `[queue]` says for all.

mod detour;
mod feedback;
mod loops;
mod read;
pub mod rule;
mod source;
#[cfg(test)]
mod tests;
mod tls;
mod whom;
mod words;

pub use detour::Detour;
pub use feedback::{Feedback, Suppression};
pub(super) use loops::loops;
pub(super) use read::outbound;
pub use rule::Rules;
pub use source::{EgressSource, Pool, Proxy, Ramp, Warmup};
pub use tls::{DomainTls, Identity, TlsCommon, TlsDemand, TlsPolicy};
pub use whom::Whom;
pub(super) use words::explain;

use super::fingerprint::Fingerprint;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use whom::Index;

/// Everything about mail for other hosts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outbound {
    pub queue: Queue,
    pub routes: Vec<Route>,
    pub relay: Relay,
    /// At least one when there is a route.
    pub sources: Vec<EgressSource>,
    /// The first one is that of all mail that nothing else is said of; at least that one when
    /// there is a route.
    pub pools: Vec<Pool>,
    pub tls: TlsCommon,
    pub tls_policies: Vec<DomainTls>,
    pub rules: Rules,
    pub suppression: Suppression,
    pub feedback: Vec<Feedback>,
    /// Which of `routes` holds.
    pub(super) index: Index,
    /// Which of `tls_policies` holds.
    pub(super) tls_index: BTreeMap<String, usize>,
}

/// What the queue of one shard may hold and use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// For what no route says otherwise.
    pub pace: Pace,
    /// Recipients waiting in one shard; more are deferred by the door.
    pub items_max: u64,
    /// Octets of messages that one shard has in memory while it sends them.
    pub sending_bytes_max: u64,
    /// Connections of one shard to other hosts.
    pub connections_max: u64,
    /// How long our users may have a message held before it is sent (RFC 4865); 0: not at all.
    pub hold_secs_max: u32,
    /// The least time in which a message may be wanted delivered or returned (RFC 2852).
    pub deliver_by_secs_min: u32,
    /// Whether the shipped rules hold behind those of the file.
    pub default_rules: bool,
    /// Notices that postmaster gets, too.
    pub postmaster_copies: Copies,
}

/// What postmaster is told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copies {
    pub failed: bool,
    pub delayed: bool,
}

/// How mail of one route is tried, and how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Seconds between attempts, the last one repeated; never empty.
    pub retry_secs: Vec<u32>,
    /// Seconds until a message is given up.
    pub expire_secs: u32,
    /// Seconds until its sender hears that it is late; `None`: never.
    pub warn_secs: Option<u32>,
    /// Connections to one site from all shards together.
    pub connections_max: u32,
    /// Messages on one connection.
    pub messages_max: u32,
    /// Recipients of one transaction.
    pub recipients_max: u32,
    /// Messages a minute to one site from all shards together; `None`: as fast as it takes them.
    pub per_minute_max: Option<u32>,
}

/// Where mail for some domains goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// As written, canonical: `example.net`, `*.example.net`, `*`.
    pub domains: Vec<String>,
    /// Patterns of senders; empty: for all.
    pub senders: Vec<String>,
    /// Accounts that submit, or `@` and their domain; empty: for all.
    pub tenants: Vec<String>,
    pub via: Via,
    pub tls: TlsPolicy,
    /// Place among the pools.
    pub pool: Option<usize>,
    pub pace: Pace,
}

/// The next hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// The hosts that DNS names (RFC 5321 §5.1).
    Mx,
    /// One host, whatever DNS says of the domain; with a login where it asks for one.
    Host {
        host: NextHost,
        login: Option<Login>,
        protocol: HopProtocol,
    },
    /// Taken and thrown away.
    Discard,
    /// Refused at RCPT, with these words.
    Reject { reason: String },
}

/// What is spoken to a fixed host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HopProtocol {
    Smtp,
    Lmtp,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NextHost {
    /// A name, or an address in digits.
    pub name: String,
    pub port: u16,
}

/// Debug never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

/// Who may send to other hosts without a login; whoever has logged in always may.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Relay {
    pub networks: Vec<Network>,
    /// Clients that show one of these certificates.
    pub certificates: Vec<Fingerprint>,
    /// PEM: clients that show a certificate that one of these authorities signed.
    pub client_authorities: Option<PathBuf>,
}

/// Addresses that share their first bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    pub address: IpAddr,
    pub bits: u8,
}

impl Outbound {
    /// The most exact route of a canonical domain for mail of `whom`, with its place among the
    /// routes; `None`: it does not leave this host.
    #[must_use]
    pub fn route(&self, domain: &str, whom: Whom<'_>) -> Option<(usize, &Route)> {
        let place = self.index.find(domain, whom)?;
        Some((place, self.routes.get(place)?))
    }

    /// The most exact TLS policy of a canonical domain with its place; `None`: its route decides.
    #[must_use]
    pub fn tls_policy(&self, domain: &str) -> Option<(usize, &TlsPolicy)> {
        let place = most_exact(&self.tls_index, domain)?;
        Some((place, &self.tls_policies.get(place)?.policy))
    }

    /// The pace of mail that has, or had, this route.
    #[must_use]
    pub fn pace(&self, domain: &str, whom: Whom<'_>) -> &Pace {
        let route = self.route(domain, whom);
        route.map_or(&self.queue.pace, |(_, route)| &route.pace)
    }

    /// What has to be known of a sender to find its routes again: the most exact pattern that fits
    /// it, of those that routes name.
    #[must_use]
    pub fn sender_pattern<'a>(&self, sender: &'a str) -> Option<Cow<'a, str>> {
        self.index.sender(sender)
    }

    /// Does any route name senders?
    #[must_use]
    pub fn has_senders(&self) -> bool {
        self.index.has_senders()
    }

    /// Does any route name senders or tenants?
    #[must_use]
    pub fn asks_whom(&self) -> bool {
        self.index.asks_whom()
    }

    /// Does any mail leave this host?
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.routes.is_empty()
    }
}

/// The name itself, then `*.` with the longest end of it, then `*`.
fn most_exact(index: &BTreeMap<String, usize>, domain: &str) -> Option<usize> {
    if let Some(place) = index.get(domain) {
        return Some(*place);
    }
    let mut rest = domain;
    while let Some((_, parent)) = rest.split_once('.') {
        if let Some(place) = index.get(&format!("*.{parent}")) {
            return Some(*place);
        }
        rest = parent;
    }
    index.get(ALL).copied()
}

impl Relay {
    /// Are clients asked for a certificate?
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        !self.certificates.is_empty() || self.client_authorities.is_some()
    }

    /// May a client at this address send to other hosts without a login?
    #[must_use]
    pub fn allows(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.holds(peer))
    }
}

impl Network {
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }

    /// `192.0.2.0/24`, `2001:db8::/32`, or one address; `None` where bits beyond the mask are set.
    #[must_use]
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse().ok()?, Some(bits.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let width = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let bits = bits.unwrap_or(width);
        let network = Network { address, bits };
        (bits <= width && network.has_no_host_bits()).then_some(network)
    }

    fn has_no_host_bits(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => address.to_bits().trailing_zeros() + u32::from(self.bits) >= 32,
            IpAddr::V6(address) => address.to_bits().trailing_zeros() + u32::from(self.bits) >= 128,
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl std::fmt::Display for NextHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            pace: Pace::default(),
            items_max: 10_000_000,
            sending_bytes_max: 64 << 20,
            connections_max: 2_000,
            hold_secs_max: 30 * DAY_SECS,
            deliver_by_secs_min: 0,
            default_rules: true,
            postmaster_copies: Copies::default(),
        }
    }
}

/// RFC 5321 §4.5.4.1: half an hour at least in the long run, sooner at first; 4–5 days in all.
impl Default for Pace {
    fn default() -> Pace {
        Pace {
            retry_secs: vec![60, 300, 900, 1_800, 3_600, 7_200, 14_400],
            expire_secs: 5 * DAY_SECS,
            warn_secs: Some(14_400),
            connections_max: 20,
            messages_max: 100,
            recipients_max: 100,
            per_minute_max: None,
        }
    }
}

/// The pattern that fits every domain.
const ALL: &str = "*";

const DAY_SECS: u32 = 86_400;
