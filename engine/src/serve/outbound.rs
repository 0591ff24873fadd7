//! What shards need to send mail to other hosts, made once for all of them.

use super::begin::Refusal;
use super::interfaces;
use crate::config::outbound::{Identity, Outbound};
use crate::config::{Config, ListenAt, Protocol};
use crate::egress::Tools;
use crate::event;
use crate::intake::{Heirs, Intake};
use crate::listen::Hall;
use crate::queue::{self, Dispatcher, Guides, Sites, Sources, TlsReports};
use crate::reactor::{Now, Pool, clock};
use crate::resolver::{self, Ourselves, Outside, Service};
use crate::route::Live;
use crate::sign::Signers;
use crate::telemetry::metric::Metrics;
use crate::tls::{
    Authorities, CertificateError, CertificateFiles, Clients, Holders, TlsClient, TlsFiles,
};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

/// The ways out; a clone for each shard.
#[derive(Clone)]
pub(super) struct Ways {
    guides: Guides,
    tools: Tools,
    sites: Arc<Sites>,
    sources: Arc<Sources>,
    reports: Arc<TlsReports>,
}

/// The ways out and who answers questions about them; `None` where no mail leaves this host.
/// `logins` are threads for what would block a shard.
pub(super) fn open(config: &Config, logins: &Pool) -> Result<Option<(Ways, Service)>, Refusal> {
    if !config.outbound.is_on() {
        return Ok(None);
    }
    let tls = tls_client(&config.outbound)?;
    let outside = Outside {
        random: Arc::new(random),
        millis: Arc::new(|| clock::monotonic_micros() / 1000),
        roots: tls.roots(),
    };
    let (resolver, service) = resolver::open(config.resolver.clone(), ourselves(config), outside)
        .map_err(|error| Refusal(format!("[resolver]: {}", error.0)))?;
    let ways = Ways {
        guides: Guides {
            resolver,
            mx_port: config.resolver.mx_port,
        },
        tools: Tools {
            tls,
            pool: Some(logins.clone()),
        },
        sites: Arc::default(),
        sources: Arc::default(),
        reports: Arc::default(),
    };
    Ok(Some((ways, service)))
}

impl Ways {
    /// The metrics show what came of mail to the busiest sites, tenants, sources.
    pub(super) fn show_sites(&self, metrics: &Metrics) {
        let sites = Arc::clone(&self.sites);
        let now = Now::read;
        metrics.show_sites(Box::new(move || {
            sites.samples(now().unix_secs(), now().monotonic_millis)
        }));
    }
}

/// The metrics show which rules held, and who was complained about.
pub(super) fn show_series(metrics: &Metrics, live: &Arc<Live>, ways: Option<&Ways>) {
    let (live, sites) = (Arc::clone(live), ways.map(|ways| Arc::clone(&ways.sites)));
    metrics.show_series(Box::new(move || {
        let mut series = live.complaints.series();
        series.extend(sites.iter().flat_map(|sites| sites.rules.series()));
        series
    }));
}

/// A host without authorities still sends; what must be verified waits until it has some. Those
/// that the operator names must be there.
fn tls_client(outbound: &Outbound) -> Result<TlsClient, Refusal> {
    let refused = |error| Refusal(format!("TLS to other hosts cannot be set up: {error}"));
    let identity = outbound.tls.identity.as_ref().map(|own| CertificateFiles {
        names: Vec::new(),
        cert: own.cert.clone(),
        key: own.key.clone(),
    });
    if let Some(file) = &outbound.tls.authorities {
        let named = Authorities::File(file.clone());
        return TlsClient::load(&named, identity.as_ref()).map_err(refused);
    }
    TlsClient::load(&Authorities::System, identity.as_ref()).or_else(|error| {
        let why = error.to_string();
        event!(
            Warn,
            "certificates of other hosts cannot be verified",
            why = why
        );
        TlsClient::load(&Authorities::Nobody, identity.as_ref()).map_err(refused)
    })
}

/// Reads the authorities and certificates that routes, policies and sources name. Blocking.
pub fn tls_files(config: &Config) -> Result<TlsFiles, CertificateError> {
    let outbound = &config.outbound;
    let of_routes = outbound.routes.iter().map(|route| &route.tls);
    let of_domains = outbound.tls_policies.iter().map(|one| &one.policy);
    let policies = of_routes.chain(of_domains);
    let authorities = policies
        .clone()
        .filter_map(|one| one.authorities.as_deref());
    let of_sources = outbound.sources.iter().map(|source| &source.identity);
    let identities = policies.map(|one| &one.identity).chain(of_sources);
    let files = |own: &'_ Identity| (own.cert.clone(), own.key.clone());
    let identities: Vec<_> = identities.flatten().map(files).collect();
    let identities = identities
        .iter()
        .map(|(cert, key)| (cert.as_path(), key.as_path()));
    TlsFiles::load(authorities, identities)
}

