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

use super::connect::{Manner, is_final};
use super::courier::{Courier, Link, terms};
use super::letter::Parcel;
use super::outcome::{Result as Came, Tried, said_of};
use super::terms::Terms;
use crate::egress::{Connection, Failure, Origin, Stage};
use crate::wire::smtp::client::reply::{Reply, Status};
use std::rc::Rc;

/// Why there is no connection for a message, and which host said so.
pub(super) enum Unreached {
    /// For none.
    Site(Rc<str>, Failure),
    /// For none that must be private.
    Private(Rc<str>, Failure),
    /// This server ends, and no host had answered yet: nothing was tried.
    Ending,
}

impl Courier {
    /// Whether a message may take this connection.
    pub(super) fn suits(&self, link: &Link, terms: Terms) -> bool {
        let is_spent = link.connection.next_number() > self.hop.route.pace.messages_max;
        !is_spent && (!terms.require_tls || is_private(&link.connection))
    }

    pub(super) async fn connect_for(
        &mut self,
        parcels: &[Parcel],
        is_notice: bool,
    ) -> Result<Link, Unreached> {
        let terms = terms(parcels);
        if terms.require_tls {
            match self.connect(Manner::Private, parcels).await {
                Err(_) if is_notice => {}
                reached => return reached,
            }
        }
        match self.connect(Manner::Usual, parcels).await {
            Err(Unreached::Site(_, failure))
                if terms.tls_optional && is_about_tls(&failure) && self.may_loosen() =>
            {
                self.connect(Manner::Loose, parcels).await
            }
            reached => reached,
        }
    }

    /// Without what the domain publishes there is a host still.
    fn may_loosen(&self) -> bool {
        let mut hosts = self.hop.hosts.iter();
        hosts.any(|host| host.own_demand.is_some())
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

/// Who did not answer may be the private one; else the nearest miss is told.
pub(super) fn nearness(failure: &Failure) -> (bool, u16) {
    (!is_refusal(failure), failure.reply.status_or_class().2)
}

/// Whether it is one of our own words below.
fn is_refusal(failure: &Failure) -> bool {
    failure.stage == Stage::StartTls && failure.reply.class() == 5 && failure.origin == Origin::Us
}

/// RFC 8689 §4.2.1: verified, and it promises to go on likewise.
pub(super) fn is_private(connection: &Connection) -> bool {
    connection.tls().is_verified() && connection.offer().require_tls
}

pub(super) fn is_about_tls(failure: &Failure) -> bool {
    matches!(failure.stage, Stage::StartTls | Stage::Handshake)
}

pub(super) fn lacking() -> Failure {
    let text = "the message asks for REQUIRETLS, which the next hop does not offer";
    refusal(Status(5, 7, 30), text)
}

pub(super) fn unverified(failure: &Failure) -> Failure {
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
