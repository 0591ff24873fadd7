//! TLS as a client: whom we trust, and what a server has to prove before it gets mail.
//!
//! | proof | what the certificate must be |
//! |---|---|
//! | nothing | anything: encrypted, but not against an active attacker (RFC 7435) |
//! | names | signed by a known authority, valid now, for one of the names (RFC 9525) |
//! | judge | what the caller's judgement says: DANE (RFC 7672), pins |
//!
//! MTA-STS (RFC 8461 §4.1) is proof by the name of the MX.
//!
//! In every case the server has to prove that it holds the key of the certificate it shows.
//! Sessions are not resumed, so that each handshake stands for itself.

use super::certificates::{CertificateError, CertificateFiles, load_chain, load_one, wrong};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError as Flaw, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    RootCertStore, SignatureScheme,
};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where Debian keeps the authorities that the host trusts (package `ca-certificates`).
pub const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Who may sign the certificates of servers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Authorities {
    /// Those in [`SYSTEM_AUTHORITIES`].
    #[default]
    System,
    /// Those in this PEM file.
    File(PathBuf),
    /// Nobody: names cannot be proven.
    Nobody,
}

/// What all outgoing TLS connections of the process share.
#[derive(Clone)]
pub struct TlsClient {
    authorities: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    identity: Option<Arc<SingleCertAndKey>>,
    /// For connections that need no proof.
    trusting: Arc<ClientConfig>,
}

/// What a server has to prove.
#[derive(Clone, Debug, Default)]
pub enum Proof {
    #[default]
    Nothing,
    /// That it is one of these hosts.
    Names(Arc<[String]>),
    Judge(Arc<dyn Judge>),
}

/// Decides whether a certificate is the right one.
pub trait Judge: Send + Sync + fmt::Debug {
    /// `Err` says why not, in a few words for a log line.
    fn judge(&self, shown: &Shown<'_>) -> Result<(), String>;
}

/// What a server shows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub end_entity: &'a CertificateDer<'a>,
    pub intermediates: &'a [CertificateDer<'a>],
    pub unix_secs: u64,
}

/// Why there is no TLS, in the words of RFC 8460 §4.3 where it has some.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsFault {
    Expired,
    HostMismatch,
    NotTrusted,
    /// The judge said so.
    Judged(String),
    /// Anything else.
    Handshake(String),
}

impl TlsClient {
    /// Reads the authorities and the certificate that we show to servers that ask for one.
    /// Blocking.
    pub fn load(
        authorities: &Authorities,
        identity: Option<&CertificateFiles>,
    ) -> Result<TlsClient, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let identity = identity.map(load_one).transpose()?;
        let identity = identity.map(|certified| Arc::new(SingleCertAndKey::from(certified)));
        let anybody = Arc::new(Verifier {
            algorithms: provider.clone(),
            authorities: Arc::new(RootCertStore::empty()),
            proof: Proof::Nothing,
        });
        let trusting = config(&provider, anybody, identity.as_ref());
        Ok(TlsClient {
            authorities: Arc::new(roots(authorities)?),
            identity,
            trusting: Arc::new(trusting.map_err(|error| wrong(Path::new(""), error.to_string()))?),
            provider,
        })
    }

    /// How many authorities are trusted.
    #[must_use]
    pub fn authorities(&self) -> usize {
        self.authorities.len()
    }

    /// Who is trusted to vouch for servers.
    #[must_use]
    pub fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.authorities)
    }

    /// A session with the server `name`, before its handshake.
    pub(super) fn connection(&self, name: &str, proof: &Proof) -> Result<ClientConnection, Error> {
        let invalid = |_| Error::General(String::from("not the name of a server"));
        let name = ServerName::try_from(name.trim_end_matches('.').to_owned()).map_err(invalid)?;
        let config = match proof {
            Proof::Nothing => self.trusting.clone(),
            proof => {
                let verifier = Arc::new(Verifier {
                    algorithms: self.provider.clone(),
                    authorities: self.authorities.clone(),
                    proof: proof.clone(),
                });
                Arc::new(config(&self.provider, verifier, self.identity.as_ref())?)
            }
        };
        ClientConnection::new(config, name)
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsClient({} authorities)", self.authorities.len())
    }
}

impl From<&io::Error> for TlsFault {
    fn from(error: &io::Error) -> TlsFault {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>());
        let Some(Error::InvalidCertificate(flaw)) = inner else {
            return TlsFault::Handshake(error.to_string());
        };
        match flaw {
            Flaw::Expired
            | Flaw::ExpiredContext { .. }
            | Flaw::NotValidYet
            | Flaw::NotValidYetContext { .. } => TlsFault::Expired,
            Flaw::NotValidForName | Flaw::NotValidForNameContext { .. } => TlsFault::HostMismatch,
            Flaw::Other(why) => match why.0.downcast_ref::<Judgement>() {
                Some(Judgement(why)) => TlsFault::Judged(why.clone()),
                None => TlsFault::NotTrusted,
            },
            _ => TlsFault::NotTrusted,
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsFault::Expired => f.write_str("the certificate is not valid at this time"),
            TlsFault::HostMismatch => f.write_str("the certificate is for another host"),
            TlsFault::NotTrusted => {
                f.write_str("the certificate is not signed by a known authority")
            }
            TlsFault::Judged(why) => write!(f, "the certificate is not accepted: {why}"),
            TlsFault::Handshake(why) => write!(f, "the handshake failed: {why}"),
        }
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<Verifier>,
    identity: Option<&Arc<SingleCertAndKey>>,
) -> Result<ClientConfig, Error> {
    // The provider is named, because a second one in the tree would make the default ambiguous.
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.clone()),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn roots(authorities: &Authorities) -> Result<RootCertStore, CertificateError> {
    let file = match authorities {
        Authorities::System => Path::new(SYSTEM_AUTHORITIES),
        Authorities::File(file) => file,
        Authorities::Nobody => return Ok(RootCertStore::empty()),
    };
    let mut roots = RootCertStore::empty();
    // A store of a hundred may hold one that we cannot read; it is trusted by nobody then.
    let (known, _) = roots.add_parsable_certificates(load_chain(file)?);
    match known {
        0 => Err(wrong(file, "no authority in it can be read")),
        _ => Ok(roots),
    }
}

/// What the judge said, on its way through rustls.
#[derive(Debug)]
struct Judgement(String);

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Judgement {}

#[derive(Debug)]
struct Verifier {
    algorithms: Arc<CryptoProvider>,
    authorities: Arc<RootCertStore>,
    proof: Proof,
}

impl Verifier {
    fn verify_names(
        &self,
        names: &[String],
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.authorities,
            intermediates,
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
        match &self.proof {
            Proof::Nothing => {}
            Proof::Names(names) => self.verify_names(names, end_entity, intermediates, now)?,
            Proof::Judge(judge) => {
                let shown = Shown {
                    end_entity,
                    intermediates,
                    unix_secs: now.as_secs(),
                };
                let judged = judge.judge(&shown).map_err(Judgement);
                judged.map_err(|why| Flaw::Other(rustls::OtherError(Arc::new(why))))?;
            }
        }
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
