//! From the first packet to the first MAIL: connect, TLS, greeting, EHLO, AUTH.

use super::reply::Replies;
use super::{Dialect, Offer, Session, Settings};
use crate::client::NotOpened;
use crate::client::opening::{connect, expect, shake_hands};
use crate::client::tls::{Tls, TlsClient};
use crate::measure::answer::Answer;
use crate::measure::histogram::Step;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::reactor::clock::monotonic_micros;
use std::io::{self, IoSlice};
use std::sync::Arc;

/// What the server said before the first message.
#[derive(Clone, Default, Debug)]
pub(crate) struct Hello {
    pub(crate) greeting: String,
    pub(crate) offer: Offer,
}

impl Session {
    /// Opens session `number` of a run and tells what the server says of itself.
    pub(crate) async fn introduce(
        settings: &Arc<Settings>,
        number: u32,
    ) -> Result<(Session, Hello), NotOpened> {
        let source = settings.sources.of(number);
        let (stream, marks) = connect(source, settings.target, settings.patience).await?;
        let mut session = Session {
            settings: settings.clone(),
            stream,
            replies: Replies::new(),
            out: Vec::with_capacity(OUT_BYTES),
            login: number % settings.logins.len(),
            offer: Offer::default(),
            taken: Vec::new(),
            marks,
        };
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
                return Err(NotOpened::unoffered(
                    "STARTTLS",
                    "the server does not offer STARTTLS",
                ));
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
            .map_err(|error| NotOpened::lost("EHLO", &error))?;
        let heard = self
            .replies
            .next_with(&mut self.stream, |line| offer.note(line));
        expect("EHLO", heard.await)?;
        self.offer = offer;
        Ok(())
    }

    async fn log_in(&mut self, password: &str) -> Result<(), NotOpened> {
        if !self.offer.auth_plain {
            return Err(NotOpened::unoffered(
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
        shake_hands(&mut self.stream, client, &mut self.marks).await
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
