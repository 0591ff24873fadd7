//! `[forward]`: the reverse-path of what aliases send on.
//!
//! ```toml
//! [forward]
//! srs      = "example.org"              # a domain of ours; default: the reverse-path is kept
//! secrets  = ["long and random"]        # the first one signs, all are believed
//! srs_days = 14                         # how long a bounce finds its way back
//! ```

use super::name::domain_name;
use super::raw::{At, Notes, Section};
use std::fmt;

/// What becomes of reverse-paths.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Forwarding {
    /// `None`: they are kept.
    pub srs: Option<Srs>,
}

/// The sender rewriting scheme. Debug never shows the secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Srs {
    /// One of ours, to which bounces come back.
    pub domain: String,
    /// At least one.
    pub secrets: Vec<String>,
    /// Days that an address made by us is believed.
    pub days: u16,
}

impl fmt::Debug for Srs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srs")
            .field("domain", &self.domain)
            .field("days", &self.days)
            .finish_non_exhaustive()
    }
}

/// The table and the line of `srs`, which has to be a domain of ours.
pub(super) fn forward(mut section: Section<'_, '_>, notes: &mut Notes) -> (Forwarding, usize) {
    let line = section.line;
    let srs = section.text(notes, "srs");
    let secrets = section.texts(notes, "secrets");
    let days = section.number(notes, "srs_days", 1, DAYS_MAX);
    section.finish(notes);
    let Some(srs) = srs else {
        if let Some(secret) = secrets.first() {
            notes.problem(secret.line, "secrets are for srs = \"example.org\"");
        }
        return (Forwarding::default(), line);
    };
    if secrets.is_empty() {
        let what = "srs needs secrets = [\"…\"], long and random, that only this host knows";
        notes.problem(srs.line, what);
    }
    let secrets = secrets
        .into_iter()
        .filter_map(|text| secret(text, notes))
        .collect();
    let domain = domain_name(srs.value);
    if domain.is_none() {
        notes.problem(srs.line, format!("srs: \"{}\" is no domain", srs.value));
    }
    let srs_line = srs.line;
    let srs = domain.map(|domain| Srs {
        domain,
        secrets,
        days: days.map_or(DAYS, |at| at.value as u16),
    });
    (Forwarding { srs }, srs_line)
}

fn secret(text: At<&str>, notes: &mut Notes) -> Option<String> {
    if text.value.len() < SECRET_BYTES_MIN {
        let what = format!("secrets: expected at least {SECRET_BYTES_MIN} characters");
        notes.problem(text.line, what);
        return None;
    }
    Some(text.value.to_owned())
}

/// A bounce that comes later is none that somebody waits for.
const DAYS: u16 = 14;

/// Days are counted modulo 1,024.
const DAYS_MAX: u64 = 500;

const SECRET_BYTES_MIN: usize = 16;
