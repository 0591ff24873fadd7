//! Mail by HTTP: connections, one request after the other, and what is answered.
//!
//! ```text
//! head ─ whole ─▶ who asks ─▶ 100 ─▶ body ─▶ carried out ─▶ answer ─┬─ keep-alive ─▶ head
//!   └ wrong: 4xx, and the end                                       └─ the end
//! ```
//!
//! A client that is slow has a time for its head and a time for its body, whatever it sends in
//! between. What all requests of a shard hold in memory is bounded: beyond it, 503.

mod api;
mod claim;
mod desk;
mod identity;
mod reading;
mod status;
mod submit;

pub use desk::Desk;

use super::hall::Hall;
use crate::config::Protocol;
use crate::inject::Problem;
use crate::reactor::{Side, buffer};
use crate::session::smtp::Tls;
use crate::tls::Stream;
use crate::wire::http::{self, BodyFault, BodyReceiver, Head, HeadFault, Method, Response};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// One connection until it ends.
pub async fn serve(hall: Rc<Hall>, stream: Stream) {
    let peer = stream.peer_addr().ip().to_canonical();
    let tls = stream.info().map(|info| Tls {
        version: info.version,
        cipher: info.cipher,
    });
    let ends_ms = hall.now_ms() + hall.live.config.load().limits.smtp_connection_secs_max * 1000;
    let mut connection = Connection {
        client: Client { peer, tls },
        hall,
        stream,
        unread: Vec::new(),
        ends_ms,
    };
    // Whatever ended the connection has been said to the peer, or there is nobody to say it to.
    let _ = connection.run().await;
    connection.stream.close().await;
}

/// Who is at the other end.
struct Client {
    peer: IpAddr,
    tls: Option<Tls>,
}

struct Connection {
    hall: Rc<Hall>,
    client: Client,
    stream: Stream,
    /// Received, and not yet part of a request.
    unread: Vec<u8>,
    ends_ms: u64,
}

