//! The policy of a domain: a small text file with strict meaning (RFC 8461 §3.2).
//!
//! ```text
//! version: STSv1
//! mode: enforce            enforce, testing or none
//! mx: mail.example.org     one line a host; *.example.org is every name one label longer
//! max_age: 604800          seconds
//! ```
//!
//! Unknown keys are passed over; of a key that may stand once the first counts.

use crate::config::domain_name;
use std::fmt;

/// A policy that can be applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    pub mode: Mode,
    /// Not empty unless the mode is [`Mode::None`].
    pub hosts: Vec<Pattern>,
    /// How long the policy holds after it was fetched, at most [`AGE_SECS_MAX`].
    pub max_age_secs: u32,
}

/// What a failure means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// No delivery to a host that fails.
    Enforce,
    /// It is reported, and the mail goes there.
    Testing,
    /// The domain had a policy and gave it up.
    None,
}

/// Names of hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// This name alone.
    Name(Box<str>),
    /// Every name that has exactly one label before this one.
    Below(Box<str>),
}

/// Why a text is no policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadPolicy {
    TooLong,
    NotText,
    Version,
    Mode,
    MaxAge,
    Hosts,
}

impl Policy {
    /// Reads the file.
    pub fn parse(octets: &[u8]) -> Result<Policy, BadPolicy> {
        if octets.len() > POLICY_BYTES_MAX {
            return Err(BadPolicy::TooLong);
        }
        let text = std::str::from_utf8(octets).map_err(|_| BadPolicy::NotText)?;
        let keys: Vec<(&str, &str)> = text.lines().filter_map(key).collect();
        let first = |name: &str| keys.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
        if first("version") != Some("STSv1") {
            return Err(BadPolicy::Version);
        }
        let mode = mode(first("mode").ok_or(BadPolicy::Mode)?)?;
        let max_age_secs = max_age(first("max_age").ok_or(BadPolicy::MaxAge)?)?;
        let patterns = keys.iter().filter(|(key, _)| *key == "mx");
        let hosts: Result<Vec<Pattern>, BadPolicy> = patterns
            .take(PATTERNS_MAX + 1)
            .map(|(_, text)| Pattern::parse(text).ok_or(BadPolicy::Hosts))
            .collect();
        let hosts = hosts?;
        let fits = (1..=PATTERNS_MAX).contains(&hosts.len());
        if !fits && mode != Mode::None {
            return Err(BadPolicy::Hosts);
        }
        Ok(Policy {
            mode,
            hosts,
            max_age_secs,
        })
    }

    /// Whether the policy names this host (RFC 8461 §4.1); the name is in lower-case A-labels.
    #[must_use]
    pub fn lists(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.fits(host))
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Pattern> {
        match text.strip_prefix("*.") {
            Some(parent) => Some(Pattern::Below(domain_name(parent)?.into())),
            None => Some(Pattern::Name(domain_name(text)?.into())),
        }
    }

    fn fits(&self, host: &str) -> bool {
        match self {
            Pattern::Name(name) => **name == *host,
            Pattern::Below(parent) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && *rest == **parent),
        }
    }
}

/// A line that is no key is passed over like an unknown key.
fn key(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let blank = [' ', '\t'];
    Some((name.trim_end_matches(blank), value.trim_matches(blank)))
}

fn mode(text: &str) -> Result<Mode, BadPolicy> {
    match text {
        "enforce" => Ok(Mode::Enforce),
        "testing" => Ok(Mode::Testing),
        "none" => Ok(Mode::None),
        _ => Err(BadPolicy::Mode),
    }
}

