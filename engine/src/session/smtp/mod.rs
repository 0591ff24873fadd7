//! The SMTP, submission and LMTP dialogue as a pure machine (RFC 5321, 6409, 2033).
//!
//! No socket, no clock, no directory: octets go in by [`Session::feed`], octets and [`Action`]s
//! come out in [`Output`], and what only the driver knows comes back by [`Session::resume`].
//!
//! ```text
//!             ┌─────────────── EHLO, RSET, end of data ───────────────┐
//!             ▼                                                       │
//! greet ─▶ Command ─ AUTH ─▶ Sasl ─ done ─▶ Command                   │
//!             │ MAIL ─▶ transaction ─ RCPT … ─ DATA ─▶ Data ──────────┤
//!             │                             └─ BDAT ─▶ Chunk ─ LAST ──┘
//!             │ STARTTLS ─▶ all forgotten, handshake, Command
//!             └ QUIT, too many errors ─▶ Closed
//! ```
//!
//! What comes out does not depend on how the input was cut into pieces. Input is not taken while an
//! action waits for its answer, and while replies or body octets wait to be carried away: `feed`
//! says how much it took, the driver empties the output and offers the rest again. An idle session
//! owns no buffer.

mod action;
mod auth;
mod body;
mod hello;
mod mail;
mod settings;
mod terms;
pub mod trace;
mod transaction;
pub mod watch;
mod xclient;

pub mod fuzz;

#[cfg(test)]
mod dialogue;

pub use action::{Action, Answer, Client, Commit, Kind, Output, Peer, Tls, Verdicts};
pub use settings::{
    AuthOffer, BODY_BYTES_MAX, ENVELOPE_BYTES_MAX, REPLY_BYTES_MAX, SWALLOW_BYTES_MAX, Settings,
};
pub use terms::{FutureRelease, Terms};
pub use transaction::{End, Summary};
pub use watch::Missing;

use crate::wire::sasl::Exchange;
use crate::wire::smtp::command::{Command, Mail, Rcpt};
use crate::wire::smtp::line::{BadLine, LineReceiver};
use crate::wire::smtp::reply::{self, Reply};
use std::rc::Rc;
use std::sync::Arc;
use store::mail::address::Address;
use store::mail::envelope::Envelope;
use transaction::Transaction;

/// One dialogue.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    kind: Kind,
    peer: Peer,
    hello: Option<HelloName>,
    /// The name that a proxy gives its client: it goes before the one that the proxy says.
    hello_named: Option<Rc<str>>,
    login: Option<Rc<str>>,
    state: State,
    pending: Option<Pending>,
    lines: LineReceiver,
    exchange: Option<Box<Exchange<Rc<str>>>>,
    transaction: Option<Box<Transaction>>,
    /// The driver's clock at the present call.
    now_ms: u64,
    errors: u32,
    refusals: u32,
    failed_logins: u32,
    messages: u32,
    /// The server is going down: the next moment without a transaction is the last.
    shutting_down: bool,
}

/// What the input is.
#[derive(Debug)]
enum State {
    Command,
    Sasl,
    Data,
    Chunk(Chunk),
    Closed,
}

/// What is left of a BDAT.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    left: u64,
    last: bool,
    /// Why the octets are thrown away, and how many recipients are told so at the end.
    refusal: Option<(Reply, usize)>,
}

/// What the driver is to answer.
#[derive(Debug)]
enum Pending {
    Tls,
    Login,
    Client,
    Sender(Box<Mail>),
    Recipient(Box<Rcpt>),
    Data,
    Chunk { octets: u64, last: bool },
    Commit { recipients: usize },
}

/// How the client introduced itself.
#[derive(Debug)]
struct HelloName {
    name: Rc<str>,
    /// EHLO or LHLO.
    extended: bool,
}

impl Session {
    #[must_use]
    pub fn new(settings: Arc<Settings>, peer: Peer, kind: Kind) -> Session {
        Session {
            settings,
            kind,
            peer,
            hello: None,
            hello_named: None,
            login: None,
            state: State::Command,
            pending: None,
            lines: LineReceiver::default(),
            exchange: None,
            transaction: None,
            now_ms: 0,
            errors: 0,
            refusals: 0,
            failed_logins: 0,
            messages: 0,
            shutting_down: false,
        }
    }

