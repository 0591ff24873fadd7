//! What this server can take, decided before a word is sent.
//!
//! | the letter | the server lacks | verdict |
//! |---|---|---|
//! | larger than SIZE | room | 5.3.4 (RFC 1870 §6.1) |
//! | 8-bit body | 8BITMIME | 5.6.3, unless the body is 7-bit after all (RFC 6152 §3) |
//! | binary body | BINARYMIME and CHUNKING | 5.6.3 (RFC 3030 §4.2) |
//! | SMTPUTF8, or addresses outside ASCII | SMTPUTF8 | 5.6.7 (RFC 6531 §3.2) |
//! | REQUIRETLS | REQUIRETLS | 5.7.30 (RFC 8689 §4.2) |
//! | REQUIRETLS | verified TLS | 4.7.10 |
//! | BY=…;R | DELIVERBY, or the time it needs | 5.4.7 (RFC 2852 §4) |
//! | more recipients or domains than LIMITS | | the rest untried (RFC 9422 §4) |

use super::transaction::{Command, Transaction};
use super::{Dialogue, Framing, Output, Security, State};
use crate::egress::letter::RECIPIENTS_MAX;
use crate::egress::{Disposition, Fate, Letter, Origin, Stage};
use crate::wire::smtp::client::command::{is_ascii, is_sendable};
use crate::wire::smtp::client::reply::{Reply, Status};
use crate::wire::smtp::param::ByMode;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use store::mail::address::Address;
use store::mail::envelope::BodyKind;

impl Dialogue {
    pub(super) fn begin(
        &mut self,
        letter: &Letter,
        octets: u64,
        is_seven_bit: bool,
        out: &mut Output,
    ) {
        let whole = self.target.patience.whole(octets);
        self.whole_due_ms = self.now_ms.saturating_add(super::millis(whole));
        if matches!(self.state, State::Ahead) {
            return self.take_up(letter, out);
        }
        assert!(
            matches!(self.state, State::Ready),
            "a letter waits its turn"
        );
        let transaction = self.admit(letter, octets, is_seven_bit);
        self.letters = self.letters.saturating_add(1);
        self.state = State::Envelope;
        let is_over = transaction.is_over();
        self.transaction = Some(Box::new(transaction));
        match is_over {
            true => self.settle(false, out),
            false => self.write_envelope(out),
        }
    }

    /// A transaction for those recipients that this server can have.
    pub(super) fn admit(&self, letter: &Letter, octets: u64, is_seven_bit: bool) -> Transaction {
        let mut transaction = Transaction {
            letter: letter.clone(),
            octets,
            body: self.body_param(letter.envelope.body, is_seven_bit),
            smtputf8: needs_utf8(letter),
            framing: self.framing(),
            dispositions: vec![None; letter.envelope.recipients.len()],
            next: 0,
            accepted: Vec::new(),
            awaited: VecDeque::new(),
            mail: Command::Unsaid,
            data: Command::Unsaid,
            is_answered: false,
        };
        if let Some((fate, reply)) = self.refusal(letter, octets, is_seven_bit) {
            transaction.resolve(fate, Stage::Mail, Origin::Us, &reply);
        }
        self.sift(&mut transaction);
        transaction
    }

    /// Whether a look at the body decides if this server can have it.
    pub(in crate::egress) fn asks_for_seven_bit(&self, letter: &Letter) -> bool {
        letter.envelope.body == BodyKind::EightBitMime && !self.offer.eight_bit_mime
    }

    pub(super) fn framing(&self) -> Framing {
        match self.offer.chunking && self.target.chunking {
            true => Framing::Chunk,
            false => Framing::Stuffed,
        }
    }

    fn body_param(&self, body: BodyKind, is_seven_bit: bool) -> Option<BodyKind> {
        match body {
            BodyKind::SevenBit => None,
            BodyKind::EightBitMime if is_seven_bit => None,
            other => Some(other),
        }
    }

