//! The client's side of SMTP and LMTP as a pure machine (RFC 5321, RFC 2033, RFC 2920, RFC 3030).
//!
//! No socket, no clock, no body: octets and events go in by [`Dialogue::handle`], octets and a
//! [`Wish`] come out in [`Output`].
//!
//! ```text
//! AwaitBanner ─▶ AwaitHello ─┬─────────────────────────────▶ AwaitLogin ─▶ Ready ◀────────────┐
//!                  ▲         └▶ AwaitStartTls ─▶ AwaitHandshake   │          │ Begin           │
//!                  └──────────────────────────────────┘           │          ▼                 │
//!                                                    AwaitDerived ┘       Envelope ─ refused ──┤
//!                                                                 ▲          │ 354 or BDAT     │
//!                                                           Begin │          ▼                 │
//!                                                               Ahead ◀─── Body ─▶ End ────────┘
//! anywhere: 421, nonsense, silence, the end of the stream ─▶ Closed
//! ```
//!
//! Replies are matched to commands in order (`envelope`), one by one or pipelined alike. What
//! comes out does not depend on how the input was cut into pieces. After nonsense nothing is
//! believed any more.

mod admission;
mod ahead;
mod envelope;
mod login;
mod opening;
mod transaction;

#[cfg(test)]
mod tests;

use super::{Dialect, Failure, Letter, Origin, Outcome, Stage, Target};
use crate::tls::TlsFault;
use crate::wire::sasl::client::{Derivation, Exchange, Salted};
use crate::wire::smtp::client::offer::Offer;
use crate::wire::smtp::client::reply::{Heard, Nonsense, Reply, ReplyReceiver, Status};
use std::rc::Rc;
use std::time::Duration;
use transaction::Transaction;

/// One dialogue, from the banner on.
#[derive(Debug)]
pub(super) struct Dialogue {
    target: Target,
    /// Fresh for this dialogue, for SCRAM.
    nonce: String,
    start_tls: StartTls,
    receiver: ReplyReceiver,
    state: State,
    offer: Offer,
    /// EHLO or LHLO was understood.
    is_extended: bool,
    security: Security,
    /// What was wrong with STARTTLS, if we go on without.
    tls_fault: Option<TlsFault>,
    transaction: Option<Box<Transaction>>,
    /// The next letter, whose envelope goes out behind the message of this one.
    ahead: Option<Box<Transaction>>,
    /// The reply to a RSET is still due.
    awaits_reset: bool,
    letters: u32,
    /// The driver's clock at the present call.
    now_ms: u64,
    /// When the reply that is awaited is too late.
    reply_due_ms: u64,
    /// When the opening or the transaction is.
    whole_due_ms: u64,
}

/// What is awaited.
#[derive(Debug)]
enum State {
    AwaitBanner,
    AwaitHello {
        is_helo: bool,
    },
    AwaitStartTls,
    AwaitHandshake,
    AwaitLogin(Box<Exchange>),
    AwaitDerived(Box<Exchange>),
    Ready,
    Envelope,
    Body,
    /// The message could not be sent to its end; the peer may have said why.
    LastWords,
    End,
    /// The next letter, whose envelope was sent already.
    Ahead,
    AwaitQuit,
    Closed,
}

/// When STARTTLS is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum StartTls {
    Never,
    IfOffered,
    Demanded,
}

/// What protects the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Security {
    Clear,
    Encrypted { is_verified: bool },
}

/// How the message goes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// DATA: dots stuffed, ended by a dot.
    Stuffed,
    /// One BDAT, as it is.
    Chunk,
}

