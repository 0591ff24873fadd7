//! Routes that lead back to where the mail came in: named before the first message goes round.

use super::super::Found;
use super::super::listener::{ListenAt, Listener, Protocol};
use super::super::raw::Notes;
use super::{NextHost, Outbound, Via};
use std::net::{IpAddr, SocketAddr};

/// Notes each fixed next hop that is a listener of this file.
pub(in super::super) fn loops(
    outbound: &Outbound,
    listeners: &[Found<Listener>],
    notes: &mut Notes,
) {
    for route in &outbound.routes {
        let Via::Host { host, .. } = &route.via else {
            continue;
        };
        let ours = listeners
            .iter()
            .find(|listener| is_it(&listener.value, host));
        if let Some(listener) = ours {
            let domains = route.domains.join(", ");
            let what = format!("the [[route]] for {domains} leads back to this listener");
            notes.problem(listener.line, what);
        }
    }
}

fn is_it(listener: &Listener, host: &NextHost) -> bool {
    let takes_mail = matches!(
        listener.protocol,
        Protocol::Smtp | Protocol::Submission | Protocol::Lmtp
    );
    let (ListenAt::Tcp(at), Ok(address)) = (&listener.address, host.name.parse()) else {
        return false;
    };
    takes_mail && at.port() == host.port && reaches(*at, address)
}

fn reaches(at: SocketAddr, address: IpAddr) -> bool {
    at.ip() == address || at.ip().is_unspecified() && address.is_loopback()
}
