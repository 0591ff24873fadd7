//! Where mail for a domain goes, by DNS: mail exchangers, addresses, and what TLS they must show.
//!
//! Shards ask a [`Resolver`], which never blocks them; the answers are found on the service thread,
//! where hickory and HTTPS live ([`Service`]). RFC 5321 §5.1 is kept with its later additions: null
//! MX (RFC 7505), MTA-STS (RFC 8461), DANE (RFC 7672).
//!
//! ```text
//! failure  ways  demand      what shards hear
//! desk                       questions and answers between threads
//! exchange  site             pure: records → hosts in order, the name of the site
//! dns  upstream              hickory: names → records, and which of them are secure
//! sts  dane                  policies, TLSA records, certificates
//! ```

pub mod dane;
mod demand;
mod desk;
mod dns;
mod exchange;
mod failure;
mod names;
mod site;
pub mod sts;
mod upstream;
mod ways;

pub use crate::config::{Dnssec, ResolverConfig, Rollup};
pub use demand::{DaneDemand, Heed, StsDemand, TlsDemand, Verdict};
pub use dns::ResolverError;
pub use exchange::Ourselves;
pub use failure::DnsFailure;
pub use ways::{Host, Origin, Ways};

use desk::{Bounds, Clerk, Desk};
use dns::Dns;
use names::{Answer, Association, Names, Question};
use rustls::RootCertStore;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use sts::{Fetcher, Keeper, Millis, Mode, Standing};

/// Where a shard asks; clones ask the same service.
#[derive(Clone)]
pub struct Resolver {
    desk: Desk<Question, Answer>,
    own: Arc<Ourselves>,
    random: Random,
    mx_port: u16,
    asks_policies: bool,
}

/// What answers, to be run on the service thread.
pub struct Service {
    clerk: Clerk<Question, Answer>,
    names: Names,
}

/// What the resolver is given of the world.
pub struct Outside {
    /// Any number, each as likely as any other.
    pub random: Random,
    /// Milliseconds that never go back.
    pub millis: Millis,
    /// Who may vouch for the hosts that policies are fetched from.
    pub roots: Arc<RootCertStore>,
}

pub type Random = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Makes both sides; nothing is asked yet.
pub fn open(
    config: ResolverConfig,
    own: Ourselves,
    outside: Outside,
) -> Result<(Resolver, Service), ResolverError> {
    let dns = Arc::new(Dns::new(&config)?);
    let fetcher = config
        .mta_sts
        .then(|| Fetcher::new(outside.roots, config.mta_sts_port, own.is_loopback_foreign))
        .transpose()
        .map_err(|error| ResolverError(format!("mta_sts: {error}")))?;
    let (desk, clerk) = desk::desk(BOUNDS);
    let resolver = Resolver {
        desk,
        own: Arc::new(own.clone()),
        random: outside.random,
        mx_port: config.mx_port,
        asks_policies: config.mta_sts,
    };
    let policies = Keeper::new(Arc::clone(&dns), fetcher, outside.millis);
    let names = Names {
        dns,
        policies,
        config,
        own,
    };
    Ok((resolver, Service { clerk, names }))
}

impl Service {
    /// Answers until the last [`Resolver`] is gone. In a `LocalSet`, as on the service thread.
    pub async fn run(self) {
        self.clerk.run(Rc::new(self.names)).await;
    }
}

impl Resolver {
    /// The hosts of a domain or of an address literal in brackets. Runs on a shard, cancel-safe.
    pub async fn hosts(&self, domain: &str) -> Result<Ways, DnsFailure> {
        if domain.starts_with('[') {
            return names::literal(domain, &self.own);
        }
        let question = Question::Hosts(canonical(domain)?);
        let Answer::Hosts(ways) = self.desk.ask(question).await? else {
            return Err(DnsFailure::Garbled);
        };
        // Everyone who asked at once gets an order of his own.
        let mut ways = Ways::clone(&*ways?);
        ways.shuffle(&*self.random);
        Ok(ways)
    }

