//! How names of domains and local-parts are compared.
//!
//! A domain is an A-label name in lower case (RFC 5890). A local-part of one of our accounts is
//! compared without regard to case, as RFC 5321 §2.4 leaves to the host that delivers, and in
//! Unicode normal form C (RFC 6532 §3.1), so that one spelling never leads to two mailboxes.

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use std::borrow::Cow;
use store::mail::address::{Address, is_dot_string};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// RFC 5321 §4.5.3.1.1.
pub const LOCAL_PART_BYTES_MAX: usize = 64;

/// The form of a local-part that is looked up; borrowed where it has that form already.
#[must_use]
pub fn canonical_local(local: &str) -> Cow<'_, str> {
    let as_is = if local.is_ascii() {
        !local.bytes().any(|b| b.is_ascii_uppercase())
    } else {
        is_nfc(local) && local.chars().all(|c| c.to_lowercase().eq([c]))
    };
    if as_is {
        Cow::Borrowed(local)
    } else {
        // Composing can bring forth a character with another lower case, so it comes last but is
        // followed by nothing: both steps are repeated until nothing changes.
        let mut form = lower_and_compose(local);
        for _ in 0..2 {
            form = lower_and_compose(&form);
        }
        Cow::Owned(form)
    }
}

/// An address as it is looked up.
#[must_use]
pub fn canonical(address: &Address) -> Address {
    Address {
        local: canonical_local(&address.local).into_owned(),
        domain: address.domain.to_ascii_lowercase(),
    }
}

/// The ways to part `user` from `detail` (RFC 5233), the longest user first, so that `mary-ann-x`
/// reaches `mary-ann` before `mary`. The user is canonical, the detail as it came.
pub fn partings(
    local: &str,
    delimiter: Option<char>,
) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    let at = move |sign: char| {
        let places = local.rmatch_indices(sign);
        places.map(move |(at, found)| (local.get(..at), local.get(at + found.len()..)))
    };
    let parts = delimiter.map(at).into_iter().flatten();
    parts.filter_map(|(user, detail)| match (user?, detail?) {
        ("", _) => None,
        (user, detail) => Some((canonical_local(user), detail)),
    })
}

/// A domain in lower-case A-labels, or nothing where it is no domain name of letters, digits and
/// hyphens.
#[must_use]
pub fn domain_name(text: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::Allow,
            DnsLength::Verify,
        )
        .ok()?;
    let numeric_end = ascii.rsplit('.').next().is_some_and(is_number);
    (!numeric_end).then(|| ascii.into_owned())
}

/// `local@domain` as people write it, canonical. Local-parts that SMTP would have to quote are no
/// names of accounts here.
pub fn address(text: &str) -> Result<Address, String> {
    let fault = || format!("expected an address such as \"alice@example.org\", not \"{text}\"");
    let (local, domain) = text.rsplit_once('@').ok_or_else(fault)?;
    if local.is_empty() || local.len() > LOCAL_PART_BYTES_MAX {
        return Err(fault());
    }
    if local
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || "\"\\<>()@".contains(c))
    {
        return Err(fault());
    }
    if !is_dot_string(local) {
        return Err(fault());
    }
    let domain = domain_name(domain).ok_or_else(fault)?;
    Ok(Address::new(canonical_local(local), domain))
}

fn lower_and_compose(local: &str) -> String {
    local.to_lowercase().nfc().collect()
}

/// An address in digits, such as 10.0.0.1, is no domain.
fn is_number(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn borrows_what_is_canonical() {
        assert!(matches!(
            canonical_local("alice+x"),
            Cow::Borrowed("alice+x")
        ));
        assert!(matches!(canonical_local("m\u{fc}ller"), Cow::Borrowed(_)));
    }

    #[test]
    fn spellings_of_one_name_meet() {
        assert_eq!(canonical_local("Alice"), "alice");
        assert_eq!(canonical_local("M\u{dc}LLER"), "m\u{fc}ller");
        assert_eq!(canonical_local("mu\u{308}ller"), "m\u{fc}ller");
    }

    #[test]
    fn domains_become_a_labels() {
        assert_eq!(
            domain_name("B\u{fc}cher.Example").as_deref(),
            Some("xn--bcher-kva.example")
        );
        assert_eq!(domain_name("example.org").as_deref(), Some("example.org"));
        for wrong in [
            "", ".", "a..b", "a_b.c", "a b", "10.0.0.1", "[::1]", "a/b", "x\0y",
        ] {
            assert_eq!(domain_name(wrong), None, "{wrong:?}");
        }
        assert_eq!(domain_name(&"a".repeat(64)), None);
    }

    #[test]
    fn addresses_are_checked() {
        assert_eq!(
            address("Alice@Example.ORG"),
            Ok(Address::new("alice", "example.org"))
        );
        for wrong in [
            "alice",
            "@a.b",
            "a@",
            "a b@c.d",
            "a@b@c.d",
            "\"a\"@b.c",
            "a\n@b.c",
        ] {
            assert!(address(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_longest_user_comes_first() {
        let parted: Vec<_> = partings("Mary-Ann-X", Some('-')).collect();
        assert_eq!(parted, [("mary-ann".into(), "X"), ("mary".into(), "Ann-X")]);
        assert_eq!(partings("+x", Some('+')).count(), 0);
        assert_eq!(partings("a+x", None).count(), 0);
    }

    proptest! {
        #[test]
        fn canonical_is_a_fixed_point(local in "\\PC{0,20}") {
            let once = canonical_local(&local).into_owned();
            prop_assert_eq!(canonical_local(&once).into_owned(), once.clone());
            prop_assert_eq!(canonical_local(&local.to_lowercase()).into_owned(), once);
        }
    }
}
