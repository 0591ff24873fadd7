//! A way that an operator orders for mail that waits: `smarthost:host:port`, `lmtp:host:port`,
//! `mx:domain`, or `route` for the configured one.

use super::super::name::domain_name;
use super::read::parse_host;
use super::{HopProtocol, NextHost, Outbound, Pace, Route, TlsPolicy, Via};
use std::fmt;

/// Where re-routed mail goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Detour {
    /// One host, as a route names it.
    Host {
        host: NextHost,
        protocol: HopProtocol,
    },
    /// The mail exchangers of this domain, whatever that of the recipient is.
    Mx(String),
    /// No detour any more.
    Route,
}

impl Detour {
    /// `None`: it is none of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Detour> {
        if text == ROUTE {
            return Some(Detour::Route);
        }
        let host = |text, port, protocol| {
            parse_host(text, port).map(|host| Detour::Host { host, protocol })
        };
        match text.split_once(':')? {
            ("smarthost", rest) => host(rest, 587, HopProtocol::Smtp),
            ("lmtp", rest) => host(rest, 24, HopProtocol::Lmtp),
            ("mx", rest) => domain_name(rest).map(Detour::Mx),
            _ => None,
        }
    }

    /// The route that leads there. A host that a route names is known from there: its login and
    /// what TLS must show; the pace is that of the mail.
    #[must_use]
    pub fn route(&self, rules: &Outbound, pace: Pace) -> Route {
        let usual = |via| Route {
            domains: Vec::new(),
            senders: Vec::new(),
            tenants: Vec::new(),
            via,
            tls: TlsPolicy::default(),
            pool: None,
            pace,
        };
        match self {
            Detour::Mx(_) | Detour::Route => usual(Via::Mx),
            Detour::Host { host, protocol } => {
                let is_known = |route: &&Route| {
                    matches!(&route.via, Via::Host { host: known, protocol: spoken, .. }
                        if known == host && spoken == protocol)
                };
                let via = Via::Host {
                    host: host.clone(),
                    login: None,
                    protocol: *protocol,
                };
                let known = rules.routes.iter().find(is_known);
                let own = usual(via);
                match known {
                    Some(known) => Route {
                        via: known.via.clone(),
                        tls: known.tls.clone(),
                        pool: known.pool,
                        ..own
                    },
                    None => own,
                }
            }
        }
    }
}

/// As it is parsed.
impl fmt::Display for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Detour::Host { host, protocol } => match protocol {
                HopProtocol::Smtp => write!(f, "smarthost:{host}"),
                HopProtocol::Lmtp => write!(f, "lmtp:{host}"),
            },
            Detour::Mx(domain) => write!(f, "mx:{domain}"),
            Detour::Route => f.write_str(ROUTE),
        }
    }
}

/// The word for no detour.
const ROUTE: &str = "route";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detour_is_read_as_it_is_written() {
        for (text, shown) in [
            ("smarthost:Mail.example", "smarthost:mail.example:587"),
            ("smarthost:[2001:db8::1]:25", "smarthost:[2001:db8::1]:25"),
            ("lmtp:127.0.0.1:2424", "lmtp:127.0.0.1:2424"),
            ("mx:B\u{fc}cher.example", "mx:xn--bcher-kva.example"),
            ("route", "route"),
        ] {
            let detour = Detour::parse(text).unwrap();
            assert_eq!(detour.to_string(), shown);
            assert_eq!(Detour::parse(shown), Some(detour));
        }
        for wrong in [
            "",
            "mx",
            "mx:",
            "host:a.b",
            "smarthost:",
            "smarthost:a b",
            "lmtp:a:0",
        ] {
            assert_eq!(Detour::parse(wrong), None, "{wrong}");
        }
    }
}
