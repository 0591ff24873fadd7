//! Bodies: streamed into the log while they arrive, read back piece by piece.

use super::arriving::Lease;
use super::snapshot::Snapshot;
use super::{Entry, Shard};
use crate::disk::Disk;
use crate::error::{ChangeError, LogError, ReadError};
use crate::limit::{CHUNK_BYTES, MESSAGE_BYTES_MAX};
use crate::log::{Place, RECORD_HEADER_BYTES, Record};
use crate::mail::id::{AccountId, ObjectId};
use crate::record::{Deliver, DeliveredPart, Fact, MessageHead, Piece, kind};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

/// A body on its way into the log, before anybody decided what becomes of it. Up to `CHUNK_BYTES`
/// wait in memory, the rest lies in the log. Dropping it makes dead bytes and nothing else.
#[derive(Debug, Default)]
pub struct BodyWriter {
    pub(super) pieces: Vec<Piece>,
    pub(super) tail: Vec<u8>,
    /// Keeps the segments of the pieces.
    pub(super) lease: Option<Lease>,
}

impl BodyWriter {
    /// A writer that begins with these octets.
    #[must_use]
    pub fn with(octets: Vec<u8>) -> BodyWriter {
        BodyWriter {
            tail: octets,
            ..BodyWriter::default()
        }
    }

    /// Octets so far.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.pieces
            .iter()
            .map(|piece| u64::from(piece.octets))
            .sum::<u64>()
            + self.tail.len() as u64
    }
}

/// A message opened for reading: prefix and body as one run of octets. Every record is checked
/// against its CRC before an octet of it is given out.
#[derive(Debug)]
pub struct Message {
    /// Return-Path, Delivered-To, Received: the octets before the body.
    pub prefix: Rc<[u8]>,
    /// Octets of prefix and body.
    pub octets: u64,
    message: ObjectId,
    pieces: Vec<Piece>,
    tail: RefCell<Option<Tail>>,
    /// Keeps the files of the pieces.
    _held: Option<Held>,
}

/// The snapshot that a reader began with: while it is held, none of its files is swept.
struct Held(Rc<dyn Any>);

/// Octets of a body on their way into the log. What was written leaves memory in the end, at once:
/// a large message would else be moved in memory for each of its pieces.
struct Settling<'w> {
    writer: &'w mut BodyWriter,
    /// Octets that were written.
    done: usize,
}

impl Settling<'_> {
    fn left(&self) -> &[u8] {
        self.writer.tail.get(self.done..).unwrap_or_default()
    }

    /// A whole chunk lies in the log.
    fn wrote(&mut self, place: Place) {
        self.done += CHUNK_BYTES;
        self.writer.pieces.push(Piece {
            place,
            octets: CHUNK_BYTES as u32,
        });
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let done = self.done.min(self.writer.tail.len());
        self.writer.tail.drain(..done);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readers = Rc::strong_count(&self.0);
        f.debug_tuple("Held").field(&readers).finish()
    }
}

/// The octets of a message that lie in its own record.
#[derive(Clone, Debug)]
struct Tail {
    record: Record,
    at: Range<usize>,
}

/// Octets of a message as they lie in memory, shared by all who have a clone.
#[derive(Clone, Debug)]
pub struct Octets(Lying);

#[derive(Clone, Debug)]
enum Lying {
    InRecord(Tail),
    Alone { octets: Rc<[u8]>, from: usize },
}

impl Octets {
    /// Of a record all octets from here on.
    fn of_payload(record: Record, from: usize) -> Octets {
        let at = from..record.payload().len();
        Octets(Lying::InRecord(Tail { record, at }))
    }
}

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Octets {
        let (octets, from) = (octets.into(), 0);
        Octets(Lying::Alone { octets, from })
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Lying::InRecord(tail) => tail.octets(),
            Lying::Alone { octets, from } => octets.get(*from..).unwrap_or_default(),
        }
    }
}

