//! What a reload exchanges: the configuration and the directory, each whole and at once.

use super::Directory;
use crate::config::Config;
use crate::sign::Signers;
use crate::telemetry::metric::Complaints;
use crate::tls::{Clients, Holders, TlsContext, TlsFiles};
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Read by every shard without a lock, exchanged by the service thread.
pub struct Live {
    pub config: ArcSwap<Config>,
    pub directory: ArcSwap<Directory>,
    /// `None` where no listener wants TLS.
    pub tls: Option<TlsContext>,
    /// Clients that may send to other hosts by their certificates.
    pub clients: ArcSwap<Clients>,
    /// Accounts that are logged in to by certificates.
    pub holders: ArcSwap<Holders>,
    /// Keys that sign what leaves this host.
    pub signers: ArcSwap<Signers>,
    /// Authorities and certificates that single hosts want.
    pub tls_files: ArcSwap<TlsFiles>,
    /// Recipients at other hosts that wait, by the shard that keeps them and alone says it.
    pub queued: Box<[AtomicU64]>,
    /// Whether the suppression list of a shard has entries: who asks for a recipient need not ask
    /// a shard that has none.
    pub suppresses: Box<[AtomicBool]>,
    /// What recipients complained about.
    pub complaints: Complaints,
}

impl Live {
    #[must_use]
    pub fn new(config: Config, directory: Directory, tls: Option<TlsContext>) -> Live {
        let shards = 0..directory.shards();
        Live {
            config: ArcSwap::from_pointee(config),
            directory: ArcSwap::from_pointee(directory),
            tls,
            clients: ArcSwap::default(),
            holders: ArcSwap::default(),
            signers: ArcSwap::default(),
            tls_files: ArcSwap::default(),
            complaints: Complaints::default(),
            suppresses: shards.clone().map(|_| AtomicBool::new(false)).collect(),
            queued: shards.map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// From now on the suppression list of this shard is asked.
    pub fn has_suppressed(&self, shard: usize) {
        if let Some(suppresses) = self.suppresses.get(shard) {
            suppresses.store(true, Ordering::Relaxed);
        }
    }

    /// Does the suppression list of this shard have entries?
    #[must_use]
    pub fn suppresses(&self, shard: usize) -> bool {
        let suppresses = self.suppresses.get(shard);
        suppresses.is_some_and(|suppresses| suppresses.load(Ordering::Relaxed))
    }

    /// Does the queue of this shard hold as much as it may?
    #[must_use]
    pub fn is_queue_full(&self, shard: usize) -> bool {
        let most = self.config.load().outbound.queue.items_max;
        let queued = self.queued.get(shard);
        queued.is_some_and(|queued| queued.load(Ordering::Relaxed) >= most)
    }
}
