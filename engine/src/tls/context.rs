//! What all TLS connections of the process share: one configuration, one ticket key, and the
//! certificates, which are replaced whole.

use super::certificates::Certificates;
use super::clients::AskAny;
use super::der::{self, SignatureHash};
use ::aws_lc_rs::digest;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;

/// TLS 1.3 and 1.2 with the hybrid key exchange X25519MLKEM768 preferred. A session that began on
/// one shard is resumed on any other, as its state is in the client's ticket.
#[derive(Clone)]
pub struct TlsContext {
    config: Arc<ServerConfig>,
    /// As `config`, and asks clients for a certificate.
    asking: Arc<ServerConfig>,
    resolver: Arc<BySni>,
}

/// Tickets a TLS 1.3 client is sent after a full handshake; mail clients resume one at a time.
const TICKETS_PER_HANDSHAKE: usize = 1;

impl TlsContext {
    pub fn new(certificates: Certificates) -> Result<TlsContext, rustls::Error> {
        let resolver = Arc::new(BySni(ArcSwap::from_pointee(certificates)));
        Ok(TlsContext {
            config: Arc::new(server(&resolver, false)?),
            asking: Arc::new(server(&resolver, true)?),
            resolver,
        })
    }

    /// The same, for handshakes in which clients are asked for a certificate; any is taken, and
    /// none too ([`super::Clients`]).
    #[must_use]
    pub fn asking(&self) -> TlsContext {
        TlsContext {
            config: Arc::clone(&self.asking),
            ..self.clone()
        }
    }

    /// Handshakes from now on use these certificates.
    pub fn replace(&self, certificates: Certificates) {
        self.resolver.0.store(Arc::new(certificates));
    }

    /// The hash of the certificate that is shown for a name. A client that was shown the one before
    /// a reload does not get in by it, and tries again.
    pub(super) fn end_point(&self, name: Option<&str>) -> Option<Vec<u8>> {
        let shown = self.resolver.0.load().find(name);
        let certificate = shown.cert.first()?;
        let algorithm = match der::signature_hash(certificate)? {
            SignatureHash::Sha256 => &digest::SHA256,
            SignatureHash::Sha384 => &digest::SHA384,
            SignatureHash::Sha512 => &digest::SHA512,
        };
        Some(digest::digest(algorithm, certificate).as_ref().to_vec())
    }

    /// For handshakes that are not made by a [`super::Stream`].
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

fn server(resolver: &Arc<BySni>, asks: bool) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    // The provider is named, because a second one in the tree would make the default ambiguous.
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match asks {
        true => builder.with_client_cert_verifier(Arc::new(AskAny::new(&provider))),
        false => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver.clone());
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
    // Tickets do without it, and it is a lock that all shards would share.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

struct BySni(ArcSwap<Certificates>);

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().find(hello.server_name()))
    }
}

impl fmt::Debug for BySni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BySni")
    }
}
