//! DATA and BDAT: the message (RFC 5321 §4.1.1.4, RFC 3030).
//!
//! The message is read to its true end whatever happens, so that no octet of it is ever taken for a
//! command; a refusal is said there. What is refused goes no further than the octets that the
//! driver has already got, which it drops when the transaction ends.

use super::action::{Action, Commit, Kind, Output, Verdicts};
use super::settings::SWALLOW_BYTES_MAX;
use super::terms::Terms;
use super::transaction::{Body, End, Transaction};
use super::watch::HeaderWatch;
use super::{Chunk, Pending, Session, State};
use crate::wire::smtp::data::{BodyReceiver, Framing};
use crate::wire::smtp::reply::{self, Reply, Verdict};
use store::mail::envelope::BodyKind;

impl Session {
    pub(super) fn data(&mut self, out: &mut Output) {
        let transaction = match self.complete_envelope() {
            Ok(transaction) if transaction.is_chunked() => Err(reply::CHUNKS_BEGUN),
            // RFC 3030 §3: lines cannot carry it.
            Ok(tx) if tx.envelope.body == BodyKind::BinaryMime => Err(reply::BINARY_NEEDS_BDAT),
            other => other,
        };
        match transaction {
            Ok(transaction) => {
                let octets_hint = transaction.octets_hint;
                self.pending = Some(Pending::Data);
                out.action = Some(Action::BeginBody { octets_hint });
            }
            Err(reply) => self.blame(reply, out),
        }
    }

    fn complete_envelope(&self) -> Result<&Transaction, Reply> {
        match &self.transaction {
            None => Err(reply::MAIL_FIRST),
            Some(tx) if tx.envelope.recipients.is_empty() => Err(reply::RECIPIENT_FIRST),
            Some(transaction) => Ok(transaction),
        }
    }

    pub(super) fn data_settled(&mut self, verdict: Verdict, out: &mut Output) {
        match verdict {
            Ok(()) => {
                self.begin_body(Framing::Stuffed);
                self.state = State::Data;
                out.say(reply::GO_AHEAD);
            }
            Err(reply) => {
                self.fail(reply, out);
                out.say(reply);
            }
        }
    }

    fn begin_body(&mut self, framing: Framing) {
        let settings = &self.settings;
        if let Some(transaction) = &mut self.transaction {
            transaction.body = Some(Body {
                receiver: BodyReceiver::new(
                    framing,
                    settings.bare_line_ends,
                    settings.message_octets_max,
                ),
                watch: HeaderWatch::for_campaign(
                    // Who is not logged in names nobody's campaigns.
                    settings
                        .campaign_field
                        .as_deref()
                        .filter(|_| self.login.is_some()),
                ),
                taken: 0,
                chunked: framing != Framing::Stuffed,
            });
        }
    }

    pub(super) fn feed_data(&mut self, bytes: &[u8], out: &mut Output) -> usize {
        let (taken, ended) = self.receive(bytes, out);
        if ended {
            self.state = State::Command;
            self.end_of_data(out);
        } else if self.is_endless() {
            self.close(reply::ENDLESS_MESSAGE, out);
        }
        taken
    }

    fn receive(&mut self, bytes: &[u8], out: &mut Output) -> (usize, bool) {
        let Some(body) = self.transaction.as_mut().and_then(|tx| tx.body.as_mut()) else {
            return (bytes.len(), false);
        };
        let before = out.body.len();
        let (taken, ended) = body.receiver.feed(bytes, &mut out.body);
        body.watch.feed(out.body.get(before..).unwrap_or_default());
        body.taken += taken as u64;
        (taken, ended)
    }

    fn is_endless(&self) -> bool {
        let body = self.transaction.as_ref().and_then(|tx| tx.body.as_ref());
        let octets_max = self
            .settings
            .message_octets_max
            .saturating_add(SWALLOW_BYTES_MAX);
        body.is_some_and(|body| body.taken > octets_max)
    }

