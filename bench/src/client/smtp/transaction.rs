//! One message: envelope, content, answers, and how long each took.

use super::{Dialect, Pipelining, Session, Settings};
use crate::client::{Client, Delivered, NotOpened, Then};
use crate::load::corpus::Framing;
use crate::load::pace::Ticket;
use crate::measure::answer::Answer;
use crate::measure::histogram::Step;
use crate::measure::ledger::Fate;
use engine::reactor::clock::monotonic_micros;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::time::Duration;

/// What the replies to an envelope came to.
struct Envelope {
    taken: usize,
    /// Why nobody gets it.
    refusal: Option<Answer>,
    /// The server waits for the message (354).
    awaits: bool,
}

impl Client for Session {
    type Settings = Settings;

    fn patience(settings: &Settings) -> Duration {
        settings.patience
    }

    async fn open(settings: &Arc<Settings>, number: u32) -> Result<Session, NotOpened> {
        Session::introduce(settings, number)
            .await
            .map(|(session, _)| session)
    }

    fn chains(&self) -> bool {
        self.settings.pipelining == Pipelining::Chain
            && self.is_grouped()
            && self.settings.corpus.framing() == Framing::Data
    }

    async fn deliver<F>(&mut self, ticket: Ticket, announced: bool, then: Then<F>) -> Delivered
    where
        F: FnOnce() -> Option<Ticket>,
    {
        self.stream.set_patience(self.settings.patience);
        let mut delivered = Delivered::unbegun();
        let ended = match self.settings.corpus.framing() {
            Framing::Data => self.by_data(ticket, announced, then, &mut delivered).await,
            Framing::Chunk => self.by_chunk(ticket, &mut delivered).await,
        };
        match ended {
            Ok(answer) => {
                delivered.answer = answer;
                delivered.end_micros = self.replies.heard_micros;
                // RFC 5321 §3.8: the server closes the connection.
                delivered.is_open &= answer.code() != 421;
                if !answer.is_positive() {
                    (delivered.fate, delivered.octets) = (Fate::Declined, 0);
                }
            }
            Err(error) => {
                delivered.answer = Answer::from(&error);
                delivered.end_micros = monotonic_micros();
                (delivered.is_open, delivered.octets) = (false, 0);
            }
        }
        delivered
    }

    fn marks(&mut self) -> &mut Vec<(Step, u64)> {
        &mut self.marks
    }

    fn declined(&self, ticket: Ticket) -> Vec<u32> {
        if !self.taken.contains(&false) {
            return Vec::new();
        }
        let recipients = self.settings.recipients(ticket.number).zip(&self.taken);
        recipients
            .filter_map(|(account, taken)| (!taken).then_some(account))
            .collect()
    }

    /// Waits for the answer (RFC 5321 §4.1.1.10).
    async fn quit(mut self, is_said: bool) {
        self.stream
            .set_patience(FAREWELL_MAX.min(self.settings.patience));
        // Whoever has gone already needs no goodbye.
        if is_said || self.send(b"QUIT\r\n").await.is_ok() {
            let _ = self.replies.next(&mut self.stream).await;
        }
    }
}

impl Session {
    async fn by_data<F>(
        &mut self,
        ticket: Ticket,
        announced: bool,
        then: Then<F>,
        delivered: &mut Delivered,
    ) -> io::Result<Answer>
    where
        F: FnOnce() -> Option<Ticket>,
    {
        let envelope = self.envelope(ticket, announced).await?;
        if let Some(refusal) = envelope.refusal {
            self.give_up(envelope.awaits).await?;
            return Ok(refusal);
        }
        let settings = self.settings.clone();
        self.out.clear();
        let (number, start) = (ticket.number, ticket.start_micros);
        let sender = settings.sender_of(self.login);
        let corpus = &settings.corpus;
        let letter = corpus.write_head(number, start, sender, &mut self.out);
        let head = self.out.len();
        match then {
            Then::Quit if self.is_grouped() => {
                self.out.extend_from_slice(b"QUIT\r\n");
                delivered.said_quit = true;
            }
            Then::Next(next) => {
                delivered.next = next();
                if let Some(next) = delivered.next {
                    self.write_envelope(&settings, next.number);
                }
            }
            Then::Quit | Then::Nothing => {}
        }
        delivered.fate = Fate::Unanswered;
        let (head, behind) = self.out.split_at(head);
        let mut slices = [head, letter.wire, behind].map(IoSlice::new);
        self.stream.send(&mut slices).await?;
        let sent = monotonic_micros();
        delivered.octets = letter.octets;
        let answer = self.acknowledgement(envelope.taken).await?;
        self.mark(Step::Ack, sent, self.replies.heard_micros);
        delivered.fate = Fate::Acknowledged;
        Ok(answer)
    }

