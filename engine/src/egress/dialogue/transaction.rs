//! One letter on its way: which recipient stands where, and how it ends for each.

use super::{Break, Dialogue, Framing, Output, State, Wish};
use crate::egress::{Disposition, Fate, Letter, Origin, Outcome, Stage};
use crate::wire::smtp::client::reply::{Reply, Status};
use std::collections::VecDeque;
use std::rc::Rc;
use store::mail::envelope::BodyKind;

#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) letter: Letter,
    /// Of prefix and body.
    pub(super) octets: u64,
    /// BODY= of MAIL; `None`: not said.
    pub(super) body: Option<BodyKind>,
    pub(super) smtputf8: bool,
    pub(super) framing: Framing,
    /// In the order of the envelope; `None`: not known yet.
    pub(super) dispositions: Vec<Option<Disposition>>,
    /// The first recipient whose RCPT was not written.
    pub(super) next: usize,
    /// Recipients that the peer took, in order.
    pub(super) accepted: Vec<usize>,
    /// Commands whose replies are due, in order.
    pub(super) awaited: VecDeque<Await>,
    pub(super) mail: Command,
    pub(super) data: Command,
    /// A reply came that was about this letter.
    pub(super) is_answered: bool,
}

/// A reply that is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Await {
    Reset,
    Mail,
    Rcpt(usize),
    Data,
    /// The end of a message that nobody gets: a dot, because DATA was answered by 354.
    Nothing,
    /// The end of the message: for all, or for one recipient of LMTP.
    End(Option<usize>),
}

/// How far a command has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Command {
    Unsaid,
    Said,
    Granted,
    Refused(Rc<Reply>),
}

impl Transaction {
    /// Gives all recipients without one this disposition.
    pub(super) fn resolve(&mut self, fate: Fate, stage: Stage, origin: Origin, reply: &Rc<Reply>) {
        for open in self.dispositions.iter_mut().filter(|known| known.is_none()) {
            *open = Some(Disposition {
                fate,
                stage,
                origin,
                reply: reply.clone(),
            });
        }
    }

    /// Gives one recipient its disposition.
    pub(super) fn resolve_one(&mut self, at: usize, disposition: Disposition) {
        if let Some(open) = self.dispositions.get_mut(at) {
            open.get_or_insert(disposition);
        }
    }

    pub(super) fn is_resolved(&self, at: usize) -> bool {
        self.dispositions.get(at).is_none_or(Option::is_some)
    }

    /// Whether every recipient has its disposition.
    pub(super) fn is_over(&self) -> bool {
        self.dispositions.iter().all(Option::is_some)
    }
}

impl Dialogue {
    /// The letter is over; the connection may go on.
    pub(super) fn settle(&mut self, is_stale: bool, out: &mut Output) {
        let Some(mut transaction) = self.transaction.take() else {
            return;
        };
        let unsaid = Reply::own(451, Status(4, 5, 0), "the transaction ended without a word");
        // Nobody is left open by any way here; if one were, it would be tried again.
        transaction.resolve(Fate::Deferred, self.stage(), Origin::Us, &unsaid);
        if matches!(self.state, State::Envelope | State::End | State::Body) {
            self.state = match self.ahead {
                Some(_) => State::Ahead,
                None => State::Ready,
            };
        }
        let recipients = transaction.dispositions.into_iter().flatten().collect();
        out.wish = Some(Wish::Settled(Outcome {
            recipients,
            is_open: self.is_ready(),
            is_stale,
        }));
    }

    /// The connection ends in the middle of a letter.
    pub(super) fn transaction_broken_off(&mut self, why: Break, stage: Stage, out: &mut Output) {
        let is_end = matches!(self.state, State::End);
        self.state = State::Closed;
        self.ahead = None;
        let is_used = self.letters > 1;
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let is_gone = matches!(why, Break::Lost | Break::Silent);
        let is_stale = is_used && !transaction.is_answered && is_gone;
        // Nobody knows whether the peer has taken the message: RFC 1047.
        let fate = match is_end && transaction.awaits_end() {
            true => Fate::Unknown,
            false => Fate::Deferred,
        };
        transaction.resolve(fate, stage, Origin::Us, &why.reply(stage));
        out.octets.clear();
        self.settle(is_stale, out);
    }

    /// The peer says goodbye in the place of an answer (RFC 5321 §3.8).
    pub(super) fn transaction_closed(&mut self, reply: &Rc<Reply>, out: &mut Output) {
        let stage = self.stage();
        self.state = State::Closed;
        self.ahead = None;
        let is_used = self.letters > 1;
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let is_stale = is_used && !transaction.is_answered;
        transaction.resolve(Fate::Deferred, stage, Origin::Peer, reply);
        out.octets.clear();
        self.settle(is_stale, out);
    }

    pub(super) fn body_sent(&mut self) {
        assert!(matches!(self.state, State::Body), "no message was due");
        self.state = State::End;
        self.expect_within(self.target.patience.end);
        let is_lmtp = self.is_lmtp();
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if is_lmtp {
            // RFC 2033 §4.2: a reply for each recipient that was taken.
            let each = transaction.accepted.iter().map(|at| Await::End(Some(*at)));
            transaction.awaited.extend(each);
        } else {
            transaction.awaited.push_back(Await::End(None));
        }
    }

    pub(super) fn body_stuck(&mut self) {
        self.state = State::LastWords;
        self.ahead = None;
        self.expect_within(self.target.patience.quit);
    }

    /// The message is not ended, so the peer will not take it.
    pub(super) fn body_unreadable(&mut self, why: &str, out: &mut Output) {
        self.state = State::Closed;
        self.ahead = None;
        if let Some(transaction) = &mut self.transaction {
            let text = format!("the message cannot be read here: {why}");
            let reply = Reply::own(451, Status(4, 3, 0), &text);
            transaction.resolve(Fate::Deferred, Stage::Body, Origin::Us, &reply);
        }
        self.settle(false, out);
    }
}

impl Transaction {
    /// Whether a reply to the end of the message is due.
    fn awaits_end(&self) -> bool {
        self.awaited.iter().any(|due| matches!(due, Await::End(_)))
    }
}
