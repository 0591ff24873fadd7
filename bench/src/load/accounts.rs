//! Whom messages are for: addresses as a list or as a pattern with a range.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

/// Addresses by number; at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Accounts {
    /// Shared, as every thread has them.
    names: Arc<[String]>,
}

/// More addresses than this are a mistake in the pattern.
const ACCOUNTS_MAX: usize = 1_000_000;

impl Accounts {
    pub(crate) fn len(&self) -> u32 {
        self.names.len() as u32
    }

    /// The address with this number; numbers go round.
    pub(crate) fn name(&self, number: u32) -> &str {
        let at = number as usize % self.names.len();
        self.names.get(at).map_or("", String::as_str)
    }

    /// The number of an address, as a server may write it: the domain in any case.
    pub(crate) fn numbers(&self) -> HashMap<String, u32> {
        let named = self.names.iter().zip(0u32..);
        named
            .map(|(name, number)| (name.to_ascii_lowercase(), number))
            .collect()
    }

    /// The length of the longest address.
    pub(crate) fn longest(&self) -> usize {
        self.names.iter().map(String::len).max().unwrap_or(0)
    }
}

impl FromStr for Accounts {
    type Err = String;

    /// `a@b,c@b` or `user{1..100}@b`; `{001..100}` keeps the zeros.
    fn from_str(text: &str) -> Result<Accounts, String> {
        let mut names = Vec::new();
        for part in text.split(',').map(str::trim) {
            match part.split_once('{') {
                None => names.push(part.to_owned()),
                Some((before, rest)) => names.extend(range(before, rest)?),
            }
            if names.len() > ACCOUNTS_MAX {
                return Err(format!("more than {ACCOUNTS_MAX} addresses"));
            }
        }
        let wrong = names.iter().find(|name| !is_address(name));
        match wrong {
            Some(wrong) => Err(format!(
                "`{wrong}` is not an address; write user@domain or user{{1..100}}@domain"
            )),
            None => Ok(Accounts {
                names: names.into(),
            }),
        }
    }
}

fn range(before: &str, rest: &str) -> Result<Vec<String>, String> {
    let wrong = || String::from("a range is written {FIRST..LAST}, as in user{1..100}@domain");
    let (range, after) = rest.split_once('}').ok_or_else(wrong)?;
    let (first, last) = range.split_once("..").ok_or_else(wrong)?;
    let width = if first.starts_with('0') {
        first.len()
    } else {
        1
    };
    let first: u32 = first.parse().map_err(|_| wrong())?;
    let last: u32 = last.parse().map_err(|_| wrong())?;
    if first > last || (last - first) as usize >= ACCOUNTS_MAX {
        return Err(wrong());
    }
    let numbers = first..=last;
    Ok(numbers
        .map(|number| format!("{before}{number:0width$}{after}"))
        .collect())
}

/// Good enough for a command line; nothing that would break out of `RCPT TO:<…>`.
fn is_address(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\\' | ' ');
    let parts = name.split_once('@');
    let named = parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    named && name.len() <= ADDRESS_BYTES_MAX && name.chars().all(plain)
}

/// RFC 5321 §4.5.3.1.3, without the angle brackets.
const ADDRESS_BYTES_MAX: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.parse::<Accounts>().unwrap().names.to_vec()
    }

    #[test]
    fn lists_and_ranges_become_addresses() {
        assert_eq!(names("a@b.test, c@b.test"), ["a@b.test", "c@b.test"]);
        assert_eq!(names("u{9..11}@x"), ["u9@x", "u10@x", "u11@x"]);
        assert_eq!(names("u{08..10}@x"), ["u08@x", "u09@x", "u10@x"]);
        let accounts: Accounts = "u{0..2}@X.test".parse().unwrap();
        assert_eq!(accounts.name(4), "u1@X.test");
        assert_eq!(accounts.numbers().get("u1@x.test"), Some(&1));
    }

    #[test]
    fn what_is_no_address_is_named() {
        for wrong in [
            "",
            "a",
            "@b",
            "a@",
            "u{1..}@x",
            "u{3..1}@x",
            "u{1@x",
            "a>@b",
            "a b@c",
        ] {
            assert!(wrong.parse::<Accounts>().is_err(), "{wrong}");
        }
    }
}