/// What happens to a dialogue.
#[derive(Debug)]
pub(super) enum Input<'a> {
    /// Octets of the peer. All are taken.
    Octets(&'a [u8]),
    /// The stream ended or broke.
    Lost,
    /// [`Dialogue::due_ms`] is reached.
    TimedOut,
    /// The handshake that was wished for is done.
    Secured {
        is_verified: bool,
    },
    Derived(Salted),
    /// A letter; only when ready. `is_seven_bit`: the body was looked at.
    Begin {
        letter: &'a Letter,
        octets: u64,
        is_seven_bit: bool,
    },
    /// While a message is wished for: the letter that comes next. What is to be said of it goes
    /// behind the end of the message.
    Next {
        letter: &'a Letter,
        octets: u64,
    },
    /// The message was sent to its end.
    BodySent,
    /// It could not be sent: the peer does not take it.
    BodyStuck,
    /// It could not be read here.
    BodyUnreadable(&'a str),
    Quit,
}

/// What a dialogue wants done: first `octets` are sent, then the wish is carried out; without one,
/// the next octets are received.
#[derive(Default, Debug)]
pub(super) struct Output {
    pub(super) octets: Vec<u8>,
    pub(super) wish: Option<Wish>,
}

#[derive(Debug)]
pub(super) enum Wish {
    StartTls,
    Derive(Derivation),
    /// The opening is over.
    Open,
    /// `octets` of the output go before the message, in the same write.
    SendBody(Framing),
    Settled(Outcome),
    Failed(Failure),
    /// There is nothing more to be said.
    Close,
}

impl Dialogue {
    /// A dialogue that awaits the banner; `encrypted` where TLS is there already.
    pub(super) fn new(
        target: &Target,
        start_tls: StartTls,
        security: Security,
        nonce: String,
        now_ms: u64,
    ) -> Dialogue {
        let mut dialogue = Dialogue {
            target: target.clone(),
            nonce,
            start_tls,
            receiver: ReplyReceiver::default(),
            state: State::AwaitBanner,
            offer: Offer::default(),
            is_extended: false,
            security,
            tls_fault: None,
            transaction: None,
            ahead: None,
            awaits_reset: false,
            letters: 0,
            now_ms,
            reply_due_ms: 0,
            whole_due_ms: now_ms.saturating_add(millis(target.patience.open)),
        };
        dialogue.expect_within(target.patience.banner);
        dialogue
    }

    pub(super) fn handle(&mut self, now_ms: u64, input: Input<'_>, out: &mut Output) {
        self.now_ms = now_ms;
        match input {
            Input::Octets(octets) => self.octets(octets, out),
            Input::Lost => self.broken_off(Break::Lost, out),
            Input::TimedOut => self.broken_off(Break::Silent, out),
            Input::Secured { is_verified } => self.secured(is_verified, out),
            Input::Derived(salted) => self.derived(&salted, out),
            Input::Begin {
                letter,
                octets,
                is_seven_bit,
            } => self.begin(letter, octets, is_seven_bit, out),
            Input::Next { letter, octets } => self.write_ahead(letter, octets, out),
            Input::BodySent => self.body_sent(),
            Input::BodyStuck => self.body_stuck(),
            Input::BodyUnreadable(why) => self.body_unreadable(why, out),
            Input::Quit => self.quit(out),
        }
    }

    /// When to call with [`Input::TimedOut`], by the clock of the other calls; `None` while nothing
    /// is awaited from the peer.
    pub(super) fn due_ms(&self) -> Option<u64> {
        match self.state {
            State::Ready | State::Ahead | State::Closed => None,
            _ => Some(self.reply_due_ms.min(self.whole_due_ms)),
        }
    }

    /// When the message has to be sent.
    pub(super) fn whole_due_ms(&self) -> u64 {
        self.whole_due_ms
    }

    /// Whether it takes a letter.
    pub(super) fn is_ready(&self) -> bool {
        match self.state {
            State::Ready => !self.is_spent(),
            State::Ahead => true,
            _ => false,
        }
    }

    /// The server takes no more letters on this connection.
    fn is_spent(&self) -> bool {
        let mail_max = self.offer.limits.mail_max;
        mail_max.is_some_and(|max| self.letters >= max)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    pub(super) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Which letter begins next, from 1.
    pub(super) fn next_number(&self) -> u32 {
        match self.ahead {
            Some(_) => self.letters,
            None => self.letters.saturating_add(1),
        }
    }

    /// Why STARTTLS is not used though it is offered and wanted.
    pub(super) fn tls_fault(&self) -> Option<&TlsFault> {
        self.tls_fault.as_ref()
    }

    fn octets(&mut self, mut octets: &[u8], out: &mut Output) {
        // The receiver is taken out, because what it hears is lent from it.
        let mut receiver = std::mem::take(&mut self.receiver);
        while !octets.is_empty() && self.listens() {
            let (taken, reply) = receiver.feed(octets);
            octets = octets.get(taken..).unwrap_or_default();
            match reply {
                None => {}
                Some(Ok(heard)) => self.heard(&heard, out),
                Some(Err(nonsense)) => self.broken_off(Break::Nonsense(nonsense), out),
            }
        }
        if !self.listens() {
            // What came in clear before TLS does not count; what comes behind the end neither.
            receiver.reset();
        }
        receiver.forget_taken();
        self.receiver = receiver;
    }

    fn listens(&self) -> bool {
        !matches!(self.state, State::AwaitHandshake | State::Closed)
    }

    fn heard(&mut self, heard: &Heard<'_>, out: &mut Output) {
        match &self.state {
            State::AwaitBanner => self.banner(heard, out),
            State::AwaitHello { is_helo } => self.hello(heard, *is_helo, out),
            State::AwaitStartTls => self.start_tls(heard, out),
            State::AwaitLogin(_) | State::AwaitDerived(_) => self.login(heard, out),
            // Between letters only the answer to our RSET may come.
            State::Ready if self.awaits_reset && heard.class() == 2 => self.awaits_reset = false,
            State::Ready => self.disturbed(Break::OutOfStep(heard.code), out),
            State::Envelope => self.envelope_reply(heard, out),
            State::Body | State::LastWords => self.early_reply(heard, out),
            State::End => self.end_reply(heard, out),
            State::Ahead => self.ahead_reply(heard, out),
            State::AwaitQuit => self.close(out),
            State::AwaitHandshake | State::Closed => {}
        }
    }

    /// The connection ends between letters. What was settled by the same input stays settled.
    fn disturbed(&mut self, why: Break, out: &mut Output) {
        self.state = State::Closed;
        self.ahead = None;
        match out.wish {
            Some(Wish::Open) => self.fail(Stage::Hello, Origin::Us, why.reply(Stage::Hello), out),
            Some(_) => {}
            None => out.wish = Some(Wish::Close),
        }
    }

    /// The dialogue cannot go on.
    fn broken_off(&mut self, why: Break, out: &mut Output) {
        let stage = self.stage();
        match self.state {
            State::Closed => {}
            State::Ready | State::Ahead => self.disturbed(why, out),
            State::AwaitQuit => self.close(out),
            State::Envelope | State::Body | State::LastWords | State::End => {
                self.transaction_broken_off(why, stage, out);
            }
            _ => self.fail(stage, Origin::Us, why.reply(stage), out),
        }
    }

    fn fail(&mut self, stage: Stage, origin: Origin, reply: Rc<Reply>, out: &mut Output) {
        self.state = State::Closed;
        out.octets.clear();
        out.wish = Some(Wish::Failed(Failure {
            stage,
            origin,
            reply,
            tls: self.tls_fault.clone(),
        }));
    }

    fn quit(&mut self, out: &mut Output) {
        if !matches!(self.state, State::Ready) {
            return self.close(out);
        }
        out.octets.extend_from_slice(b"QUIT\r\n");
        // The answer to a RSET before it ends the wait, too: nothing hangs on it.
        self.state = State::AwaitQuit;
        self.whole_due_ms = u64::MAX;
        self.expect_within(self.target.patience.quit);
    }

    fn close(&mut self, out: &mut Output) {
        self.state = State::Closed;
        out.wish = Some(Wish::Close);
    }

    fn expect_within(&mut self, patience: Duration) {
        self.reply_due_ms = self.now_ms.saturating_add(millis(patience));
    }

    fn is_pipelined(&self) -> bool {
        self.target.pipelining && self.is_extended && self.offer.pipelining
    }

    fn is_lmtp(&self) -> bool {
        self.target.dialect == Dialect::Lmtp
    }

    /// What is being done.
    fn stage(&self) -> Stage {
        match self.state {
            State::AwaitBanner => Stage::Banner,
            State::AwaitHello { .. } => Stage::Hello,
            State::AwaitStartTls => Stage::StartTls,
            State::AwaitHandshake => Stage::Handshake,
            State::AwaitLogin(_) | State::AwaitDerived(_) => Stage::Login,
            State::Envelope => self.envelope_stage(),
            State::Body | State::LastWords => Stage::Body,
            State::End => Stage::End,
            State::Ready | State::Ahead | State::AwaitQuit | State::Closed => Stage::Mail,
        }
    }
}

/// Why a dialogue cannot go on.
#[derive(Clone, Copy, Debug)]
enum Break {
    Lost,
    Silent,
    Nonsense(Nonsense),
    /// A good reply of a class that the command does not have.
    OutOfStep(u16),
}

impl Break {
    fn reply(self, stage: Stage) -> Rc<Reply> {
        let (status, text) = match self {
            Break::Lost => (Status(4, 4, 2), format!("connection lost at {stage}")),
            Break::Silent => (Status(4, 4, 2), format!("no reply in time at {stage}")),
            Break::Nonsense(why) => (Status(4, 5, 0), format!("{why} at {stage}")),
            Break::OutOfStep(code) => (
                Status(4, 5, 0),
                format!("reply {code} out of step at {stage}"),
            ),
        };
        Reply::own(451, status, &text)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
