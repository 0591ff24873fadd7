//! What is told to programs of every message: `[events]` and who fetches it, `[[webhook]]`.
//!
//! ```toml
//! [events]                        # each with its default; without it nothing is told
//! file = "events/events.jsonl"    # below data
//! kinds = ["received", "queued", "delivered", "deferred", "bounced", "expired", "dropped",
//!          "suppressed", "feedback"]     # also: local
//! rotate_bytes = "64 MiB"
//! rotate_after = "1d"
//! keep = 16                       # rotated files
//! compress = true                 # rotated files that every webhook has read, by zstd
//! when_slow = "drop"              # drop: mail never waits; wait: it does, nothing is left out
//!
//! [[webhook]]
//! name = "crm"
//! url = "https://crm.example.org/hook"
//! secret = "whsec_…"              # signs each request (Standard Webhooks)
//! kinds = ["bounced", "feedback"] # default: those of [events]
//! batch_max = 100                 # events of one request
//! timeout = "10s"
//! retry = ["1s", "5s", "30s", "2m", "10m"]
//! authorities = "ca.pem"          # default: those of the system
//! ```

use super::raw::{At, Notes, Section};
use super::{Base, Found, quantity};
use std::collections::HashMap;
use std::path::PathBuf;

/// What can be told of a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum EventKind {
    /// We have custody of it.
    Received,
    /// One of its recipients at another host waits.
    Queued,
    /// Another host has it.
    Delivered,
    /// It was tried and is tried again.
    Deferred,
    /// It was refused for good.
    Bounced,
    /// Its time was over.
    Expired,
    /// The operator took it away.
    Dropped,
    /// It was not tried: its recipient is on the suppression list.
    Suppressed,
    /// A complaint or report about it came in.
    Feedback,
    /// It is in a mailbox of ours.
    Local,
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventKinds(u16);

/// What is told, and where it lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Events {
    pub file: PathBuf,
    pub kinds: EventKinds,
    pub rotate_bytes: u64,
    pub rotate_secs: u32,
    pub keep: u32,
    pub compresses: bool,
    /// Mail waits for a slow disk, and nothing is left out.
    pub waits: bool,
    pub webhooks: Vec<Webhook>,
}

/// A program that is told by HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    pub name: String,
    pub url: HookUrl,
    /// The key of the HMAC.
    pub secret: Vec<u8>,
    pub kinds: EventKinds,
    pub batch_max: u32,
    pub timeout_secs: u32,
    /// Between tries; the last one is repeated.
    pub retry_secs: Vec<u32>,
    /// PEM; `None`: those of the system.
    pub authorities: Option<PathBuf>,
}

/// Where a webhook listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookUrl {
    pub is_tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
    /// With the query.
    pub path: String,
}

impl EventKind {
    pub const ALL: [EventKind; 10] = [
        EventKind::Received,
        EventKind::Queued,
        EventKind::Delivered,
        EventKind::Deferred,
        EventKind::Bounced,
        EventKind::Expired,
        EventKind::Dropped,
        EventKind::Suppressed,
        EventKind::Feedback,
        EventKind::Local,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Received => "received",
            EventKind::Queued => "queued",
            EventKind::Delivered => "delivered",
            EventKind::Deferred => "deferred",
            EventKind::Bounced => "bounced",
            EventKind::Expired => "expired",
            EventKind::Dropped => "dropped",
            EventKind::Suppressed => "suppressed",
            EventKind::Feedback => "feedback",
            EventKind::Local => "local",
        }
    }
}

impl EventKinds {
    /// All but `local`, which a mailbox shows by itself.
    pub const USUAL: EventKinds = EventKinds(!(1 << EventKind::Local as u8));

    #[must_use]
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }

    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = EventKind::ALL.into_iter();
        all.filter(|kind| self.has(*kind))
            .map(EventKind::name)
            .collect()
    }
}

