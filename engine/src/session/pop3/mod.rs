//! The POP3 dialogue as a pure machine (RFC 1939, 2449, 2595, 5034, 6856).
//!
//! No socket, no store, no directory: octets go in by [`Session::handle`], octets and [`Action`]s
//! come out in [`Output`], and what only the driver knows comes back by [`Session::answer`].
//!
//! ```text
//! greet ─▶ AUTHORIZATION ─ USER, PASS │ AUTH ─▶ Move ═▶ resume ─ Open ─▶ TRANSACTION ─ QUIT ─┐
//!               │  └ STLS ─▶ all forgotten, handshake          └ refused ─▶ Closed          │
//!               └ QUIT, too many errors ─▶ Closed                   Closed ◀─ Update ◀──────┘
//! ```
//!
//! What comes out does not depend on how the input was cut into pieces. Input is not taken while
//! an action waits for its answer, while a listing is under way and while replies wait to be sent.
//! Only QUIT changes the maildrop: a session that ends in any other way has done nothing. An idle
//! session owns no buffer.

mod action;
mod auth;
mod capability;
pub mod maildrop;
mod settings;
mod transaction;

pub mod fuzz;

#[cfg(test)]
mod dialogue;

pub use action::{Action, Answer, Output, Retrieval, Update};
pub use settings::{REPLY_BYTES_MAX, Settings};

use self::maildrop::Maildrop;
use self::transaction::Listing;
use crate::wire::pop3::command::Command;
use crate::wire::pop3::reply::{self, Reply};
use crate::wire::sasl::{Channel, Exchange};
use crate::wire::smtp::line::{BadLine, LineReceiver};
use std::rc::Rc;
use std::sync::Arc;

/// One dialogue.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    state: State,
    pending: Option<Pending>,
    lines: LineReceiver,
    /// What the connection vouches for when somebody logs in.
    channel: Channel,
    /// UTF8 was said.
    utf8: bool,
    /// What USER said.
    user: Option<Box<str>>,
    exchange: Option<Box<Exchange<Rc<str>>>>,
    maildrop: Option<Box<Maildrop>>,
    listing: Option<Listing>,
    errors: u32,
    failed_logins: u32,
    shutting_down: bool,
}

/// What the input is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Authorization,
    Sasl,
    Transaction,
    Closed,
}

/// What the driver is to answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pending {
    Tls,
    Login,
    Move,
    Open,
    /// The number of a message; `None` for TOP, which does not count as retrieved.
    Send(Option<u32>),
    Update,
}

impl Session {
    /// A session before login.
    #[must_use]
    pub fn new(settings: Arc<Settings>, channel: Channel) -> Session {
        Session {
            settings,
            state: State::Authorization,
            pending: None,
            lines: LineReceiver::default(),
            channel,
            utf8: false,
            user: None,
            exchange: None,
            maildrop: None,
            listing: None,
            errors: 0,
            failed_logins: 0,
            shutting_down: false,
        }
    }

    /// A session that was let in elsewhere, where its account lives: it wants its maildrop.
    #[must_use]
    pub fn resume(settings: Arc<Settings>, utf8: bool, out: &mut Output) -> Session {
        out.action = Some(Action::Open);
        Session {
            pending: Some(Pending::Open),
            utf8,
            ..Session::new(settings, Channel::default())
        }
    }

    /// The first line of the connection.
    pub fn greet(&mut self, out: &mut Output) {
        out.say(reply::GREETING);
    }

    /// Takes input and says how much. Less than all of it: an action waits for its answer, or the
    /// output has to be emptied first. Behind STLS all of it is taken and thrown away (RFC 2595
    /// §4).
    pub fn handle(&mut self, bytes: &[u8], out: &mut Output) -> usize {
        let mut taken = 0;
        loop {
            self.go_on_listing(out);
            if !self.takes_input(out) || taken == bytes.len() {
                break;
            }
            taken += self.take_line(bytes.get(taken..).unwrap_or_default(), out);
        }
        match (self.state, self.pending) {
            (State::Closed, _) | (_, Some(Pending::Tls)) => bytes.len(),
            _ => taken,
        }
    }

