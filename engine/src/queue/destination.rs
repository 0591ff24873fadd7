//! Where recipients are to go, as the board tells them apart: the domain, and what else chooses
//! their route.
//!
//! ```text
//! example.net                              the usual one
//! example.net TAB @lists.org TAB a@b.org   a route that asks for sender or tenant
//! example.net TAB TAB TAB smarthost:h:25   where the operator re-routed it to
//! ```
//!
//! Recipients of one destination wait together for its hosts.

use crate::config::outbound::{Outbound, Pace, Whom};
use std::borrow::Cow;

/// A destination, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Destination<'a> {
    pub(super) domain: &'a str,
    /// The pattern of its sender, where the route asks for it.
    pub(super) sender: &'a str,
    pub(super) tenant: &'a str,
    /// The detour that the operator ordered.
    pub(super) via: Option<&'a str>,
}

impl<'a> Destination<'a> {
    pub(super) fn of(name: &'a str) -> Destination<'a> {
        let mut parts = name.splitn(4, BETWEEN);
        let mut next = || parts.next();
        Destination {
            domain: next().unwrap_or_default(),
            sender: next().unwrap_or_default(),
            tenant: next().unwrap_or_default(),
            via: next(),
        }
    }

    pub(super) fn whom(&self) -> Whom<'a> {
        Whom {
            sender: self.sender,
            tenant: self.tenant,
        }
    }

    /// How its mail is tried.
    pub(super) fn pace(&self, rules: &Outbound) -> Pace {
        rules.pace(self.domain, self.whom()).clone()
    }
}

/// The name of the destination of mail of `whom` to a domain.
pub(super) fn by_route<'a>(rules: &Outbound, domain: &'a str, whom: Whom<'_>) -> Cow<'a, str> {
    let place = |whom| rules.route(domain, whom).map(|(place, _)| place);
    let is_usual = !rules.asks_whom() || place(whom) == place(Whom::default());
    match is_usual {
        true => Cow::Borrowed(domain),
        false => Cow::Owned([domain, whom.sender, whom.tenant].join(SEPARATOR)),
    }
}

/// The name of the destination of mail that was re-routed.
pub(super) fn by_order(domain: &str, via: &str) -> String {
    [domain, "", "", via].join(SEPARATOR)
}

/// The domain of a destination.
pub(super) fn domain_of(name: &str) -> &str {
    Destination::of(name).domain
}

/// What no domain, pattern or tenant has.
const BETWEEN: char = '\t';
const SEPARATOR: &str = "\t";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_apart_as_it_was_put_together() {
        let usual = Destination::of("a.example");
        assert_eq!((usual.domain, usual.via), ("a.example", None));
        let ordered = by_order("a.example", "smarthost:b.example:25");
        let ordered = Destination::of(&ordered);
        assert_eq!(ordered.domain, "a.example");
        assert_eq!(ordered.via, Some("smarthost:b.example:25"));
        assert_eq!(ordered.whom(), Whom::default());
        let whom = Whom {
            sender: "@s.example",
            tenant: "t@t.example",
        };
        let rules = Outbound::default();
        assert_eq!(
            by_route(&rules, "a.example", whom),
            "a.example",
            "nobody asks"
        );
    }
}
