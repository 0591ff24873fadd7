//! The resolver of the engine against a name server that says what a test wants.
//!
//! What would break for a user: mail goes to the wrong host or in circles, comes back although only
//! a name server was ill, or waits because somebody else's domain is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod crowd;
mod dane;
mod faults;
mod hosts;
mod signed;
mod sts;

use engine::reactor::{Backend, service};
use engine::resolver::{DnsFailure, Ourselves, Outside, Resolver, ResolverConfig, Ways, open};
use rustls::RootCertStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tests::dns::DnsServer;

/// A name server, and a resolver on a service thread of its own that asks it.
struct Scene {
    dns: DnsServer,
    resolver: Resolver,
    /// The clock of the resolver.
    millis: Arc<AtomicU64>,
}

/// What a test changes before the scene starts.
struct Props {
    config: ResolverConfig,
    own: Ourselves,
    roots: RootCertStore,
}

impl Scene {
    fn start() -> Scene {
        Scene::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Props)) -> Scene {
        let dns = DnsServer::start();
        let mut props = Props {
            config: ResolverConfig {
                servers: vec![dns.address()],
                timeout_secs: 1,
                attempts: 1,
                mta_sts: false,
                ..ResolverConfig::default()
            },
            own: Ourselves {
                names: vec!["mx.ours.test".to_owned()],
                addresses: vec![[192, 0, 2, 99].into()],
                is_loopback_foreign: true,
            },
            roots: RootCertStore::empty(),
        };
        change(&mut props);
        let millis = Arc::new(AtomicU64::new(1));
        let clock = Arc::clone(&millis);
        let numbers = AtomicU64::new(0);
        let outside = Outside {
            random: Arc::new(move || numbers.fetch_add(0x9e37_79b9, Ordering::Relaxed) >> 7),
            millis: Arc::new(move || clock.load(Ordering::Relaxed)),
            roots: Arc::new(props.roots),
        };
        let (resolver, service) = open(props.config, props.own, outside).unwrap();
        service::start_service(Backend::probe().0, move || service.run()).unwrap();
        Scene {
            dns,
            resolver,
            millis,
        }
    }

    fn hosts(&self, domain: &str) -> Result<Ways, DnsFailure> {
        pollster::block_on(self.resolver.hosts(domain))
    }

    fn pass(&self, secs: u64) {
        self.millis.fetch_add(secs * 1000, Ordering::Relaxed);
    }
}

fn names(ways: &Ways) -> Vec<&str> {
    ways.hosts.iter().map(|host| &*host.name).collect()
}
