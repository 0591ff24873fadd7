//! Mail by HTTP: `[inject]` and the tokens that may send, `[[token]]`.
//!
//! ```toml
//! [inject]                        # each with its default
//! body_bytes_max = "32 MiB"       # one request
//! memory_bytes_max = "256 MiB"    # all requests of a shard that are in memory
//! recipients_max = 10000          # of one request
//! attachments_max = 50            # of one request
//! recipients_per_minute_max = 0   # of one account or token; 0: as many as it likes
//! keys_kept = "1d"                # how long an Idempotency-Key is known
//! campaign_header = "X-Campaign"  # of submitted mail; "": none
//!
//! [[token]]                       # ringpostctl token make newsletter
//! name = "newsletter"
//! hash = "sha256:…"
//! account = "news@example.org"    # sends as this account may, or
//! senders = ["@example.org"]      # as these: an address, or @ and a domain
//! tenants = ["newsletter"]        # whose mail it is; the first unless a request says another
//! recipients_per_minute_max = 60000
//! ```

use super::name::{address, domain_name};
use super::raw::{At, Notes, Section};
use super::{Found, problem::Problem};
use std::collections::HashMap;
use store::mail::address::Address;

/// What may be sent in by HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inject {
    pub body_bytes_max: u64,
    /// Of one shard.
    pub memory_bytes_max: u64,
    pub recipients_max: u32,
    pub attachments_max: u32,
    /// Of one account or token; `None`: without limit.
    pub per_minute_max: Option<u32>,
    pub keys_kept_secs: u32,
    /// The field of submitted mail that names its campaign, in lower case.
    pub campaign_header: Option<String>,
    pub tokens: Vec<Token>,
}

/// A secret that may send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// In logs and events.
    pub name: String,
    /// SHA-256 of the token: it has 256 random bits, so nothing slower is needed.
    pub hash: [u8; 32],
    pub may: TokenMay,
    /// At least one.
    pub tenants: Vec<String>,
    pub per_minute_max: Option<u32>,
}

