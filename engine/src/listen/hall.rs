//! What all connections of one shard share.

use super::census::{Census, Room};
use super::drain::Drain;
use super::guests::Guests;
use super::pop3::Maildrops;
use crate::auth::Gate;
use crate::config::Protocol;
use crate::intake::{Intake, QueueIds, Shard};
use crate::post::Post;
use crate::reactor::{Now, Pool};
use crate::route::Live;
use crate::session::imap::Known;
use crate::telemetry::metric::ShardMetrics;
use crate::tls::TlsContext;
use crate::wire::sasl::scram::Decoy;
use std::rc::Rc;
use std::sync::Arc;

pub struct Hall {
    pub shard: usize,
    pub store: Rc<Shard>,
    pub intake: Intake,
    pub post: Rc<Post>,
    pub queue_ids: Rc<QueueIds>,
    pub live: Arc<Live>,
    pub gate: Arc<Gate>,
    /// Threads that check passwords.
    pub logins: Pool,
    /// Makes SCRAM keys for users that do not exist.
    pub decoy: Decoy,
    pub metrics: Arc<ShardMetrics>,
    pub drain: Rc<Drain>,
    pub census: Rc<Census>,
    /// Who has which maildrop.
    pub maildrops: Maildrops,
    /// Sessions of users of other shards, at accounts of this one.
    pub guests: Guests,
    /// What injections by HTTP share.
    pub inject: super::http::Desk,
    /// What the mailboxes of this shard are sorted by.
    pub known: Rc<Known>,
}

impl Hall {
    pub fn room(&self) -> Room {
        let limits = &self.live.config.load().limits;
        Room {
            connections_max: limits.connections_max,
            per_peer_max: limits.connections_per_address_max,
        }
    }

    /// TLS for a protocol: it asks for certificates where some let mail pass, or let in.
    pub fn tls(&self, protocol: Protocol) -> Option<TlsContext> {
        let config = self.live.config.load();
        let passes = config.outbound.relay.asks_for_certificates();
        let lets_in = config.auth.asks_for_certificates();
        let asks = match protocol {
            Protocol::Smtp | Protocol::Lmtp => passes,
            Protocol::Submission => passes || lets_in,
            Protocol::Http => false,
            _ => lets_in,
        };
        let tls = self.live.tls.as_ref();
        match asks {
            true => tls.map(TlsContext::asking),
            false => tls.cloned(),
        }
    }

    pub fn now(&self) -> Now {
        Now::here()
    }

    /// What sessions count time by.
    pub fn now_ms(&self) -> u64 {
        Now::millis_here()
    }
}