    async fn by_chunk(&mut self, ticket: Ticket, delivered: &mut Delivered) -> io::Result<Answer> {
        let settings = self.settings.clone();
        let sender = settings.sender_of(self.login);
        let corpus = &settings.corpus;
        if !self.is_grouped() {
            let envelope = self.envelope(ticket, false).await?;
            if let Some(refusal) = envelope.refusal {
                self.give_up(false).await?;
                return Ok(refusal);
            }
        }
        self.out.clear();
        if self.is_grouped() {
            self.write_envelope(&settings, ticket.number);
        }
        let octets = corpus.octets(ticket.number, sender);
        // Into memory: it cannot fail.
        let _ = write!(self.out, "BDAT {octets} LAST\r\n");
        let (number, start) = (ticket.number, ticket.start_micros);
        let letter = corpus.write_head(number, start, sender, &mut self.out);
        delivered.fate = Fate::Unanswered;
        let mut slices = [&self.out[..], letter.wire].map(IoSlice::new);
        self.stream.send(&mut slices).await?;
        let sent = monotonic_micros();
        delivered.octets = letter.octets;
        let (mut refusal, mut taken) = (None, self.taken_count());
        if self.is_grouped() {
            let envelope = self.envelope_replies(ticket, sent).await?;
            (refusal, taken) = (envelope.refusal, envelope.taken);
        }
        let answer = self.acknowledgement(taken).await?;
        self.mark(Step::Ack, sent, self.replies.heard_micros);
        delivered.fate = Fate::Acknowledged;
        if refusal.is_some() || !answer.is_positive() {
            self.give_up(false).await?;
        }
        Ok(refusal.unwrap_or(answer))
    }

    /// MAIL, RCPT and, but for chunks, DATA.
    async fn envelope(&mut self, ticket: Ticket, announced: bool) -> io::Result<Envelope> {
        let began = match announced {
            true => self.replies.heard_micros,
            false => monotonic_micros(),
        };
        if self.is_grouped() && !announced {
            let settings = self.settings.clone();
            self.out.clear();
            self.write_envelope(&settings, ticket.number);
            self.send_out().await?;
        }
        let mut envelope = self.envelope_replies(ticket, began).await?;
        if self.settings.corpus.framing() == Framing::Chunk {
            return Ok(envelope);
        }
        if !self.is_grouped() {
            if envelope.refusal.is_some() {
                return Ok(envelope);
            }
            self.send(b"DATA\r\n").await?;
        }
        let before = self.replies.heard_micros;
        let answer = self.replies.next(&mut self.stream).await?;
        envelope.awaits = answer.code() == 354;
        if envelope.awaits {
            self.mark(Step::Data, before, self.replies.heard_micros);
        } else {
            envelope.refusal.get_or_insert(answer);
        }
        Ok(envelope)
    }

