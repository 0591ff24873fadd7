//! The next hop of a domain: its hosts in order, each with what TLS must show there.
//!
//! ```text
//! [[route]] ─┬─ mx    → resolver: hosts by preference, MTA-STS, DANE
//!            └─ host  → its address, or the addresses of its name
//! ```
//!
//! Domains with the same hosts and the same demands share a hop, and with it connections and
//! transactions.

use super::security::{demanded, heed, policed};
use super::tls_report::Policed;
use crate::config::outbound::{HopProtocol, NextHost, Route, TlsDemand, TlsPolicy, Via};
use crate::egress::{Demand, Dialect};
use crate::resolver::sts::StsFault;
use crate::resolver::{self, DnsFailure, Host, Resolver, Ways};
use crate::tls::{Terms, TlsFiles};
use rustls::RootCertStore;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

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
    pub(super) tls: HopTls,
    /// By which configuration it was found.
    pub(super) generation: u64,
    /// How long this holds, in seconds.
    pub(super) ttl_secs: u32,
}

/// What all hosts of a hop have in common of TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct HopTls {
    pub(super) terms: Terms,
    pub(super) is_implicit: bool,
    /// What was wrong with the policy of the domain, for its report.
    pub(super) sts_fault: Option<StsFault>,
}

/// One host.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    pub(super) name: Rc<str>,
    /// That of its TLSA records, where it has some: an alias may lead there.
    pub(super) server_name: Rc<str>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) demand: Demand,
    /// What the operator asks for, whatever the domain publishes; `None`: no mail.
    pub(super) own_demand: Option<Demand>,
    /// `None`: a host of the configuration, of which nobody wants a report.
    pub(super) policed: Option<Rc<Policed>>,
}

/// What is asked: a domain, its route and its TLS policy, each with its place.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) domain: String,
    pub(super) place: usize,
    pub(super) route: Rc<Route>,
    /// `None`: the route says it.
    pub(super) tls_place: Option<usize>,
    pub(super) tls: TlsPolicy,
    pub(super) files: Arc<TlsFiles>,
}

/// Why there is no hop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NoHop {
    /// DNSSEC says that somebody forged the answer.
    pub(super) is_bogus: bool,
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
    /// The hop of a domain by its route.
    pub(super) async fn hop(&self, asked: Asked) -> Result<Hop, NoHop> {
        let own = asked.authorities()?;
        match &asked.route.via {
            Via::Host { host, protocol, .. } => {
                let (host, protocol) = (host.clone(), *protocol);
                self.fixed(host, protocol, &asked, own).await
            }
            Via::Mx => self.exchangers(&asked, own).await,
            Via::Discard | Via::Reject { .. } => Err(NoHop::withdrawn()),
        }
    }

    async fn fixed(
        &self,
        host: NextHost,
        protocol: HopProtocol,
        asked: &Asked,
        own: Option<Arc<RootCertStore>>,
    ) -> Result<Hop, NoHop> {
        let name = host.to_string();
        let (addresses, ttl_secs) = self.addresses(&host).await?;
        let published = resolver::TlsDemand::Opportunistic;
        let demand = demanded(&asked.tls, own, &host.name, &published);
        let demand = demand.ok_or_else(NoHop::forbidden)?;
        let reach_name: Rc<str> = host.name.into();
        Ok(Hop {
            exchange: match protocol {
                HopProtocol::Smtp => format!("{} {name}", asked.places()),
                HopProtocol::Lmtp => format!("{} {name} lmtp", asked.places()),
            },
            site: name,
            hosts: vec![Reach {
                own_demand: Some(demand.clone()),
                demand,
                server_name: Rc::clone(&reach_name),
                name: reach_name,
                addresses,
                policed: None,
            }],
            dialect: match protocol {
                HopProtocol::Smtp => Dialect::Smtp,
                HopProtocol::Lmtp => Dialect::Lmtp,
            },
            route: Rc::clone(&asked.route),
            tls: asked.hop_tls(None),
            generation: 0,
            ttl_secs,
        })
    }

    /// The addresses of a host that the configuration names, and for how many seconds they hold.
    pub(super) async fn addresses(&self, host: &NextHost) -> Result<(Vec<SocketAddr>, u32), NoHop> {
        if let Ok(address) = host.name.parse::<IpAddr>() {
            return Ok((vec![SocketAddr::new(address, host.port)], FIXED_TTL_SECS));
        }
        match self.resolver.addresses(&host.name).await {
            Ok((found, ttl_secs)) => {
                let found = found.into_iter().take(ADDRESSES_MAX);
                let found = found.map(|address| SocketAddr::new(address, host.port));
                Ok((found.collect(), ttl_secs))
            }
            // A name in our own configuration: the operator will see to it.
            Err(failure) => Err(NoHop {
                is_permanent: false,
                is_bogus: failure == DnsFailure::Bogus,
                status: (4, 4, 3),
                words: format!("next hop {}: {failure}", host.name),
            }),
        }
    }

    async fn exchangers(
        &self,
        asked: &Asked,
        own: Option<Arc<RootCertStore>>,
    ) -> Result<Hop, NoHop> {
        let domain = &asked.domain;
        let ways = self.resolver.hosts(domain).await?;
        let heed = heed(asked.tls.demand);
        let mut hosts = Vec::with_capacity(ways.hosts.len().min(HOSTS_MAX));
        let (mut is_shared, mut hidden, mut sts_fault) = (true, None, None);
        for host in ways.hosts.iter().take(HOSTS_MAX) {
            let verdict = match self.resolver.verdict(domain, &ways, host, heed).await {
                Ok(verdict) => verdict,
                Err(failure) => {
                    hidden = Some(failure);
                    continue;
                }
            };
            sts_fault = sts_fault.or(verdict.sts_fault);
            is_shared &= verdict.demand == resolver::TlsDemand::Opportunistic;
            hosts.extend(self.reach(host, asked, own.clone(), &verdict.demand));
        }
        if hosts.is_empty() {
            return Err(hidden.map_or_else(|| asked.forbidden(), NoHop::from));
        }
        is_shared &= sts_fault.is_none();
        Ok(Hop {
            exchange: exchange(&ways, &asked.places(), domain, is_shared),
            site: ways.site.to_string(),
            hosts,
            dialect: Dialect::Smtp,
            route: Rc::clone(&asked.route),
            tls: asked.hop_tls(sts_fault),
            generation: 0,
            ttl_secs: ways.ttl_secs,
        })
    }

    /// `None`: the host gets no mail.
    fn reach(
        &self,
        host: &Host,
        asked: &Asked,
        own: Option<Arc<RootCertStore>>,
        published: &resolver::TlsDemand,
    ) -> Option<Reach> {
        let name: Rc<str> = Rc::from(&*host.name);
        let server_name = match published {
            // RFC 7672 §3.2.2: the first name is the one that the records are of.
            resolver::TlsDemand::Dane(dane) => dane.names.first().map(|name| Rc::from(&**name)),
            _ => None,
        };
        let addresses = host.addresses.iter().take(ADDRESSES_MAX);
        let nothing = resolver::TlsDemand::Opportunistic;
        Some(Reach {
            own_demand: demanded(&asked.tls, own.clone(), &host.name, &nothing),
            demand: demanded(&asked.tls, own, &host.name, published)?,
            server_name: server_name.unwrap_or_else(|| Rc::clone(&name)),
            name,
            addresses: addresses
                .map(|address| SocketAddr::new(*address, self.mx_port))
                .collect(),
            policed: Some(Rc::new(policed(published))),
        })
    }
}

