//! Names → records, by hickory: the records of one type, their time to live, whether they are
//! secure, and what a missing answer means.

use super::dane::{RECORDS_MAX, Tlsa};
use super::exchange::{Addresses, Mx};
use super::upstream::{Trust, Upstream, noting};
use super::{DnsFailure, Dnssec, ResolverConfig};
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig as Servers, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, Resolver};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// The name servers, and hickory's cache of their answers.
pub(super) struct Dns {
    resolver: Resolver<Upstream>,
    /// The system's own list, for hosts that the operator names.
    hosts: Hosts,
    is_validating: bool,
}

/// The records of one type that could be read; there is at least one that could or could not.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) records: Vec<T>,
    /// The owner of the records, where the name asked for is an alias.
    pub(super) canonical: Option<String>,
    pub(super) is_secure: bool,
    pub(super) ttl_secs: u32,
}

/// Why there are no records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lack {
    /// NXDOMAIN.
    NoName,
    /// The name is there, with other records or none.
    NoRecord,
    Failed(DnsFailure),
}

/// Why the resolver cannot be set up, for the operator.
#[derive(Debug)]
pub struct ResolverError(pub String);

impl Dns {
    pub(super) fn new(config: &ResolverConfig) -> Result<Dns, ResolverError> {
        let upstream = Upstream {
            sockets: TokioRuntimeProvider::default(),
            trust: match config.dnssec {
                Dnssec::Off | Dnssec::Validate => Trust::Nobody,
                Dnssec::Local => Trust::Loopback,
                Dnssec::Trusted => Trust::Everybody,
            },
        };
        let is_validating = config.dnssec == Dnssec::Validate;
        let mut builder =
            Resolver::builder_with_config(servers(config)?, upstream).with_options(options(config));
        if is_validating {
            builder = builder.with_trust_anchor(anchors(config)?);
        }
        let resolver = builder.build();
        let resolver = resolver.map_err(|error| ResolverError(format!("resolver: {error}")))?;
        Ok(Dns {
            resolver,
            // A host without such a list has no such names.
            hosts: Hosts::from_system().unwrap_or_default(),
            is_validating,
        })
    }

    /// Mail exchangers, in no order. A host whose name is none that SMTP knows is left out.
    pub(super) async fn mx(&self, domain: &str) -> Result<Found<Mx>, Lack> {
        let lookup = self.lookup(domain, RecordType::MX).await?;
        self.found(&lookup, |data| match data {
            RData::MX(mx) => Some(Mx {
                preference: mx.preference,
                name: host_name(&mx.exchange)?,
            }),
            _ => None,
        })
    }

    /// What the system's list of hosts says of one.
    pub(super) fn listed(&self, host: &str) -> Vec<IpAddr> {
        let Ok(name) = Name::from_ascii(host) else {
            return Vec::new();
        };
        let of = |family| {
            let query = Query::query(name.clone(), family);
            let found = self.hosts.lookup_static_host(&query);
            let found = found.and_then(|lookup| self.found(&lookup, address).ok());
            found.map_or_else(Vec::new, |found| found.records)
        };
        [of(RecordType::A), of(RecordType::AAAA)].concat()
    }

    /// IPv4 and IPv6 addresses of a host, asked at once.
    pub(super) async fn addresses(&self, host: &str) -> Result<Addresses, Lack> {
        let (four, six) = futures_util::future::join(
            self.addresses_of(host, RecordType::A),
            self.addresses_of(host, RecordType::AAAA),
        )
        .await;
        match (four, six) {
            (Ok(four), Ok(six)) => Ok(Addresses {
                canonical: four.canonical.or(six.canonical),
                list: four.records.into_iter().chain(six.records).collect(),
                is_secure: four.is_secure && six.is_secure,
                ttl_secs: four.ttl_secs.min(six.ttl_secs),
            }),
            // One family is enough, even when nobody could tell us of the other.
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(Addresses {
                canonical: one.canonical,
                list: one.records,
                is_secure: one.is_secure,
                ttl_secs: one.ttl_secs,
            }),
            (Err(four), Err(six)) => Err(the_unsure_one(four, six)),
        }
    }

    async fn addresses_of(&self, host: &str, family: RecordType) -> Result<Found<IpAddr>, Lack> {
        let lookup = self.lookup(host, family).await?;
        self.found(&lookup, address)
    }