    pub(super) fn bdat(&mut self, octets: u64, last: bool, out: &mut Output) {
        let octets_max = self.settings.message_octets_max;
        if octets > octets_max.saturating_add(SWALLOW_BYTES_MAX) {
            // Nobody is going to read that to its end to say no.
            return self.close(reply::ENDLESS_MESSAGE, out);
        }
        let (body, octets_hint) = match self.complete_envelope() {
            Ok(tx) => (tx.body.as_ref(), tx.octets_hint.or(last.then_some(octets))),
            Err(refusal) => return self.misplaced_chunk(octets, last, refusal, out),
        };
        let before = body.map_or(0, |body| body.receiver.octets());
        if before.saturating_add(octets) > octets_max {
            self.refuse_chunk(octets, last, reply::TOO_LARGE, out);
        } else if body.is_some() {
            self.chunk(octets, last, None, out);
        } else {
            self.pending = Some(Pending::Chunk { octets, last });
            out.action = Some(Action::BeginBody { octets_hint });
        }
    }

    pub(super) fn chunk_settled(
        &mut self,
        octets: u64,
        last: bool,
        verdict: Verdict,
        out: &mut Output,
    ) {
        match verdict {
            Ok(()) => {
                let kind = self.envelope().map(|envelope| envelope.body);
                self.begin_body(match kind {
                    Some(BodyKind::BinaryMime) => Framing::Octets,
                    _ => Framing::Lines,
                });
                self.chunk(octets, last, None, out);
            }
            Err(reply) => self.refuse_chunk(octets, last, reply, out),
        }
    }

    /// RFC 3030 §2: the octets come whatever is answered, and are read.
    fn misplaced_chunk(&mut self, octets: u64, last: bool, refusal: Reply, out: &mut Output) {
        self.errors += 1;
        if self.errors >= self.settings.errors_max {
            return self.close(reply::TOO_MANY_ERRORS, out);
        }
        self.chunk(octets, last, Some((refusal, 1)), out);
    }

    fn refuse_chunk(&mut self, octets: u64, last: bool, refusal: Reply, out: &mut Output) {
        let told = if last { self.recipients() } else { 1 };
        self.fail(refusal, out);
        self.chunk(octets, last, Some((refusal, told)), out);
    }

    fn chunk(&mut self, left: u64, last: bool, refusal: Option<(Reply, usize)>, out: &mut Output) {
        let chunk = Chunk {
            left,
            last,
            refusal,
        };
        self.state = State::Chunk(chunk);
        if left == 0 {
            self.end_of_chunk(chunk, out);
        }
    }

    pub(super) fn feed_chunk(&mut self, bytes: &[u8], out: &mut Output) -> usize {
        let State::Chunk(mut chunk) = self.state else {
            return 0;
        };
        let taken = bytes
            .len()
            .min(usize::try_from(chunk.left).unwrap_or(usize::MAX));
        if chunk.refusal.is_none() {
            self.receive(bytes.get(..taken).unwrap_or_default(), out);
        }
        chunk.left -= taken as u64;
        self.state = State::Chunk(chunk);
        if chunk.left == 0 {
            self.end_of_chunk(chunk, out);
        }
        taken
    }

    fn end_of_chunk(&mut self, chunk: Chunk, out: &mut Output) {
        self.state = State::Command;
        let body = self.transaction.as_ref().and_then(|tx| tx.body.as_ref());
        let fault = body.and_then(|body| body.receiver.fault());
        match (chunk.refusal, fault) {
            (Some((refusal, told)), _) => {
                self.say_each(told, &Verdicts::All(Err(refusal)), "", out);
            }
            (None, _) if chunk.last => self.end_of_data(out),
            // RFC 3030 §2: a chunk that fails ends the transaction.
            (None, Some(fault)) => {
                self.fail(fault, out);
                out.say(fault);
            }
            (None, None) => out.say(reply::CHUNK_OK),
        }
    }

    /// All octets are here: refuse or hand over.
    fn end_of_data(&mut self, out: &mut Output) {
        match self.judge_body() {
            Ok(octets) => self.commit(octets, out),
            Err(refusal) => {
                let recipients = self.recipients();
                self.fail(refusal, out);
                self.say_each(recipients, &Verdicts::All(Err(refusal)), "", out);
            }
        }
    }

