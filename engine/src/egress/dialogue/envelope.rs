//! MAIL, RCPT and DATA or BDAT, pipelined or one by one, and the replies to them.
//!
//! Commands are written in groups, the next one when all replies to the last have come: of one
//! command without PIPELINING, otherwise of up to [`GROUP_MAX`], so that what is in flight both
//! ways fits into the sockets' buffers and nobody waits for each other (RFC 2920 §3.1).

use super::transaction::{Await, Command, Transaction};
use super::{Break, Dialogue, Framing, Output, State, Wish};
use crate::egress::{Disposition, Fate, Origin, Stage};
use crate::wire::smtp::client::command::{MailParams, RcptParams, write_mail, write_rcpt};
use crate::wire::smtp::client::offer::Offer;
use crate::wire::smtp::client::reply::{Heard, Reply, Status};
use std::io::Write;
use std::rc::Rc;

/// Commands in flight.
pub(super) const GROUP_MAX: usize = 100;

/// RFC 5321 §4.5.3.1.10: a 552 for too many recipients means 452.
const TOO_MANY_RECIPIENTS: [u16; 2] = [452, 552];

impl Dialogue {
    /// Writes the next group, or goes on to the message.
    pub(super) fn write_envelope(&mut self, out: &mut Output) {
        let group = match self.is_pipelined() {
            true => GROUP_MAX,
            false => 1,
        };
        let awaits_reset = std::mem::take(&mut self.awaits_reset);
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if awaits_reset {
            transaction.awaited.push_back(Await::Reset);
        }
        while transaction.awaited.len() < group && transaction.write_next(&self.offer, group, out) {
        }
        match transaction.awaited.front() {
            Some(_) => self.expect_reply(),
            None => self.envelope_complete(out),
        }
    }

    pub(super) fn envelope_reply(&mut self, heard: &Heard<'_>, out: &mut Output) {
        if heard.code == 421 {
            return self.transaction_closed(&heard.keep(), out);
        }
        let stage = self.stage();
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let due = transaction.awaited.pop_front();
        let is_in_step = due.is_some_and(|due| transaction.judge(due, heard));
        if !is_in_step {
            return self.transaction_broken_off(Break::OutOfStep(heard.code), stage, out);
        }
        match transaction.awaited.is_empty() {
            false => self.expect_reply(),
            true => self.write_envelope(out),
        }
    }

    /// A reply while the message is being sent: no yes is possible yet.
    pub(super) fn early_reply(&mut self, heard: &Heard<'_>, out: &mut Output) {
        let stage = self.stage();
        self.state = State::Closed;
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        match fate(heard) {
            Some(fate) if fate != Fate::Delivered => {
                transaction.resolve(fate, stage, Origin::Peer, &heard.keep());
                self.settle(false, out);
            }
            _ => self.transaction_broken_off(Break::OutOfStep(heard.code), stage, out),
        }
    }

    pub(super) fn end_reply(&mut self, heard: &Heard<'_>, out: &mut Output) {
        if heard.code == 421 {
            return self.transaction_closed(&heard.keep(), out);
        }
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        match (transaction.awaited.front().copied(), fate(heard)) {
            // Nobody gets it, whatever is said.
            (Some(Await::Nothing), _) => {}
            (Some(Await::End(recipient)), Some(fate)) => {
                transaction.resolve_end(recipient, fate, &heard.keep());
            }
            _ => return self.transaction_broken_off(Break::OutOfStep(heard.code), Stage::End, out),
        }
        transaction.awaited.pop_front();
        let is_refused_chunk = transaction.framing == Framing::Chunk && heard.class() != 2;
        if !transaction.awaited.is_empty() {
            return self.expect_within(self.target.patience.end);
        }
        if is_refused_chunk && self.ahead.is_none() {
            // RFC 3030 §2: what a failed BDAT leaves is for RSET to clear.
            self.reset(out);
        }
        self.settle(false, out);
    }