    /// Texts, each with its character strings joined (RFC 7208 §3.3 does so, too).
    pub(super) async fn texts(&self, name: &str) -> Result<Found<Vec<u8>>, Lack> {
        let lookup = self.lookup(name, RecordType::TXT).await?;
        self.found(&lookup, |data| match data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        })
    }

    /// TLSA records of a service (RFC 6698 §3); `None` for each that cannot be used.
    pub(super) async fn tlsa(&self, host: &str, port: u16) -> Result<Found<Option<Tlsa>>, Lack> {
        let name = format!("_{port}._tcp.{host}");
        let lookup = self.lookup(&name, RecordType::TLSA).await?;
        let mut found = self.found(&lookup, |data| match data {
            RData::TLSA(tlsa) => Some(Tlsa::new(
                tlsa.cert_usage.into(),
                tlsa.selector.into(),
                tlsa.matching.into(),
                &tlsa.cert_data,
            )),
            _ => None,
        })?;
        found.records.truncate(RECORDS_MAX);
        Ok(found)
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Lookup, Lack> {
        let mut name = Name::from_ascii(name).map_err(|_| Lack::Failed(DnsFailure::BadName))?;
        // Search lists are for people: mail names are whole.
        name.set_fqdn(true);
        let (result, refusal) = noting(self.resolver.lookup(name, kind)).await;
        result.map_err(|error| match (lack(&error), refusal) {
            // hickory says the same of a server that is silent and of one that refuses.
            (Lack::Failed(DnsFailure::Silent), Some(code)) => {
                Lack::Failed(DnsFailure::Refused(code.into()))
            }
            (lack, _) => lack,
        })
    }

    /// What `read` makes of the records of the type asked for. An answer without any is none.
    fn found<T>(
        &self,
        lookup: &Lookup,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, Lack> {
        let kind = lookup.query().query_type();
        let of_kind = lookup
            .answers()
            .iter()
            .filter(|record| record.record_type() == kind);
        let owner = of_kind.clone().next().ok_or(Lack::NoRecord)?;
        let is_alias = owner.name != *lookup.query().name();
        let ttl_secs = lookup.answers().iter().map(|record| record.ttl).min();
        Ok(Found {
            records: of_kind.filter_map(|record| read(&record.data)).collect(),
            canonical: is_alias.then(|| host_name(&owner.name)).flatten(),
            is_secure: self.is_secure(lookup),
            ttl_secs: ttl_secs.unwrap_or(0).min(TTL_SECS_MAX),
        })
    }

    /// Every record that led to the answer must be proved, aliases too; signatures need no proof.
    fn is_secure(&self, lookup: &Lookup) -> bool {
        if !self.is_validating {
            return lookup.message().metadata.authentic_data;
        }
        let kinds = [lookup.query().query_type(), RecordType::CNAME];
        let mut leading = lookup
            .answers()
            .iter()
            .filter(|record| kinds.contains(&record.record_type()));
        leading.all(|record| record.proof.is_secure())
    }
}

impl Lack {
    /// What a lack of addresses means for a host.
    pub(super) fn failure(self) -> DnsFailure {
        match self {
            Lack::NoName => DnsFailure::NoDomain,
            Lack::NoRecord => DnsFailure::NoAddress,
            Lack::Failed(failure) => failure,
        }
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(four) => Some(four.0.into()),
        RData::AAAA(six) => Some(six.0.into()),
        _ => None,
    }
}

/// A host's name as we write it, empty for the root; `None` where SMTP, TLS or a log line would
/// take offence at it.
fn host_name(name: &Name) -> Option<String> {
    let text = name.to_ascii().to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    let is_good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    text.bytes().all(is_good).then(|| text.to_owned())
}

/// The lack that may be none the next time.
fn the_unsure_one(one: Lack, other: Lack) -> Lack {
    match (one, other) {
        (Lack::Failed(_), _) => one,
        (_, Lack::Failed(_)) => other,
        (Lack::NoRecord, _) | (_, Lack::NoRecord) => Lack::NoRecord,
        (Lack::NoName, Lack::NoName) => Lack::NoName,
    }
}

fn lack(error: &NetError) -> Lack {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            // A referral is no answer for someone who does not search himself: the server is lame.
            if none.soa.is_none() && none.ns.is_some() {
                return Lack::Failed(DnsFailure::Garbled);
            }
            missing(none.response_code)
        }
        NetError::Dns(DnsError::Nsec { response, .. }) => missing(response.metadata.response_code),
        NetError::Dns(DnsError::DnssecBogus) => Lack::Failed(DnsFailure::Bogus),
        NetError::Dns(DnsError::ResponseCode(code)) => {
            Lack::Failed(DnsFailure::Refused((*code).into()))
        }
        NetError::Timeout | NetError::NoConnections | NetError::Io(_) => {
            Lack::Failed(DnsFailure::Silent)
        }
        NetError::Busy => Lack::Failed(DnsFailure::Busy),
        _ => Lack::Failed(DnsFailure::Garbled),
    }
}

fn missing(code: ResponseCode) -> Lack {
    match code {
        ResponseCode::NXDomain => Lack::NoName,
        _ => Lack::NoRecord,
    }
}

fn servers(config: &ResolverConfig) -> Result<Servers, ResolverError> {
    if !config.servers.is_empty() {
        let servers = config.servers.iter().map(|address| server(*address));
        return Ok(Servers::from_name_servers(servers.collect()));
    }
    let (system, _) = read_system_conf()
        .map_err(|error| ResolverError(format!("no name server: /etc/resolv.conf: {error}")))?;
    Ok(Servers::from_name_servers(system.into_parts().2))
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn options(config: &ResolverConfig) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = Duration::from_secs(config.timeout_secs);
    options.attempts = config.attempts.saturating_sub(1);
    options.cache_size = config.cache_max;
    options.use_hosts_file = ResolveHosts::Never;
    options.validate = config.dnssec == Dnssec::Validate;
    options.preserve_intermediates = true;
    options.max_active_requests = REQUESTS_PER_CONNECTION_MAX;
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    options.positive_max_ttl = Some(Duration::from_secs(u64::from(TTL_SECS_MAX)));
    options
}

fn anchors(config: &ResolverConfig) -> Result<Arc<TrustAnchors>, ResolverError> {
    let Some(file) = &config.trust_anchors else {
        return Ok(Arc::default());
    };
    let anchors = TrustAnchors::from_file(file);
    let anchors = anchors.map_err(|error| ResolverError(format!("{}: {error}", file.display())))?;
    Ok(Arc::new(anchors))
}

/// Nothing is believed longer than a day.
const TTL_SECS_MAX: u32 = 86_400;

/// RFC 2308 §5 proposes up to three hours; who set his domain up at last shall not wait so long.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(900);

/// Questions at once on one TCP connection to a name server.
const REQUESTS_PER_CONNECTION_MAX: usize = 1024;
