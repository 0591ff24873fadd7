//! A connection with its two buffers: whole commands come out, responses go in.
//!
//! Both buffers are bounded: the receiver refuses what is too long, responses are sent whenever
//! 64 KiB have gathered, and the session waits until the peer has read. A waiting dialogue holds no
//! buffer at all.

use super::io::{Ended, Io};
use super::progress::{self, Progress};
use crate::wire::imap::append::Step;
use crate::wire::imap::command::Command;
use crate::wire::imap::deflate::{self, Layer};
use crate::wire::imap::fault::Bad;
use crate::wire::imap::receive::{Event, Receiver};
use crate::wire::imap::response::{code, text};
use futures_util::future::{Either, select};
use std::pin::pin;
use std::time::Duration;

/// Octets of responses that gather before they are sent.
pub(super) const OUT_BYTES_FULL: usize = 64 << 10;

/// Commands that were not understood, one after the other, before the connection ends.
const BAD_IN_A_ROW_MAX: u32 = 20;

/// Silence inside a command: a literal or a SASL response that does not come.
pub(super) const PATIENCE_WITHIN: Duration = Duration::from_secs(5 * 60);

pub struct Dialogue<I> {
    io: I,
    receiver: Receiver,
    /// Received and not yet taken by the receiver; begins at `taken`.
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
    bad_in_a_row: u32,
    /// A command that takes long (RFC 9585).
    progress: Option<Progress>,
    /// COMPRESS was said (RFC 4978).
    layer: Option<Layer>,
}

/// A piece of an APPEND's octets, or what stands behind them.
pub(super) enum Piece<'a> {
    Octets(&'a [u8]),
    More(Result<Vec<Step>, Bad>),
}

impl<I: Io> Dialogue<I> {
    #[must_use]
    pub fn new(io: I) -> Dialogue<I> {
        Dialogue::resume(io, Receiver::new(), Vec::new())
    }

    /// A dialogue that goes on elsewhere: `input` is what was received and not yet looked at.
    #[must_use]
    pub fn resume(io: I, receiver: Receiver, input: Vec<u8>) -> Dialogue<I> {
        Dialogue {
            io,
            receiver,
            input,
            taken: 0,
            output: Vec::new(),
            bad_in_a_row: 0,
            progress: None,
            layer: None,
        }
    }

    /// A dialogue whose octets are compressed.
    #[must_use]
    pub fn compressed_by(self, layer: Option<Layer>) -> Dialogue<I> {
        Dialogue { layer, ..self }
    }

    /// What compresses this dialogue, to go on elsewhere.
    pub fn take_layer(&mut self) -> Option<Layer> {
        self.layer.take()
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.layer.is_some()
    }

    /// From here on both sides are compressed; everything was sent.
    pub(super) fn compress(&mut self) {
        self.input.drain(..self.taken);
        self.taken = 0;
        self.layer = Some(Layer::new(std::mem::take(&mut self.input)));
    }

    /// The parts, for handing the connection to its owner shard. Everything was sent.
    #[must_use]
    pub fn into_parts(mut self) -> (I, Receiver, Vec<u8>) {
        self.input.drain(..self.taken);
        (self.io, self.receiver, self.input)
    }

    pub(super) fn io(&mut self) -> &mut I {
        &mut self.io
    }

