//! An authority of a test, and the certificates that it signs: right, for another name, expired.

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData,
    date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its chain and its key.
pub struct Certified {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    pub fn make() -> Authority {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority {
            issuer: CertifiedIssuer::self_signed(parameters, key).unwrap(),
        }
    }

    /// A certificate for a name that is valid now, with this authority behind it.
    pub fn certify(&self, name: &str) -> Certified {
        self.sign(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    /// One that was valid long ago.
    pub fn certify_expired(&self, name: &str) -> Certified {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(2001, 1, 1);
        parameters.not_after = date_time_ymd(2002, 1, 1);
        self.sign(parameters)
    }

    fn sign(&self, parameters: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        let own = parameters.signed_by(&key, &self.issuer).unwrap();
        Certified {
            chain: vec![own.der().clone(), self.issuer.der().clone()],
            pem: own.pem(),
            key,
        }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes the certificate into `folder`.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, self.pem()).unwrap();
        file
    }

    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fn digest(&self) -> String {
        hex(self.issuer.der())
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }
}

impl Certified {
    pub fn server(&self) -> Arc<ServerConfig> {
        self.config(&[&TLS13, &TLS12], None)
    }

    /// Knows nothing newer than TLS 1.2.
    pub fn old_server(&self) -> Arc<ServerConfig> {
        self.config(&[&TLS12], None)
    }

    /// Takes nobody whose certificate this authority has not signed.
    pub fn asking_server(&self, authority: &Authority) -> Arc<ServerConfig> {
        self.config(&[&TLS13, &TLS12], Some(authority))
    }

    fn config(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        let config = builder.with_single_cert(self.chain.clone(), key);
        Arc::new(config.unwrap())
    }

    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fn digest(&self) -> String {
        hex(&self.chain[0])
    }

    /// SHA-256 of the public key, as TLSA records of selector 1 have it.
    pub fn key_digest(&self) -> String {
        hex(&self.key.subject_public_key_info())
    }

    /// Writes certificate and key into `folder`.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let cert = folder.join(format!("{name}.pem"));
        let key = folder.join(format!("{name}.key"));
        std::fs::write(&cert, &self.pem).unwrap();
        std::fs::write(&key, self.key.serialize_pem()).unwrap();
        (cert, key)
    }
}

fn hex(octets: &[u8]) -> String {
    let digest = digest(&SHA256, octets);
    let octets = digest.as_ref().iter();
    octets.map(|octet| format!("{octet:02x}")).collect()
}