fn max_age(text: &str) -> Result<u32, BadPolicy> {
    let is_number = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let secs: u64 = text.parse().map_err(|_| BadPolicy::MaxAge)?;
    if !is_number {
        return Err(BadPolicy::MaxAge);
    }
    Ok(u32::try_from(secs).map_or(AGE_SECS_MAX, |secs| secs.min(AGE_SECS_MAX)))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Name(name) => f.write_str(name),
            Pattern::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

impl fmt::Display for BadPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadPolicy::TooLong => "the policy is longer than 64 KiB",
            BadPolicy::NotText => "the policy is not UTF-8",
            BadPolicy::Version => "the policy does not say \"version: STSv1\"",
            BadPolicy::Mode => "the policy has no mode that is known",
            BadPolicy::MaxAge => "the policy has no max_age in seconds",
            BadPolicy::Hosts => "the policy lists no host, or what is none",
        })
    }
}

impl std::error::Error for BadPolicy {}

/// RFC 8461 §3.3 proposes this bound.
pub const POLICY_BYTES_MAX: usize = 64 << 10;

/// RFC 8461 §3.2: one year.
pub(super) const AGE_SECS_MAX: u32 = 31_557_600;

/// Ten times what large domains list.
const PATTERNS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n\
                           mx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n";

    #[test]
    fn reads_the_example() {
        let policy = Policy::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(policy.mode, Mode::Enforce);
        assert_eq!(policy.max_age_secs, 604_800);
        for (host, is_listed) in [
            ("mail.example.com", true),
            ("backupmx.example.com", true),
            ("mx1.example.net", true),
            ("a.mx1.example.net", false),
            ("example.net", false),
            (".example.net", false),
            ("mail.example.com.evil.test", false),
        ] {
            assert_eq!(policy.lists(host), is_listed, "{host}");
        }
    }

    #[test]
    fn the_first_of_two_keys_counts_and_unknown_ones_do_not() {
        let text = "mode: testing\nversion:STSv1\nversion: STSv9\nfoo: bar\n\nnonsense\n\
                    mx:  MX.Example.com \nmax_age: 9999999999\nmode: enforce";
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!(policy.mode, Mode::Testing);
        assert_eq!(policy.max_age_secs, AGE_SECS_MAX);
        assert!(policy.lists("mx.example.com"));
    }

    #[test]
    fn refuses_what_is_no_policy() {
        for (text, why) in [
            ("", BadPolicy::Version),
            ("version: STSv2\nmode: none\nmax_age: 1", BadPolicy::Version),
            ("version: STSv1\nmode: strict\nmax_age: 1", BadPolicy::Mode),
            ("version: STSv1\nmode: none\nmax_age: -1", BadPolicy::MaxAge),
            ("version: STSv1\nmode: none\nmax_age: +1", BadPolicy::MaxAge),
            ("version: STSv1\nmode: none", BadPolicy::MaxAge),
            (
                "version: STSv1\nmode: enforce\nmax_age: 1",
                BadPolicy::Hosts,
            ),
            (
                "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1",
                BadPolicy::Hosts,
            ),
            (
                "version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1",
                BadPolicy::Hosts,
            ),
        ] {
            assert_eq!(Policy::parse(text.as_bytes()), Err(why), "{text:?}");
        }
        assert_eq!(
            Policy::parse(&[b'a'; (64 << 10) + 1]),
            Err(BadPolicy::TooLong)
        );
        assert_eq!(
            Policy::parse(b"version: STSv1\xff"),
            Err(BadPolicy::NotText)
        );
        let many = format!("{EXAMPLE}{}", "mx: a.example\n".repeat(PATTERNS_MAX));
        assert_eq!(Policy::parse(many.as_bytes()), Err(BadPolicy::Hosts));
    }

    #[test]
    fn a_domain_may_give_its_policy_up() {
        let policy = Policy::parse(b"version: STSv1\nmode: none\nmax_age: 86400\n").unwrap();
        assert_eq!((policy.mode, policy.hosts.len()), (Mode::None, 0));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Policy::parse(&octets);
        }

        #[test]
        fn damaged_policies_never_panic(at in 0usize..120, octet in any::<u8>()) {
            let mut octets = EXAMPLE.as_bytes().to_vec();
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
            if let Ok(policy) = Policy::parse(&octets) {
                prop_assert!(policy.mode == Mode::None || !policy.hosts.is_empty());
                let _ = policy.lists("mail.example.com");
            }
        }
    }
}
