//! What of a message stands behind one item of FETCH: a stretch of its octets and what is done to
//! them on the way (RFC 9051 §6.4.5.1, §7.5.2).
//!
//! A literal says its length before its octets come, and there is no way back from there. Hence
//! two passes: the first reads everything, and so checks every checksum, counts what comes out and
//! keeps it if it is small; the second sends what was not kept. While the client does not read,
//! neither what was kept nor a piece is held. A damaged message is found in the
//! first, and then nothing of it is sent.

use super::dialogue::Dialogue;
use super::io::{Ended, Io};
use super::mailstore::Mailstore;
use super::shown::Shown;
use super::structure::Pieces;
use crate::wire::mime::header::Selection;
use crate::wire::mime::transfer::Decoder;
use ::store::error::{ChangeError, ReadError};
use std::ops::Range;

/// Octets that all items of one message may keep between the passes.
pub(super) const KEPT_BYTES_MAX: usize = 256 << 10;

/// Octets that gather with the responses around them; more are sent by themselves.
pub(super) const SMALL_BYTES_MAX: usize = 16 << 10;

/// Pieces read before other connections run.
pub(super) const PIECES_A_TURN: u32 = 8;

/// What to send, not yet read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    octets: Range<u64>,
    filter: Filter,
    /// First octet and end of what is wanted of the result.
    window: Range<u64>,
}

/// What happens to the octets on their way.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    AsTheyAre,
    /// BINARY.
    Decode(Decoder),
    /// HEADER.FIELDS and HEADER.FIELDS.NOT.
    Select(Selection),
}

/// What to send, read once.
#[derive(Debug)]
pub(super) struct Measured {
    source: Source,
    /// Octets of the literal.
    pub(super) octets: u64,
    /// Whether NUL is among them: then it takes a literal8.
    pub(super) nul: bool,
    /// Whether more than ASCII is among them.
    pub(super) is_wide: bool,
    /// The octets themselves, if they are few.
    kept: Option<Vec<u8>>,
}

/// Why octets did not come to be behind a body.
#[derive(Debug)]
pub(super) enum Unpoured {
    Unread,
    Unwritten(ChangeError),
}

impl From<ReadError> for Unpoured {
    fn from(_: ReadError) -> Unpoured {
        Unpoured::Unread
    }
}

impl Source {
    /// `partial` is the first octet and the number of octets of `<…>` (RFC 9051 §6.4.5).
    pub(super) fn new(octets: Range<u64>, filter: Filter, partial: Option<(u32, u32)>) -> Source {
        let window = match partial {
            Some((first, count)) => u64::from(first)..u64::from(first) + u64::from(count),
            None => 0..u64::MAX,
        };
        match filter {
            // What is not asked for is not even read.
            Filter::AsTheyAre => {
                let from = octets.start.saturating_add(window.start).min(octets.end);
                let to = octets
                    .start
                    .saturating_add(window.end)
                    .clamp(from, octets.end);
                Source {
                    octets: from..to,
                    filter,
                    window: 0..u64::MAX,
                }
            }
            filter => Source {
                octets,
                filter,
                window,
            },
        }
    }

    pub(super) async fn measure<S: Mailstore, I: Io>(
        self,
        dialogue: &mut Dialogue<I>,
        store: &S,
        message: &Shown<S>,
        room: &mut usize,
    ) -> Result<Measured, ReadError> {
        let mut flow = Flow::new(&self);
        let mut measured = Measured {
            source: self,
            octets: 0,
            nul: false,
            is_wide: false,
            kept: Some(Vec::new()),
        };
        let mut out = Vec::new();
        while flow.next(dialogue, store, message, &mut out).await? {
            measured.take(&out, room);
            out.clear();
        }
        Ok(measured)
    }
}

impl Measured {
    fn take(&mut self, octets: &[u8], room: &mut usize) {
        self.octets += octets.len() as u64;
        self.nul |= memchr::memchr(0, octets).is_some();
        self.is_wide |= !octets.is_ascii();
        let Some(kept) = &mut self.kept else {
            return;
        };
        match room.checked_sub(octets.len()) {
            Some(left) => {
                *room = left;
                kept.extend_from_slice(octets);
            }
            None => {
                *room += kept.len();
                self.kept = None;
            }
        }
    }

    /// The octets, where they were few enough to be kept.
    pub(super) fn kept(&self) -> &[u8] {
        self.kept.as_deref().unwrap_or_default()
    }

    /// Sends exactly `octets` octets behind the announcement that was just written.
    pub(super) async fn send<S: Mailstore, I: Io>(
        mut self,
        dialogue: &mut Dialogue<I>,
        store: &S,
        message: &Shown<S>,
    ) -> Result<(), Ended> {
        let mut sent = 0;
        if let Some(kept) = self.kept.take() {
            if kept.len() <= SMALL_BYTES_MAX {
                dialogue.out().extend_from_slice(&kept);
                return dialogue.flush_if_full().await;
            }
            sent = dialogue.send_some(&kept).await?;
            if sent == kept.len() {
                return Ok(());
            }
            drop(kept);
            message.let_go();
            dialogue.writable().await?;
        }
        let read = self.read_and_send(dialogue, store, message, sent as u64);
        read.await
    }

