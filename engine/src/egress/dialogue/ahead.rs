//! The envelope of the next letter behind the end of this one's message: a round trip for each
//! message instead of two.
//!
//! RFC 2920 §3.1 has DATA last in a group of commands, and the message itself first in the next
//! one. The replies to that envelope may come before anybody asks for them; they are kept until the
//! letter begins. What was said of a letter that never comes cannot be taken back, because the
//! server may wait for its message: the connection ends.

use super::envelope::GROUP_MAX;
use super::transaction::Await;
use super::{Break, Dialogue, Framing, Output, State};
use crate::egress::Letter;
use crate::wire::smtp::client::reply::Heard;
use std::rc::Rc;

impl Dialogue {
    /// Writes the first group of the next letter, unless it has to wait for its turn.
    pub(super) fn write_ahead(&mut self, letter: &Letter, octets: u64, out: &mut Output) {
        assert!(
            matches!(self.state, State::Body) && self.ahead.is_none(),
            "one letter goes ahead, behind a message"
        );
        if !self.is_pipelined() || self.is_spent() || self.asks_for_seven_bit(letter) {
            return;
        }
        let mut next = self.admit(letter, octets, false);
        if next.is_over() {
            return;
        }
        self.letters = self.letters.saturating_add(1);
        if next.framing == Framing::Chunk {
            // RFC 3030 §2: should this chunk be refused, what it leaves is for RSET to clear.
            out.octets.extend_from_slice(b"RSET\r\n");
            next.awaited.push_back(Await::Reset);
        }
        while next.awaited.len() < GROUP_MAX && next.write_next(&self.offer, GROUP_MAX, out) {}
        self.ahead = Some(Box::new(next));
    }

    /// Whether the letter is the one whose envelope was sent, or any will do.
    pub(in crate::egress) fn expects(&self, letter: &Letter) -> bool {
        let ahead = self.ahead.as_ref();
        ahead.is_none_or(|ahead| Rc::ptr_eq(&ahead.letter.envelope, &letter.envelope))
    }

    /// The letter whose envelope was sent goes on.
    pub(super) fn take_up(&mut self, letter: &Letter, out: &mut Output) {
        assert!(self.expects(letter), "a letter waits its turn");
        self.transaction = self.ahead.take();
        self.state = State::Envelope;
        let transaction = self.transaction.as_ref();
        match transaction.is_some_and(|transaction| transaction.awaited.is_empty()) {
            true => self.write_envelope(out),
            false => self.expect_reply(),
        }
    }

    /// A reply to the envelope of a letter that has not begun.
    pub(super) fn ahead_reply(&mut self, heard: &Heard<'_>, out: &mut Output) {
        let is_in_step = heard.code != 421
            && self.ahead.as_mut().is_some_and(|next| {
                let due = next.awaited.pop_front();
                due.is_some_and(|due| next.judge(due, heard))
            });
        if !is_in_step {
            self.disturbed(Break::OutOfStep(heard.code), out);
        }
    }
}