    /// The addresses of a host that the operator named, at least one, in random order, and how many
    /// seconds they hold. Cancel-safe.
    pub async fn addresses(&self, host: &str) -> Result<(Vec<IpAddr>, u32), DnsFailure> {
        let question = Question::Addresses(canonical(host)?);
        let Answer::Addresses(found) = self.desk.ask(question).await? else {
            return Err(DnsFailure::Garbled);
        };
        let (mut addresses, ttl_secs) = found?;
        ways::shuffle(&mut addresses, &*self.random);
        Ok((addresses, ttl_secs))
    }

    /// What TLS must prove to one of the hosts of a domain. A temporary failure means that this
    /// host must not be used now: what it would have to prove is hidden from us.
    pub async fn demand(
        &self,
        domain: &str,
        ways: &Ways,
        host: &Host,
    ) -> Result<TlsDemand, DnsFailure> {
        let verdict = self.verdict(domain, ways, host, Heed::ALL).await?;
        Ok(verdict.demand)
    }

    /// As [`demand`](Self::demand), of what is heeded.
    pub async fn verdict(
        &self,
        domain: &str,
        ways: &Ways,
        host: &Host,
        heed: Heed,
    ) -> Result<Verdict, DnsFailure> {
        let mut verdict = Verdict {
            demand: TlsDemand::Opportunistic,
            sts_fault: None,
        };
        if ways.origin == Origin::Literal {
            return Ok(verdict);
        }
        let domain = canonical(domain)?;
        // RFC 7672 §2.2.1: an unsigned MX can name any host, whose records then prove nothing.
        if heed.dane
            && ways.is_secure
            && host.is_secure
            && let Some(demand) = self.dane(&domain, host).await?
        {
            verdict.demand = demand;
            return Ok(verdict);
        }
        if !heed.mta_sts {
            return Ok(verdict);
        }
        let standing = self.policy(domain).await?;
        verdict.sts_fault = standing.fault;
        if let Some(policy) = standing.policy {
            verdict.demand = TlsDemand::MtaSts(StsDemand {
                is_enforced: policy.mode == Mode::Enforce,
                is_listed: policy.lists(&host.name),
                policy,
            });
        }
        Ok(verdict)
    }

    /// RFC 7672 §2.2.2: the records of the name that an alias stands for go before its own.
    async fn dane(&self, domain: &Arc<str>, host: &Host) -> Result<Option<TlsDemand>, DnsFailure> {
        let bases = host.canonical.iter().chain(std::iter::once(&host.name));
        for base in bases {
            let question = Question::Tlsa(Arc::clone(base), self.mx_port);
            let Answer::Tlsa(found) = self.desk.ask(question).await? else {
                return Err(DnsFailure::Garbled);
            };
            match found? {
                Association::None => {}
                Association::Unusable => return Ok(Some(TlsDemand::Encrypted)),
                Association::Records(records) => {
                    let names = [base, &host.name, domain].map(Arc::clone);
                    let names = names.into_iter().collect();
                    return Ok(Some(TlsDemand::Dane(DaneDemand { records, names })));
                }
            }
        }
        Ok(None)
    }

    async fn policy(&self, domain: Arc<str>) -> Result<Standing, DnsFailure> {
        if !self.asks_policies {
            return Ok(Standing::default());
        }
        match self.desk.ask(Question::Policy(domain)).await? {
            Answer::Policy(standing) => Ok(standing),
            _ => Err(DnsFailure::Garbled),
        }
    }
}

/// The domain as it is asked for: lower-case A-labels (RFC 5890) without the last dot.
fn canonical(domain: &str) -> Result<Arc<str>, DnsFailure> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.len() > NAME_BYTES_MAX {
        return Err(DnsFailure::BadName);
    }
    let ascii = match domain.is_ascii() {
        true => domain.to_ascii_lowercase(),
        false => idna::domain_to_ascii(domain).map_err(|_| DnsFailure::BadName)?,
    };
    let is_label = |label: &str| {
        let is_good = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(is_good)
    };
    let is_name = ascii.len() <= NAME_BYTES_MAX && ascii.split('.').all(is_label);
    is_name.then(|| ascii.into()).ok_or(DnsFailure::BadName)
}

/// RFC 1035 §2.3.4, without the octets that only the wire has.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Questions that wait: all ready queues of a large host at once. Those under way: what the name
/// servers next to us bear, even when half of the domains are dead and take all their time.
const BOUNDS: Bounds = Bounds {
    waiting_max: 65_536,
    under_way_max: 512,
};
