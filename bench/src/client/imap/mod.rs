//! IMAP from the client's side: sessions that append, fetch, flag, search or idle.
//!
//! ```text
//! connect ─► (TLS) ─► greeting ─► (CAPABILITY, STARTTLS, CAPABILITY) ─► LOGIN ─► SELECT ─► deeds
//! ```
//!
//! One command at a time. What comes untagged is read for `EXISTS` and `EXPUNGE` only; literals are
//! shown piece by piece, so that a session costs the same whatever the size of the messages.

pub(crate) mod deed;
pub(crate) mod dialogue;
pub(crate) mod mailbox;
mod opening;
pub(crate) mod response;

use super::tls::{Stream, Tls};
use crate::load::accounts::Accounts;
use crate::load::corpus::Corpus;
use crate::load::sources::Sources;
use crate::measure::histogram::Step;
use clap::ValueEnum;
use response::Responses;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How sessions begin, until they are logged in.
#[derive(Clone)]
pub(crate) struct Access {
    pub(crate) target: SocketAddr,
    pub(crate) sources: Sources,
    pub(crate) tls: Tls,
    pub(crate) login: Login,
    /// The same for all accounts.
    pub(crate) password: String,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

/// How somebody logs in.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Login {
    /// The command LOGIN
    Login,
    /// AUTHENTICATE PLAIN
    Plain,
}

/// What the sessions of a run have alike.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) access: Arc<Access>,
    /// Connections are theirs in turn.
    pub(crate) accounts: Accounts,
    pub(crate) mailbox: String,
    /// What they do, drawn for each ticket.
    pub(crate) deeds: Vec<deed::Deed>,
    /// Items of FETCH, and keys of SEARCH, SORT and THREAD.
    pub(crate) fetch: String,
    pub(crate) search: String,
    /// Messages that a mailbox has at least before the load begins.
    pub(crate) fill: u32,
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) seed: u64,
}

/// One session.
pub(crate) struct Session {
    access: Arc<Access>,
    /// What is done with it; a session that only reads or idles has none.
    settings: Option<Arc<Settings>>,
    stream: Stream,
    responses: Responses,
    /// What is to be sent, made anew for each command.
    out: Vec<u8>,
    /// The tag of the last command.
    tag: u32,
    /// Of a load: whose it is.
    account: u32,
    pub(crate) offer: Offer,
    /// Messages of the selected mailbox, and when the server last told of more.
    pub(crate) exists: u32,
    pub(crate) grew_micros: u64,
    /// Where new messages of the selected mailbox began when it was selected.
    pub(crate) uid_next: u32,
    is_idle: bool,
    /// How long the steps took since somebody looked.
    pub(crate) marks: Vec<(Step, u64)>,
}

/// What a server says it can.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Offer {
    pub(crate) start_tls: bool,
    pub(crate) login_disabled: bool,
    pub(crate) sasl_ir: bool,
    /// LITERAL+ takes any literal at once, LITERAL- up to 4,096 octets (RFC 7888).
    pub(crate) literal_bytes: u64,
    pub(crate) idle: bool,
    pub(crate) moves: bool,
    pub(crate) uid_plus: bool,
    pub(crate) multi_append: bool,
}

impl Session {
    fn mark(&mut self, step: Step, from_micros: u64, until_micros: u64) {
        self.marks
            .push((step, until_micros.saturating_sub(from_micros)));
    }
}