    pub(super) fn envelope_stage(&self) -> Stage {
        let due = self.transaction.as_ref().and_then(|tx| tx.awaited.front());
        match due {
            Some(Await::Rcpt(_)) => Stage::Rcpt,
            Some(Await::Data) => Stage::Data,
            Some(Await::Reset | Await::Mail) | None => Stage::Mail,
            Some(Await::Nothing | Await::End(_)) => Stage::End,
        }
    }

    /// All replies are there: the message follows, or nobody gets it.
    fn envelope_complete(&mut self, out: &mut Output) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if let Command::Refused(reply) = &transaction.mail {
            let reply = reply.clone();
            transaction.resolve(refusal(&reply), Stage::Mail, Origin::Peer, &reply);
        }
        if let Command::Refused(reply) = &transaction.data {
            let reply = reply.clone();
            transaction.resolve(refusal(&reply), Stage::Data, Origin::Peer, &reply);
        }
        let is_wanted = !transaction.is_over();
        let is_begun = transaction.mail == Command::Granted;
        match (is_wanted, transaction.data == Command::Granted) {
            (true, _) => self.send_body(out),
            (false, true) => self.send_nothing(out),
            (false, false) => {
                if is_begun {
                    self.reset(out);
                }
                self.settle(false, out);
            }
        }
    }

    fn send_body(&mut self, out: &mut Output) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        if transaction.framing == Framing::Chunk {
            // Into memory: it cannot fail.
            let _ = write!(out.octets, "BDAT {} LAST\r\n", transaction.octets);
        }
        out.wish = Some(Wish::SendBody(transaction.framing));
        self.state = State::Body;
    }

    /// DATA was granted together with the refusal of all recipients (RFC 2920 §3.1): the message is
    /// ended before it begins.
    fn send_nothing(&mut self, out: &mut Output) {
        self.state = State::End;
        if self.is_lmtp() {
            // RFC 2033 §4.2: a reply for each recipient is none, and 354 was wrong.
            self.state = State::Closed;
            return self.settle(false, out);
        }
        out.octets.extend_from_slice(b".\r\n");
        if let Some(transaction) = &mut self.transaction {
            transaction.awaited.push_back(Await::Nothing);
        }
        self.expect_within(self.target.patience.end);
    }

    /// Clears what a failed transaction leaves; nobody waits for the answer.
    fn reset(&mut self, out: &mut Output) {
        out.octets.extend_from_slice(b"RSET\r\n");
        self.awaits_reset = true;
    }

    pub(super) fn expect_reply(&mut self) {
        let due = self.transaction.as_ref().and_then(|tx| tx.awaited.front());
        let patience = self.target.patience;
        self.expect_within(match due {
            Some(Await::Mail) => patience.mail,
            Some(Await::Rcpt(_)) => patience.rcpt,
            Some(Await::Data) => patience.data,
            Some(Await::Reset) | None => patience.command,
            Some(Await::Nothing | Await::End(_)) => patience.end,
        });
    }
}

impl Transaction {
    /// Writes one command, if there is one that may be written now.
    pub(super) fn write_next(&mut self, offer: &Offer, group: usize, out: &mut Output) -> bool {
        if self.mail == Command::Unsaid {
            self.write_mail(offer, out);
            return true;
        }
        let is_over = matches!(self.mail, Command::Refused(_));
        while !is_over && self.is_resolved(self.next) && self.next < self.dispositions.len() {
            self.next += 1;
        }
        let envelope = self.letter.envelope.clone();
        if let Some(recipient) = envelope.recipients.get(self.next).filter(|_| !is_over) {
            let params = match offer.dsn {
                false => RcptParams::default(),
                true => RcptParams {
                    notify: recipient.notify,
                    orcpt: recipient.orcpt.as_deref(),
                },
            };
            write_rcpt(&recipient.address, &params, &mut out.octets);
            self.awaited.push_back(Await::Rcpt(self.next));
            self.next += 1;
            return true;
        }
        self.write_data(is_over, group, out)
    }

