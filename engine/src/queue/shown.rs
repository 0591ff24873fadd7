//! The next hop of a destination in words, for an operator who asks where mail would go now.

use super::destination::Destination;
use super::dispatch::Dispatcher;
use super::hop::{Hop, NoHop, Reach};
use crate::config::outbound::{Detour, Outbound};
use crate::egress::{Demand, Dialect};
use crate::tls::Proof;

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
        let route = detour.route(rules, to.pace(rules));
        let domain = match &detour {
            Detour::Mx(other) => other.as_str(),
            Detour::Host { .. } | Detour::Route => domain,
        };
        let asked = self.asked(domain, (DETOURS, route), rules);
        self.guides.hop(asked).await
    }
}

fn lines(hop: &Hop) -> Vec<String> {
    let dialect = match hop.dialect {
        Dialect::Smtp => "SMTP",
        Dialect::Lmtp => "LMTP",
    };
    let implicit = match hop.tls.is_implicit {
        true => ", TLS from the first octet",
        false => "",
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
        Demand::Trial(proof) => {
            format!("TLS where it is offered, tried for {}", proven(proof))
        }
        Demand::Required(proof) => format!("TLS required, {}", proven(proof)),
    };
    format!("{} {}: {tls}", host.name, addresses.join(" "))
}

/// What a host must show.
fn proven(proof: &Proof) -> String {
    match proof {
        Proof::Nothing => "any certificate".to_owned(),
        Proof::Names(names) => format!("a certificate for {}", names.join(" or ")),
        Proof::Vouched(names, _) => format!(
            "a certificate for {} by authorities of the configuration",
            names.join(" or ")
        ),
        Proof::Judge(_) => "proven by DANE or by its fingerprint".to_owned(),
        Proof::Trial(proof, _) => proven(proof),
    }
}

/// Detours are no routes of the configuration: they share nothing with any.
const DETOURS: usize = usize::MAX;
