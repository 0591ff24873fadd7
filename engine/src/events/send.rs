//! One POST of events, signed as Standard Webhooks says, certificate verified, no redirects.
//!
//! ```text
//! webhook-id: ID   webhook-timestamp: SECS   webhook-signature: v1,BASE64
//! BASE64 = HMAC-SHA-256 (secret, ID "." SECS "." body)
//! ```

use crate::config::{HookUrl, Webhook};
use crate::reactor::service::connect;
use crate::reactor::web;
use crate::tls::{Authorities, TlsClient};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

pub(super) struct Client {
    url: HookUrl,
    key: hmac::Key,
    /// `None`: in clear, to this host.
    tls: Option<TlsConnector>,
}

/// Why a webhook does not have them.
#[derive(Debug)]
pub(super) enum Unsent {
    Address(std::io::Error),
    Connect(std::io::Error),
    Tls(std::io::Error),
    Http(hyper::Error),
    Status(StatusCode),
    /// No answer in time.
    Silent,
    /// What is configured makes no request.
    Request,
}

impl Client {
    pub(super) fn new(hook: &Webhook) -> Result<Client, String> {
        let tls = match hook.url.is_tls {
            true => Some(connector(hook)?),
            false => None,
        };
        Ok(Client {
            url: hook.url.clone(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &hook.secret),
            tls,
        })
    }

    pub(super) async fn send(&self, id: &str, secs: u64, body: Vec<u8>) -> Result<(), Unsent> {
        let request = self.request(id, secs, body)?;
        let socket = connect(self.address().await?)
            .await
            .map_err(Unsent::Connect)?;
        match &self.tls {
            None => post(socket, request).await,
            Some(tls) => {
                let name = ServerName::try_from(self.url.host.clone());
                let name = name.map_err(|_| Unsent::Request)?;
                let stream = tls.connect(name, socket).await.map_err(Unsent::Tls)?;
                post(stream, request).await
            }
        }
    }

    fn request(&self, id: &str, secs: u64, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Unsent> {
        let request = Request::post(self.url.path.as_str())
            .header(HOST, self.url.authority())
            .header(USER_AGENT, concat!("Ringpost/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", secs)
            .header("webhook-signature", signature(&self.key, id, secs, &body))
            .body(Full::new(Bytes::from(body)));
        request.map_err(|_| Unsent::Request)
    }

    /// By what the host says of names: a webhook may be in `/etc/hosts`.
    async fn address(&self) -> Result<SocketAddr, Unsent> {
        let (host, port) = (self.url.host.clone(), self.url.port);
        let looked = tokio::task::spawn_blocking(move || {
            (host.as_str(), port)
                .to_socket_addrs()
                .map(|mut all| all.next())
        });
        let found = looked
            .await
            .map_err(|error| Unsent::Address(std::io::Error::other(error)))?;
        let found = found.map_err(Unsent::Address)?;
        found.ok_or_else(|| Unsent::Address(std::io::ErrorKind::NotFound.into()))
    }
}

pub(super) fn signature(key: &hmac::Key, id: &str, secs: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{secs}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign()))
}

fn connector(hook: &Webhook) -> Result<TlsConnector, String> {
    let authorities = match &hook.authorities {
        Some(file) => Authorities::File(file.clone()),
        None => Authorities::System,
    };
    let client = TlsClient::load(&authorities, None).map_err(|error| error.to_string())?;
    client.connector().map_err(|error| error.to_string())
}

/// What it says is read so that it need not reset, and is of no interest.
async fn post<S>(stream: S, request: Request<Full<Bytes>>) -> Result<(), Unsent>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let answer = web::ask(stream, request, ANSWER_BYTES_MAX).await;
    let status = answer.map_err(Unsent::Http)?.status;
    match status.is_success() {
        true => Ok(()),
        false => Err(Unsent::Status(status)),
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsent::Address(error) => write!(f, "its address is not found: {error}"),
            Unsent::Connect(error) => write!(f, "it cannot be reached: {error}"),
            Unsent::Tls(error) => write!(f, "TLS: {error}"),
            Unsent::Http(error) => write!(f, "HTTP: {error}"),
            Unsent::Status(status) => write!(f, "it answers {status}"),
            Unsent::Silent => f.write_str("it does not answer in time"),
            Unsent::Request => f.write_str("its url makes no request"),
        }
    }
}

const ANSWER_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python signs the same.
    #[test]
    fn signs_as_others_verify() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = signature(&key, id, 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