    fn write_mail(&mut self, offer: &Offer, out: &mut Output) {
        let envelope = &self.letter.envelope;
        let params = MailParams {
            size: offer.size.then_some(self.octets),
            body: self.body,
            smtputf8: self.smtputf8 && offer.smtputf8,
            ret: envelope.ret.filter(|_| offer.dsn),
            envid: envelope.envid.as_deref().filter(|_| offer.dsn),
            require_tls: self.letter.require_tls && offer.require_tls,
            priority: self.letter.priority.filter(|_| offer.priority),
            by: self
                .letter
                .by
                .filter(|_| offer.deliver_by_secs_min.is_some()),
        };
        write_mail(envelope.reverse_path.as_ref(), &params, &mut out.octets);
        self.mail = Command::Said;
        self.awaited.push_back(Await::Mail);
    }

    /// DATA goes with the last RCPT where commands are grouped, and only where somebody may get the
    /// message.
    fn write_data(&mut self, is_over: bool, group: usize, out: &mut Output) -> bool {
        let is_due = self.framing == Framing::Stuffed && self.data == Command::Unsaid && !is_over;
        let may_be_wanted = self.dispositions.contains(&None);
        let has_answers = group > 1 || self.awaited.is_empty();
        if !(is_due && may_be_wanted && has_answers) {
            return false;
        }
        out.octets.extend_from_slice(b"DATA\r\n");
        self.data = Command::Said;
        self.awaited.push_back(Await::Data);
        true
    }

    /// Takes note of a reply; `false`: it is none to this command.
    pub(super) fn judge(&mut self, due: Await, heard: &Heard<'_>) -> bool {
        self.is_answered |= due != Await::Reset;
        match (due, heard.class()) {
            (Await::Reset, class) => class == 2,
            (Await::Mail, 2) => {
                self.mail = Command::Granted;
                true
            }
            (Await::Mail, 4 | 5) => {
                self.mail = Command::Refused(heard.keep());
                true
            }
            (Await::Rcpt(at), 2) => {
                self.accepted.push(at);
                true
            }
            (Await::Rcpt(at), 4 | 5) => {
                self.refuse(at, heard);
                true
            }
            (Await::Data, 3) => {
                self.data = Command::Granted;
                true
            }
            (Await::Data, 4 | 5) => {
                self.data = Command::Refused(heard.keep());
                true
            }
            _ => false,
        }
    }

    fn refuse(&mut self, at: usize, heard: &Heard<'_>) {
        if matches!(self.mail, Command::Refused(_)) {
            // The refusal of MAIL says more than that RCPT comes too early.
            return;
        }
        let reply = heard.keep();
        let says_so = reply
            .status
            .is_none_or(|Status(_, subject, detail)| (subject, detail) == (5, 3));
        let is_too_many = TOO_MANY_RECIPIENTS.contains(&reply.code) && says_so;
        let fate = match is_too_many {
            true if self.accepted.is_empty() => Fate::Deferred,
            true => Fate::Untried,
            false => refusal(&reply),
        };
        let disposition = Disposition {
            fate,
            stage: Stage::Rcpt,
            origin: Origin::Peer,
            reply,
        };
        self.resolve_one(at, disposition);
    }

    fn resolve_end(&mut self, recipient: Option<usize>, fate: Fate, reply: &Rc<Reply>) {
        match recipient {
            None => self.resolve(fate, Stage::End, Origin::Peer, reply),
            Some(at) => self.resolve_one(
                at,
                Disposition {
                    fate,
                    stage: Stage::End,
                    origin: Origin::Peer,
                    reply: reply.clone(),
                },
            ),
        }
    }
}

/// What a reply to the end of a message means; `None`: nothing.
fn fate(heard: &Heard<'_>) -> Option<Fate> {
    match heard.class() {
        2 => Some(Fate::Delivered),
        4 => Some(Fate::Deferred),
        5 => Some(Fate::Failed),
        _ => None,
    }
}

fn refusal(reply: &Reply) -> Fate {
    match reply.class() {
        5 => Fate::Failed,
        _ => Fate::Deferred,
    }
}
