//! The next hop of a destination in words, for an operator who asks where mail would go now.

use super::destination::Destination;
use super::dispatch::Dispatcher;
use super::hop::{Hop, NoHop, Reach};
use crate::config::outbound::{Detour, Outbound, TlsDemand};
use crate::egress::{Demand, Dialect};
use crate::tls::Proof;
use std::rc::Rc;

impl Dispatcher {
    /// A line for the hop and one for each host, the best first.
    pub(super) async fn show_hop(&self, to: &Destination<'_>) -> Vec<String> {
        let config = self.live.config.load_full();
        match self.hop(to, &config.outbound).await {
            Ok(hop) => lines(&hop),
            Err(why) => {
                let (class, subject, detail) = why.status;
                let then = match why.is_permanent {
                    true => "the sender is told",
                    false => "it is tried again",
                };
                vec![format!(
                    "no hop: {} ({class}.{subject}.{detail}); {then}",
                    why.words
                )]
            }
        }
    }

    /// The hop of a detour that the operator ordered.
    pub(super) async fn detour(
        &self,
        domain: &str,
        via: &str,
        rules: &Outbound,
    ) -> Result<Hop, NoHop> {
        let detour = Detour::parse(via).ok_or_else(NoHop::withdrawn)?;
        let to = Destination::of(domain);
        let route = Rc::new(detour.route(rules, to.pace(rules)));
        let domain = match &detour {
            Detour::Mx(other) => other.as_str(),
            Detour::Host { .. } | Detour::Route => domain,
        };
        self.guides.hop(domain, DETOURS, route).await
    }
}

fn lines(hop: &Hop) -> Vec<String> {
    let dialect = match hop.dialect {
        Dialect::Smtp => "SMTP",
        Dialect::Lmtp => "LMTP",
    };
    let implicit = match hop.route.tls {
        TlsDemand::Implicit => ", TLS from the first octet",
        _ => "",
    };
    let pace = &hop.route.pace;
    let head = format!(
        "{dialect} to site {}: at most {} connections{implicit}; known for {} s",
        hop.site, pace.connections_max, hop.ttl_secs
    );
    std::iter::once(head)
        .chain(hop.hosts.iter().map(reach))
        .collect()
}

fn reach(host: &Reach) -> String {
    let addresses: Vec<String> = host.addresses.iter().map(ToString::to_string).collect();
    let tls = match &host.demand {
        Demand::Clear => "no TLS".to_owned(),
        Demand::Opportunistic => "TLS where it is offered".to_owned(),
        Demand::Required(Proof::Nothing) => "TLS required, any certificate".to_owned(),
        Demand::Required(Proof::Names(names)) => {
            format!("TLS required, a certificate for {}", names.join(" or "))
        }
        Demand::Required(Proof::Judge(_)) => "TLS required, proven by DANE".to_owned(),
    };
    format!("{} {}: {tls}", host.name, addresses.join(" "))
}

/// Detours are no routes of the configuration: they share nothing with any.
const DETOURS: usize = usize::MAX;
