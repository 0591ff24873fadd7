//! HTTP to an issuer: certificate verified, no redirects, size and time bounded.

use super::jwk::SET_BYTES_MAX;
use crate::config::{ClientLogin, HookUrl};
use crate::reactor::service::connect;
use crate::reactor::web;
use crate::tls::{Authorities, TlsClient};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use rustls::pki_types::ServerName;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

pub(super) struct Fetcher(TlsConnector);

impl Fetcher {
    pub(super) fn new(authorities: Option<&Path>) -> Result<Fetcher, String> {
        let authorities = match authorities {
            Some(file) => Authorities::File(file.to_owned()),
            None => Authorities::System,
        };
        let client = TlsClient::load(&authorities, None).map_err(|error| error.to_string())?;
        let connector = client.connector();
        connector.map(Fetcher).map_err(|error| error.to_string())
    }

    /// GET.
    pub(super) async fn fetch(&self, url: &HookUrl) -> Result<Bytes, String> {
        let request = Request::get(url.path.as_str())
            .header(HOST, url.authority())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .body(Full::default());
        self.ask(url, request.map_err(|error| error.to_string())?)
            .await
    }

    /// RFC 7662 §2.1: POST of the token.
    pub(super) async fn introspect(
        &self,
        url: &HookUrl,
        client: Option<&ClientLogin>,
        token: &str,
    ) -> Result<Bytes, String> {
        let body = format!("token={}&token_type_hint=access_token", form(token));
        let mut request = Request::post(url.path.as_str())
            .header(HOST, url.authority())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(client) = client {
            // RFC 6749 §2.3.1: both in the form's encoding.
            let login = format!("{}:{}", form(&client.id), form(&client.secret));
            let login = format!("Basic {}", STANDARD.encode(login));
            request = request.header(AUTHORIZATION, login);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        self.ask(url, request.map_err(|error| error.to_string())?)
            .await
    }

    async fn ask(&self, url: &HookUrl, request: Request<Full<Bytes>>) -> Result<Bytes, String> {
        let asked = tokio::time::timeout(TIME_MAX, self.ask_slowly(url, request)).await;
        asked.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    async fn ask_slowly(
        &self,
        url: &HookUrl,
        request: Request<Full<Bytes>>,
    ) -> Result<Bytes, String> {
        let address = address(url).await?;
        let socket = connect(address).await.map_err(|error| error.to_string())?;
        if !url.is_tls {
            return exchange(socket, request).await;
        }
        let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
        let stream = self.0.connect(name, socket).await;
        exchange(stream.map_err(|error| format!("TLS: {error}"))?, request).await
    }
}

/// By what the host says of names.
async fn address(url: &HookUrl) -> Result<SocketAddr, String> {
    let (host, port) = (url.host.clone(), url.port);
    let looked = tokio::task::spawn_blocking(move || {
        let mut found = (host.as_str(), port).to_socket_addrs()?;
        found
            .next()
            .ok_or_else(|| std::io::ErrorKind::NotFound.into())
    });
    let found: std::io::Result<SocketAddr> = looked.await.map_err(|error| error.to_string())?;
    found.map_err(|error| format!("its address is not found: {error}"))
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Bytes, String>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let answer = web::ask(stream, request, SET_BYTES_MAX).await;
    let answer = answer.map_err(|error| format!("HTTP: {error}"))?;
    if answer.status != StatusCode::OK {
        return Err(format!("it answers {}", answer.status));
    }
    let body = answer.body;
    body.ok_or_else(|| "its answer breaks off or is too long".to_owned())
}

/// `application/x-www-form-urlencoded`.
fn form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                encoded.push(char::from(octet));
            }
            _ => encoded.push_str(&format!("%{octet:02X}")),
        }
    }
    encoded
}

const AGENT: &str = concat!("Ringpost/", env!("CARGO_PKG_VERSION"));

/// A login waits for it.
const TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::form;

    #[test]
    fn what_a_form_would_read_is_encoded() {
        assert_eq!(form("a b+c/d=&e"), "a%20b%2Bc%2Fd%3D%26e");
    }
}
