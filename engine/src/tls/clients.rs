//! Certificates of clients: asked for, never demanded, and judged after the handshake.
//!
//! Many hosts show a certificate to whoever asks, and most of those are known to nobody. So the
//! handshake takes any, and only proves that the client has its key; whether it is a known one is
//! asked when it wants something that others may not.

use super::certificates::{CertificateError, load_chain, wrong};
use super::verifier::anybody;
use crate::config::Fingerprint;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Whose certificates are known here.
#[derive(Clone, Default)]
pub struct Clients {
    fingerprints: Vec<Fingerprint>,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
}

/// What a client has shown of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientProof {
    Nothing,
    Known(Fingerprint),
    /// A certificate of nobody that we know, and why not.
    Unknown(Fingerprint, String),
}

impl Clients {
    /// Those with these certificates, and those for whom an authority in the file vouches.
    pub fn load(
        fingerprints: &[Fingerprint],
        authorities: Option<&Path>,
    ) -> Result<Clients, CertificateError> {
        Ok(Clients {
            fingerprints: fingerprints.to_vec(),
            authorities: authorities.map(verifier).transpose()?,
        })
    }

    /// Judges what a client has shown; `unix_secs` is the time.
    #[must_use]
    pub fn judge(&self, chain: &[CertificateDer<'_>], unix_secs: u64) -> ClientProof {
        let Some((end_entity, intermediates)) = chain.split_first() else {
            return ClientProof::Nothing;
        };
        let fingerprint = fingerprint(end_entity);
        if self.fingerprints.contains(&fingerprint) {
            return ClientProof::Known(fingerprint);
        }
        let now = UnixTime::since_unix_epoch(Duration::from_secs(unix_secs));
        let verified = self
            .authorities
            .as_ref()
            .map(|known| known.verify_client_cert(end_entity, intermediates, now));
        match verified {
            Some(Ok(_)) => ClientProof::Known(fingerprint),
            Some(Err(error)) => ClientProof::Unknown(fingerprint, error.to_string()),
            None => ClientProof::Unknown(fingerprint, "it is not in the list".to_owned()),
        }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clients({} certificates)", self.fingerprints.len())
    }
}

pub(super) fn verifier(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in load_chain(file)? {
        let added = roots.add(certificate);
        added.map_err(|error| wrong(file, format!("an authority cannot be read: {error}")))?;
    }
    let provider = Arc::new(provider::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| wrong(file, error.to_string()))
}

pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    let mut octets = [0; 32];
    let digest = digest(&SHA256, certificate);
    for (octet, of_digest) in octets.iter_mut().zip(digest.as_ref()) {
        *octet = *of_digest;
    }
    Fingerprint(octets)
}

/// Takes any certificate whose key the client has: signatures count as those of servers do.
#[derive(Debug)]
pub(super) struct AskAny(Arc<dyn ServerCertVerifier>);

impl AskAny {
    pub(super) fn new(provider: &Arc<CryptoProvider>) -> AskAny {
        AskAny(anybody(provider))
    }
}

impl ClientCertVerifier for AskAny {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