fn ourselves(config: &Config) -> Ourselves {
    let names = config
        .outbound
        .sources
        .iter()
        .map(|source| source.hello.clone());
    Ourselves {
        names: names.chain([config.hostname.clone()]).collect(),
        addresses: exchanger_addresses(config, &interfaces::addresses()),
        is_loopback_foreign: config.resolver.loopback_hosts,
    }
}

/// Where we are a mail exchanger ourselves: of a listener on `0.0.0.0` or `[::]`, which takes IPv4
/// too, all addresses of the host. What else listens here may have another exchanger beside it.
fn exchanger_addresses(config: &Config, of_host: &[IpAddr]) -> Vec<IpAddr> {
    let doors = config.listeners.iter();
    let doors = doors.filter(|listener| listener.protocol == Protocol::Smtp);
    let mut addresses = Vec::new();
    for door in doors {
        match &door.address {
            ListenAt::Tcp(at) if at.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                addresses.extend(of_host.iter().filter(|address| address.is_ipv4()));
            }
            ListenAt::Tcp(at) if at.ip().is_unspecified() => addresses.extend(of_host),
            ListenAt::Tcp(at) => addresses.push(at.ip()),
            ListenAt::Unix { .. } => {}
        }
    }
    addresses.retain(|address| !address.is_loopback());
    addresses
}

/// Reads the keys that sign; all that is wrong, a line each.
pub(super) fn signers(config: &Config) -> Result<Signers, String> {
    Signers::load(&config.dkim, &|path| std::fs::read(path)).map_err(|problems| {
        let lines = problems
            .iter()
            .map(|problem| format!("line {}: {}", problem.line, problem.what));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Whose certificates let mail pass to other hosts.
pub(super) fn clients(config: &Config) -> Result<Clients, String> {
    let relay = &config.outbound.relay;
    Clients::load(&relay.certificates, relay.client_authorities.as_deref())
        .map_err(|error| format!("[relay] client_authorities: {error}"))
}

/// Who logs in by a certificate.
pub(super) fn holders(config: &Config) -> Result<Holders, String> {
    Holders::load(&config.auth).map_err(|error| format!("[auth] authorities: {error}"))
}

/// A reload neither begins to send nor ends it: the ways out are made at the start.
pub(super) fn as_started(started: &Config, mut wanted: Config) -> Config {
    if started.outbound.is_on() != wanted.outbound.is_on() {
        wanted.outbound = match started.outbound.is_on() {
            true => started.outbound.clone(),
            false => Outbound::default(),
        };
    }
    wanted
}

/// The queue of a shard, not yet running; `None` where no mail leaves this host.
pub(super) fn dispatcher(ways: Option<Ways>, hall: &Hall, heirs: &Heirs) -> Option<Rc<Dispatcher>> {
    let Some(ways) = ways else {
        let (shard, items) = (hall.shard, hall.store.queue_len());
        if items > 0 {
            event!(
                Warn,
                "queued mail waits for a [[route]]",
                shard = shard,
                items = items
            );
        }
        return None;
    };
    let (store, post) = (Rc::clone(&hall.store), Rc::clone(&hall.post));
    Some(Dispatcher::new(queue::Equipment {
        shard: hall.shard,
        intake: Intake::new(Rc::clone(&store), post, heirs.clone()),
        store,
        queue_ids: Rc::clone(&hall.queue_ids),
        live: Arc::clone(&hall.live),
        sites: ways.sites,
        sources: ways.sources,
        reports: ways.reports,
        guides: ways.guides,
        tools: ways.tools,
        metrics: Arc::clone(&hall.metrics),
        random: Rc::new(random),
    }))
}

fn random() -> u64 {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).expect("the kernel gives randomness after boot");
    u64::from_ne_bytes(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What DNS may call us, whatever we listen on.
    #[test]
    fn a_listener_on_all_addresses_is_reached_by_each() {
        let of_host: Vec<IpAddr> = ["127.0.0.1", "192.0.2.7", "2001:db8::7"]
            .map(|address| address.parse().unwrap())
            .into();
        let mut config = Config::demo(Path::new("/d"), "secret");
        for (at, expected) in [
            ("0.0.0.0:25", &["192.0.2.7"][..]),
            ("[::]:25", &["192.0.2.7", "2001:db8::7"]),
            ("192.0.2.9:25", &["192.0.2.9"]),
            ("127.0.0.1:25", &[]),
        ] {
            for listener in &mut config.listeners {
                let is_door = listener.protocol == Protocol::Smtp;
                let at = if is_door { at } else { "198.51.100.1:143" };
                listener.address = ListenAt::Tcp(at.parse().unwrap());
            }
            let found = exchanger_addresses(&config, &of_host);
            let found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
            assert_eq!(found, expected, "{at}");
        }
    }
}
