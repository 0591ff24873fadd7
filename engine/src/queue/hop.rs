//! The next hop of a domain: its hosts in order, each with what TLS must show there.
//!
//! ```text
//! [[route]] ─┬─ mx    → resolver: hosts by preference, MTA-STS, DANE
//!            └─ host  → its address, or the addresses of its name by the system's own lookup
//! ```
//!
//! Domains with the same hosts and the same demands share a hop, and with it connections and
//! transactions.

use crate::config::outbound::{HopProtocol, NextHost, Route, TlsDemand, Via};
use crate::egress::{Demand, Dialect};
use crate::reactor::Pool;
use crate::resolver::{self, DnsFailure, Host, Resolver, Ways, dane};
use crate::tls::{Judge, Proof, Shown};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{ServerName, UnixTime};
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Where a ready queue leads.
#[derive(Debug)]
pub(super) struct Hop {
    /// The same for domains that share it.
    pub(super) exchange: String,
    /// Whose limits count.
    pub(super) site: String,
    /// At least one, the best first.
    pub(super) hosts: Vec<Reach>,
    pub(super) dialect: Dialect,
    pub(super) route: Rc<Route>,
    /// How long this holds, in seconds.
    pub(super) ttl_secs: u32,
}

/// One host.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) name: Rc<str>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) demand: Demand,
}

/// Why there is no hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NoHop {
    pub(super) is_permanent: bool,
    pub(super) status: (u8, u16, u16),
    pub(super) words: String,
}

/// What is asked for hops.
#[derive(Clone)]
pub struct Guides {
    pub resolver: Resolver,
    /// Threads for the system's own lookup, which blocks.
    pub lookups: Pool,
    /// Where mail exchangers listen.
    pub mx_port: u16,
}

impl Guides {
    /// The hop of a domain by its route; `place` is that of the route in the configuration.
    pub(super) async fn hop(
        &self,
        domain: &str,
        place: usize,
        route: Rc<Route>,
    ) -> Result<Hop, NoHop> {
        match &route.via {
            Via::Host { host, protocol, .. } => {
                let (host, protocol) = (host.clone(), *protocol);
                self.fixed(host, protocol, place, route).await
            }
            Via::Mx => self.exchangers(domain, place, route).await,
            Via::Discard | Via::Reject { .. } => Err(NoHop::withdrawn()),
        }
    }

    async fn fixed(
        &self,
        host: NextHost,
        protocol: HopProtocol,
        place: usize,
        route: Rc<Route>,
    ) -> Result<Hop, NoHop> {
        let name = host.to_string();
        let addresses = match host.name.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, host.port)],
            Err(_) => self.look_up(&host).await?,
        };
        Ok(Hop {
            exchange: format!("{place} {name}"),
            site: name,
            hosts: vec![Reach {
                demand: demanded(route.tls, &host.name, Demand::Opportunistic),
                name: host.name.into(),
                addresses,
            }],
            dialect: match protocol {
                HopProtocol::Smtp => Dialect::Smtp,
                HopProtocol::Lmtp => Dialect::Lmtp,
            },
            route,
            ttl_secs: FIXED_TTL_SECS,
        })
    }

    async fn look_up(&self, host: &NextHost) -> Result<Vec<SocketAddr>, NoHop> {
        let (name, port) = (host.name.clone(), host.port);
        let found = self.lookups.offload(move || {
            let found = (name.as_str(), port).to_socket_addrs();
            found.map(|all| all.take(ADDRESSES_MAX).collect::<Vec<SocketAddr>>())
        });
        let why = match found.await {
            Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
            Ok(Ok(_)) => "it has no address".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "too many lookups are under way".to_owned(),
        };
        // A name in our own configuration: the operator will see to it.
        Err(NoHop {
            is_permanent: false,
            status: (4, 4, 3),
            words: format!("next hop {}: {why}", host.name),
        })
    }

    async fn exchangers(&self, domain: &str, place: usize, route: Rc<Route>) -> Result<Hop, NoHop> {
        let ways = self.resolver.hosts(domain).await?;
        let mut hosts = Vec::with_capacity(ways.hosts.len().min(HOSTS_MAX));
        let (mut is_shared, mut hidden) = (true, None);
        for host in ways.hosts.iter().take(HOSTS_MAX) {
            let wanted = match self.resolver.demand(domain, &ways, host).await {
                Ok(wanted) => wanted,
                Err(failure) => {
                    hidden = Some(failure);
                    continue;
                }
            };
            is_shared &= !wanted.is_binding();
            if wanted.forbids_host() {
                continue;
            }
            hosts.push(self.reach(host, route.tls, wanted));
        }
        if hosts.is_empty() {
            return Err(hidden.map_or_else(NoHop::forbidden, NoHop::from));
        }
        Ok(Hop {
            exchange: exchange(&ways, place, domain, is_shared),
            site: ways.site.to_string(),
            hosts,
            dialect: Dialect::Smtp,
            route,
            ttl_secs: ways.ttl_secs,
        })
    }

    fn reach(&self, host: &Host, by_route: TlsDemand, wanted: resolver::TlsDemand) -> Reach {
        let addresses = host.addresses.iter().take(ADDRESSES_MAX);
        let published = match wanted {
            resolver::TlsDemand::Opportunistic => Demand::Opportunistic,
            resolver::TlsDemand::Encrypted => Demand::Required(Proof::Nothing),
            resolver::TlsDemand::MtaSts(sts) if sts.is_enforced => names(&host.name),
            resolver::TlsDemand::MtaSts(_) => Demand::Opportunistic,
            resolver::TlsDemand::Dane(dane) => {
                Demand::Required(Proof::Judge(Arc::new(DaneJudge(dane))))
            }
        };
        Reach {
            name: Rc::from(&*host.name),
            addresses: addresses
                .map(|address| SocketAddr::new(*address, self.mx_port))
                .collect(),
            demand: demanded(by_route, &host.name, published),
        }
    }
}

