//! What all connections of one shard share.

use super::census::{Census, Room};
use super::guests::Guests;
use super::pop3::Maildrops;
use crate::auth::token::Tokens;
use crate::auth::{Gate, Seat};
use crate::config::Protocol;
use crate::convert::Converters;
use crate::event;
use crate::intake::{Intake, QueueIds, Shard};
use crate::post::Post;
use crate::reactor::{Drain, Now, Pool};
use crate::route::{Account, Live};
use crate::session::imap::Known;
use crate::telemetry::metric::{self, ShardMetrics};
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
    /// Judges bearer tokens; `None`: none are taken.
    pub bearer: Option<Tokens>,
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
    /// What makes text of attachments for searches, if anything does.
    pub converters: Option<Arc<Converters>>,
}

impl Hall {
    pub fn room(&self) -> Room {
        let limits = &self.live.config.load().limits;
        Room {
            connections_max: limits.connections_max,
            per_peer_max: limits.connections_per_address_max,
        }
    }

    /// A seat for one more connection of an account; `None`: it has as many as it may.
    pub fn seat(&self, protocol: Protocol, account: &Account) -> Option<Seat> {
        let most = self.live.config.load().limits.connections_per_account_max;
        let name = account.address.to_string();
        let seat = self.gate.seats.take(protocol.name(), &name, most);
        if seat.is_none() {
            self.metrics.logins.of(metric::Login::Crowded).one();
            event!(
                Info,
                "turned away",
                account = name,
                why = "connections_per_account_max"
            );
        }
        seat
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
