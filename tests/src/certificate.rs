//! A self-signed certificate for 127.0.0.1, and a TLS client that accepts any.

use engine::tls::anybody;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
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
