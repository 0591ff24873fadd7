//! How private the way to other hosts must be: `[[tls_policy]]`, the same keys of a `[[route]]`,
//! and `[tls]` for what all have in common.
//!
//! ```toml
//! [tls]
//! authorities = "ca.pem"             # who vouches for hosts; default: those of the system
//! cert = "client.pem"                # shown to hosts that ask for a certificate
//! key = "client.key"
//!
//! [[tls_policy]]
//! domains = ["bank.example"]         # as in [[route]]; goes before what the route says
//! tls = "verified"                   # see `TlsDemand`
//! tls_min = "1.3"                    # 1.2 or 1.3
//! fingerprints = ["5f:…"]            # SHA-256 of the certificate or of its public key
//! ca = "bank-ca.pem"                 # instead of [tls] authorities
//! ```

use super::super::raw::{At, Notes, Section};
use super::super::{Base, Fingerprint};
use std::path::PathBuf;

/// What is demanded of the next hop.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsPolicy {
    pub demand: TlsDemand,
    /// TLS 1.2 is not enough.
    pub is_13_only: bool,
    /// SHA-256 of certificates or of their public keys, one of which is shown.
    pub fingerprints: Vec<[u8; 32]>,
    /// Who vouches for these hosts; `None`: whoever vouches for all.
    pub authorities: Option<PathBuf>,
    pub identity: Option<Identity>,
}

/// How private the way to the next hop must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TlsDemand {
    Never,
    /// Where it is offered, with any certificate; in clear where it fails (RFC 7435). What the
    /// domain publishes is heeded: DANE and MTA-STS.
    #[default]
    Opportunistic,
    /// Always, with any certificate.
    Required,
    /// Always, with a certificate of the host that an authority vouches for, or DANE.
    Verified,
    /// As `Verified`, from the first octet (RFC 8314 §3).
    Implicit,
    /// As `Opportunistic`; of what the domain publishes DANE alone is heeded (RFC 7672).
    Dane,
    /// Only to hosts that DANE proves.
    DaneOnly,
    /// As `Opportunistic`; of what the domain publishes MTA-STS alone is heeded (RFC 8461).
    Sts,
}

/// A certificate that we show.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What all TLS connections to other hosts have in common.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsCommon {
    /// `None`: those of the system.
    pub authorities: Option<PathBuf>,
    pub identity: Option<Identity>,
}

/// A policy for some domains.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DomainTls {
    pub domains: Vec<String>,
    pub policy: TlsPolicy,
}

impl TlsDemand {
    const ALL: [TlsDemand; 8] = [
        TlsDemand::Never,
        TlsDemand::Opportunistic,
        TlsDemand::Required,
        TlsDemand::Verified,
        TlsDemand::Implicit,
        TlsDemand::Dane,
        TlsDemand::DaneOnly,
        TlsDemand::Sts,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TlsDemand::Never => "never",
            TlsDemand::Opportunistic => "opportunistic",
            TlsDemand::Required => "required",
            TlsDemand::Verified => "verified",
            TlsDemand::Implicit => "implicit",
            TlsDemand::Dane => "dane",
            TlsDemand::DaneOnly => "dane-only",
            TlsDemand::Sts => "sts",
        }
    }

    /// Whether nothing is said in clear before it is proven that nobody else listens, or that
    /// somebody does with a certificate of any kind.
    #[must_use]
    pub fn is_always(self) -> bool {
        matches!(
            self,
            TlsDemand::Required | TlsDemand::Verified | TlsDemand::Implicit | TlsDemand::DaneOnly
        )
    }

    fn proves_names(self) -> bool {
        matches!(self, TlsDemand::Verified | TlsDemand::Implicit)
    }
}

/// `[tls]`.
pub(super) fn common(top: &mut Section<'_, '_>, base: &Base, notes: &mut Notes) -> TlsCommon {
    let Some(mut section) = top.section(notes, "tls", "[tls]") else {
        return TlsCommon::default();
    };
    let authorities = file(&mut section, "authorities", base, notes);
    let identity = identity(&mut section, base, notes);
    section.finish(notes);
    TlsCommon {
        authorities,
        identity,
    }
}

/// The keys that `[[route]]` and `[[tls_policy]]` have in common.
pub(super) fn policy(
    section: &mut Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<TlsPolicy> {
    let line = section.line;
    let demand = section.text(notes, "tls");
    let demand = demand.map_or(Some(TlsDemand::default()), |text| read_demand(text, notes));
    let version = section.text(notes, "tls_min");
    let version = version.map_or(Some(false), |text| is_13(text, notes));
    let fingerprints = section.texts(notes, "fingerprints");
    let fingerprints: Vec<[u8; 32]> = fingerprints
        .into_iter()
        .filter_map(|text| read_fingerprint(text, notes))
        .collect();
    let authorities = file(section, "ca", base, notes);
    let identity = identity(section, base, notes);
    let demand = demand?;
    let proves = !fingerprints.is_empty() || authorities.is_some();
    if proves && !demand.proves_names() {
        let what = "fingerprints and ca need tls = \"verified\" or \"implicit\"";
        notes.problem(line, what);
    }
    if !fingerprints.is_empty() && authorities.is_some() {
        notes.problem(line, "fingerprints and ca exclude each other");
    }
    Some(TlsPolicy {
        demand,
        is_13_only: version?,
        fingerprints,
        authorities,
        identity,
    })
}

/// `cert` and `key`, which go together.
pub(super) fn identity(
    section: &mut Section<'_, '_>,
    base: &Base,
    notes: &mut Notes,
) -> Option<Identity> {
    let line = section.line;
    let cert = file(section, "cert", base, notes);
    let key = file(section, "key", base, notes);
    match (cert, key) {
        (Some(cert), Some(key)) => Some(Identity { cert, key }),
        (None, None) => None,
        _ => {
            notes.problem(line, "cert and key go together");
            None
        }
    }
}

fn file(
    section: &mut Section<'_, '_>,
    key: &'static str,
    base: &Base,
    notes: &mut Notes,
) -> Option<PathBuf> {
    let text = section.text(notes, key)?;
    base.check_readable(text, notes);
    Some(base.path(text.value))
}

fn read_demand(text: At<&str>, notes: &mut Notes) -> Option<TlsDemand> {
    let found = TlsDemand::ALL
        .into_iter()
        .find(|demand| demand.name() == text.value);
    if found.is_none() {
        let known: Vec<&str> = TlsDemand::ALL.iter().map(|demand| demand.name()).collect();
        let what = format!("tls: expected {}, not \"{}\"", known.join(", "), text.value);
        notes.problem(text.line, what);
    }
    found
}

fn is_13(text: At<&str>, notes: &mut Notes) -> Option<bool> {
    match text.value {
        "1.2" => Some(false),
        "1.3" => Some(true),
        other => {
            let what = format!("tls_min: expected \"1.2\" or \"1.3\", not \"{other}\"");
            notes.problem(text.line, what);
            None
        }
    }
}

fn read_fingerprint(text: At<&str>, notes: &mut Notes) -> Option<[u8; 32]> {
    let found = Fingerprint::parse(text.value).map(|fingerprint| fingerprint.0);
    if found.is_none() {
        let what = "fingerprints: expected SHA-256, 64 hexadecimal digits, with colons or without";
        notes.problem(text.line, what);
    }
    found
}
