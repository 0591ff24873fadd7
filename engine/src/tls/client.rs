//! TLS as a client: whom we trust, and what a server has to prove before it gets mail.
//!
//! | proof | what the certificate must be |
//! |---|---|
//! | nothing | anything: encrypted, but not against an active attacker (RFC 7435) |
//! | names | signed by a known authority, valid now, for one of the names (RFC 9525) |
//! | vouched | the same, where only the named authorities count |
//! | judge | what the caller's judgement says: DANE (RFC 7672), pins |
//!
//! MTA-STS (RFC 8461 §4.1) is proof by the name of the MX.
//!
//! A trial asks for a proof and goes on without: what was wrong is a [`Doubt`], for reports.
//!
//! In every case the server has to prove that it holds the key of the certificate it shows.
//! Sessions are not resumed, so that each handshake stands for itself.

use super::certificates::{CertificateError, CertificateFiles, load_chain, load_one, wrong};
use super::verifier::{Judgement, Verifier};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError as Flaw, ClientConfig, ClientConnection, Error, RootCertStore};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio_rustls::TlsConnector;

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
    identity: Option<Identity>,
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
    /// The same, to these authorities.
    Vouched(Arc<[String]>, Arc<RootCertStore>),
    Judge(Arc<dyn Judge>),
    /// What is asked for and not insisted on.
    Trial(Box<Proof>, Doubt),
}

/// What was wrong with a proof that is not insisted on; that of one handshake.
#[derive(Clone, Default, Debug)]
pub struct Doubt(Arc<OnceLock<TlsFault>>);

/// One handshake to be.
#[derive(Clone, Copy, Debug)]
pub struct TlsAsk<'a> {
    /// The server's name, for SNI (RFC 6066 §3), or its address.
    pub name: &'a str,
    pub proof: &'a Proof,
    pub terms: &'a Terms,
}

/// What a handshake is held to beside the proof.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Shown where the server asks for a certificate; `None`: the one of the client.
    pub identity: Option<Identity>,
    /// TLS 1.2 is refused.
    pub is_13_only: bool,
}

/// A certificate of ours with its key.
#[derive(Clone)]
pub struct Identity(Arc<SingleCertAndKey>);

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
        let identity = identity.map(Identity::load).transpose()?;
        let anybody = Arc::new(Verifier::anybody(&provider));
        let trusting = config(&provider, anybody, identity.as_ref(), false);
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

    /// The same trust for clients on the service thread.
    pub fn connector(&self) -> Result<TlsConnector, Error> {
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// A session with a server, before its handshake.
    pub(super) fn connection(&self, ask: &TlsAsk<'_>) -> Result<ClientConnection, Error> {
        let TlsAsk { name, proof, terms } = ask;
        let invalid = |_| Error::General(String::from("not the name of a server"));
        let name = ServerName::try_from(bare(name).to_owned()).map_err(invalid)?;
        let is_usual = terms.identity.is_none() && !terms.is_13_only;
        let config = match proof {
            Proof::Nothing if is_usual => self.trusting.clone(),
            proof => {
                let verifier = Arc::new(Verifier {
                    algorithms: self.provider.clone(),
                    authorities: self.authorities.clone(),
                    proof: Proof::clone(proof),
                });
                let identity = terms.identity.as_ref().or(self.identity.as_ref());
                Arc::new(config(
                    &self.provider,
                    verifier,
                    identity,
                    terms.is_13_only,
                )?)
            }
        };
        ClientConnection::new(config, name)
    }
}

impl Identity {
    /// Reads the certificate and its key. Blocking.
    pub fn load(files: &CertificateFiles) -> Result<Identity, CertificateError> {
        let certified = load_one(files)?;
        Ok(Identity(Arc::new(SingleCertAndKey::from(certified))))
    }
}

impl Doubt {
    /// What was wrong, once the handshake is over.
    #[must_use]
    pub fn fault(&self) -> Option<&TlsFault> {
        self.0.get()
    }

    pub(super) fn note(&self, fault: TlsFault) {
        // The first one is what a proof would have failed by.
        let _ = self.0.set(fault);
    }
}

/// Reads the authorities of a PEM file. Blocking.
pub fn authorities_of(file: &Path) -> Result<Arc<RootCertStore>, CertificateError> {
    roots(&Authorities::File(file.to_owned())).map(Arc::new)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
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
        match inner {
            Some(Error::InvalidCertificate(flaw)) => TlsFault::from(flaw),
            _ => TlsFault::Handshake(error.to_string()),
        }
    }
}

impl From<&Flaw> for TlsFault {
    fn from(flaw: &Flaw) -> TlsFault {
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
    identity: Option<&Identity>,
    is_13_only: bool,
) -> Result<ClientConfig, Error> {
    let versions: &[_] = match is_13_only {
        true => &[&rustls::version::TLS13],
        false => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    // The provider is named, because a second one in the tree would make the default ambiguous.
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::clone(&identity.0) as _),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The name without the last dot; an address literal (RFC 5321 §4.1.3) without its brackets.
fn bare(name: &str) -> &str {
    let name = name.trim_end_matches('.');
    let inner = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let Some(inner) = inner else {
        return name;
    };
    let six = inner.split_at_checked(5);
    let six = six.filter(|(tag, _)| tag.eq_ignore_ascii_case("ipv6:"));
    six.map_or(inner, |(_, address)| address)
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