impl Asked {
    /// Names what decided: domains share a hop only where it is the same.
    fn places(&self) -> String {
        match self.tls_place {
            None => self.place.to_string(),
            Some(tls) => format!("{}/{tls}", self.place),
        }
    }

    /// The authorities that the policy names.
    fn authorities(&self) -> Result<Option<Arc<RootCertStore>>, NoHop> {
        let Some(file) = &self.tls.authorities else {
            return Ok(None);
        };
        let found = self.files.authorities(file);
        let unread = || NoHop {
            is_permanent: false,
            is_bogus: false,
            status: (4, 3, 5),
            words: format!("{} was not read; reload the configuration", file.display()),
        };
        found.map(Some).ok_or_else(unread)
    }

    fn hop_tls(&self, sts_fault: Option<StsFault>) -> HopTls {
        let own = self.tls.identity.as_ref();
        HopTls {
            terms: Terms {
                identity: own.and_then(|own| self.files.identity(&own.cert, &own.key)),
                is_13_only: self.tls.is_13_only,
            },
            is_implicit: self.tls.demand == TlsDemand::Implicit,
            sts_fault,
        }
    }

    fn forbidden(&self) -> NoHop {
        match self.tls.demand {
            TlsDemand::DaneOnly => NoHop {
                words: "none of the hosts of the domain can be proven by DANE".to_owned(),
                ..NoHop::forbidden()
            },
            _ => NoHop::forbidden(),
        }
    }
}

/// A policy is that of a domain: with one, a domain shares nothing.
fn exchange(ways: &Ways, places: &str, domain: &str, is_shared: bool) -> String {
    match is_shared {
        true => format!("{places} {}", ways.exchange),
        false => format!("{places} {} for {domain}", ways.exchange),
    }
}

impl NoHop {
    /// The configuration changed under mail that was queued.
    pub(super) fn withdrawn() -> NoHop {
        NoHop {
            is_permanent: true,
            is_bogus: false,
            status: (5, 4, 4),
            words: "there is no route to this domain any more".to_owned(),
        }
    }

    fn forbidden() -> NoHop {
        NoHop {
            is_permanent: false,
            is_bogus: false,
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
            is_bogus: failure == DnsFailure::Bogus,
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
