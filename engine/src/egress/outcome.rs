//! How a connection or a transaction ended: for each recipient a fate, a stage and a reply.

use crate::tls::{TlsFault, TlsInfo};
use crate::wire::smtp::client::reply::Reply;
use std::fmt;
use std::rc::Rc;

/// How one letter went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In the order of the envelope.
    pub recipients: Vec<Disposition>,
    /// Whether the connection takes another letter.
    pub is_open: bool,
    /// The peer ended a connection that had been used before, or was silent on it, and answered
    /// nothing of this letter: a new connection is worth a try at once.
    pub is_stale: bool,
}

/// What became of one recipient, and who says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disposition {
    pub fate: Fate,
    pub stage: Stage,
    pub origin: Origin,
    /// The peer's reply; ours where there is none, of the class of the fate.
    pub reply: Rc<Reply>,
}

/// What it means for the recipient.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fate {
    /// In the peer's custody.
    Delivered,
    /// To be tried again.
    Deferred,
    /// Not to be tried again.
    Failed,
    /// The end of the message was sent and no reply came: to be tried again, perhaps twice
    /// delivered (RFC 1047).
    Unknown,
    /// Not tried, because the peer takes fewer recipients a message: to be tried at once.
    Untried,
}

/// Who found the words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    Peer,
    Us,
}

/// What was being done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// Leaving here: the address to connect from, or the proxy. No fault of the peer.
    Source,
    Connect,
    Banner,
    Hello,
    StartTls,
    Handshake,
    Login,
    Mail,
    Rcpt,
    Data,
    /// The message itself.
    Body,
    /// The reply to the end of the message.
    End,
}

/// Why there is no connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub stage: Stage,
    pub origin: Origin,
    /// The peer's words; ours where it gave none.
    pub reply: Rc<Reply>,
    /// What was wrong with TLS, for reports (RFC 8460).
    pub tls: Option<TlsFault>,
}

/// What TLS a connection has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsUse {
    /// It was not asked for.
    Unwanted,
    /// Clear, because the peer does not offer STARTTLS.
    NotOffered,
    /// Clear, because it offers STARTTLS and then refuses, or the handshake failed.
    Failed(TlsFault),
    Encrypted {
        info: TlsInfo,
        /// Whether the peer has proven what was demanded.
        is_verified: bool,
    },
}

impl Failure {
    /// Whether another try may go better. A refused login or STARTTLS always may: those who can
    /// mend it are not the senders of the mail that waits.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.reply.class() == 4 || matches!(self.stage, Stage::StartTls | Stage::Login)
    }
}

impl TlsUse {
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self, TlsUse::Encrypted { .. })
    }

    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, TlsUse::Encrypted { is_verified, .. } if *is_verified)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Source => "egress source",
            Stage::Connect => "connect",
            Stage::Banner => "banner",
            Stage::Hello => "EHLO",
            Stage::StartTls => "STARTTLS",
            Stage::Handshake => "TLS handshake",
            Stage::Login => "AUTH",
            Stage::Mail => "MAIL",
            Stage::Rcpt => "RCPT",
            Stage::Data => "DATA",
            Stage::Body => "message",
            Stage::End => "end of message",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match self.origin {
            Origin::Peer => "the peer said ",
            Origin::Us => "",
        };
        write!(f, "{}: {said}{}", self.stage, self.reply)
    }
}

impl std::error::Error for Failure {}
