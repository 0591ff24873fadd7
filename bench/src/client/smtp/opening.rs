//! From the first packet to the first MAIL: connect, TLS, greeting, EHLO, AUTH.

use super::reply::Replies;
use super::{Dialect, NotOpened, Offer, Session, Settings, Tls};
use crate::client::tls::{Stream, TlsClient};
use crate::measure::answer::{Answer, Loss};
use crate::measure::histogram::Step;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::reactor::clock::monotonic_micros;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

/// What the server said before the first message.
#[derive(Clone, Default, Debug)]
pub(crate) struct Hello {
    pub(crate) greeting: String,
    pub(crate) offer: Offer,
}

impl Session {
    /// Opens session `number` of a run.
    pub(crate) async fn open(settings: &Arc<Settings>, number: u32) -> Result<Session, NotOpened> {
        Session::introduce(settings, number)
            .await
            .map(|(session, _)| session)
    }

    /// As [`Session::open`]; tells what the server says of itself.
    pub(crate) async fn introduce(
        settings: &Arc<Settings>,
        number: u32,
    ) -> Result<(Session, Hello), NotOpened> {
        let began = monotonic_micros();
        let source = settings.sources.of(number);
        let stream = Stream::connect(source, settings.target, settings.patience);
        let stream = stream.await.map_err(|error| lost("connect", &error))?;
        let mut session = Session {
            settings: settings.clone(),
            stream,
            replies: Replies::new(),
            out: Vec::with_capacity(OUT_BYTES),
            login: number % settings.logins.len(),
            offer: Offer::default(),
            taken: Vec::new(),
            marks: Vec::new(),
        };
        session.stream.set_patience(settings.patience);
        session.mark(Step::Connect, began, monotonic_micros());
        let greeting = session.greet().await?;
        let offer = session.offer;
        Ok((session, Hello { greeting, offer }))
    }

    async fn greet(&mut self) -> Result<String, NotOpened> {
        let settings = self.settings.clone();
        if let Tls::Implicit(client) = &settings.tls {
            self.start_tls(client).await?;
        }
        let began = monotonic_micros();
        let mut greeting = String::new();
        let heard = self.replies.next_with(&mut self.stream, |line| {
            greeting = String::from_utf8_lossy(line).into_owned();
        });
        expect("greeting", heard.await)?;
        self.mark(Step::Greeting, began, self.replies.heard_micros);
        self.hello().await?;
        if let Tls::Start(client) = &settings.tls {
            if !self.offer.start_tls {
                return Err(unoffered("STARTTLS", "the server does not offer STARTTLS"));
            }
            expect("STARTTLS", self.ask(b"STARTTLS\r\n").await)?;
            self.replies.forget();
            self.start_tls(client).await?;
            self.hello().await?;
        }
        if let Some(password) = &settings.password {
            self.log_in(password).await?;
        }
        Ok(greeting)
    }

    async fn hello(&mut self) -> Result<(), NotOpened> {
        let hello: &[u8] = match self.settings.dialect {
            Dialect::Smtp => b"EHLO bench.ringpost.invalid\r\n",
            Dialect::Lmtp => b"LHLO bench.ringpost.invalid\r\n",
        };
        let mut offer = Offer::default();
        self.send(hello)
            .await
            .map_err(|error| lost("EHLO", &error))?;
        let heard = self
            .replies
            .next_with(&mut self.stream, |line| offer.note(line));
        expect("EHLO", heard.await)?;
        self.offer = offer;
        Ok(())
    }

    async fn log_in(&mut self, password: &str) -> Result<(), NotOpened> {
        if !self.offer.auth_plain {
            return Err(unoffered(
                "AUTH",
                "the server does not offer AUTH PLAIN here; with --tls starttls or implicit?",
            ));
        }
        let began = monotonic_micros();
        let user = self.settings.logins.name(self.login);
        let response = STANDARD.encode(format!("\0{user}\0{password}"));
        let line = format!("AUTH PLAIN {response}\r\n");
        expect("AUTH", self.ask(line.as_bytes()).await)?;
        self.mark(Step::Auth, began, self.replies.heard_micros);
        Ok(())
    }

    async fn start_tls(&mut self, client: &TlsClient) -> Result<(), NotOpened> {
        let began = monotonic_micros();
        let shaken = self.stream.start_tls(client).await;
        let is_resumed = shaken.map_err(|error| NotOpened {
            answer: Answer::Lost(match error.kind() {
                io::ErrorKind::Other => Loss::Tls,
                _ => Loss::from(&error),
            }),
            at: "TLS",
            detail: error.to_string(),
        })?;
        let step = match is_resumed {
            true => Step::Resumed,
            false => Step::Tls,
        };
        self.mark(step, began, monotonic_micros());
        Ok(())
    }

    pub(super) async fn ask(&mut self, line: &[u8]) -> io::Result<Answer> {
        self.send(line).await?;
        self.replies.next(&mut self.stream).await
    }

    pub(super) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.send(&mut [IoSlice::new(octets)]).await
    }

    pub(super) fn mark(&mut self, step: Step, from_micros: u64, until_micros: u64) {
        self.marks
            .push((step, until_micros.saturating_sub(from_micros)));
    }

    /// Says goodbye, if QUIT has not gone with the last message, and waits for the answer (RFC 5321
    /// §4.1.1.10).
    pub(crate) async fn quit(mut self, is_said: bool) {
        self.stream
            .set_patience(FAREWELL_MAX.min(self.settings.patience));
        // Whoever has gone already needs no goodbye.
        if is_said || self.send(b"QUIT\r\n").await.is_ok() {
            let _ = self.replies.next(&mut self.stream).await;
        }
    }
}

impl Offer {
    fn note(&mut self, line: &[u8]) {
        let line = line.to_ascii_uppercase();
        let mut words = line.split(|octet| *octet == b' ');
        match words.next().unwrap_or_default() {
            b"PIPELINING" => self.pipelining = true,
            b"CHUNKING" => self.chunking = true,
            b"SIZE" => self.size = true,
            b"8BITMIME" => self.eight_bit = true,
            b"STARTTLS" => self.start_tls = true,
            b"AUTH" => self.auth_plain = words.any(|word| word == b"PLAIN"),
            _ => {}
        }
    }
}

fn expect(at: &'static str, heard: io::Result<Answer>) -> Result<(), NotOpened> {
    match heard {
        Ok(answer) if answer.is_positive() => Ok(()),
        Ok(answer) => Err(NotOpened {
            answer,
            at,
            detail: format!("the server answers {answer}"),
        }),
        Err(error) => Err(lost(at, &error)),
    }
}

fn lost(at: &'static str, error: &io::Error) -> NotOpened {
    NotOpened {
        answer: Answer::from(error),
        at,
        detail: error.to_string(),
    }
}

fn unoffered(at: &'static str, detail: &str) -> NotOpened {
    NotOpened {
        answer: Answer::Reply(502, [0; 3]),
        at,
        detail: detail.to_owned(),
    }
}

/// How long a server may take to say goodbye.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// An envelope with some recipients, or a head.
const OUT_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_noted_in_any_case() {
        let mut offer = Offer::default();
        for line in [
            &b"mx.test greets"[..],
            b"pipelining",
            b"AUTH LOGIN plain",
            b"SIZE 1000",
        ] {
            offer.note(line);
        }
        assert!(offer.pipelining && offer.auth_plain && offer.size);
        assert!(!offer.chunking && !offer.start_tls);
    }
}
