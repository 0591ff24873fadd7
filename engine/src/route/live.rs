//! What a reload exchanges: the configuration and the directory, each whole and at once.

use super::Directory;
use crate::config::Config;
use crate::tls::TlsContext;
use arc_swap::ArcSwap;

/// Read by every shard without a lock, exchanged by the service thread.
pub struct Live {
    pub config: ArcSwap<Config>,
    pub directory: ArcSwap<Directory>,
    /// `None` where no listener wants TLS.
    pub tls: Option<TlsContext>,
}
