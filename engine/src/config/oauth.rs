//! Whose tokens are as good as a password: `[auth.oauth]` (RFC 7628).
//!
//! ```toml
//! [auth.oauth]
//! issuer = "https://login.example.org"        # of JWTs; required for them
//! audience = ["ringpost"]                     # one of them must be named; required for JWTs
//! keys = "https://login.example.org/jwks"     # RFC 7517: a URL, or a file
//! introspection = "https://login.example.org/introspect"   # RFC 7662, instead of keys
//! client_id = "ringpost"                      # who we are there
//! client_secret = "secret"
//! account_claim = "email"                     # which claim names the account
//! scope = ["mail"]                            # each must be granted; default: none is asked
//! leeway = "1m"                               # between their clock and ours
//! cache = "5m"                                # a judgement holds so long, and keys twelve times
//! authorities = "ca.pem"                      # default: those of the system
//! ```

use super::Base;
use super::events::{HookUrl, read_url};
use super::raw::{At, Notes, Section};
use std::fmt::{self, Write};
use std::io;
use std::path::{Path, PathBuf};

/// Whose tokens are taken, and how they are judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OAuth {
    pub judge: TokenJudge,
    /// Empty: not looked at.
    pub issuer: String,
    /// Empty: not looked at.
    pub audience: Vec<String>,
    pub account_claim: String,
    pub scope: Vec<String>,
    pub leeway_secs: u32,
    pub cache_secs: u32,
    /// PEM; `None`: those of the system.
    pub authorities: Option<PathBuf>,
}

/// Who knows whether a token holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenJudge {
    /// We ourselves, by keys of the issuer.
    KeysFile(PathBuf),
    KeysUrl(HookUrl),
    Introspection {
        url: HookUrl,
        client: Option<ClientLogin>,
    },
}

/// Who we are at the issuer. Debug never shows the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientLogin {
    pub id: String,
    pub secret: String,
}

impl TokenJudge {
    /// Reads a file of keys, which may have changed since the start.
    pub fn read_keys(file: &Path) -> io::Result<Vec<u8>> {
        match std::fs::metadata(file)?.len() > KEYS_BYTES_MAX {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => std::fs::read(file),
        }
    }
}

/// A key set has some hundred octets for each key.
const KEYS_BYTES_MAX: u64 = 256 << 10;

impl fmt::Debug for ClientLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientLogin")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

pub(super) fn oauth(auth: &mut Section<'_, '_>, base: &Base, notes: &mut Notes) -> Option<OAuth> {
    let mut section = auth.section(notes, "oauth", "[auth.oauth]")?;
    let line = section.line;
    let issuer = section.text(notes, "issuer");
    let audience = section.texts(notes, "audience");
    let keys = section.text(notes, "keys");
    let introspection = section.text(notes, "introspection");
    let client_id = section.text(notes, "client_id");
    let client_secret = section.text(notes, "client_secret");
    let account_claim = section.text(notes, "account_claim");
    let scope = section.texts(notes, "scope");
    let leeway = section.seconds(notes, "leeway", 0, 600);
    let cache = section.seconds(notes, "cache", 1, 86_400);
    let authorities = section.text(notes, "authorities");
    section.finish(notes);
    if let Some(file) = authorities {
        base.check_readable(file, notes);
    }
    let judge = match (keys, introspection) {
        (Some(keys), None) => {
            if issuer.is_none() || audience.is_empty() {
                let what = "keys: a JWT is believed by its issuer = \"https://…\" and \
                    audience = [\"…\"]; say both";
                notes.problem(keys.line, what);
            }
            keys_at(keys, base, notes)
        }
        (None, Some(url)) => read_url(url, notes).map(|url| TokenJudge::Introspection {
            url,
            client: client(client_id, client_secret, line, notes),
        }),
        _ => {
            let what = "[auth.oauth] needs either keys = \"https://…\" or a file, or \
                introspection = \"https://…\"";
            notes.problem(line, what);
            None
        }
    };
    let owned = |texts: Vec<At<&str>>| texts.iter().map(|at| at.value.to_owned()).collect();
    Some(OAuth {
        judge: judge?,
        issuer: issuer.map(|at| at.value.to_owned()).unwrap_or_default(),
        audience: owned(audience),
        account_claim: account_claim.map_or("email", |at| at.value).to_owned(),
        scope: owned(scope),
        leeway_secs: leeway.map_or(60, |at| at.value),
        cache_secs: cache.map_or(300, |at| at.value),
        authorities: authorities.map(|at| base.path(at.value)),
    })
}

fn keys_at(text: At<&str>, base: &Base, notes: &mut Notes) -> Option<TokenJudge> {
    if text.value.contains("://") {
        return read_url(text, notes).map(TokenJudge::KeysUrl);
    }
    base.check_readable(text, notes);
    Some(TokenJudge::KeysFile(base.path(text.value)))
}

fn client(
    id: Option<At<&str>>,
    secret: Option<At<&str>>,
    line: usize,
    notes: &mut Notes,
) -> Option<ClientLogin> {
    match (id, secret) {
        (Some(id), Some(secret)) => Some(ClientLogin {
            id: id.value.to_owned(),
            secret: secret.value.to_owned(),
        }),
        (None, None) => None,
        _ => {
            notes.problem(line, "client_id and client_secret go together");
            None
        }
    }
}

/// In words.
pub(super) fn explain(oauth: &OAuth, out: &mut String) -> fmt::Result {
    let claim = &oauth.account_claim;
    match &oauth.judge {
        TokenJudge::KeysFile(file) => {
            let file = file.display();
            writeln!(out, "  tokens of {} by the keys in {file}", oauth.issuer)?;
        }
        TokenJudge::KeysUrl(url) => {
            let at = format!("{}{}", url.authority(), url.path);
            writeln!(out, "  tokens of {} by the keys at {at}", oauth.issuer)?;
        }
        TokenJudge::Introspection { url, .. } => {
            let at = format!("{}{}", url.authority(), url.path);
            writeln!(out, "  tokens are judged by {at}")?;
        }
    }
    writeln!(
        out,
        "    {claim} names the account; kept for {} s",
        oauth.cache_secs
    )
}