impl HookUrl {
    /// For people, and for the Host field: without the scheme.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

pub(super) fn events(
    top: &mut Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<(Events, Option<PathBuf>)> {
    let section = top.section(notes, "events", "[events]");
    let hooks = top.sections(notes, "webhook", "[[webhook]]");
    let Some(section) = section else {
        if let Some(hook) = hooks.first() {
            notes.problem(hook.line, "[[webhook]] tells of events: it needs [events]");
        }
        return None;
    };
    let (mut events, file) = file(section, base, notes);
    let usual = events.kinds;
    let hooks = hooks.into_iter();
    let hooks: Vec<_> = hooks
        .filter_map(|one| webhook(one, usual, base, notes))
        .collect();
    doubles(&hooks, notes);
    events.webhooks = super::values(hooks);
    Some((events, file))
}

/// The file is below the data directory, which is not known yet: what is written comes back too.
fn file(mut section: Section<'_, '_>, base: &Base, notes: &mut Notes) -> (Events, Option<PathBuf>) {
    let file = section.text(notes, "file");
    let kinds = section.texts(notes, "kinds");
    let rotate_bytes = section.size(notes, "rotate_bytes", 64 << 10, 64 << 30);
    let rotate_secs = section.seconds(notes, "rotate_after", 60, 366 * 86_400);
    let keep = section.number(notes, "keep", 1, 10_000);
    let compress = section.bool(notes, "compress");
    let slow = section.text(notes, "when_slow");
    section.finish(notes);
    let waits = match slow.map(|text| (text.value, text.line)) {
        None | Some(("drop", _)) => false,
        Some(("wait", _)) => true,
        Some((other, line)) => {
            let what = format!("when_slow: expected drop or wait, not \"{other}\"");
            notes.problem(line, what);
            false
        }
    };
    let events = Events {
        file: PathBuf::from("events/events.jsonl"),
        kinds: read_kinds(&kinds, EventKinds::USUAL, notes),
        rotate_bytes: rotate_bytes.map_or(64 << 20, |at| at.value),
        rotate_secs: rotate_secs.map_or(86_400, |at| at.value),
        keep: keep.map_or(16, |at| u32::try_from(at.value).unwrap_or(16)),
        compresses: compress.is_none_or(|at| at.value),
        waits,
        webhooks: Vec::new(),
    };
    (events, file.map(|text| base.path(text.value)))
}

fn read_kinds(texts: &[At<&str>], usual: EventKinds, notes: &mut Notes) -> EventKinds {
    if texts.is_empty() {
        return usual;
    }
    let mut kinds = EventKinds(0);
    for text in texts {
        let mut all = EventKind::ALL.into_iter();
        match all.find(|kind| kind.name() == text.value) {
            Some(kind) => kinds.0 |= 1 << kind as u8,
            None => {
                let known: Vec<&str> = EventKind::ALL.into_iter().map(EventKind::name).collect();
                let known = known.join(", ");
                let what = format!("kinds: expected some of {known}, not \"{}\"", text.value);
                notes.problem(text.line, what);
            }
        }
    }
    kinds
}

fn webhook(
    mut section: Section<'_, '_>,
    usual: EventKinds,
    base: &Base,
    notes: &mut Notes,
) -> Option<Found<Webhook>> {
    let line = section.line;
    let name = section.text_required(notes, "name", "\"crm\"");
    let url = section.text_required(notes, "url", "\"https://crm.example.org/hook\"");
    let secret = section.text_required(notes, "secret", "\"whsec_\" and 24 to 64 octets in base64");
    let kinds = section.texts(notes, "kinds");
    let batch = section.number(notes, "batch_max", 1, 1_000);
    let timeout = section.seconds(notes, "timeout", 1, 300);
    let retry = section.texts(notes, "retry");
    let authorities = section.text(notes, "authorities");
    section.finish(notes);
    if let Some(file) = authorities {
        base.check_readable(file, notes);
    }
    let kinds = read_kinds(&kinds, usual, notes);
    if kinds.0 & !usual.0 != 0 {
        notes.problem(
            line,
            "kinds: [events] leaves out what this webhook wants to be told",
        );
    }
    let retry_secs: Vec<u32> = retry
        .into_iter()
        .filter_map(|at| pause(at, notes))
        .collect();
    let name = name.and_then(|text| hook_name(text, notes));
    let url = url.and_then(|text| read_url(text, notes));
    let secret = secret.and_then(|text| read_secret(text, notes));
    Some(Found {
        line,
        value: Webhook {
            name: name?,
            url: url?,
            secret: secret?,
            kinds,
            batch_max: batch.map_or(100, |at| u32::try_from(at.value).unwrap_or(100)),
            timeout_secs: timeout.map_or(10, |at| at.value),
            retry_secs: match retry_secs.is_empty() {
                true => vec![1, 5, 30, 120, 600],
                false => retry_secs,
            },
            authorities: authorities.map(|text| base.path(text.value)),
        },
    })
}

fn pause(text: At<&str>, notes: &mut Notes) -> Option<u32> {
    let secs = quantity::seconds(text.value).filter(|secs| (1..=86_400).contains(secs));
    if secs.is_none() {
        let what = format!("retry: \"{}\" is no time from 1s to 1d", text.value);
        notes.problem(text.line, what);
    }
    secs
}

/// It names the file in which the hook keeps its place.
fn hook_name(text: At<&str>, notes: &mut Notes) -> Option<String> {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    let is_good = (1..=40).contains(&text.value.len()) && text.value.bytes().all(is_plain);
    if !is_good {
        notes.problem(text.line, "name: expected 1 to 40 letters, digits, - and _");
    }
    is_good.then(|| text.value.to_owned())
}

fn read_secret(text: At<&str>, notes: &mut Notes) -> Option<Vec<u8>> {
    use base64::Engine;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let secret = text.value.strip_prefix("whsec_").and_then(decode);
    let secret = secret.filter(|secret| (24..=64).contains(&secret.len()));
    if secret.is_none() {
        let what = "secret: expected \"whsec_\" and 24 to 64 octets in base64, e.g. from \
            \"openssl rand -base64 32\"";
        notes.problem(text.line, what);
    }
    secret
}

pub(super) fn read_url(text: At<&str>, notes: &mut Notes) -> Option<HookUrl> {
    let url = split_url(text.value);
    let Some(url) = url else {
        let what = format!(
            "url: expected \"https://HOST/PATH\", not \"{}\"",
            text.value
        );
        notes.problem(text.line, what);
        return None;
    };
    let is_here = url.host == "localhost"
        || url
            .host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    if !url.is_tls && !is_here {
        notes.problem(text.line, "url: http is for this host only; use https");
        return None;
    }
    Some(url)
}

fn split_url(text: &str) -> Option<HookUrl> {
    let (scheme, rest) = text.split_once("://")?;
    let is_tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_name = |host: &str| {
        let octets = host.bytes();
        !host.is_empty()
            && octets
                .clone()
                .all(|o| o.is_ascii_alphanumeric() || b".-:".contains(&o))
    };
    let is_path = path.bytes().all(|octet| matches!(octet, b'!'..=b'~')) && !path.contains('#');
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if is_tls => 443,
        None => 80,
    };
    (is_name(host) && is_path).then(|| HookUrl {
        is_tls,
        host: host.to_ascii_lowercase(),
        port,
        path: if path.is_empty() { "/" } else { path }.to_owned(),
    })
}

fn doubles(hooks: &[Found<Webhook>], notes: &mut Notes) {
    let mut names = HashMap::new();
    for hook in hooks {
        if let Some(first) = names.insert(hook.value.name.as_str(), hook.line) {
            let what = format!("the webhook of line {first} has the same name");
            notes.problem(hook.line, what);
        }
    }
}
