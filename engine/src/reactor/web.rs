//! One HTTP exchange as a client, over a stream of the service thread.
//!
//! Head and body of the answer are bounded, and no redirect is followed: who asks says whom.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a server says.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `None`: it broke off, or is longer than what is taken of it.
    pub body: Option<Bytes>,
}

/// Asks once. `body_bytes_max` is for the answer.
pub async fn ask<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    body_bytes_max: usize,
) -> Result<Answer, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    let asked = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        // It is read also where its status says enough, so that nothing is reset.
        let body = Limited::new(body, body_bytes_max).collect().await;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.ok().map(|body| body.to_bytes()),
        })
    };
    let driven = async {
        // The exchange hears of its end by itself.
        drop(connection.await);
        std::future::pending().await
    };
    tokio::select! {
        answer = asked => answer,
        never = driven => never,
    }
}

const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