    pub(super) fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends what has gathered when it is much; what a long response calls between its parts.
    pub(super) async fn flush_if_full(&mut self) -> Result<(), Ended> {
        if self.output.len() < OUT_BYTES_FULL {
            return Ok(());
        }
        self.flush().await
    }

    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        if self.output.is_empty() {
            return Ok(());
        }
        let mut octets = std::mem::take(&mut self.output);
        if self.layer.is_some() {
            octets = deflate::deflated(&octets);
        }
        // Who does not read hears no goodbye either.
        self.output = self.io.send(octets).await.map_err(|_| Ended::Closed)?;
        self.output.clear();
        Ok(())
    }

    /// Sends `octets` behind all that has gathered, as [`Io::send_some`].
    pub(super) async fn send_some(&mut self, octets: &[u8]) -> Result<usize, Ended> {
        self.flush().await?;
        self.output = Vec::new();
        if self.layer.is_some() {
            return self.send_compressed(octets).await;
        }
        let sent = self.io.send_some(octets).await;
        sent.map_err(|_| Ended::Closed)
    }

    /// Octets that were compressed cannot be taken back: what the peer does not take of them waits.
    async fn send_compressed(&mut self, octets: &[u8]) -> Result<usize, Ended> {
        for piece in octets.chunks(OUT_BYTES_FULL) {
            let packed = deflate::deflated(piece);
            self.io.send(packed).await.map_err(|_| Ended::Closed)?;
        }
        Ok(octets.len())
    }

    /// Waits until the peer reads again; nothing is to be sent before what it did not take.
    pub(super) async fn writable(&mut self) -> Result<(), Ended> {
        self.rest();
        self.io.writable().await.map_err(|_| Ended::Closed)
    }

    /// Everything that has come was looked at.
    pub(super) fn is_quiet(&self) -> bool {
        self.taken == self.input.len()
    }

    /// Lets others run; a client whose command takes long hears that it is not forgotten.
    pub(super) async fn pause(&mut self) {
        self.io.pause().await;
        let progress = self.progress.as_mut();
        if progress.is_some_and(|progress| progress.tell(&mut self.output)) {
            // Who has gone is found out by whoever speaks next.
            let _ = self.flush().await;
        }
    }

    /// How far the command under way has come.
    pub(super) fn come_to(&mut self, done: u64, goal: u64) {
        if let Some(progress) = &mut self.progress {
            progress.come_to(done, goal);
        }
    }

    pub(super) fn under_way(&mut self, progress: Option<Progress>) {
        self.progress = progress;
    }

    /// Awaits what does not speak itself, as [`pause`](Self::pause) between two turns.
    pub(super) async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let done = {
                let next = pin!(self.io.after(progress::EVERY));
                match select(work.as_mut(), next).await {
                    Either::Left((done, _)) => Some(done),
                    Either::Right(_) => None,
                }
            };
            match done {
                Some(done) => return done,
                None => self.pause().await,
            }
        }
    }

    /// The next command. Responses are sent before the session waits, so that a client that
    /// pipelines gets them in few pieces. BAD is answered here.
    pub(super) async fn command(&mut self, patience: Duration) -> Result<Command, Ended> {
        loop {
            match self.event(patience).await? {
                Event::Command(command) => {
                    self.io.heard(Some(&command.body));
                    return Ok(command);
                }
                Event::Bad(bad) => self.answer_bad(bad).await?,
                // Lines and messages come only to those who asked for them.
                _ => return Err(Ended::Closed),
            }
        }
    }

    /// The line that is no command: a SASL response, or the end of IDLE. `None`: it was too long.
    pub(super) async fn line(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, Ended> {
        self.receiver.expect_line();
        self.flush().await?;
        match self.event(patience).await? {
            Event::Line(line) => Ok(Some(line)),
            _ => Ok(None),
        }
    }

    /// The next piece of the message that was accepted.
    pub(super) async fn piece(&mut self) -> Result<Piece<'_>, Ended> {
        loop {
            let start = self.taken;
            let (used, event) = self
                .receiver
                .feed(self.input.get(start..).unwrap_or_default());
            self.taken += used;
            match event {
                Event::Octets => {
                    return Ok(Piece::Octets(
                        self.input.get(start..self.taken).unwrap_or_default(),
                    ));
                }
                Event::More(more) => return Ok(Piece::More(more)),
                Event::NeedMore => self.receive(PATIENCE_WITHIN).await?,
                // A URL of CATENATE, or the date of the next message.
                Event::Continue => {
                    code::go_ahead(&mut self.output);
                    self.flush().await?;
                }
                Event::Fatal(bad) => return Err(self.fatal(bad).await),
                _ => return Err(Ended::Closed),
            }
        }
    }

    /// Answers BAD to what was not understood.
    async fn answer_bad(&mut self, bad: Bad) -> Result<(), Ended> {
        self.io.heard(None);
        code::bad(&mut self.output, &bad);
        self.count_bad().await
    }

    /// A client that says nothing else is sent away.
    pub(super) async fn count_bad(&mut self) -> Result<(), Ended> {
        self.bad_in_a_row += 1;
        if self.bad_in_a_row < BAD_IN_A_ROW_MAX {
            return Ok(());
        }
        code::bye(&mut self.output, None, text::TOO_MANY_FAULTS);
        self.flush().await?;
        Err(Ended::Finished)
    }

    pub(super) fn forgive(&mut self) {
        self.bad_in_a_row = 0;
    }

    async fn event(&mut self, patience: Duration) -> Result<Event, Ended> {
        loop {
            let rest = self.input.get(self.taken..).unwrap_or_default();
            let (used, event) = self.receiver.feed(rest);
            self.taken += used;
            match event {
                Event::NeedMore => self.receive(patience).await?,
                Event::Continue => {
                    code::go_ahead(&mut self.output);
                    self.flush().await?;
                }
                Event::Fatal(bad) => return Err(self.fatal(bad).await),
                event => return Ok(event),
            }
        }
    }

    async fn fatal(&mut self, bad: Bad) -> Ended {
        code::fatal(&mut self.output, &bad);
        match self.flush().await {
            Ok(()) => Ended::Finished,
            Err(ended) => ended,
        }
    }

    /// Waits for octets. Everything before was taken, and everything to say is said.
    pub(super) async fn receive(&mut self, patience: Duration) -> Result<(), Ended> {
        self.flush().await?;
        self.rest();
        if !self.has_more() {
            self.io.readable(patience).await?;
        }
        self.take_in().await
    }

    /// What of the expected line is here already: `None` while it is not whole.
    pub(super) async fn line_here(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        let rest = self.input.get(self.taken..).unwrap_or_default();
        let (used, event) = self.receiver.feed(rest);
        self.taken += used;
        match event {
            Event::NeedMore => Ok(None),
            Event::Line(line) => Ok(Some(line)),
            Event::Fatal(bad) => Err(self.fatal(bad).await),
            // Too long: no word that anybody expects.
            _ => Ok(Some(Vec::new())),
        }
    }

    /// Takes what `readable` announced.
    pub(super) async fn take_in(&mut self) -> Result<(), Ended> {
        let Some(layer) = &mut self.layer else {
            return self.io.recv(&mut self.input).await;
        };
        if !layer.has_more() {
            self.io.recv(layer.packed()).await?;
        }
        // Nobody knows any more what the client means.
        layer.inflate(&mut self.input).map_err(|_| Ended::Closed)
    }

    /// Whether something was received that is not yet looked at.
    pub(super) fn has_more(&self) -> bool {
        self.layer.as_ref().is_some_and(Layer::has_more)
    }

    /// The other half of the connection, for who goes on with it elsewhere: the receiver, and what
    /// was received and not yet taken.
    pub(super) fn lend(&mut self) -> (Receiver, Vec<u8>) {
        self.input.drain(..std::mem::take(&mut self.taken));
        (
            std::mem::take(&mut self.receiver),
            std::mem::take(&mut self.input),
        )
    }

    /// What [`Dialogue::lend`] gave comes back.
    pub(super) fn take_back(&mut self, receiver: Receiver, input: Vec<u8>) {
        (self.receiver, self.input, self.taken) = (receiver, input, 0);
    }

    /// Ready when there is something to take in.
    pub(super) async fn readable(&mut self, patience: Duration) -> Result<(), Ended> {
        match self.has_more() {
            true => Ok(()),
            false => self.io.readable(patience).await,
        }
    }

    /// What `readable` announced, for somebody else's receiver.
    pub(super) async fn overhear(&mut self) -> Result<Vec<u8>, Ended> {
        self.take_in().await?;
        self.taken = 0;
        Ok(std::mem::take(&mut self.input))
    }

    /// Throws away what the client sent before TLS (RFC 9051 §6.2.1, attack "STARTTLS injection").
    pub(super) fn forget_input(&mut self) {
        self.input = Vec::new();
        self.taken = 0;
        self.receiver = Receiver::new();
    }

    /// An idle connection holds no buffers.
    pub(super) fn rest(&mut self) {
        if self.taken == self.input.len() {
            self.input = Vec::new();
            self.taken = 0;
        }
        self.output = Vec::new();
    }
}