impl Message {
    /// Where what lies together with the octet at `from` ends: the prefix, a piece, the rest.
    #[must_use]
    pub fn block_end(&self, from: u64) -> u64 {
        let mut end = self.prefix.len() as u64;
        if from < end {
            return end;
        }
        let mut ends = self.pieces.iter().map(|piece| {
            end += u64::from(piece.octets);
            end
        });
        ends.find(|end| *end > from).unwrap_or(self.octets)
    }

    /// Holds no octets of the body until they are read again.
    pub fn let_go(&self) {
        self.tail.take();
    }
}

impl Tail {
    fn octets(&self) -> &[u8] {
        let payload = self.record.payload();
        payload.get(self.at.clone()).unwrap_or_default()
    }
}

impl<D: Disk> Shard<D> {
    /// A sink for the octets of an APPEND or of a delivery.
    pub fn body(&self) -> BodyWriter {
        BodyWriter::default()
    }

    /// Adds octets to a body. Suspends while the log is behind.
    pub async fn body_write(
        &self,
        writer: &mut BodyWriter,
        octets: &[u8],
    ) -> Result<(), ChangeError> {
        writer.tail.extend_from_slice(octets);
        self.body_settle(writer).await
    }

    /// As [`body_write`](Self::body_write), taking the octets out of their vector.
    pub async fn body_take(
        &self,
        writer: &mut BodyWriter,
        octets: &mut Vec<u8>,
    ) -> Result<(), ChangeError> {
        if writer.tail.is_empty() {
            std::mem::swap(&mut writer.tail, octets);
        } else {
            writer.tail.append(octets);
        }
        self.body_settle(writer).await
    }

    /// Moves what a body holds beyond `CHUNK_BYTES` into the log.
    pub async fn body_settle(&self, writer: &mut BodyWriter) -> Result<(), ChangeError> {
        if writer.octets() > MESSAGE_BYTES_MAX {
            return Err(ChangeError::Limit("size of a message"));
        }
        let mut settling = Settling { writer, done: 0 };
        while settling.left().len() > CHUNK_BYTES {
            let writer = &mut settling.writer;
            if writer.lease.is_none() {
                writer.lease = Some(self.arriving.lease(self.log.end().segment));
            }
            let chunk = settling.left().get(..CHUNK_BYTES).unwrap_or_default();
            let place = self.write_piece(chunk).await?;
            settling.wrote(place);
        }
        Ok(())
    }

    async fn write_piece(&self, octets: &[u8]) -> Result<Place, LogError> {
        self.log.room(octets.len() + RECORD_HEADER_BYTES).await?;
        let landed = Rc::new(Cell::new(None));
        let entry = Entry {
            fact: Fact::Body,
            body: octets,
            landed: Some(Rc::clone(&landed)),
        };
        let frame = self.put(AccountId(0), vec![entry])?;
        self.log.durable(frame).await?;
        landed.get().ok_or(LogError::ReadOnly)
    }

    /// Opens a message for reading.
    pub async fn message(&self, delivery: ObjectId) -> Result<Message, ReadError> {
        let snapshot = self.snapshot();
        let place = self.place_of(delivery, &snapshot).await?;
        // The message lies in front of its first delivery.
        let record = match place.is_in_pack() {
            true => self.packs.read(place).await?,
            false => self.log.read_with(place, MESSAGE_BYTES_USUAL).await?,
        };
        if record.kind() != kind::DELIVER {
            return Err(place.damaged(OTHER_KIND));
        }
        let deliver = match Fact::decode(kind::DELIVER, record.payload()) {
            Ok(Fact::Deliver(deliver)) if deliver.object == delivery => deliver,
            _ => return Err(place.damaged("not the delivery that the index says")),
        };
        self.open_message(*deliver).await
    }

