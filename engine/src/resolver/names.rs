//! The oracle of the service thread: hosts of a domain, TLSA records of a host, policy of a domain.

use super::dane::{self, Tlsa};
use super::desk::Oracle;
use super::dns::{Dns, Lack};
use super::exchange::{Addresses, HOSTS_MAX, Mx, Ourselves, candidates, reachable};
use super::sts::{Keeper, Standing};
use super::ways::{Origin, Ways};
use super::{DnsFailure, ResolverConfig, site};
use futures_util::stream::{self, StreamExt};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// What a shard may ask. Names are in lower-case A-labels without the last dot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Question {
    Hosts(Arc<str>),
    /// The addresses of one host that the operator named.
    Addresses(Arc<str>),
    /// The TLSA records of a host that is known securely.
    Tlsa(Arc<str>, u16),
    Policy(Arc<str>),
}

/// The answer to the question of the same name.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Hosts(Result<Arc<Ways>, DnsFailure>),
    /// With the seconds that they hold.
    Addresses(Result<(Vec<IpAddr>, u32), DnsFailure>),
    Tlsa(Result<Association, DnsFailure>),
    Policy(Standing),
}

/// What the TLSA records of a host come to (RFC 7672 §2.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Association {
    /// There are none, or nobody vouches for them.
    None,
    /// There are some, none of them usable.
    Unusable,
    Records(Arc<[Tlsa]>),
}

pub(super) struct Names {
    pub(super) dns: Arc<Dns>,
    pub(super) policies: Keeper,
    pub(super) config: ResolverConfig,
    pub(super) own: Ourselves,
}

impl Oracle for Names {
    type Question = Question;
    type Answer = Answer;

    async fn answer(&self, question: &Question) -> Answer {
        let time = self.time_max();
        match question {
            Question::Hosts(domain) => {
                let hosts = tokio::time::timeout(time, self.hosts(domain)).await;
                Answer::Hosts(hosts.unwrap_or(Err(DnsFailure::Silent)))
            }
            Question::Addresses(host) => {
                let found = tokio::time::timeout(time, self.named(host)).await;
                Answer::Addresses(found.unwrap_or(Err(DnsFailure::Silent)))
            }
            Question::Tlsa(host, port) => {
                let found = tokio::time::timeout(time, self.association(host, *port)).await;
                Answer::Tlsa(found.unwrap_or(Err(DnsFailure::Silent)))
            }
            Question::Policy(domain) => Answer::Policy(self.policies.policy(domain).await),
        }
    }
}

impl Names {
    async fn hosts(&self, domain: &Arc<str>) -> Result<Arc<Ways>, DnsFailure> {
        match self.dns.mx(domain).await {
            Ok(found) => {
                let wanted = candidates(found.records, &self.own)?;
                let names = wanted.iter().map(|mx| mx.name.as_str());
                let exchange = site::exchange(names.clone());
                let site = site::site(&self.config.rollups, &exchange, names);
                let (hosts, ttl_secs) = reachable(self.addresses(wanted).await, &self.own)?;
                Ok(Arc::new(Ways {
                    exchange,
                    site,
                    hosts,
                    origin: Origin::Mx,
                    is_secure: found.is_secure,
                    ttl_secs: ttl_secs.min(found.ttl_secs),
                }))
            }
            Err(Lack::NoRecord) => self.implicit(domain).await,
            Err(lack) => Err(lack.failure()),
        }
    }

    /// RFC 5321 §5.1: a domain without MX is its own host.
    async fn implicit(&self, domain: &Arc<str>) -> Result<Arc<Ways>, DnsFailure> {
        let wanted = vec![Mx {
            preference: 0,
            name: domain.to_string(),
        }];
        let wanted = candidates(wanted, &self.own)?;
        let (hosts, ttl_secs) = reachable(self.addresses(wanted).await, &self.own)?;
        let exchange = site::exchange([&**domain]);
        Ok(Arc::new(Ways {
            site: site::site(&self.config.rollups, &exchange, std::iter::once(&**domain)),
            exchange,
            is_secure: hosts.iter().all(|host| host.is_secure),
            hosts,
            origin: Origin::Implicit,
            ttl_secs,
        }))
    }

    /// What the operator named may be this host, on another port; the system's list of hosts goes
    /// before DNS, as everywhere on a host.
    async fn named(&self, host: &str) -> Result<(Vec<IpAddr>, u32), DnsFailure> {
        let listed = self.dns.listed(host);
        if !listed.is_empty() {
            return Ok((listed, LISTED_TTL_SECS));
        }
        let found = self.dns.addresses(host).await.map_err(Lack::failure)?;
        match found.list.is_empty() {
            true => Err(DnsFailure::NoAddress),
            false => Ok((found.list, found.ttl_secs)),
        }
    }

    async fn addresses(&self, wanted: Vec<Mx>) -> Vec<(Mx, Result<Addresses, DnsFailure>)> {
        let asked = wanted.into_iter().map(|mx| async {
            let addresses = self.dns.addresses(&mx.name).await;
            (mx, addresses.map_err(Lack::failure))
        });
        stream::iter(asked).buffered(HOSTS_AT_ONCE).collect().await
    }

    async fn association(&self, host: &str, port: u16) -> Result<Association, DnsFailure> {
        let found = match self.dns.tlsa(host, port).await {
            Ok(found) if found.is_secure => found.records,
            Ok(_) | Err(Lack::NoName | Lack::NoRecord) => return Ok(Association::None),
            // RFC 7672 §2.1.2: whoever hides the records must not win by it.
            Err(Lack::Failed(failure)) => return Err(failure),
        };
        let usable: Vec<Tlsa> = found.into_iter().flatten().collect();
        Ok(match usable.is_empty() {
            true => Association::Unusable,
            false => Association::Records(dane::choose(usable).into()),
        })
    }

    /// Enough for the longest honest answer: aliases, and the hosts a few at a time.
    fn time_max(&self) -> Duration {
        let patience = self.config.timeout_secs * self.config.attempts as u64;
        Duration::from_secs(patience.max(1)).saturating_mul(STEPS)
    }
}

/// The way to an address literal needs no name server.
pub(super) fn literal(domain: &str, own: &Ourselves) -> Result<Ways, DnsFailure> {
    let inner = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or(DnsFailure::BadName)?;
    let six = inner
        .split_at_checked(5)
        .filter(|(tag, _)| tag.eq_ignore_ascii_case("ipv6:"));
    let address = match six {
        Some((_, six)) => six.parse().map(IpAddr::V6),
        None => inner.parse().map(IpAddr::V4),
    };
    let addresses = Addresses {
        canonical: None,
        list: vec![address.map_err(|_| DnsFailure::BadName)?],
        is_secure: false,
        ttl_secs: LITERAL_TTL_SECS,
    };
    let mx = Mx {
        preference: 0,
        name: domain.to_owned(),
    };
    let (hosts, ttl_secs) = reachable(vec![(mx, Ok(addresses))], own)?;
    let exchange: Arc<str> = domain.into();
    Ok(Ways {
        site: Arc::clone(&exchange),
        exchange,
        hosts,
        origin: Origin::Literal,
        is_secure: false,
        ttl_secs,
    })
}

/// Name servers are asked for so many hosts of one domain at once.
const HOSTS_AT_ONCE: usize = 4;

/// How often the patience with one question fits into the whole.
const STEPS: u32 = 2 + (HOSTS_MAX / HOSTS_AT_ONCE) as u32;

/// The list of hosts is read at the start.
const LISTED_TTL_SECS: u32 = 3_600;

/// It never changes, but routes do.
const LITERAL_TTL_SECS: u32 = 3_600;
