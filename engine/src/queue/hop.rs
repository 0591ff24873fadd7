//! The next hop of a domain: its hosts in order, each with what TLS must show there.
//!
//! ```text
//! [[route]] ─┬─ mx    → resolver: hosts by preference, MTA-STS, DANE
//!            └─ host  → its address, or the addresses of its name
//! ```
//!
//! Domains with the same hosts and the same demands share a hop, and with it connections and
//! transactions.

use crate::config::outbound::{HopProtocol, NextHost, Route, TlsDemand, Via};
use crate::egress::{Demand, Dialect};
use crate::resolver::{self, DnsFailure, Host, Resolver, Ways, dane};
use crate::tls::{Judge, Proof, Shown};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{ServerName, UnixTime};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
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
    /// By which configuration it was found.
    pub(super) generation: u64,
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
        let (addresses, ttl_secs) = match host.name.parse::<IpAddr>() {
            Ok(address) => (vec![SocketAddr::new(address, host.port)], FIXED_TTL_SECS),
            Err(_) => self.look_up(&host).await?,
        };
        Ok(Hop {
            exchange: match protocol {
                HopProtocol::Smtp => format!("{place} {name}"),
                HopProtocol::Lmtp => format!("{place} {name} lmtp"),
            },
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
            generation: 0,
            ttl_secs,
        })
    }

    async fn look_up(&self, host: &NextHost) -> Result<(Vec<SocketAddr>, u32), NoHop> {
        match self.resolver.addresses(&host.name).await {
            Ok((found, ttl_secs)) => {
                let found = found.into_iter().take(ADDRESSES_MAX);
                let found = found.map(|address| SocketAddr::new(address, host.port));
                Ok((found.collect(), ttl_secs))
            }
            // A name in our own configuration: the operator will see to it.
            Err(failure) => Err(NoHop {
                is_permanent: false,
                status: (4, 4, 3),
                words: format!("next hop {}: {failure}", host.name),
            }),
        }
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
            generation: 0,
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

/// How long an address in digits is kept.
const FIXED_TTL_SECS: u32 = 60;
