//! Who may log in, and by what: `[auth]`.
//!
//! ```toml
//! [auth]
//! mechanisms = ["SCRAM-SHA-256", "PLAIN"]   # default: all that can work
//! authorities = "clients-ca.pem"            # EXTERNAL: whose certificates name accounts
//!
//! [[auth.certificate]]                      # EXTERNAL: one certificate, one account
//! fingerprint = "sha256:…"                  # or a list of them
//! account = "alice@example.org"
//! ```
//!
//! Without `mechanisms`, SCRAM with a hash is announced while every account can use it: a client
//! takes the strongest mechanism that it knows, and then no other. EXTERNAL needs one of the two
//! keys above, OAUTHBEARER and XOAUTH2 need `[auth.oauth]`.

use super::fingerprint::Fingerprint;
use super::oauth::{self, OAuth};
use super::raw::{At, Notes, Section};
use super::{Base, Config, domain};
use std::fmt::{self, Write};
use std::path::PathBuf;
use store::mail::address::Address;

/// What `mechanisms` may name, the strongest first; `wire::sasl::Mechanism` has the same.
pub const MECHANISMS: [&str; 9] = [
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "EXTERNAL",
    "OAUTHBEARER",
    "XOAUTH2",
    "PLAIN",
    "LOGIN",
];

/// How users log in.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Auth {
    /// Names of [`MECHANISMS`]; `None`: all that can work.
    pub mechanisms: Option<Vec<String>>,
    pub certificates: Vec<Holder>,
    /// PEM: who vouches for certificates whose rfc822Name is an account.
    pub authorities: Option<PathBuf>,
    /// `None`: no tokens are taken.
    pub oauth: Option<OAuth>,
}

/// A certificate that is as good as a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    pub fingerprint: Fingerprint,
    pub account: Address,
}

impl Auth {
    /// Can anybody log in by a certificate? Then clients are asked for one.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        !self.certificates.is_empty() || self.authorities.is_some()
    }
}

pub(super) fn auth(top: &mut Section<'_, '_>, base: &Base, notes: &mut Notes) -> Auth {
    let Some(mut section) = top.section(notes, "auth", "[auth]") else {
        return Auth::default();
    };
    let line = section.line;
    let names = section.texts(notes, "mechanisms");
    let authorities = section.text(notes, "authorities");
    let holders = section.sections(notes, "certificate", "[[auth.certificate]]");
    let oauth = oauth::oauth(&mut section, base, notes);
    section.finish(notes);
    if let Some(file) = authorities {
        base.check_readable(file, notes);
    }
    let names: Vec<_> = names
        .iter()
        .filter_map(|name| mechanism(*name, notes))
        .collect();
    let certificates = holders.into_iter().flat_map(|one| holder(one, notes));
    let auth = Auth {
        certificates: certificates.collect(),
        authorities: authorities.map(|file| base.path(file.value)),
        oauth,
        mechanisms: (!names.is_empty()).then_some(names),
    };
    check_needs(&auth, line, notes);
    auth
}

fn mechanism(name: At<&str>, notes: &mut Notes) -> Option<String> {
    let known = MECHANISMS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(name.value));
    if known.is_none() {
        let what = format!(
            "mechanisms: \"{}\" is unknown; known are {}",
            name.value,
            MECHANISMS.join(", ")
        );
        notes.problem(name.line, what);
    }
    known.map(|known| (*known).to_owned())
}

fn holder(mut section: Section<'_, '_>, notes: &mut Notes) -> Vec<Holder> {
    let line = section.line;
    let written = section.texts(notes, "fingerprint");
    let account = section.text_required(notes, "account", "\"alice@example.org\"");
    section.finish(notes);
    if written.is_empty() {
        let what = "[[auth.certificate]] needs fingerprint = \"sha256:…\", as openssl x509 \
            -fingerprint -sha256 shows it";
        notes.problem(line, what);
    }
    let account = account.and_then(|text| domain::address("account", text, notes));
    let Some(account) = account else {
        return Vec::new();
    };
    let mut holders = Vec::new();
    for text in written {
        match Fingerprint::parse(text.value) {
            Some(fingerprint) => holders.push(Holder {
                fingerprint,
                account: account.clone(),
            }),
            None => {
                let what = "fingerprint: expected 64 hexadecimal digits, as openssl x509 \
                    -fingerprint -sha256 shows them";
                notes.problem(text.line, what);
            }
        }
    }
    holders
}

/// A mechanism that is asked for by name and cannot work is a fault.
fn check_needs(auth: &Auth, line: usize, notes: &mut Notes) {
    let Some(names) = &auth.mechanisms else {
        return;
    };
    let is_named = |name: &str| names.iter().any(|named| named == name);
    if is_named("EXTERNAL") && !auth.asks_for_certificates() {
        let what = "EXTERNAL needs [[auth.certificate]] or authorities = \"FILE\" in [auth]";
        notes.problem(line, what);
    }
    if (is_named("OAUTHBEARER") || is_named("XOAUTH2")) && auth.oauth.is_none() {
        notes.problem(line, "OAUTHBEARER and XOAUTH2 need [auth.oauth]");
    }
}

/// How users log in, in words.
pub(super) fn explain(config: &Config, out: &mut String) -> fmt::Result {
    let auth = &config.auth;
    if let Some(names) = &auth.mechanisms {
        writeln!(out, "logins by {}", names.join(", "))?;
    }
    for holder in auth.certificates.iter().take(SHOWN_MAX) {
        let (account, fingerprint) = (&holder.account, holder.fingerprint);
        writeln!(
            out,
            "  {account} logs in with the certificate {fingerprint}"
        )?;
    }
    if let Some(more) = auth.certificates.len().checked_sub(SHOWN_MAX + 1) {
        writeln!(out, "  … and {} more certificates", more + 1)?;
    }
    if let Some(file) = &auth.authorities {
        let file = file.display();
        writeln!(out, "  addresses in certificates are vouched for by {file}")?;
    }
    match &auth.oauth {
        Some(oauth) => oauth::explain(oauth, out),
        None => Ok(()),
    }
}

/// Lists longer than this are cut and counted.
const SHOWN_MAX: usize = 20;