    fn judge_body(&mut self) -> Result<u64, Reply> {
        let transaction = self.transaction.as_mut().ok_or(reply::LOCAL_ERROR)?;
        let body = transaction.body.as_mut().ok_or(reply::LOCAL_ERROR)?;
        let octets = body.receiver.finish()?;
        let recipients = &transaction.envelope.recipients;
        // A final delivery agent may be given its own Delivered-To by the host before it; LMTP
        // hands nothing on, so only hops count there.
        let was_here = self.kind != Kind::Lmtp
            && recipients
                .iter()
                .any(|recipient| body.watch.was_delivered_to(&recipient.address));
        if body.watch.hops() > self.settings.hops_max {
            return Err(reply::TOO_MANY_HOPS);
        }
        if was_here {
            return Err(reply::MAIL_LOOP);
        }
        Ok(octets)
    }

    fn commit(&mut self, octets: u64, out: &mut Output) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let recipients = transaction.envelope.recipients.len();
        // Only a submission is completed; what others hand on stays as it is (RFC 6409 §8).
        let body = transaction.body.as_ref();
        let is_optional = body.is_some_and(|body| body.watch.is_tls_optional());
        let missing = body.filter(|_| self.kind == Kind::Submission);
        let campaign = body
            .and_then(|body| body.watch.campaign())
            .map(str::to_owned);
        let missing = missing.map(|body| body.watch.missing()).unwrap_or_default();
        let envelope = std::mem::take(&mut transaction.envelope);
        // What the summary is going to say.
        transaction.envelope.reverse_path = envelope.reverse_path.clone();
        if let [only] = envelope.recipients.as_slice() {
            transaction.envelope.recipients.push(only.clone());
        }
        let terms = Terms {
            tls_optional: is_optional && !transaction.terms.require_tls,
            ..transaction.terms
        };
        let elapsed_ms = self.now_ms.saturating_sub(transaction.started_ms);
        self.pending = Some(Pending::Commit { recipients });
        out.action = Some(Action::Commit(Box::new(Commit {
            envelope,
            terms,
            elapsed_ms,
            octets,
            missing,
            campaign,
        })));
    }

    pub(super) fn committed(
        &mut self,
        recipients: usize,
        queue_id: String,
        verdicts: &Verdicts,
        out: &mut Output,
    ) {
        self.say_each(recipients, verdicts, &queue_id, out);
        self.messages += 1;
        let end = match verdicts.joined() {
            Ok(()) => End::Accepted,
            Err(reply) => End::Refused(reply),
        };
        if end == End::Accepted {
            self.errors = 0;
        }
        if let Some(transaction) = self.transaction.take() {
            self.conclude(transaction, end, Some(queue_id), out);
            if let Some(summary) = &mut out.ended {
                summary.recipients = recipients;
            }
        }
    }

    /// RFC 2033 §4.2: LMTP answers once for each recipient, SMTP once.
    fn say_each(&self, recipients: usize, verdicts: &Verdicts, queue_id: &str, out: &mut Output) {
        match self.kind {
            Kind::Smtp | Kind::Submission => say_verdict(verdicts.joined(), queue_id, out),
            Kind::Lmtp => {
                for position in 0..recipients {
                    say_verdict(verdicts.of(position), queue_id, out);
                }
            }
        }
    }

    fn recipients(&self) -> usize {
        self.envelope()
            .map_or(0, |envelope| envelope.recipients.len())
    }

    fn fail(&mut self, refusal: Reply, out: &mut Output) {
        if let Some(transaction) = self.transaction.take() {
            self.conclude(transaction, End::Refused(refusal), None, out);
        }
    }
}

fn say_verdict(verdict: Verdict, queue_id: &str, out: &mut Output) {
    match verdict {
        Ok(()) => {
            out.say_text("250 2.0.0 OK queued as ");
            out.say_text(queue_id);
            out.say_text("\r\n");
        }
        Err(reply) => out.say(reply),
    }
}