    /// Goes on with the answer to the action that was asked for.
    ///
    /// # Panics
    /// When the answer does not belong to that action: the driver is wrong, not the peer.
    pub fn answer(&mut self, answer: Answer, out: &mut Output) {
        match (self.pending.take(), answer) {
            (Some(Pending::Tls), Answer::Tls(channel)) => self.tls_started(channel),
            (Some(Pending::Login), Answer::Login(answer)) => self.asked(answer, out),
            (Some(Pending::Open), Answer::Opened(opened)) => self.opened(opened, out),
            (Some(Pending::Send(number)), Answer::Sent(sent)) => self.sent(number, sent, out),
            (Some(Pending::Update), Answer::Updated(done)) => self.updated(done, out),
            (pending, answer) => panic!("{answer:?} is no answer to {pending:?}"),
        }
        self.shut_down_if_idle(out);
    }

    /// The client was silent for too long (RFC 1939 §3: the maildrop stays as it is).
    pub fn timed_out(&mut self, out: &mut Output) {
        self.close(reply::TIMED_OUT, out);
    }

    /// The server is going down: says so at once where nothing is under way.
    pub fn shutting_down(&mut self, out: &mut Output) {
        self.shutting_down = true;
        self.shut_down_if_idle(out);
    }

    /// Whether the session waits for the client and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_none() && self.listing.is_none() && self.state != State::Closed
    }

    /// Whether a maildrop is open.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.state == State::Transaction
    }

    /// Whether UTF8 was said; the session that goes on elsewhere must know.
    #[must_use]
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// How many messages are left, and their octets.
    #[must_use]
    pub fn stat(&self) -> (u32, u64) {
        self.maildrop.as_ref().map_or((0, 0), |drop| drop.stat())
    }

    fn takes_input(&self, out: &Output) -> bool {
        self.is_idle() && out.action.is_none() && out.reply.len() < REPLY_BYTES_MAX
    }

    fn take_line(&mut self, bytes: &[u8], out: &mut Output) -> usize {
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
        let in_sasl = self.state == State::Sasl;
        match line {
            Err(BadLine::Endless) => self.close(reply::ENDLESS_LINE, out),
            Err(bad) => {
                let why = match bad {
                    BadLine::TooLong => reply::LINE_TOO_LONG,
                    _ => reply::BARE_LINE_END,
                };
                match in_sasl {
                    true => self.sasl_broken(why, out),
                    false => self.blame(why, out),
                }
            }
            Ok(line) if in_sasl => self.sasl_line(line, out),
            // RFC 2449 §4 has 255 octets; an initial response may be longer (RFC 5034 §4).
            Ok(line) => match Command::parse(line) {
                Ok(command) => {
                    out.heard.push(Some(command.keyword()));
                    self.obey(command, out);
                }
                Err(refusal) => {
                    out.heard.push(None);
                    self.blame(refusal, out);
                }
            },
        }
        self.shut_down_if_idle(out);
    }

    fn obey(&mut self, command: Command<'_>, out: &mut Output) {
        match command {
            Command::Capa => self.capabilities(out),
            Command::Lang(tag) => self.language(tag, out),
            Command::Quit if self.state == State::Transaction => self.update(out),
            Command::Quit => self.close(reply::BYE, out),
            command if self.state == State::Transaction => self.transact(command, out),
            command => self.authorize(command, out),
        }
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
        self.exchange = None;
        self.listing = None;
        self.pending = None;
        self.maildrop = None;
        self.state = State::Closed;
        out.say(reply);
        out.action = Some(Action::Close);
    }

    fn shut_down_if_idle(&mut self, out: &mut Output) {
        if self.shutting_down && self.is_idle() && out.action.is_none() {
            self.close(reply::CLOSING, out);
        }
    }
}