    /// Shows prefix and body of a message that is in memory, all of it. `None` where something must
    /// be read for it, or is not as it should be: [`message`](Self::message) reads it, or says why
    /// not.
    pub fn at_hand<T>(&self, delivery: ObjectId, show: impl FnOnce([&[u8]; 2]) -> T) -> Option<T> {
        let snapshot = self.snapshot();
        let record = self.object_at_hand((delivery, kind::DELIVER), &snapshot)?;
        let part = DeliveredPart::decode(record.payload()).ok()?;
        if part.object != delivery {
            return None;
        }
        let of_message = self.object_at_hand((part.message, kind::MESSAGE), &snapshot)?;
        let (head, body) = MessageHead::split(of_message.payload()).ok()?;
        let is_whole = head.object == part.message && head.pieces.is_empty();
        is_whole.then(|| show([part.prefix, body]))
    }

    fn object_at_hand(
        &self,
        (object, kind): (ObjectId, u8),
        snapshot: &Snapshot<D>,
    ) -> Option<Record> {
        let recent = self.state.borrow().places.find(object);
        let place = match recent {
            Some(place) => place,
            None => snapshot.locations.at_hand(object)?.place,
        };
        let record = match place.is_in_pack() {
            true => self.packs.at_hand(place),
            false => self.log.at_hand(place),
        };
        record.filter(|record| record.kind() == kind)
    }

    async fn open_message(&self, deliver: Deliver) -> Result<Message, ReadError> {
        let opened = self.body_of(deliver.message, deliver.prefix.into());
        opened.await.map(|(_, message)| message)
    }

    /// The body of a message that is offered to another shard, without a prefix.
    pub async fn offered_body(&self, message: ObjectId) -> Result<Message, ReadError> {
        let opened = self.body_of(message, Rc::from([]));
        opened.await.map(|(_, message)| message)
    }

    /// A message behind a prefix, and the rest of its head: where its pieces lie is not in there.
    pub(super) async fn body_of(
        &self,
        message: ObjectId,
        prefix: Rc<[u8]>,
    ) -> Result<(MessageHead, Message), ReadError> {
        let (mut head, tail, snapshot) = self.message_record(message).await?;
        let pieces = std::mem::take(&mut head.pieces);
        let message = Message {
            octets: prefix.len() as u64 + head.octets,
            prefix,
            message,
            _held: (!pieces.is_empty()).then_some(Held(snapshot)),
            pieces,
            tail: RefCell::new(Some(tail)),
        };
        Ok((head, message))
    }

    async fn message_record(
        &self,
        message: ObjectId,
    ) -> Result<(MessageHead, Tail, Rc<Snapshot<D>>), ReadError> {
        let (place, record, snapshot) = self.object(message, kind::MESSAGE).await?;
        let payload = record.payload();
        let (head, tail) = MessageHead::split(payload)
            .map_err(|_| place.damaged("a MESSAGE that cannot be read"))?;
        if head.object != message {
            return Err(place.damaged("not the message that the index says"));
        }
        let at = payload.len() - tail.len()..payload.len();
        Ok((head, Tail { record, at }, snapshot))
    }

    /// The head of a message: its envelope and when it came.
    pub async fn message_head(&self, message: ObjectId) -> Result<MessageHead, ReadError> {
        let (place, record, _) = self.object(message, kind::MESSAGE).await?;
        MessageHead::decode(record.payload())
            .map_err(|_| place.damaged("a MESSAGE that cannot be read"))
    }

    /// The record of an object, and the snapshot in which its place holds: as long as that is
    /// held, so does the file.
    pub(super) async fn object(
        &self,
        object: ObjectId,
        kind: u8,
    ) -> Result<(Place, Record, Rc<Snapshot<D>>), ReadError> {
        let snapshot = self.snapshot();
        let place = self.place_of(object, &snapshot).await?;
        let record = self.record(place).await?;
        if record.kind() != kind {
            return Err(place.damaged(OTHER_KIND));
        }
        Ok((place, record, snapshot))
    }

    /// As [`object`](Self::object), for who reads the record at once and lets it go.
    pub(super) async fn object_in_passing(
        &self,
        object: ObjectId,
        kind: u8,
    ) -> Result<(Place, Record), ReadError> {
        let snapshot = self.snapshot();
        let place = self.place_of(object, &snapshot).await?;
        let record = match place.is_in_pack() {
            true => self.packs.read(place).await?,
            false => self.log.read_in_passing(place).await?,
        };
        match record.kind() == kind {
            true => Ok((place, record)),
            false => Err(place.damaged(OTHER_KIND)),
        }
    }

