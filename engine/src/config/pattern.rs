//! Patterns of addresses, as routes and rewriting maps name them: `alice@example.org`,
//! `@example.org`, `*.example.org`, and `<>` for the null reverse-path.
//!
//! The most exact one that fits holds: the address, its domain, then the parents of its domain from
//! the longest on. `*.example.org` fits every name below `example.org`, not `example.org` itself,
//! as in the `domains` of a route.

use super::name::{self, domain_name};
use super::raw::{At, Notes};
use std::borrow::Cow;
use store::mail::address::Address;

/// The null reverse-path among patterns and senders.
pub const NULL_PATH: &str = "<>";

/// An address as patterns are compared with it; `None` is the null reverse-path.
#[must_use]
pub fn text_of(address: Option<&Address>) -> String {
    match address {
        Some(address) => {
            let local = name::canonical_local(&address.local);
            format!("{local}@{}", address.domain)
        }
        None => NULL_PATH.to_owned(),
    }
}

/// The patterns that fit an address or a pattern itself, the most exact first: what was once found
/// by an address is found again by the pattern that fitted.
pub(super) fn fitting(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let of_address = text.rfind('@').filter(|at| *at > 0);
    let at_domain = of_address.and_then(|at| text.get(at..));
    let domain = match text.strip_prefix("*.") {
        Some(below) => below,
        None => at_domain.unwrap_or(text).trim_start_matches('@'),
    };
    let parents = std::iter::successors(domain.split_once('.'), |(_, rest)| rest.split_once('.'));
    let below = parents.map(|(_, parent)| Cow::Owned(format!("*.{parent}")));
    let exact = [Some(text), at_domain].into_iter().flatten();
    exact.map(Cow::Borrowed).chain(below)
}

/// A pattern in its canonical form; what is none is noted with what was expected.
pub(super) fn read(key: &str, text: At<&str>, notes: &mut Notes) -> Option<String> {
    let found = parse(text.value);
    if found.is_none() {
        let what = format!(
            "{key}: \"{}\" is no address, no \"@example.org\" and no \"*.example.org\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

fn parse(text: &str) -> Option<String> {
    if let Some(below) = text.strip_prefix("*.") {
        return domain_name(below).map(|name| format!("*.{name}"));
    }
    if let Some(domain) = text.strip_prefix('@') {
        return domain_name(domain).map(|name| format!("@{name}"));
    }
    let address = name::address(text).ok()?;
    Some(text_of(Some(&address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_pattern_comes_first() {
        let all = |text: &str| fitting(text).map(Cow::into_owned).collect::<Vec<_>>();
        assert_eq!(
            all("a@x.b.org"),
            ["a@x.b.org", "@x.b.org", "*.b.org", "*.org"]
        );
        assert_eq!(all("@x.b.org"), ["@x.b.org", "*.b.org", "*.org"]);
        assert_eq!(all("*.b.org"), ["*.b.org", "*.org"]);
        assert_eq!(all(NULL_PATH), [NULL_PATH]);
        assert_eq!(all(""), [""]);
    }

    #[test]
    fn an_address_is_compared_in_any_case_and_with_its_last_at_sign() {
        let odd = Address::new("A@B", "c.org");
        assert_eq!(text_of(Some(&odd)), "a@b@c.org");
        assert_eq!(fitting("a@b@c.org").nth(1).unwrap(), "@c.org");
        assert_eq!(text_of(None), "<>");
    }

    #[test]
    fn patterns_have_one_spelling() {
        assert_eq!(
            parse("Alice@B\u{fc}cher.Example").unwrap(),
            "alice@xn--bcher-kva.example"
        );
        assert_eq!(parse("@EXAMPLE.org").unwrap(), "@example.org");
        assert_eq!(parse("*.Example.org").unwrap(), "*.example.org");
        for wrong in ["", "@", "*.", "example.org", "a b@c.org"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
