//! Mail for domains that are not ours: who may send it, and whether it has a way.
//!
//! Nobody is relayed for unless they have logged in or come from a network that the configuration
//! names, and nothing leaves without a `[[route]]`. Both are asked for every recipient, so that no
//! order of commands opens a relay (attack class 20).

use crate::config::outbound::{Outbound, Via};
use store::mail::address::Address;

/// What becomes of a recipient at another host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Away<'c> {
    /// It is queued.
    Leaves,
    /// It is taken and thrown away: the operator wants that.
    Discarded,
    /// The operator wants it refused in these words.
    Rejected(&'c str),
    /// There is no route for its domain.
    NoRoute,
    /// There might be one, but not for this client.
    Denied,
}

/// The way of `recipient`, whose domain is not ours.
#[must_use]
pub fn away<'c>(outbound: &'c Outbound, may_send: bool, recipient: &Address) -> Away<'c> {
    if !may_send {
        return match outbound.is_on() {
            true => Away::Denied,
            false => Away::NoRoute,
        };
    }
    match outbound.route(&recipient.domain).map(|route| &route.via) {
        None => Away::NoRoute,
        Some(Via::Discard) => Away::Discarded,
        Some(Via::Reject { reason }) => Away::Rejected(reason),
        Some(Via::Mx | Via::Host { .. }) => Away::Leaves,
    }
}
