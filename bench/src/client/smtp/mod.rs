//! SMTP, submission and LMTP from the client's side, as fast as the standards allow.
//!
//! | pipelining | round trips a message |
//! |---|---|
//! | none | MAIL, each RCPT, DATA, the message |
//! | group (RFC 2920) | MAIL + RCPT + DATA, the message |
//! | chain (RFC 2920 §3.1) | the message + the next one's MAIL + RCPT + DATA |
//! | BDAT (RFC 3030) | MAIL + RCPT + BDAT with the message |

pub(crate) mod opening;
pub(crate) mod reply;
pub(crate) mod transaction;

use super::tls::{Stream, TlsClient};
use crate::load::accounts::Accounts;
use crate::load::corpus::Corpus;
use crate::load::fanout::Fanout;
use crate::load::sources::Sources;
use crate::measure::answer::Answer;
use crate::measure::histogram::Step;
use reply::Replies;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What the sessions of a run have alike.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) target: SocketAddr,
    pub(crate) sources: Sources,
    pub(crate) dialect: Dialect,
    pub(crate) tls: Tls,
    /// The password of all accounts; sessions log in when it is set.
    pub(crate) password: Option<String>,
    /// Who logs in, and whom the messages of a logged-in session are from.
    pub(crate) logins: Accounts,
    pub(crate) sender: String,
    pub(crate) accounts: Accounts,
    pub(crate) fanout: Fanout,
    pub(crate) seed: u64,
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) pipelining: Pipelining,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    Smtp,
    Lmtp,
}

#[derive(Clone)]
pub(crate) enum Tls {
    None,
    Start(TlsClient),
    Implicit(TlsClient),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pipelining {
    None,
    Group,
    Chain,
}

/// One session, ready for its next message.
pub(crate) struct Session {
    settings: Arc<Settings>,
    stream: Stream,
    replies: Replies,
    /// What is to be sent, made anew for each write.
    out: Vec<u8>,
    /// The login of this session, and so its sender.
    login: u32,
    offer: Offer,
    /// Which recipients of the present message were taken, in their order.
    pub(crate) taken: Vec<bool>,
    /// How long the steps took since somebody looked.
    pub(crate) marks: Vec<(Step, u64)>,
}

/// What a server offers in its answer to EHLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Offer {
    pub(crate) pipelining: bool,
    pub(crate) chunking: bool,
    pub(crate) size: bool,
    pub(crate) eight_bit: bool,
    pub(crate) start_tls: bool,
    pub(crate) auth_plain: bool,
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct NotOpened {
    pub(crate) answer: Answer,
    /// What was being done, for people: `EHLO`, `AUTH`.
    pub(crate) at: &'static str,
    /// In full, where the answer says too little.
    pub(crate) detail: String,
}