    /// Puts all of it behind a body.
    pub(super) async fn pour<S: Mailstore, I: Io>(
        self,
        dialogue: &mut Dialogue<I>,
        store: &S,
        message: &Shown<S>,
        body: &mut S::Body,
    ) -> Result<(), Unpoured> {
        if let Some(kept) = &self.kept {
            let written = store.body_write(body, kept).await;
            return written.map_err(Unpoured::Unwritten);
        }
        let mut flow = Flow::new(&self.source);
        let mut left = self.octets;
        let mut out = Vec::new();
        while flow.next(dialogue, store, message, &mut out).await? {
            left = left.checked_sub(out.len() as u64).ok_or(ReadError::Gone)?;
            let written = store.body_write(body, &out).await;
            written.map_err(Unpoured::Unwritten)?;
            out.clear();
        }
        match left {
            0 => Ok(()),
            _ => Err(ReadError::Gone.into()),
        }
    }

    /// Sends all but the first `skip` octets. While the peer does not read nothing is held: what it
    /// did not take is read again.
    async fn read_and_send<S: Mailstore, I: Io>(
        &self,
        dialogue: &mut Dialogue<I>,
        store: &S,
        message: &Shown<S>,
        mut skip: u64,
    ) -> Result<(), Ended> {
        let mut flow = Flow::new(&self.source);
        let mut left = self.octets;
        loop {
            let before = flow.clone();
            let mut out = Vec::new();
            let next = flow.next(dialogue, store, message, &mut out);
            // It was readable a moment ago. If it is not now, no octet can be put in its place.
            if !next.await.map_err(|_| Ended::Damaged)? {
                break;
            }
            let after = left.checked_sub(out.len() as u64).ok_or(Ended::Damaged)?;
            let from = usize::try_from(skip).map_or(out.len(), |skip| skip.min(out.len()));
            let rest = out.get(from..).unwrap_or_default();
            let end = from + dialogue.send_some(rest).await?;
            if end == out.len() {
                (left, skip) = (after, skip - from as u64);
                continue;
            }
            drop(out);
            message.let_go();
            dialogue.writable().await?;
            (flow, skip) = (before, end as u64);
        }
        if left == 0 {
            Ok(())
        } else {
            Err(Ended::Damaged)
        }
    }
}

/// One pass over a source.
#[derive(Clone)]
struct Flow {
    pieces: Pieces,
    /// `None` once it has given its last octets.
    filter: Option<Filter>,
    window: Range<u64>,
    /// Octets that have come out of the filter.
    at: u64,
    turn: u32,
}

impl Flow {
    fn new(source: &Source) -> Flow {
        Flow {
            pieces: Pieces::new(source.octets.start, source.octets.end),
            filter: Some(source.filter.clone()),
            window: source.window.clone(),
            at: 0,
            turn: 0,
        }
    }

    /// Puts the next wanted octets in the empty `out`; `false` when there are no more.
    async fn next<S: Mailstore, I: Io>(
        &mut self,
        dialogue: &mut Dialogue<I>,
        store: &S,
        message: &Shown<S>,
        out: &mut Vec<u8>,
    ) -> Result<bool, ReadError> {
        while self.at < self.window.end {
            let Some(filter) = &mut self.filter else {
                return Ok(false);
            };
            match self.pieces.next_shown(store, message).await? {
                Some(piece) => filter.feed(piece, out),
                None => self
                    .filter
                    .take()
                    .into_iter()
                    .for_each(|filter| filter.finish(out)),
            }
            self.clip(out);
            self.turn += 1;
            if self.turn.is_multiple_of(PIECES_A_TURN) {
                dialogue.pause().await;
            }
            if !out.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves in `out` what lies in the window.
    fn clip(&mut self, out: &mut Vec<u8>) {
        let (start, end) = (self.at, self.at + out.len() as u64);
        self.at = end;
        let within = |edge: u64| usize::try_from(edge.clamp(start, end) - start);
        if let (Ok(from), Ok(to)) = (within(self.window.start), within(self.window.end)) {
            out.truncate(to);
            out.drain(..from.min(to));
        }
    }
}

impl Filter {
    fn feed(&mut self, mut piece: Vec<u8>, out: &mut Vec<u8>) {
        match self {
            Filter::AsTheyAre => out.append(&mut piece),
            Filter::Decode(decoder) => decoder.feed(&piece, out),
            Filter::Select(selection) => selection.feed(&piece, out),
        }
    }

    fn finish(self, out: &mut Vec<u8>) {
        match self {
            Filter::AsTheyAre => {}
            Filter::Decode(decoder) => decoder.finish(out),
            Filter::Select(selection) => selection.finish(out),
        }
    }
}
