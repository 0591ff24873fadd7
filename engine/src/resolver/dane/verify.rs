//! Whether what a host presented is what its TLSA records say: pure, from chain to verdict.

use super::record::{Matching, Selector, Tlsa, Usage};
use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use std::fmt;

/// What a chain was proved by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proof<'a> {
    pub record: &'a Tlsa,
    /// Which certificate of the chain the record is about; 0 is the host's own.
    pub depth: usize,
}

/// Why a chain proves nothing.
#[derive(Clone, PartialEq, Debug)]
pub enum DaneError {
    /// The host presented no certificate, or more than are looked at.
    Chain,
    /// No certificate is the one that a record names.
    NoMatch,
    /// A record names a certificate of the chain, but it does not vouch for the host: a wrong
    /// signature, date or name.
    Unproven(rustls::Error),
}

/// Checks the presented chain, the host's own certificate first.
///
/// DANE-EE: its certificate or key is named by a record; names and dates do not matter (RFC 7671
/// §5.1). DANE-TA: a later certificate of the chain is named by a record, signs the host's one,
/// directly or not, all dates fit `now`, and the certificate is for one of `names` (RFC 7672
/// §3.2.2). That the host holds the key of the certificate is shown by the handshake, not here.
pub fn verify<'a>(
    records: &'a [Tlsa],
    chain: &[CertificateDer<'_>],
    names: &[ServerName<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<Proof<'a>, DaneError> {
    let (own, others) = chain.split_first().ok_or(DaneError::Chain)?;
    if others.len() >= CHAIN_MAX {
        return Err(DaneError::Chain);
    }
    if let Some(record) = named(records, Usage::DaneEe, own) {
        return Ok(Proof { record, depth: 0 });
    }
    let mut failed = DaneError::NoMatch;
    for (at, anchor) in others.iter().enumerate() {
        let Some(record) = named(records, Usage::DaneTa, anchor) else {
            continue;
        };
        match signed(own, others, anchor, names, now, algorithms) {
            Ok(()) => {
                let depth = at + 1;
                return Ok(Proof { record, depth });
            }
            Err(error) => failed = DaneError::Unproven(error),
        }
    }
    Err(failed)
}

/// The first record of this usage that is about the certificate.
fn named<'a>(
    records: &'a [Tlsa],
    usage: Usage,
    certificate: &CertificateDer<'_>,
) -> Option<&'a Tlsa> {
    let of_usage = records.iter().filter(|record| record.usage == usage);
    let mut of_usage = of_usage.peekable();
    of_usage.peek()?;
    // A certificate that cannot be read has no key, but its octets can still be the named ones.
    let parsed = ParsedCertificate::try_from(certificate).ok();
    let key = parsed.map(|parsed| parsed.subject_public_key_info());
    of_usage.into_iter().find(|record| match record.selector {
        Selector::Certificate => is_of(record, certificate),
        Selector::PublicKey => key.as_deref().is_some_and(|key| is_of(record, key)),
    })
}

/// Whether the record's data is these octets, or their digest. Nothing here is secret.
fn is_of(record: &Tlsa, octets: &[u8]) -> bool {
    let digested = |algorithm| digest::digest(algorithm, octets);
    match record.matching {
        Matching::Full => *record.data == *octets,
        Matching::Sha256 => *record.data == *digested(&digest::SHA256).as_ref(),
        Matching::Sha512 => *record.data == *digested(&digest::SHA512).as_ref(),
    }
}

fn signed(
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    anchor: &CertificateDer<'_>,
    names: &[ServerName<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(anchor.clone().into_owned())?;
    let own = ParsedCertificate::try_from(own)?;
    verify_server_cert_signed_by_trust_anchor(&own, &roots, others, now, algorithms.all)?;
    let mut verdict = Err(rustls::Error::General("no name to compare".to_owned()));
    for name in names {
        verdict = verify_server_name(&own, name);
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

impl fmt::Display for DaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DaneError::Chain => f.write_str("the host presented no usable chain of certificates"),
            DaneError::NoMatch => {
                f.write_str("no certificate of the host is one that its TLSA records name")
            }
            DaneError::Unproven(error) => {
                write!(
                    f,
                    "the certificate that the TLSA records name vouches for nothing: {error}"
                )
            }
        }
    }
}

impl std::error::Error for DaneError {}

/// Certificates beside the host's own; longer chains are an attack on our time.
const CHAIN_MAX: usize = 10;
