//! Keys that sign outgoing mail: `[[dkim]]` (RFC 6376, RFC 8463).
//!
//! A domain may have several: one RSA and one Ed25519 key sign side by side, and of two keys of one
//! algorithm the one that began last signs, so that a key is replaced by date. Whether a file holds
//! the key that is said here, `sign` tells with the line kept in [`Dkim::line`].

use super::name::domain_name;
use super::problem::Problem;
use super::raw::{At, Notes, Section};
use super::{Base, Found};
use std::collections::HashMap;
use std::path::PathBuf;
use store::mail::calendar::{days_in_month, days_since_1970};

/// A key and when it signs for whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dkim {
    /// Where it stands in the file.
    pub line: usize,
    /// Signs for this domain and those below it that have no key of their own.
    pub domain: String,
    pub selector: String,
    /// PEM: PKCS#8 or PKCS#1.
    pub key: PathBuf,
    pub algorithm: DkimAlgorithm,
    pub header_canon: DkimCanon,
    pub body_canon: DkimCanon,
    /// Signs from this second on, since 1970.
    pub not_before_secs: Option<i64>,
    /// Signs before this second, since 1970.
    pub not_after_secs: Option<i64>,
    /// How long a signature holds (`x=`); 0 for ever.
    pub signature_days: u64,
}

/// What a key is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DkimAlgorithm {
    Rsa,
    Ed25519,
}

/// One of the two canonicalisations (RFC 6376 §3.4); header and body choose apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DkimCanon {
    Simple,
    Relaxed,
}

/// A receiver may keep mail back for days; who stole a message may not send it for years.
const SIGNATURE_DAYS_DEFAULT: u64 = 14;

const SIGNATURE_DAYS_MAX: u64 = 3_650;

/// RFC 1035 §2.3.4, without the root.
const NAME_BYTES_MAX: usize = 253;

impl Dkim {
    /// Where the record stands in the DNS.
    #[must_use]
    pub fn record_name(&self) -> String {
        record_name(&self.selector, &self.domain)
    }

    /// Whether the key may sign at this second.
    #[must_use]
    pub fn signs_at(&self, unix_secs: i64) -> bool {
        self.not_before_secs.is_none_or(|from| from <= unix_secs)
            && self.not_after_secs.is_none_or(|to| unix_secs < to)
    }

    /// A selector and a domain in lower-case A-labels whose record has a name in the DNS, or a
    /// sentence that says what is wrong.
    pub fn names(selector: &str, domain: &str) -> Result<(String, String), String> {
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !selector.split('.').all(is_label) {
            return Err(format!(
                "selector: \"{selector}\" is none; expected letters, digits and hyphens"
            ));
        }
        let name =
            domain_name(domain).ok_or_else(|| format!("domain: \"{domain}\" is no domain name"))?;
        let selector = selector.to_ascii_lowercase();
        if record_name(&selector, &name).len() > NAME_BYTES_MAX {
            return Err(format!(
                "selector and domain are longer than {NAME_BYTES_MAX} octets"
            ));
        }
        Ok((selector, name))
    }
}

impl DkimAlgorithm {
    /// As it stands in `k=`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DkimAlgorithm::Rsa => "rsa",
            DkimAlgorithm::Ed25519 => "ed25519",
        }
    }

    /// As the configuration and the command line write it.
    #[must_use]
    pub fn named(text: &str) -> Option<DkimAlgorithm> {
        [DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519]
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
    }
}

impl DkimCanon {
    /// As it stands in `c=`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DkimCanon::Simple => "simple",
            DkimCanon::Relaxed => "relaxed",
        }
    }
}

/// Where the record of a selector stands in the DNS (RFC 6376 §3.6.2.1).
#[must_use]
pub fn record_name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

