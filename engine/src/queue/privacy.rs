//! REQUIRETLS and `TLS-Required: No` on the way to a next hop (RFC 8689 §4.2, §4.3).
//!
//! ```text
//! REQUIRETLS         each host in turn, until one proves who it is and offers REQUIRETLS; none:
//!                    5.7.30 if one was verified at least, else 5.7.10; later where none answered
//! from <>            the same, and then as any other mail (§5)
//! TLS-Required: No   as any other mail, and where that fails without what policies demand
//! ```
//!
//! A connection that was opened on looser terms carries one message.

use super::courier::{Courier, Link, TRIES_MAX, is_final, nowhere};
use super::hop::demanded;
use super::letter::Parcel;
use super::outcome::{Result as Came, Tried, said_of};
use super::terms::Terms;
use crate::config::outbound::TlsDemand;
use crate::egress::{Connection, Demand, Failure, Origin, Stage, Target};
use crate::wire::smtp::client::reply::{Reply, Status};
use std::rc::Rc;

/// Why there is no connection for a message, and which host said so.
pub(super) enum Unreached {
    /// For none.
    Site(Rc<str>, Failure),
    /// For none that must be private.
    Private(Rc<str>, Failure),
}

impl Courier {
    /// Whether a message may take this connection.
    pub(super) fn suits(&self, link: &Link, terms: Terms) -> bool {
        let is_spent = link.connection.next_number() > self.hop.route.pace.messages_max;
        !is_spent && (!terms.require_tls || is_private(&link.connection))
    }

    pub(super) async fn connect_for(
        &mut self,
        terms: Terms,
        is_notice: bool,
    ) -> Result<Link, Unreached> {
        if terms.require_tls {
            match self.connect_privately().await {
                Err(_) if is_notice => {}
                reached => return reached,
            }
        }
        match self.connect().await {
            Ok(link) => Ok(link),
            Err((_, failure)) if terms.tls_optional && is_about_tls(&failure) => {
                self.connect_loosely().await
            }
            Err((host, failure)) => Err(Unreached::Site(host, failure)),
        }
    }

    async fn connect_privately(&mut self) -> Result<Link, Unreached> {
        let hop = Rc::clone(&self.hop);
        let all = hop.hosts.iter();
        let ways = all.flat_map(|host| host.addresses.iter().map(move |address| (host, *address)));
        let mut missed = Missed::default();
        for (host, address) in ways.take(TRIES_MAX) {
            let target = Target {
                demand: demanded(TlsDemand::Verified, &host.name, host.demand.clone()),
                ..self.target(host, address)
            };
            match Connection::open(&target, &self.desk.tools).await {
                Ok(connection) if is_private(&connection) => {
                    return Ok(self.reached(&target, connection, false));
                }
                Ok(connection) => {
                    self.permit.site().answered();
                    connection.quit().await;
                    missed.note(&host.name, lacking());
                }
                Err(failure) if is_about_tls(&failure) => {
                    missed.note(&host.name, unverified(&failure));
                }
                Err(failure) => missed.note(&host.name, failure),
            }
        }
        let (host, failure) = missed.nearest.unwrap_or_else(nowhere);
        Err(match missed.has_answered {
            true => Unreached::Private(host, failure),
            false => Unreached::Site(host, failure),
        })
    }

    /// Without what MTA-STS or DANE ask for; what the operator's route asks for stays.
    async fn connect_loosely(&mut self) -> Result<Link, Unreached> {
        let hop = Rc::clone(&self.hop);
        let all = hop.hosts.iter();
        let ways = all.flat_map(|host| host.addresses.iter().map(move |address| (host, *address)));
        let mut last = None;
        for (host, address) in ways.take(TRIES_MAX) {
            let target = Target {
                demand: demanded(hop.route.tls, &host.name, Demand::Opportunistic),
                ..self.target(host, address)
            };
            match Connection::open(&target, &self.desk.tools).await {
                Ok(connection) => return Ok(self.reached(&target, connection, true)),
                Err(failure) => last = Some((Rc::clone(&host.name), failure)),
            }
        }
        let (host, failure) = last.unwrap_or_else(nowhere);
        Err(Unreached::Site(host, failure))
    }

    /// No host is private enough: the message comes back, or waits for one that did not answer. To
    /// other mail the site is as good as before.
    pub(super) async fn not_private(&self, parcels: Vec<Parcel>, host: &str, failure: &Failure) {
        let result = match is_refusal(failure) || is_final(failure) {
            true => Came::Failed,
            false => Came::Deferred,
        };
        let tried = parcels.into_iter().map(|parcel| Tried {
            index: parcel.index,
            item: parcel.item,
            terms: parcel.terms,
            result,
            said: said_of(host, failure),
        });
        let tried: Vec<Tried> = tried.collect();
        self.count(&tried);
        self.desk.settle(tried, &self.hop.route.pace).await;
        self.desk.turn();
    }
}

/// Hosts that are not private.
#[derive(Default)]
struct Missed {
    nearest: Option<(Rc<str>, Failure)>,
    /// One was there.
    has_answered: bool,
}

impl Missed {
    fn note(&mut self, host: &Rc<str>, failure: Failure) {
        self.has_answered |= is_refusal(&failure);
        // Who did not answer may be the private one; else the nearest miss is told.
        let rank = |failure: &Failure| (!is_refusal(failure), failure.reply.status_or_class().2);
        let known = self.nearest.as_ref();
        if known.is_none_or(|(_, known)| rank(&failure) > rank(known)) {
            self.nearest = Some((Rc::clone(host), failure));
        }
    }
}

/// Whether it is one of our own words below.
fn is_refusal(failure: &Failure) -> bool {
    failure.stage == Stage::StartTls && failure.reply.class() == 5 && failure.origin == Origin::Us
}

/// RFC 8689 §4.2.1: verified, and it promises to go on likewise.
fn is_private(connection: &Connection) -> bool {
    connection.tls().is_verified() && connection.offer().require_tls
}

fn is_about_tls(failure: &Failure) -> bool {
    matches!(failure.stage, Stage::StartTls | Stage::Handshake)
}

fn lacking() -> Failure {
    let text = "the message asks for REQUIRETLS, which the next hop does not offer";
    refusal(Status(5, 7, 30), text)
}

fn unverified(failure: &Failure) -> Failure {
    let why = &failure.reply.text;
    let text =
        format!("the message asks for verified TLS, which the next hop does not have: {why}");
    Failure {
        tls: failure.tls.clone(),
        ..refusal(Status(5, 7, 10), &text)
    }
}

fn refusal(status: Status, text: &str) -> Failure {
    Failure {
        stage: Stage::StartTls,
        origin: Origin::Us,
        reply: Reply::own(550, status, text),
        tls: None,
    }
}
