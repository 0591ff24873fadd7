//! A self-signed certificate for 127.0.0.1, and a TLS client that accepts any.

use engine::tls::anybody;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Names that the certificate is for.
pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "mx.ringpost.test"];

/// Writes a fresh certificate and its key into `directory`; gives their paths.
pub fn write(directory: &Path) -> (PathBuf, PathBuf) {
    let names: Vec<String> = NAMES.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("the names are valid");
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("the scratch directory is writable");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("it is still writable");
    (cert, key)
}

/// A client configuration that checks signatures but trusts every certificate.
pub fn trusting_client() -> Arc<ClientConfig> {
    static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    CLIENT.get_or_init(|| client(rustls::ALL_VERSIONS)).clone()
}

/// The same, for the given TLS versions only.
pub fn client(versions: &[&'static rustls::SupportedProtocolVersion]) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("the provider has these versions")
        .dangerous()
        .with_custom_certificate_verifier(anybody(&provider))
        .with_no_client_auth();
    Arc::new(config)
}

/// A client that shows a certificate of its own, and that certificate's fingerprint.
pub fn showing_client() -> (Arc<ClientConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec!["client.test".to_owned()]);
    let made = made.expect("the name is valid");
    let shown = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let digest = sha256(&shown);
    let pairs: Vec<&str> = (0..32)
        .filter_map(|at| digest.get(at * 2..at * 2 + 2))
        .collect();
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .dangerous()
        .with_custom_certificate_verifier(anybody(&provider))
        .with_client_auth_cert(vec![shown], key.expect("it was just made"));
    let config = config.expect("key and certificate belong together");
    (Arc::new(config), pairs.join(":"))
}

/// The fingerprint of the certificate in a PEM file: what a TLSA record `3 0 1` holds.
pub fn fingerprint(file: &Path) -> String {
    let certificate = CertificateDer::from_pem_file(file).expect("a certificate");
    sha256(&certificate)
}

/// In hexadecimal digits.
fn sha256(octets: &[u8]) -> String {
    let provider = aws_lc_rs::default_provider();
    let suites = provider.cipher_suites.iter();
    let sha256 = suites
        .filter_map(|suite| suite.tls13())
        .map(|suite| suite.common.hash_provider)
        .find(|hash| hash.output_len() == 32)
        .expect("the provider has SHA-256");
    let digest = sha256.hash(octets);
    let digits = digest.as_ref().iter().map(|octet| format!("{octet:02x}"));
    digits.collect()
}