pub(super) fn dkim(
    mut section: Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<Found<Dkim>> {
    let line = section.line;
    let domain = section.text_required(notes, "domain", "\"example.org\"");
    let selector = section.text_required(notes, "selector", "\"a2026\"");
    let key = section.text_required(notes, "key", "\"FILE\", the private key in PEM");
    let algorithm = section.text(notes, "algorithm");
    let canon = section.text(notes, "canonicalization");
    let not_before = section.text(notes, "not_before");
    let not_after = section.text(notes, "not_after");
    let days = section.number(notes, "signature_days", 0, SIGNATURE_DAYS_MAX);
    section.finish(notes);

    let algorithm = algorithm.map(|text| read_algorithm(text, notes));
    let (header_canon, body_canon) = canon
        .and_then(|text| read_canon(text, notes))
        .unwrap_or((DkimCanon::Relaxed, DkimCanon::Relaxed));
    let not_before_secs = not_before.and_then(|text| day("not_before", text, notes));
    // The last day counts whole.
    let not_after_secs = not_after
        .and_then(|text| day("not_after", text, notes))
        .map(|start| start + DAY_SECS);
    if let (Some(from), Some(to), Some(at)) = (not_before_secs, not_after_secs, not_after)
        && to <= from
    {
        notes.problem(
            at.line,
            "not_after lies before not_before: this key never signs",
        );
    }
    let (domain, selector, key) = (domain?, selector?, key?);
    base.check_readable(key, notes);
    let (selector, domain) = Dkim::names(selector.value, domain.value)
        .map_err(|what| notes.problem(domain.line, what))
        .ok()?;
    let value = Dkim {
        line,
        domain,
        selector,
        key: base.path(key.value),
        algorithm: algorithm.unwrap_or(Some(DkimAlgorithm::Rsa))?,
        header_canon,
        body_canon,
        not_before_secs,
        not_after_secs,
        signature_days: days.map_or(SIGNATURE_DAYS_DEFAULT, |found| found.value),
    };
    Some(Found { line, value })
}

/// Two keys that would have one record, or of which nobody could say which one signs.
pub(super) fn check(keys: &[Found<Dkim>], notes: &mut Notes) {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut starts: HashMap<(&str, DkimAlgorithm, Option<i64>), usize> = HashMap::new();
    for Found { line, value } in keys {
        let name = value.record_name();
        if let Some(first) = names.get(&name) {
            let what = format!("the key of {name} stands in line {first} already");
            notes.problem(*line, what);
            continue;
        }
        names.insert(name, *line);
        let start = (
            value.domain.as_str(),
            value.algorithm,
            value.not_before_secs,
        );
        if let Some(first) = starts.insert(start, *line) {
            let what = format!(
                "domain {} has another {} key in line {first} that begins at the same time; say \
                 not_before = \"YYYY-MM-DD\"",
                value.domain,
                value.algorithm.name()
            );
            notes.problem(*line, what);
        }
    }
}

/// A domain that signs with Ed25519 alone is not understood by many receivers.
pub(super) fn warnings(keys: &[Found<Dkim>]) -> Vec<Problem> {
    let has_rsa = |domain: &str| {
        keys.iter()
            .any(|key| key.value.domain == domain && key.value.algorithm == DkimAlgorithm::Rsa)
    };
    keys.iter()
        .filter(|key| !has_rsa(&key.value.domain))
        .map(|key| {
            let what = format!(
                "domain {} has no RSA key: receivers that do not know Ed25519 see no signature",
                key.value.domain
            );
            Problem::new(key.line, what)
        })
        .collect()
}

fn read_algorithm(text: At<&str>, notes: &mut Notes) -> Option<DkimAlgorithm> {
    let algorithm = DkimAlgorithm::named(text.value);
    if algorithm.is_none() {
        let what = format!("algorithm: expected rsa or ed25519, not \"{}\"", text.value);
        notes.problem(text.line, what);
    }
    algorithm
}

/// `header/body`; one word alone is the header's (RFC 6376 §3.5), which nobody expects, so it is
/// refused.
fn read_canon(text: At<&str>, notes: &mut Notes) -> Option<(DkimCanon, DkimCanon)> {
    let named = |word: &str| {
        [DkimCanon::Simple, DkimCanon::Relaxed]
            .into_iter()
            .find(|canon| canon.name() == word)
    };
    let both = text.value.split_once('/');
    let found = both.and_then(|(header, body)| Some((named(header)?, named(body)?)));
    if found.is_none() {
        let what = format!(
            "canonicalization: expected \"relaxed/relaxed\" or another pair of relaxed and \
             simple, not \"{}\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

/// The second at which a day written `YYYY-MM-DD` begins in UTC.
pub(super) fn day(key: &str, text: At<&str>, notes: &mut Notes) -> Option<i64> {
    let found = read_day(text.value);
    if found.is_none() {
        let what = format!(
            "{key}: expected a day \"YYYY-MM-DD\", not \"{}\"",
            text.value
        );
        notes.problem(text.line, what);
    }
    found
}

fn read_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let mut number = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse::<i64>().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let exists = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    (exists && parts.next().is_none()).then(|| days_since_1970(year, month, day) * DAY_SECS)
}

const DAY_SECS: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_strictly() {
        assert_eq!(read_day("1970-01-02"), Some(86_400));
        assert_eq!(read_day("2026-11-22"), Some(1_795_305_600));
        for wrong in [
            "",
            "2026-13-01",
            "2026-02-29",
            "2026-2-1",
            "26-02-01",
            "2026-02-01-",
            "+026-02-01",
        ] {
            assert_eq!(read_day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn selectors_are_labels() {
        let good = Dkim::names("A2026.mail", "B\u{fc}cher.example");
        let expected = ("a2026.mail".to_owned(), "xn--bcher-kva.example".to_owned());
        assert_eq!(good, Ok(expected));
        for wrong in ["", ".", "a..b", "-a", "a-", "a_b", "a b", "\u{e9}"] {
            assert!(Dkim::names(wrong, "a.b").is_err(), "{wrong}");
        }
        let label = "a".repeat(63);
        assert!(Dkim::names(&format!("{label}.{label}.{label}.{label}"), "a.b").is_err());
    }
}