/// As whom a token may send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenMay {
    /// As whom this account may.
    Account(Address),
    Senders(Vec<SenderPattern>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SenderPattern {
    Address(Address),
    Domain(String),
}

impl Default for Inject {
    fn default() -> Inject {
        Inject {
            body_bytes_max: 32 << 20,
            memory_bytes_max: 256 << 20,
            recipients_max: 10_000,
            attachments_max: 50,
            per_minute_max: None,
            keys_kept_secs: 86_400,
            campaign_header: Some("x-campaign".to_owned()),
            tokens: Vec::new(),
        }
    }
}

/// Recipients of one request, whatever the configuration says: what is kept of a key must fit.
pub const REQUEST_RECIPIENTS_MAX: u32 = 50_000;

/// Length of the name of a tenant or campaign, in octets.
pub const OWNER_BYTES_MAX: usize = 64;

impl SenderPattern {
    /// Is `sender` meant?
    #[must_use]
    pub fn covers(&self, sender: &Address) -> bool {
        match self {
            SenderPattern::Domain(domain) => *domain == sender.domain,
            SenderPattern::Address(address) => *address == super::canonical(sender),
        }
    }
}

/// A name that stands in logs, lists and records: printable ASCII without blanks at its ends.
#[must_use]
pub fn is_owner_name(text: &str) -> bool {
    let is_plain = text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    is_plain && !text.is_empty() && text.len() <= OWNER_BYTES_MAX && text.trim() == text
}

pub(super) fn inject(top: &mut Section<'_, '_>, notes: &mut Notes) -> Inject {
    let mut inject = match top.section(notes, "inject", "[inject]") {
        Some(section) => limits(section, notes),
        None => Inject::default(),
    };
    let tokens = top.sections(notes, "token", "[[token]]");
    let read = tokens
        .into_iter()
        .filter_map(|section| token(section, notes));
    let tokens: Vec<Found<Token>> = read.collect();
    doubles(&tokens, notes);
    inject.tokens = super::values(tokens);
    inject
}

fn limits(mut section: Section<'_, '_>, notes: &mut Notes) -> Inject {
    let usual = Inject::default();
    let body = section.size(notes, "body_bytes_max", 1 << 10, 512 << 20);
    let memory = section.size(notes, "memory_bytes_max", 1 << 20, 64 << 30);
    let recipients_max = u64::from(REQUEST_RECIPIENTS_MAX);
    let recipients = section.number(notes, "recipients_max", 1, recipients_max);
    let attachments = section.number(notes, "attachments_max", 0, 1_000);
    let per_minute_max = rate(&mut section, notes);
    let kept = section.seconds(notes, "keys_kept", 60, 30 * 86_400);
    let campaign_header = section.text(notes, "campaign_header");
    let line = section.line;
    section.finish(notes);
    let body_bytes_max = body.map_or(usual.body_bytes_max, |at| at.value);
    let memory_bytes_max = memory.map_or(usual.memory_bytes_max, |at| at.value);
    if memory_bytes_max < body_bytes_max.saturating_mul(4) {
        let line = memory.map_or(line, |at| at.line);
        notes.problem(
            line,
            "memory_bytes_max: expected at least 4 times body_bytes_max",
        );
    }
    let small = |at: At<u64>| u32::try_from(at.value).unwrap_or(u32::MAX);
    Inject {
        body_bytes_max,
        memory_bytes_max,
        recipients_max: recipients.map_or(usual.recipients_max, small),
        attachments_max: attachments.map_or(usual.attachments_max, small),
        per_minute_max,
        keys_kept_secs: kept.map_or(usual.keys_kept_secs, |at| at.value),
        campaign_header: match campaign_header {
            None => usual.campaign_header,
            Some(text) => field_name(text, notes),
        },
        tokens: Vec::new(),
    }
}

fn rate(section: &mut Section<'_, '_>, notes: &mut Notes) -> Option<u32> {
    let rate = section.number(notes, "recipients_per_minute_max", 0, 100_000_000);
    let rate = rate.and_then(|at| u32::try_from(at.value).ok());
    rate.filter(|rate| *rate > 0)
}

fn field_name(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let is_name = |text: &str| {
        let octets = text.bytes();
        text.len() <= 76
            && octets
                .clone()
                .all(|octet| matches!(octet, b'!'..=b'~' if octet != b':'))
    };
    match text.value {
        "" => None,
        name if is_name(name) => Some(name.to_ascii_lowercase()),
        other => {
            let what = format!("campaign_header: \"{other}\" is no name of a header field");
            notes.problem(text.line, what);
            None
        }
    }
}

fn token(mut section: Section<'_, '_>, notes: &mut Notes) -> Option<Found<Token>> {
    let line = section.line;
    let make = "the line that \"ringpostctl token make NAME\" prints";
    let name = section.text_required(notes, "name", "\"newsletter\"");
    let hash = section.text_required(notes, "hash", make);
    let account = section.text(notes, "account");
    let senders = section.texts(notes, "senders");
    let tenants = section.texts(notes, "tenants");
    let per_minute_max = rate(&mut section, notes);
    section.finish(notes);
    let hash = hash.and_then(|text| read_hash(text, notes));
    let name = name.and_then(|text| owner("name", text, notes))?;
    let mut tenants: Vec<String> = tenants
        .into_iter()
        .filter_map(|text| owner("tenants", text, notes))
        .collect();
    if tenants.is_empty() {
        tenants.push(name.clone());
    }
    let may = may(line, account, &senders, notes);
    Some(Found {
        line,
        value: Token {
            name,
            hash: hash?,
            may: may?,
            tenants,
            per_minute_max,
        },
    })
}

fn may(
    line: usize,
    account: Option<At<&str>>,
    senders: &[At<&str>],
    notes: &mut Notes,
) -> Option<TokenMay> {
    match (account, senders) {
        (Some(text), []) => match address(text.value) {
            Ok(address) => Some(TokenMay::Account(address)),
            Err(what) => {
                notes.problem(text.line, format!("account: {what}"));
                None
            }
        },
        (None, senders) if !senders.is_empty() => {
            let read = senders.iter().filter_map(|text| sender(*text, notes));
            Some(TokenMay::Senders(read.collect()))
        }
        _ => {
            let what = "[[token]] needs account = \"alice@example.org\" or senders = \
                [\"@example.org\"], one of them";
            notes.problem(line, what);
            None
        }
    }
}

fn sender(text: At<&str>, notes: &mut Notes) -> Option<SenderPattern> {
    let read = match text.value.strip_prefix('@') {
        Some(domain) => domain_name(domain)
            .map(SenderPattern::Domain)
            .ok_or_else(|| format!("\"{domain}\" is no domain name")),
        None => address(text.value).map(SenderPattern::Address),
    };
    read.map_err(|what| notes.problem(text.line, format!("senders: {what}")))
        .ok()
}

fn owner(key: &str, text: At<&str>, notes: &mut Notes) -> Option<String> {
    // Tenants that are made of senders begin like this.
    let is_good = is_owner_name(text.value) && !text.value.starts_with(['@', '<']);
    if !is_good {
        let what = format!(
            "{key}: expected 1 to {OWNER_BYTES_MAX} printable characters, not \"{}\"",
            text.value.escape_debug()
        );
        notes.problem(text.line, what);
    }
    is_good.then(|| text.value.to_owned())
}

fn read_hash(text: At<&str>, notes: &mut Notes) -> Option<[u8; 32]> {
    let hash = text.value.strip_prefix("sha256:").and_then(unhex);
    if hash.is_none() {
        let what = "hash: expected \"sha256:\" and 64 hexadecimal digits; \
            \"ringpostctl token make NAME\" prints them";
        notes.problem(text.line, what);
    }
    hash
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut octets = [0; 32];
    if pairs.len() != octets.len() || !rest.is_empty() {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(pairs) {
        let digits = str::from_utf8(pair).ok()?;
        *octet = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(octets)
}

fn doubles(tokens: &[Found<Token>], notes: &mut Notes) {
    let (mut names, mut hashes) = (HashMap::new(), HashMap::new());
    for token in tokens {
        let same = names.insert(token.value.name.as_str(), token.line);
        let same = same.or(hashes.insert(token.value.hash, token.line));
        if let Some(first) = same {
            let what = format!("the token of line {first} has the same name or hash");
            notes.problem(token.line, what);
        }
    }
}

/// What is allowed and probably not meant.
pub(super) fn warnings(inject: &Inject, has_listener: bool) -> Vec<Problem> {
    let is_idle = !inject.tokens.is_empty() && !has_listener;
    let what =
        "there is a [[token]], but no [[listener]] with protocol = \"http\" and inject = true";
    is_idle.then(|| Problem::new(0, what)).into_iter().collect()
}
