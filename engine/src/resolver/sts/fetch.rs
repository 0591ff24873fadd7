//! One GET of a policy: certificate verified, no redirects, size and time bounded (RFC 8461 §3.3).

use super::policy::{BadPolicy, POLICY_BYTES_MAX, Policy};
use crate::reactor::service::connect;
use crate::reactor::web::{self, Answer};
use crate::resolver::dns::{Dns, Lack};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

pub(crate) struct Fetcher {
    tls: TlsConnector,
    port: u16,
    /// Whether an address of the loopback may be another host.
    is_loopback_foreign: bool,
}

/// Why there is no policy.
#[derive(Debug)]
pub(crate) enum FetchError {
    Address(Lack),
    /// No address answered, or not in time.
    Silent,
    Tls(std::io::Error),
    Http(hyper::Error),
    Status(StatusCode),
    /// Not text/plain.
    Kind,
    /// The body broke off or was too long.
    Body,
    Policy(BadPolicy),
}

/// Why there is no policy, in the terms of RFC 8460 §4.3.2.3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StsFault {
    Fetch,
    Invalid,
    WebPki,
}

impl StsFault {
    /// As in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StsFault::Fetch => "sts-policy-fetch-error",
            StsFault::Invalid => "sts-policy-invalid",
            StsFault::WebPki => "sts-webpki-invalid",
        }
    }
}

impl FetchError {
    pub(crate) fn fault(&self) -> StsFault {
        match self {
            FetchError::Policy(_) => StsFault::Invalid,
            FetchError::Tls(error) if is_of_certificate(error) => StsFault::WebPki,
            _ => StsFault::Fetch,
        }
    }
}

fn is_of_certificate(error: &std::io::Error) -> bool {
    let inner = error.get_ref();
    let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

impl Fetcher {
    pub(crate) fn new(
        roots: Arc<RootCertStore>,
        port: u16,
        is_loopback_foreign: bool,
    ) -> Result<Fetcher, rustls::Error> {
        let provider = aws_lc_rs::default_provider().into();
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Fetcher {
            tls: TlsConnector::from(Arc::new(config)),
            port,
            is_loopback_foreign,
        })
    }

    pub(crate) async fn fetch(&self, dns: &Dns, domain: &str) -> Result<Policy, FetchError> {
        let fetching = self.fetch_slowly(dns, domain);
        let fetched = tokio::time::timeout(FETCH_TIME_MAX, fetching).await;
        fetched.unwrap_or(Err(FetchError::Silent))
    }

    async fn fetch_slowly(&self, dns: &Dns, domain: &str) -> Result<Policy, FetchError> {
        let host = format!("mta-sts.{domain}");
        let addresses = dns.addresses(&host).await.map_err(FetchError::Address)?;
        let mut failure = FetchError::Silent;
        let allowed = addresses.list.into_iter().filter(|ip| self.may_ask(*ip));
        for address in allowed.take(ADDRESSES_MAX) {
            match self
                .fetch_from(SocketAddr::new(address, self.port), &host)
                .await
            {
                Ok(octets) => return Policy::parse(&octets).map_err(FetchError::Policy),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// A stranger's record must not make us talk to what listens on this machine only.
    fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !address.is_unspecified()
            && !address.is_multicast()
            && (self.is_loopback_foreign || !address.is_loopback())
    }

    async fn fetch_from(&self, address: SocketAddr, host: &str) -> Result<Bytes, FetchError> {
        let connecting = tokio::time::timeout(CONNECT_TIME_MAX, connect(address)).await;
        let socket = connecting
            .ok()
            .and_then(Result::ok)
            .ok_or(FetchError::Silent)?;
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| FetchError::Tls(std::io::Error::other(error)))?;
        let stream = self
            .tls
            .connect(name, socket)
            .await
            .map_err(FetchError::Tls)?;
        download(stream, host).await
    }
}

async fn download<S>(stream: S, host: &str) -> Result<Bytes, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let request = Request::get(PATH).header(HOST, host).body(Full::default());
    let request = request.map_err(|_| FetchError::Kind)?;
    let answer = web::ask(stream, request, POLICY_BYTES_MAX).await;
    let answer = answer.map_err(FetchError::Http)?;
    check(&answer)?;
    answer.body.ok_or(FetchError::Body)
}

/// RFC 8461 §3.3: no redirect is followed; §3.2: the media type guards against hosts that let
/// strangers keep files there.
fn check(answer: &Answer) -> Result<(), FetchError> {
    if answer.status != StatusCode::OK {
        return Err(FetchError::Status(answer.status));
    }
    let kind = answer
        .headers
        .get(CONTENT_TYPE)
        .map(|value| value.as_bytes());
    let kind = kind.and_then(|kind| kind.split(|octet| *octet == b';').next());
    match kind.map(<[u8]>::trim_ascii) {
        Some(kind) if kind.eq_ignore_ascii_case(b"text/plain") => Ok(()),
        _ => Err(FetchError::Kind),
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Address(lack) => write!(f, "{}", lack.failure()),
            FetchError::Silent => f.write_str("no answer in time"),
            FetchError::Tls(error) => write!(f, "TLS: {error}"),
            FetchError::Http(error) => write!(f, "HTTP: {error}"),
            FetchError::Status(status) => write!(f, "HTTP: {status}"),
            FetchError::Kind => f.write_str("not text/plain"),
            FetchError::Body => f.write_str("the policy breaks off or is longer than 64 KiB"),
            FetchError::Policy(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FetchError {}

/// RFC 8461 §3.2.
const PATH: &str = "/.well-known/mta-sts.txt";

/// The mail waits for it.
const FETCH_TIME_MAX: Duration = Duration::from_secs(20);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Addresses of the host that are tried.
const ADDRESSES_MAX: usize = 3;