    /// Takes input and says how much. Less than all of it: an action waits for its answer, or the
    /// output has to be emptied first. Behind STARTTLS all of it is taken and thrown away
    /// (RFC 3207 §4.2).
    pub fn feed(&mut self, now_ms: u64, bytes: &[u8], out: &mut Output) -> usize {
        self.now_ms = now_ms;
        let mut taken = 0;
        while self.takes_input(out) && taken < bytes.len() {
            let rest = bytes.get(taken..).unwrap_or_default();
            let piece = rest.get(..settings::PIECE_BYTES_MAX).unwrap_or(rest);
            taken += match self.state {
                State::Command | State::Sasl => self.feed_line(piece, out),
                State::Data => self.feed_data(piece, out),
                State::Chunk(_) => self.feed_chunk(piece, out),
                State::Closed => rest.len(),
            };
        }
        match self.pending {
            Some(Pending::Tls) => bytes.len(),
            _ => taken,
        }
    }

    /// Goes on with the answer to the action that was asked for.
    ///
    /// # Panics
    /// When the answer does not belong to that action: the driver is wrong, not the peer.
    pub fn resume(&mut self, now_ms: u64, answer: Answer, out: &mut Output) {
        self.now_ms = now_ms;
        match (self.pending.take(), answer) {
            (Some(Pending::Tls), Answer::Tls(tls, channel)) => self.tls_started(tls, *channel),
            (Some(Pending::Login), Answer::Login(answer)) => self.asked(answer, out),
            (Some(Pending::Client), Answer::Client(known)) => self.client_known(known, out),
            (Some(Pending::Sender(mail)), Answer::Verdict(verdict)) => {
                self.sender_settled(*mail, verdict, out);
            }
            (Some(Pending::Recipient(rcpt)), Answer::Verdict(verdict)) => {
                self.recipient_settled(*rcpt, verdict, out);
            }
            (Some(Pending::Recipient(_)), Answer::Refused(words)) => {
                self.recipient_refused(&words, out);
            }
            (Some(Pending::Data), Answer::Verdict(verdict)) => self.data_settled(verdict, out),
            (Some(Pending::Chunk { octets, last }), Answer::Verdict(verdict)) => {
                self.chunk_settled(octets, last, verdict, out);
            }
            (Some(Pending::Commit { recipients }), Answer::Committed { queue_id, verdicts }) => {
                self.committed(recipients, queue_id, &verdicts, out)
            }
            (pending, answer) => panic!("{answer:?} is no answer to {pending:?}"),
        }
        self.shut_down_if_idle(out);
    }

    /// The deadline of [`Session::wait_secs_max`] or one of the driver's own has passed. Not while
    /// an action waits for its answer: what a commit came to would go untold.
    pub fn timed_out(&mut self, now_ms: u64, out: &mut Output) {
        self.now_ms = now_ms;
        self.close(reply::TIMED_OUT, out);
    }

    /// The server is going down: says so at once where nothing is under way, otherwise after the
    /// present message or chunk.
    pub fn shutting_down(&mut self, now_ms: u64, out: &mut Output) {
        self.now_ms = now_ms;
        self.shutting_down = true;
        self.shut_down_if_idle(out);
    }

    /// The connection is gone: nothing can be said, the transaction is over. A commit that is under
    /// way is answered first.
    pub fn lost(&mut self, now_ms: u64, out: &mut Output) {
        self.now_ms = now_ms;
        self.abandon(out);
        self.pending = None;
        self.state = State::Closed;
    }

    /// How long to wait for input in the present state.
    #[must_use]
    pub fn wait_secs_max(&self) -> u32 {
        match self.state {
            State::Data | State::Chunk(_) => self.settings.body_secs_max,
            State::Command | State::Sasl | State::Closed => self.settings.command_secs_max,
        }
    }

    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The account that is logged in.
    #[must_use]
    pub fn login(&self) -> Option<&Rc<str>> {
        self.login.as_ref()
    }

    /// The name that the client gave itself.
    #[must_use]
    pub fn hello(&self) -> Option<&Rc<str>> {
        self.hello.as_ref().map(|hello| &hello.name)
    }

