//! Mail for domains that are not ours: who may send it, and whether it has a way.
//!
//! Nobody is relayed for unless they have logged in or come from a network that the configuration
//! names, and nothing leaves without a `[[route]]`. Both are asked for every recipient, so that no
//! order of commands opens a relay (attack class 20).

use crate::config::outbound::{Outbound, Via, Whom};
use store::mail::address::Address;

/// What becomes of a recipient at another host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Away<'c> {
    /// It is queued, for so many seconds at most.
    Leaves { expire_secs: u32 },
    /// It is taken and thrown away: the operator wants that.
    Discarded,
    /// The operator wants it refused in these words.
    Rejected(&'c str),
    /// There is no route for its domain.
    NoRoute,
    /// There might be one, but not for this client.
    Denied,
}

/// The way of `recipient`, whose domain is not ours, for mail of `whom`.
#[must_use]
pub fn away<'c>(
    outbound: &'c Outbound,
    may_send: bool,
    recipient: &Address,
    whom: Whom<'_>,
) -> Away<'c> {
    if !may_send {
        return match outbound.is_on() {
            true => Away::Denied,
            false => Away::NoRoute,
        };
    }
    let Some((_, route)) = outbound.route(&recipient.domain, whom) else {
        return Away::NoRoute;
    };
    match &route.via {
        Via::Discard => Away::Discarded,
        Via::Reject { reason } => Away::Rejected(reason),
        Via::Mx | Via::Host { .. } => Away::Leaves {
            expire_secs: route.pace.expire_secs,
        },
    }
}
