//! One connection of a sink: SMTP or LMTP, pipelined, DATA and BDAT, in clear or under TLS.
//!
//! ```text
//! Command ──DATA──► Message ──end of data──► judgement ──► Command
//!    │  └──BDAT n──► Chunk(n) ──LAST──┘
//!    └──STARTTLS──► handshake ──► Command
//! ```

use super::cover::Cover;
use super::plan::Verdict;
use super::{MESSAGE_BYTES_MAX, Sink};
use crate::client::smtp::Dialect;
use engine::reactor::{Socket, sleep};
use engine::tls::Stream;
use engine::wire::smtp::data::{BareLineEnds, BodyReceiver, Framing};
use engine::wire::smtp::line::LineReceiver;
use std::io;
use std::time::Duration;

/// What the next octets are.
enum Awaits {
    Command,
    Message(Box<BodyReceiver>),
    /// Octets that are left of a chunk, and whether it is the last one.
    Chunk(u64, bool),
}

struct Dialogue<'a> {
    sink: &'a Sink,
    stream: Stream,
    awaits: Awaits,
    lines: LineReceiver,
    /// Replies that go out when there is nothing left to read.
    out: Vec<u8>,
    message: Vec<u8>,
    accounts: Vec<u32>,
    has_sender: bool,
}

/// What the connection does after some octets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    /// A whole message is there.
    Judge,
    /// The handshake comes next.
    Shake,
    /// It was told goodbye.
    End,
    /// It ends without a word.
    Break,
}

/// Serves one connection to its end.
pub(super) async fn converse(sink: &Sink, socket: Socket) -> io::Result<()> {
    let mut stream = Stream::plain(socket);
    if sink.settings.is_mute {
        return hear_out(&mut stream).await;
    }
    if let Cover::Implicit(context) = &sink.settings.cover {
        stream = sink.note_shaken(stream.start_tls(context).await)?;
    }
    let mut dialogue = Dialogue {
        sink,
        stream,
        awaits: Awaits::Command,
        lines: LineReceiver::default(),
        out: b"220 sink.ringpost.invalid ESMTP\r\n".to_vec(),
        message: Vec::new(),
        accounts: Vec::new(),
        has_sender: false,
    };
    loop {
        dialogue.flush().await?;
        // Made anew, so that nobody holds memory while he waits.
        let mut received = Vec::new();
        if dialogue.stream.recv(&mut received, TAKEN_BYTES).await? == 0 {
            return Ok(());
        }
        match (dialogue.take(&received).await?, &sink.settings.cover) {
            (Go::Shake, Cover::Start(context)) => {
                dialogue.flush().await?;
                let shaken = dialogue.stream.start_tls(context).await;
                dialogue.stream = sink.note_shaken(shaken)?;
            }
            (Go::End, _) => {
                dialogue.flush().await?;
                if dialogue.stream.is_tls() {
                    dialogue.stream.close().await;
                }
                return Ok(());
            }
            (Go::Break, _) => return Ok(()),
            _ => {}
        }
    }
}