/// A policy is that of a domain: with one, a domain shares nothing.
fn exchange(ways: &Ways, place: usize, domain: &str, is_shared: bool) -> String {
    match is_shared {
        true => format!("{place} {}", ways.exchange),
        false => format!("{place} {} for {domain}", ways.exchange),
    }
}

/// What the operator wants, or more where the domain itself asks for more.
pub(super) fn demanded(by_route: TlsDemand, host: &str, published: Demand) -> Demand {
    match (by_route, published) {
        (TlsDemand::Never, _) => Demand::Clear,
        (TlsDemand::Opportunistic, published) => published,
        (TlsDemand::Required, Demand::Required(proof)) => Demand::Required(proof),
        (TlsDemand::Required, _) => Demand::Required(Proof::Nothing),
        (TlsDemand::Verified | TlsDemand::Implicit, Demand::Required(Proof::Judge(judge))) => {
            Demand::Required(Proof::Judge(judge))
        }
        (TlsDemand::Verified | TlsDemand::Implicit, _) => names(host),
    }
}

fn names(host: &str) -> Demand {
    Demand::Required(Proof::Names([host.to_owned()].into()))
}

/// RFC 7672: the certificate is judged by the records of the host.
struct DaneJudge(resolver::DaneDemand);

impl Judge for DaneJudge {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), String> {
        let others = shown.intermediates.iter();
        let chain: Vec<_> = std::iter::once(shown.end_entity)
            .chain(others)
            .cloned()
            .collect();
        let names = self.0.names.iter();
        let names: Vec<_> = names
            .filter_map(|name| ServerName::try_from(&**name).ok())
            .collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(shown.unix_secs));
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let proof = dane::verify(&self.0.records, &chain, &names, now, &algorithms);
        proof.map(drop).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for DaneJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DaneJudge({} records)", self.0.records.len())
    }
}

impl NoHop {
    /// The configuration changed under mail that was queued.
    pub(super) fn withdrawn() -> NoHop {
        NoHop {
            is_permanent: true,
            status: (5, 4, 4),
            words: "there is no route to this domain any more".to_owned(),
        }
    }

    fn forbidden() -> NoHop {
        NoHop {
            is_permanent: false,
            status: (4, 7, 5),
            words: "the policy of the domain (MTA-STS) lists none of its hosts".to_owned(),
        }
    }
}

impl From<DnsFailure> for NoHop {
    fn from(failure: DnsFailure) -> NoHop {
        let mut parts = failure.status().split('.');
        let mut next = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        NoHop {
            is_permanent: failure.is_permanent(),
            status: (next() as u8, next(), next()),
            words: failure.to_string(),
        }
    }
}

/// Hosts of one domain that are tried.
const HOSTS_MAX: usize = 20;

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 8;

/// How long the addresses of a fixed host are kept.
const FIXED_TTL_SECS: u32 = 60;
