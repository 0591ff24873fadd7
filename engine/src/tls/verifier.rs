//! Whether a server's certificate proves what a [`Proof`] asks for; its signature always counts.

use super::client::{Proof, Shown, TlsFault};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError as Flaw, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::fmt;
use std::sync::Arc;

/// A verifier that accepts every certificate whose key the server holds: for loads and tests, which
/// say nothing secret.
#[must_use]
pub fn anybody(provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Verifier::anybody(provider))
}

/// What the judge said, on its way through rustls.
#[derive(Debug)]
pub(super) struct Judgement(pub(super) String);

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Judgement {}

#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) algorithms: Arc<CryptoProvider>,
    pub(super) authorities: Arc<RootCertStore>,
    pub(super) proof: Proof,
}

impl Verifier {
    pub(super) fn anybody(provider: &Arc<CryptoProvider>) -> Verifier {
        Verifier {
            algorithms: Arc::clone(provider),
            authorities: Arc::new(RootCertStore::empty()),
            proof: Proof::Nothing,
        }
    }

    fn verify(&self, proof: &Proof, shown: &Shown<'_>) -> Result<(), Error> {
        match proof {
            Proof::Nothing => Ok(()),
            Proof::Names(names) => self.verify_names(names, &self.authorities, shown),
            Proof::Vouched(names, authorities) => self.verify_names(names, authorities, shown),
            Proof::Judge(judge) => {
                let judged = judge.judge(shown).map_err(Judgement);
                judged.map_err(|why| Flaw::Other(rustls::OtherError(Arc::new(why))).into())
            }
            Proof::Trial(proof, doubt) => {
                match self.verify(proof, shown) {
                    Ok(()) => {}
                    Err(Error::InvalidCertificate(flaw)) => doubt.note(TlsFault::from(&flaw)),
                    Err(other) => doubt.note(TlsFault::Handshake(other.to_string())),
                }
                Ok(())
            }
        }
    }

    fn verify_names(
        &self,
        names: &[String],
        authorities: &RootCertStore,
        shown: &Shown<'_>,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(shown.end_entity)?;
        let algorithms = self.algorithms.signature_verification_algorithms.all;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(shown.unix_secs));
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            authorities,
            shown.intermediates,
            now,
            algorithms,
        )?;
        let is_for = |name: &String| {
            let name = ServerName::try_from(name.trim_end_matches('.'));
            name.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
        };
        match names.iter().any(is_for) {
            true => Ok(()),
            false => Err(Flaw::NotValidForName.into()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Shown {
            end_entity,
            intermediates,
            unix_secs: now.as_secs(),
        };
        self.verify(&self.proof, &shown)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.algorithms.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.algorithms.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms
            .signature_verification_algorithms
            .supported_schemes()
    }
}
