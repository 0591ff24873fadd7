//! One connection to another host: the dialogue driven over a socket of the reactor.

use super::{Body, Failure, Letter, Origin, Outcome, Stage, Target, TlsUse, Tools};
use crate::tls::Stream;
use crate::wire::smtp::client::offer::Offer;
use crate::wire::smtp::client::reply::{Reply, Status};

/// A connection that is ready for a letter, or has ended. Between letters it owns no buffer.
pub struct Connection {
    stream: Option<Stream>,
    tls: TlsUse,
    offer: Offer,
    letters: u32,
}

impl Connection {
    /// Connects, and goes through the opening up to the first MAIL.
    pub async fn open(target: &Target, tools: &Tools) -> Result<Connection, Failure> {
        let _ = (target, tools);
        Err(Failure {
            stage: Stage::Connect,
            origin: Origin::Us,
            reply: Reply::own(451, Status(4, 3, 5), "no dialogue yet"),
            tls: None,
        })
    }

    /// Sends one letter. Never fails as a whole: every recipient has a disposition.
    pub async fn send<B: Body>(&mut self, letter: &Letter, body: &mut B) -> Outcome {
        let _ = (letter, body);
        Outcome {
            recipients: Vec::new(),
            is_open: false,
            is_stale: false,
        }
    }

    /// Says goodbye.
    pub async fn quit(self) {
        drop(self.stream);
    }

    /// Waits until the connection, kept without a letter, ends: the peer closed it, or said
    /// something that nobody asked for. May be dropped.
    pub async fn ended(&mut self) {
        if let Some(stream) = &self.stream {
            let _ = stream.readable().await;
        }
    }

    /// Whether it takes a letter.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Letters sent so far.
    #[must_use]
    pub fn letters(&self) -> u32 {
        self.letters
    }

    /// What the peer offers, for whoever chooses what to send.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    #[must_use]
    pub fn tls(&self) -> &TlsUse {
        &self.tls
    }
}