impl Dialogue<'_> {
    /// Takes all of what was received, or what stands before the end of the connection or a
    /// handshake: what came in clear behind STARTTLS is forgotten (RFC 3207 §4.2).
    async fn take(&mut self, received: &[u8]) -> io::Result<Go> {
        let mut rest = received;
        while !rest.is_empty() {
            let (taken, mut go) = self.step(rest);
            rest = rest.get(taken..).unwrap_or_default();
            if go == Go::Judge {
                go = self.judge().await?;
            }
            if go != Go::On {
                return Ok(go);
            }
        }
        Ok(Go::On)
    }

    /// Takes some octets: how many, and what follows from them.
    fn step(&mut self, octets: &[u8]) -> (usize, Go) {
        match &mut self.awaits {
            Awaits::Command => {
                let (taken, line) = self.lines.feed(octets);
                // Borrowed from the receiver or from `octets`; commands are short.
                let line = line.map(|line| line.map(<[u8]>::to_vec));
                let go = match line {
                    None => Go::On,
                    Some(Ok(line)) => self.command(&line),
                    Some(Err(_)) => self.say(b"500 5.5.2 what?\r\n"),
                };
                (taken, go)
            }
            Awaits::Message(receiver) => {
                let (taken, is_whole) = receiver.feed(octets, &mut self.message);
                if !is_whole {
                    return (taken, Go::On);
                }
                self.awaits = Awaits::Command;
                (taken, Go::Judge)
            }
            Awaits::Chunk(left, is_last) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let piece = octets.get(..most).unwrap_or(octets);
                self.message.extend_from_slice(piece);
                *left -= piece.len() as u64;
                if *left > 0 {
                    return (piece.len(), Go::On);
                }
                let go = match *is_last {
                    true => Go::Judge,
                    false => Go::On,
                };
                self.awaits = Awaits::Command;
                if go == Go::On {
                    self.say(b"250 2.0.0 go on\r\n");
                }
                (piece.len(), go)
            }
        }
    }

    fn command(&mut self, line: &[u8]) -> Go {
        let verb = line.split(|octet| *octet == b' ').next();
        let verb = verb.unwrap_or_default().to_ascii_uppercase();
        match verb.as_slice() {
            b"EHLO" | b"LHLO" => self.hello(),
            b"STARTTLS" if self.offers_tls() => {
                self.reset();
                self.say(b"220 2.0.0 go on\r\n");
                Go::Shake
            }
            b"HELO" => self.say(b"250 sink.ringpost.invalid\r\n"),
            b"MAIL" => {
                self.reset();
                self.has_sender = true;
                self.say(b"250 2.1.0 ok\r\n")
            }
            b"RCPT" if self.has_sender => {
                if self.accounts.len() >= RECIPIENTS_MAX {
                    return self.say(b"452 4.5.3 enough\r\n");
                }
                self.accounts.push(self.account(line));
                self.say(b"250 2.1.5 ok\r\n")
            }
            b"DATA" if !self.accounts.is_empty() => {
                let receiver =
                    BodyReceiver::new(Framing::Stuffed, BareLineEnds::Reject, MESSAGE_BYTES_MAX);
                self.awaits = Awaits::Message(Box::new(receiver));
                self.say(b"354 go on\r\n")
            }
            b"BDAT" => self.chunk(line),
            b"RSET" => {
                self.reset();
                self.say(b"250 2.0.0 ok\r\n")
            }
            b"NOOP" => self.say(b"250 2.0.0 ok\r\n"),
            b"QUIT" => {
                self.say(b"221 2.0.0 bye\r\n");
                Go::End
            }
            b"RCPT" | b"DATA" => self.say(b"503 5.5.1 not now\r\n"),
            _ => self.say(b"502 5.5.1 what?\r\n"),
        }
    }

    fn chunk(&mut self, line: &[u8]) -> Go {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_ascii_whitespace().skip(1);
        let octets = words.next().and_then(|word| word.parse::<u64>().ok());
        let is_last = words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let so_far = self.message.len() as u64;
        match octets {
            // The octets come anyway and cannot be told from commands.
            _ if self.accounts.is_empty() => {
                self.say(b"503 5.5.1 nobody to send to\r\n");
                Go::End
            }
            Some(octets) if octets.saturating_add(so_far) <= MESSAGE_BYTES_MAX => {
                self.awaits = Awaits::Chunk(octets, is_last);
                match octets {
                    0 => self.step(b"").1,
                    _ => Go::On,
                }
            }
            _ => {
                self.say(b"552 5.3.4 too large\r\n");
                Go::End
            }
        }
    }

    fn hello(&mut self) -> Go {
        self.say(HELLO);
        if self.offers_tls() {
            self.say(b"250-STARTTLS\r\n");
        }
        self.say(b"250 ENHANCEDSTATUSCODES\r\n")
    }

    fn offers_tls(&self) -> bool {
        matches!(self.sink.settings.cover, Cover::Start(_)) && !self.stream.is_tls()
    }

    /// Answers a whole message.
    async fn judge(&mut self) -> io::Result<Go> {
        let verdict = self.sink.judge.borrow_mut().next();
        let wait = self.sink.wait_micros();
        if wait > 0 {
            self.flush().await?;
            sleep(Duration::from_micros(wait)).await;
        }
        let octets = self.message.len();
        let go = match verdict {
            Verdict::Defer => {
                self.sink
                    .look(|record| record.count(octets, |c| &mut c.deferred));
                self.answer(b"452 4.3.1 later\r\n");
                Go::On
            }
            Verdict::Reject => {
                self.sink
                    .look(|record| record.count(octets, |c| &mut c.refused));
                self.answer(b"550 5.7.1 no\r\n");
                Go::On
            }
            Verdict::Reset | Verdict::Stall => {
                self.sink
                    .look(|record| record.count(octets, |c| &mut c.unanswered));
                self.end_badly(verdict).await?;
                Go::Break
            }
            _ => {
                self.accept(verdict).await?;
                Go::On
            }
        };
        self.reset();
        Ok(go)
    }

    async fn accept(&mut self, verdict: Verdict) -> io::Result<()> {
        let times = match verdict {
            Verdict::Lose => 0,
            Verdict::Double => 2,
            _ => 1,
        };
        if verdict == Verdict::Alter
            && let Some(octet) = self.message.iter_mut().rev().nth(ALTERED_FROM_END)
        {
            *octet ^= 1;
        }
        let octets = self.message.len();
        let copies = self.sink.look(|record| {
            record.count(octets, |counts| &mut counts.acknowledged);
            record.take(&self.message, &self.accounts, times)
        });
        self.sink.note_copies(self.accounts.len(), copies);
        if verdict != Verdict::Drip {
            self.answer(b"250 2.0.0 ok\r\n");
            return Ok(());
        }
        self.answer(b"250 2.0.0 ok\r\n");
        for octet in std::mem::take(&mut self.out) {
            let (sent, _) = self.stream.send(vec![octet]).await;
            sent?;
            sleep(DRIP).await;
        }
        Ok(())
    }

    /// Reads on without an answer, or closes so that the kernel resets the connection.
    async fn end_badly(&mut self, verdict: Verdict) -> io::Result<()> {
        self.flush().await?;
        if verdict == Verdict::Reset {
            return self.stream.reset_on_close();
        }
        hear_out(&mut self.stream).await
    }

    /// LMTP answers for each recipient (RFC 2033 §4.2).
    fn answer(&mut self, reply: &[u8]) {
        let times = match self.sink.settings.dialect {
            Dialect::Smtp => 1,
            Dialect::Lmtp => self.accounts.len(),
        };
        for _ in 0..times {
            self.out.extend_from_slice(reply);
        }
    }

    fn say(&mut self, reply: &[u8]) -> Go {
        self.out.extend_from_slice(reply);
        Go::On
    }

    fn account(&self, line: &[u8]) -> u32 {
        let open = memchr::memchr(b'<', line).map_or(line.len(), |at| at + 1);
        let rest = line.get(open..).unwrap_or_default();
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        let address = rest.get(..end).unwrap_or_default().to_ascii_lowercase();
        let known = std::str::from_utf8(&address)
            .ok()
            .and_then(|address| self.sink.settings.accounts.get(address));
        known
            .copied()
            .unwrap_or_else(|| crc32c::crc32c(&address) | STRANGER)
    }

    fn reset(&mut self) {
        self.accounts.clear();
        self.message.clear();
        self.message.shrink_to(KEPT_BYTES_MAX);
        self.has_sender = false;
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let (sent, out) = self.stream.send(std::mem::take(&mut self.out)).await;
        self.out = out;
        self.out.clear();
        sent
    }
}

/// Reads on without a word until the other side has had enough.
async fn hear_out(stream: &mut Stream) -> io::Result<()> {
    let mut unheard = Vec::new();
    while stream.recv(&mut unheard, TAKEN_BYTES).await? > 0 {
        unheard.clear();
    }
    Ok(())
}

const HELLO: &[u8] = b"250-sink.ringpost.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n\
    250-SIZE 268435456\r\n250-CHUNKING\r\n";

/// Received at once; a record of TLS is no longer.
const TAKEN_BYTES: usize = 16 << 10;

/// More than any load of ours sends.
const RECIPIENTS_MAX: usize = 2_000;

/// A connection keeps no larger buffer than this between messages.
const KEPT_BYTES_MAX: usize = 128 << 10;

/// An octet of the text, not of the line end.
const ALTERED_FROM_END: usize = 5;

/// Recipients that are no account have this bit.
const STRANGER: u32 = 1 << 31;

/// Between two octets of an answer that drips.
const DRIP: Duration = Duration::from_millis(50);