    /// The replies to MAIL and RCPT; without pipelining it sends them, too.
    async fn envelope_replies(&mut self, ticket: Ticket, began: u64) -> io::Result<Envelope> {
        let settings = self.settings.clone();
        let grouped = self.is_grouped();
        if !grouped {
            self.out.clear();
            self.write_mail(&settings, ticket.number);
            self.send_out().await?;
        }
        let answer = self.replies.next(&mut self.stream).await?;
        self.mark(Step::Mail, began, self.replies.heard_micros);
        let mut refusal = (!answer.is_positive()).then_some(answer);
        let asks = grouped || refusal.is_none();
        let before = self.replies.heard_micros;
        self.taken.clear();
        let mut first_refused = None;
        for account in settings.recipients(ticket.number).take_while(|_| asks) {
            if !grouped {
                self.out.clear();
                write_rcpt(settings.accounts.name(account), &mut self.out);
                self.send_out().await?;
            }
            let answer = self.replies.next(&mut self.stream).await?;
            self.taken.push(answer.is_positive());
            if !answer.is_positive() {
                first_refused.get_or_insert(answer);
            }
        }
        let taken = self.taken_count();
        if asks {
            self.mark(Step::Rcpt, before, self.replies.heard_micros);
        }
        if taken == 0 && refusal.is_none() {
            refusal = first_refused;
        }
        Ok(Envelope {
            taken,
            refusal,
            awaits: false,
        })
    }

    /// The answers to a whole message: LMTP gives one for each recipient that was taken (RFC 2033
    /// §4.2).
    async fn acknowledgement(&mut self, taken: usize) -> io::Result<Answer> {
        if self.settings.dialect == Dialect::Smtp || taken == 0 {
            return self.replies.next(&mut self.stream).await;
        }
        let (mut positive, mut negative) = (None, None);
        for at in 0..self.taken.len() {
            if self.taken.get(at) != Some(&true) {
                continue;
            }
            let answer = self.replies.next(&mut self.stream).await?;
            match answer.is_positive() {
                true => positive = Some(answer),
                false => {
                    negative.get_or_insert(answer);
                    if let Some(taken) = self.taken.get_mut(at) {
                        *taken = false;
                    }
                }
            }
        }
        let answer = positive.or(negative);
        answer.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Leaves a transaction that nobody takes.
    async fn give_up(&mut self, awaits: bool) -> io::Result<()> {
        if awaits {
            // RFC 2920 §3.1: DATA may succeed without a recipient; an empty message follows.
            self.ask(b".\r\n").await?;
        }
        self.ask(b"RSET\r\n").await?;
        Ok(())
    }

    fn write_envelope(&mut self, settings: &Settings, number: u64) {
        self.write_mail(settings, number);
        for account in settings.recipients(number) {
            write_rcpt(settings.accounts.name(account), &mut self.out);
        }
        if settings.corpus.framing() == Framing::Data {
            self.out.extend_from_slice(b"DATA\r\n");
        }
    }

    fn write_mail(&mut self, settings: &Settings, number: u64) {
        let sender = settings.sender_of(self.login);
        self.out.extend_from_slice(b"MAIL FROM:<");
        self.out.extend_from_slice(sender.as_bytes());
        self.out.push(b'>');
        if self.offer.size {
            let octets = settings.corpus.octets(number, sender);
            let mut digits = itoa::Buffer::new();
            self.out.extend_from_slice(b" SIZE=");
            self.out.extend_from_slice(digits.format(octets).as_bytes());
        }
        if self.offer.eight_bit && settings.corpus.is_eight_bit() {
            self.out.extend_from_slice(b" BODY=8BITMIME");
        }
        self.out.extend_from_slice(b"\r\n");
    }

    async fn send_out(&mut self) -> io::Result<()> {
        self.stream.send(&mut [IoSlice::new(&self.out)]).await
    }

    fn is_grouped(&self) -> bool {
        self.settings.pipelining != Pipelining::None && self.offer.pipelining
    }

    fn taken_count(&self) -> usize {
        self.taken.iter().filter(|taken| **taken).count()
    }
}

impl Settings {
    fn sender_of(&self, login: u32) -> &str {
        match self.password {
            Some(_) => self.logins.name(login),
            None => &self.sender,
        }
    }

    /// The accounts that a message is for.
    pub(crate) fn recipients(&self, number: u64) -> crate::load::fanout::Recipients {
        self.fanout.of(self.seed, number, self.accounts.len())
    }
}

/// How long a server may take to say goodbye.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

fn write_rcpt(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RCPT TO:<");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b">\r\n");
}