    /// Where an object lies, as long as the snapshot is held.
    pub(super) async fn place_of(
        &self,
        object: ObjectId,
        snapshot: &Snapshot<D>,
    ) -> Result<Place, ReadError> {
        let recent = self.state.borrow().places.find(object);
        if let Some(place) = recent {
            return Ok(place);
        }
        let found = snapshot.locations.find(object).await?;
        Ok(found.ok_or(ReadError::Gone)?.place)
    }

    /// The record at a place, in the log or in a pack.
    async fn record(&self, place: Place) -> Result<Record, ReadError> {
        match place.is_in_pack() {
            true => self.packs.read(place).await,
            false => self.log.read(place).await,
        }
    }

    /// Octets `from..to` of prefix and body, clipped to the message; at most one piece is held in
    /// memory beside the result.
    pub async fn read(&self, message: &Message, from: u64, to: u64) -> Result<Vec<u8>, ReadError> {
        let to = to.min(message.octets);
        let mut out = Vec::with_capacity(to.saturating_sub(from) as usize);
        let mut start = 0;
        clip(&message.prefix, start, from, to, &mut out);
        start += message.prefix.len() as u64;
        for piece in &message.pieces {
            let end = start + u64::from(piece.octets);
            if end > from && start < to {
                let record = self.piece(piece).await?;
                clip(record.payload(), start, from, to, &mut out);
            }
            start = end;
        }
        if to > start {
            clip(
                self.tail(message).await?.octets(),
                start,
                from,
                to,
                &mut out,
            );
        }
        Ok(out)
    }

    /// As [`read`](Self::read), from `from` to [`Message::block_end`], and not copied once more.
    pub async fn octets(&self, message: &Message, from: u64) -> Result<Octets, ReadError> {
        let mut start = message.prefix.len() as u64;
        if from < start {
            let octets = Rc::clone(&message.prefix);
            let from = from as usize;
            return Ok(Octets(Lying::Alone { octets, from }));
        }
        for piece in &message.pieces {
            let end = start + u64::from(piece.octets);
            if from < end {
                let record = self.piece(piece).await?;
                return Ok(Octets::of_payload(record, (from - start) as usize));
            }
            start = end;
        }
        let mut tail = self.tail(message).await?;
        tail.at.start = tail.at.start.saturating_add((from - start) as usize);
        Ok(Octets(Lying::InRecord(tail)))
    }
}

impl<D: Disk> Shard<D> {
    async fn piece(&self, piece: &Piece) -> Result<Record, ReadError> {
        let record = self.record(piece.place).await?;
        match record.kind() == kind::BODY && record.payload().len() == piece.octets as usize {
            true => Ok(record),
            false => Err(piece.place.damaged("not the piece that its message says")),
        }
    }

    async fn tail(&self, message: &Message) -> Result<Tail, ReadError> {
        let held = message.tail.borrow().clone();
        if let Some(tail) = held {
            return Ok(tail);
        }
        let (_, tail, _) = self.message_record(message.message).await?;
        message.tail.replace(Some(tail.clone()));
        Ok(tail)
    }
}

/// Appends the octets of `run`, which begins at `start`, that lie in `from..to`.
fn clip(run: &[u8], start: u64, from: u64, to: u64, out: &mut Vec<u8>) {
    let first = from.saturating_sub(start).min(run.len() as u64) as usize;
    let last = to.saturating_sub(start).min(run.len() as u64) as usize;
    out.extend_from_slice(run.get(first..last).unwrap_or_default());
}

/// Octets of a message that are read with its delivery: two thirds of all mail are not longer.
const MESSAGE_BYTES_USUAL: usize = 8 << 10;

const OTHER_KIND: &str = "a record of another kind than the index says";