    /// The envelope as far as it is known; during [`Action::Commit`] it is in the action.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        self.transaction.as_ref().map(|tx| &tx.envelope)
    }

    /// The reverse-path that [`Action::Sender`] asks about; `None` is the null reverse-path.
    #[must_use]
    pub fn reverse_path_asked(&self) -> Option<&Address> {
        match &self.pending {
            Some(Pending::Sender(mail)) => mail.reverse_path.as_ref(),
            _ => None,
        }
    }

    /// The recipient that [`Action::Recipient`] asks about; `None` while it does not.
    #[must_use]
    pub fn recipient_asked(&self) -> Option<&Address> {
        match &self.pending {
            Some(Pending::Recipient(rcpt)) => Some(&rcpt.address),
            _ => None,
        }
    }

    /// What is asked of the way of the message of the present transaction.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.transaction
            .as_ref()
            .map_or_else(Terms::default, |tx| tx.terms)
    }

    /// Whether the session waits for a command and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Command) && self.pending.is_none() && self.transaction.is_none()
    }

    fn takes_input(&self, out: &Output) -> bool {
        self.pending.is_none()
            && out.action.is_none()
            && out.ended.is_none()
            && out.reply.len() < REPLY_BYTES_MAX
            && out.body.len() < BODY_BYTES_MAX
    }

    fn feed_line(&mut self, bytes: &[u8], out: &mut Output) -> usize {
        let mut lines = std::mem::take(&mut self.lines);
        let (taken, line) = lines.feed(bytes);
        if let Some(line) = line {
            self.line(line, out);
            lines.forget_taken();
        }
        self.lines = lines;
        taken
    }

    fn line(&mut self, line: Result<&[u8], BadLine>, out: &mut Output) {
        let in_sasl = matches!(self.state, State::Sasl);
        match line {
            Err(BadLine::Endless) => self.close(reply::ENDLESS_LINE, out),
            Err(BadLine::TooLong) if in_sasl => self.sasl_broken(reply::SASL_LINE_TOO_LONG, out),
            Err(BadLine::BareLineEnd) if in_sasl => self.sasl_broken(reply::BARE_LINE_END, out),
            Err(BadLine::TooLong) => self.blame(reply::LINE_TOO_LONG, out),
            Err(BadLine::BareLineEnd) => self.blame(reply::BARE_LINE_END, out),
            Ok(line) if in_sasl => self.sasl_line(line, out),
            Ok(line) => match Command::parse(line) {
                Ok(command) => self.obey(command, out),
                Err(reply) => self.blame(reply, out),
            },
        }
    }

    fn obey(&mut self, command: Command<'_>, out: &mut Output) {
        match command {
            Command::Hello(which, name) => self.introduced(which, name, out),
            Command::Mail(mail) => self.mail(mail, out),
            Command::Rcpt(rcpt) => self.rcpt(rcpt, out),
            Command::Data => self.data(out),
            Command::Bdat { octets, last } => self.bdat(octets, last, out),
            Command::Rset => {
                self.abandon(out);
                out.say(reply::OK);
            }
            Command::Noop => out.say(reply::OK),
            Command::Quit => self.close(reply::BYE, out),
            Command::Help => out.say(reply::HELP),
            Command::Vrfy => out.say(reply::VRFY),
            Command::StartTls => self.start_tls(out),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial, out),
            Command::Xclient(argument) => self.xclient(argument, out),
            Command::Unimplemented => self.blame(reply::NOT_IMPLEMENTED, out),
            Command::Http => self.close(reply::NOT_SMTP, out),
        }
        self.shut_down_if_idle(out);
    }

    /// The client broke the protocol: kept until it repeats too often.
    fn blame(&mut self, reply: Reply, out: &mut Output) {
        self.errors += 1;
        if self.errors >= self.settings.errors_max {
            self.close(reply::TOO_MANY_ERRORS, out);
        } else {
            out.say(reply);
        }
    }

    /// Says the last words.
    fn close(&mut self, reply: Reply, out: &mut Output) {
        self.abandon(out);
        self.exchange = None;
        self.pending = None;
        self.state = State::Closed;
        out.say(reply);
        out.action = Some(Action::Close);
    }

    fn shut_down_if_idle(&mut self, out: &mut Output) {
        let between = matches!(self.state, State::Command | State::Sasl) && self.pending.is_none();
        let has_body = self
            .transaction
            .as_ref()
            .is_some_and(|tx| tx.body.is_some());
        if self.shutting_down && between && !has_body && out.action.is_none() {
            self.close(reply::CLOSING, out);
        }
    }

    /// Ends a transaction that nobody finished.
    fn abandon(&mut self, out: &mut Output) {
        if let Some(transaction) = self.transaction.take() {
            let end = transaction.abandoned();
            self.conclude(transaction, end, None, out);
        }
    }

    fn conclude(
        &self,
        transaction: Box<Transaction>,
        end: End,
        queue_id: Option<String>,
        out: &mut Output,
    ) {
        let recipients = transaction.envelope.recipients;
        out.ended = Some(Box::new(Summary {
            kind: self.kind,
            peer: self.peer.clone(),
            hello: self.hello().cloned(),
            login: self.login.clone(),
            reverse_path: transaction.envelope.reverse_path,
            recipients: recipients.len(),
            recipient: match <[_; 1]>::try_from(recipients) {
                Ok([only]) => Some(only.address),
                Err(_) => None,
            },
            refused: transaction.refused,
            octets: transaction.body.map_or(0, |body| body.receiver.octets()),
            queue_id,
            end,
            elapsed_ms: self.now_ms.saturating_sub(transaction.started_ms),
        }));
    }
}