    /// Why this server cannot have the letter at all.
    fn refusal(
        &self,
        letter: &Letter,
        octets: u64,
        is_seven_bit: bool,
    ) -> Option<(Fate, Rc<Reply>)> {
        let failed = |code, status, text| Some((Fate::Failed, Reply::own(code, status, text)));
        let envelope = &letter.envelope;
        let sender = envelope.reverse_path.as_ref();
        if sender.is_some_and(|sender| !is_sendable(sender)) {
            return failed(553, Status(5, 1, 7), "the sender's address cannot be sent");
        }
        if self.offer.size_max.is_some_and(|max| octets > max) {
            let text = format!("a message of {octets} octets is larger than the next hop takes");
            return failed(552, Status(5, 3, 4), &text);
        }
        if let Some(text) = self.lacks_time(letter) {
            return failed(554, Status(5, 4, 7), text);
        }
        let is_notice = sender.is_none();
        if letter.require_tls && !is_notice {
            if self.security != (Security::Encrypted { is_verified: true }) {
                let reply = Reply::own(450, Status(4, 7, 10), "REQUIRETLS needs verified TLS");
                return Some((Fate::Deferred, reply));
            }
            if !self.offer.require_tls {
                return failed(
                    550,
                    Status(5, 7, 30),
                    "the next hop does not offer REQUIRETLS",
                );
            }
        }
        let has_binary = self.offer.binary_mime && self.framing() == Framing::Chunk;
        match envelope.body {
            BodyKind::BinaryMime if !has_binary => {
                return failed(
                    554,
                    Status(5, 6, 3),
                    "the next hop does not take binary messages",
                );
            }
            BodyKind::EightBitMime if !self.offer.eight_bit_mime && !is_seven_bit => {
                return failed(
                    554,
                    Status(5, 6, 3),
                    "the next hop does not take 8-bit messages",
                );
            }
            _ => {}
        }
        let is_foreign = envelope.smtputf8 || sender.is_some_and(|sender| !is_ascii(sender));
        if is_foreign && !self.offer.smtputf8 {
            return failed(553, Status(5, 6, 7), "the next hop does not take SMTPUTF8");
        }
        None
    }

    /// RFC 2852 §4: what must not be late goes to nobody who does not promise that.
    fn lacks_time(&self, letter: &Letter) -> Option<&'static str> {
        let by = letter.by.filter(|by| by.mode == ByMode::Return)?;
        match self.offer.deliver_by_secs_min {
            _ if by.secs <= 0 => Some("the time to deliver it is over (DELIVERBY)"),
            // RFC 2033: its yes is the delivery.
            _ if self.is_lmtp() => None,
            None => Some("the next hop does not promise to deliver in time (DELIVERBY)"),
            Some(least) if i64::from(by.secs) < i64::try_from(least).unwrap_or(i64::MAX) => {
                Some("the next hop needs more time than is left (DELIVERBY)")
            }
            Some(_) => None,
        }
    }

    /// Takes out the recipients that cannot be said, and those that are too many.
    fn sift(&self, transaction: &mut Transaction) {
        let envelope = transaction.letter.envelope.clone();
        let limits = self.offer.limits;
        let most = |max: Option<u32>| max.map_or(usize::MAX, |max| max as usize);
        let rcpt_max = most(limits.rcpt_max).min(RECIPIENTS_MAX);
        let domains_max = most(limits.rcpt_domain_max);
        let (mut count, mut domains) = (0, BTreeSet::new());
        for (at, recipient) in envelope.recipients.iter().enumerate() {
            if transaction.is_resolved(at) {
                continue;
            }
            if let Some(disposition) = self.unsendable(&recipient.address) {
                transaction.resolve_one(at, disposition);
                continue;
            }
            let domain = recipient.address.domain.as_str();
            let is_room = count < rcpt_max
                && (domains_max == usize::MAX
                    || domains.contains(domain)
                    || domains.len() < domains_max);
            match is_room {
                true => {
                    count += 1;
                    if domains_max != usize::MAX {
                        domains.insert(domain);
                    }
                }
                false => transaction.resolve_one(at, untried()),
            }
        }
    }

    fn unsendable(&self, address: &Address) -> Option<Disposition> {
        let (status, text) = if !is_sendable(address) {
            (Status(5, 1, 3), "the address cannot be sent")
        } else if !is_ascii(address) && !self.offer.smtputf8 {
            (Status(5, 6, 7), "the next hop does not take SMTPUTF8")
        } else {
            return None;
        };
        Some(Disposition {
            fate: Fate::Failed,
            stage: Stage::Rcpt,
            origin: Origin::Us,
            reply: Reply::own(553, status, text),
        })
    }
}

fn needs_utf8(letter: &Letter) -> bool {
    let envelope = &letter.envelope;
    let recipients = envelope
        .recipients
        .iter()
        .map(|recipient| &recipient.address);
    let mut addresses = recipients.chain(envelope.reverse_path.as_ref());
    envelope.smtputf8 || addresses.any(|address| !is_ascii(address))
}

/// More recipients than the server announces to take.
fn untried() -> Disposition {
    Disposition {
        fate: Fate::Untried,
        stage: Stage::Rcpt,
        origin: Origin::Us,
        reply: Reply::own(
            452,
            Status(4, 5, 3),
            "the next hop takes fewer recipients a message",
        ),
    }
}