/// Why a request is answered without being carried out.
enum Broken {
    /// There is nobody to answer.
    Gone,
    /// The next request cannot be told from this one: the connection ends.
    Refused(Problem),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        match error.kind() {
            io::ErrorKind::TimedOut => Broken::Refused(too_slow()),
            _ => Broken::Gone,
        }
    }
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            let head = match self.head().await {
                Ok(Some(head)) => head,
                Ok(None) | Err(Broken::Gone) => return Ok(()),
                Err(Broken::Refused(problem)) => {
                    return self.send(&problem.response(), false, false).await;
                }
            };
            let is_head = head.method == Method::Head;
            let (response, is_whole) = match self.request(&head).await {
                Ok(response) => (response, true),
                Err(Broken::Refused(problem)) => (problem.response(), false),
                Err(Broken::Gone) => return Ok(()),
            };
            let is_late = self.hall.now_ms() >= self.ends_ms || self.hall.drain.is_on();
            let keeps = head.keeps_alive && is_whole && !is_late;
            self.send(&response, keeps, is_head).await?;
            if !keeps {
                return Ok(());
            }
        }
    }

    /// The head of the next request; `None`: there is none any more.
    async fn head(&mut self) -> Result<Option<Head>, Broken> {
        let mut begun_ms = None;
        loop {
            if !self.unread.is_empty() {
                let parsed = http::parse(&self.unread);
                match parsed.map_err(|fault| Broken::Refused(head_problem(fault)))? {
                    Some((length, head)) => {
                        self.unread.drain(..length);
                        return Ok(Some(head));
                    }
                    None => begun_ms = begun_ms.or(Some(self.hall.now_ms())),
                }
            }
            let patience = match begun_ms {
                None => IDLE_MAX,
                Some(from) => left(HEAD_TIME_MAX, from, self.hall.now_ms()),
            };
            if patience.is_zero() {
                return Err(Broken::Refused(too_slow()));
            }
            self.stream.set_deadline(Side::Read, patience);
            let is_idle = self.unread.is_empty();
            if is_idle && self.hall.drain.or(self.stream.readable()).await.is_none() {
                return Ok(None);
            }
            match self.receive().await {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                // Nothing was asked: nothing is answered.
                Err(_) if is_idle => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// More octets behind `unread`; 0 is the end.
    async fn receive(&mut self) -> io::Result<usize> {
        let received = self.stream.recv_lent().await?;
        let count = received.len();
        self.unread.extend_from_slice(&received);
        buffer::give_back(received);
        let bytes = &self.hall.metrics.received_bytes;
        bytes.of(Protocol::Http.into()).add(count as u64);
        Ok(count)
    }

    /// Who asks is known before the body is read.
    async fn request(&mut self, head: &Head) -> Result<Response, Broken> {
        let asked = match api::find(head) {
            Ok(asked) => asked,
            Err(response) => return self.past_body(head, response).await,
        };
        let found = identity::find(&self.hall, self.client.peer, head.authorization.as_deref());
        let principal = match found.await {
            Ok(principal) => principal,
            Err(problem) => {
                let challenge = "Basic realm=\"ringpost\", charset=\"UTF-8\", Bearer";
                let response = problem.response();
                let response = match problem.status {
                    401 => response.with("WWW-Authenticate", challenge),
                    _ => response,
                };
                return self.past_body(head, response).await;
            }
        };
        match asked {
            api::Asked::Status(id) => {
                let response = status::status(&self.hall, &principal, &id).await;
                self.past_body(head, response).await
            }
            api::Asked::Send => {
                if let Err(problem) = submit::may_begin(&self.hall, &principal, head) {
                    return self.past_body(head, problem.response()).await;
                }
                let most = self.hall.live.config.load().inject.body_bytes_max;
                let body = self.body(head, most).await?;
                Ok(submit::submit(&self.hall, &self.client, &principal, head, body).await)
            }
        }
    }

    /// Reads a body that nobody wants, if it is short; else the connection ends.
    async fn past_body(&mut self, head: &Head, response: Response) -> Result<Response, Broken> {
        let is_here = head.framing == http::Framing::Length(0);
        if is_here {
            return Ok(response);
        }
        let receiver = BodyReceiver::new(head.framing, UNWANTED_BYTES_MAX);
        let read = match receiver {
            // A client that waits for 100 sends nothing after another answer, or closes.
            Ok(receiver) if !head.expects_continue => self.read(receiver).await.map(drop),
            _ => Err(Broken::Gone),
        };
        match read {
            Ok(()) => Ok(response),
            Err(_) => {
                self.send(&response, false, head.method == Method::Head)
                    .await
                    .map_err(|_| Broken::Gone)?;
                Err(Broken::Gone)
            }
        }
    }

    /// The whole body, in memory that is accounted for as long as it is held.
    async fn body(&mut self, head: &Head, most: u64) -> Result<desk::Held, Broken> {
        let receiver = BodyReceiver::new(head.framing, most);
        let receiver = receiver.map_err(|fault| Broken::Refused(body_problem(fault, most)))?;
        if head.expects_continue && self.unread.is_empty() && !receiver.is_over() {
            self.say(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())
                .await
                .map_err(|_| Broken::Gone)?;
        }
        self.read(receiver).await
    }

    async fn read(&mut self, mut receiver: BodyReceiver) -> Result<desk::Held, Broken> {
        let most = self.hall.live.config.load().inject.clone();
        let mut held = self.hall.inject.room.hold(most.memory_bytes_max);
        let began_ms = self.hall.now_ms();
        loop {
            let fed = receiver.feed(&self.unread, &mut held.octets);
            let taken =
                fed.map_err(|fault| Broken::Refused(body_problem(fault, most.body_bytes_max)))?;
            self.unread.drain(..taken);
            if !held.account() {
                let title = "Too much is being sent in at this time.";
                return Err(Broken::Refused(Problem::new(503, "busy", title).after(1)));
            }
            if receiver.is_over() {
                return Ok(held);
            }
            // A slow sender has a rate to keep, however often it sends.
            let due = BODY_TIME_MAX
                + Duration::from_millis(held.octets.len() as u64 / BODY_OCTETS_A_MILLI_MIN);
            let left = left(due, began_ms, self.hall.now_ms());
            if left.is_zero() {
                return Err(Broken::Refused(too_slow()));
            }
            self.stream
                .set_deadline(Side::Read, left.min(BODY_SILENCE_MAX));
            match self.receive().await {
                Ok(0) => return Err(Broken::Gone),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn send(&mut self, response: &Response, keeps: bool, is_head: bool) -> io::Result<()> {
        let mut out = Vec::new();
        response.write(keeps, is_head, &mut out);
        self.say(out).await
    }

    async fn say(&mut self, octets: Vec<u8>) -> io::Result<()> {
        let bytes = &self.hall.metrics.sent_bytes;
        bytes.of(Protocol::Http.into()).add(octets.len() as u64);
        let (sent, _) = self.stream.send(octets).await;
        sent
    }
}

fn left(most: Duration, from_ms: u64, now_ms: u64) -> Duration {
    most.saturating_sub(Duration::from_millis(now_ms.saturating_sub(from_ms)))
}

fn too_slow() -> Problem {
    Problem::new(408, "too-slow", "The request did not come in time.")
}

fn head_problem(fault: HeadFault) -> Problem {
    let title = match fault {
        HeadFault::Malformed(what) => return Problem::new(400, "not-http", what),
        HeadFault::TooLarge => "The head of the request is too large.",
        HeadFault::Version => "Only HTTP/1.0 and HTTP/1.1 are spoken here.",
        HeadFault::Coding => "Only the transfer coding chunked is known here.",
        HeadFault::Expectation => "Only 100-continue can be expected.",
    };
    let (status, kind) = match fault {
        HeadFault::Malformed(_) => (400, "not-http"),
        HeadFault::TooLarge => (431, "head-too-large"),
        HeadFault::Version => (505, "unknown-version"),
        HeadFault::Coding => (501, "unknown-coding"),
        HeadFault::Expectation => (417, "unknown-expectation"),
    };
    Problem::new(status, kind, title)
}

fn body_problem(fault: BodyFault, most: u64) -> Problem {
    match fault {
        BodyFault::TooLarge => {
            let detail = format!("a request has at most {most} octets");
            let problem = Problem::new(413, "too-large", "The request is too large.");
            problem.about(crate::inject::Fault::new("", detail))
        }
        BodyFault::Malformed => Problem::new(400, "not-http", "The chunks of the body are broken."),
    }
}

/// For a connection that is one too many.
pub const TOO_MANY_CONNECTIONS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\n\
    Content-Length: 0\r\nConnection: close\r\n\r\n";

/// Between two requests.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// From the first octet of a head to its last.
const HEAD_TIME_MAX: Duration = Duration::from_secs(15);

/// From a head to the end of its body, and what a large body may take beyond it.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
const BODY_OCTETS_A_MILLI_MIN: u64 = 4;
const BODY_SILENCE_MAX: Duration = Duration::from_secs(30);

/// What of a body that nobody wants is read so that the connection can go on.
const UNWANTED_BYTES_MAX: u64 = 64 << 10;
