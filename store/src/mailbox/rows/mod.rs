//! The open form of a mailbox: its rows, ascending by UID, in chunks of columns.
//!
//! A change touches the chunks in which its messages lie and no others; a chunk that shrinks joins
//! its neighbour, so that of two neighbours at least one is more than half full, the last one
//! excepted. Nothing grows by doubling but the last chunk and the list of chunks.

mod chunk;
#[cfg(test)]
mod tests;

use crate::codec::{Fields, Put, Short};
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{ModSeq, ObjectId, Uid};
use crate::mail::uidset::UidSet;
use crate::mailbox::row::Row;
use crate::mailbox::tally::Tally;
use chunk::{CHUNK_ROWS_MAX, Chunk};
use std::ops::Range;

/// The rows of one mailbox.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    chunks: Vec<Chunk>,
}

impl Rows {
    #[must_use]
    pub fn new() -> Rows {
        Rows::default()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.last().map_or(0, Chunk::end)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The row at an index below `len`.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<Row> {
        let at = self.chunks.partition_point(|chunk| chunk.end() <= index);
        let chunk = self.chunks.get(at)?;
        Some(chunk.row(index - chunk.start))
    }

    #[must_use]
    pub fn last(&self) -> Option<Row> {
        let chunk = self.chunks.last()?;
        Some(chunk.row(chunk.len() - 1))
    }

    /// Whether every UID here is above every UID of `older`.
    #[must_use]
    pub fn lies_above(&self, older: &Rows) -> bool {
        match (older.last(), self.at(0)) {
            (Some(last), Some(first)) => last.uid < first.uid,
            _ => true,
        }
    }

    /// How many rows have a UID below `uid`.
    #[must_use]
    pub fn position(&self, uid: Uid) -> usize {
        match self.chunks.get(self.chunk_of(uid)) {
            Some(chunk) => chunk.start + chunk.below(uid),
            None => self.len(),
        }
    }

    /// The row of a UID.
    #[must_use]
    pub fn row(&self, uid: Uid) -> Option<Row> {
        self.between(uid, uid).next()
    }

    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        self.between(Uid(0), Uid(u32::MAX))
    }

    /// Every UID, ascending.
    #[must_use]
    pub fn uids(&self) -> Vec<u32> {
        let mut uids = Vec::with_capacity(self.len());
        for chunk in &self.chunks {
            chunk.each_uid(|uid| uids.push(uid));
        }
        uids
    }

    /// The first UID without this flag.
    #[must_use]
    pub fn first_without(&self, flag: Flags) -> Option<Uid> {
        let mut chunks = self.chunks.iter();
        chunks.find_map(|chunk| chunk.first_without(flag))
    }

    /// The rows with a UID in `first..=last`, ascending.
    #[must_use]
    pub fn between(&self, first: Uid, last: Uid) -> Iter<'_> {
        let from = self.chunk_of(first);
        let mut chunks = self.chunks.get(from..).unwrap_or_default().iter();
        let chunk = chunks.next();
        Iter {
            at: chunk.map_or(0, |chunk| chunk.below(first)),
            end: chunk.map_or(0, |chunk| end_at(chunk, last)),
            chunk,
            chunks,
            last,
        }
    }

    /// The rows of those of `uids` that exist, ascending.
    pub fn of<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = Row> + 'a {
        let between = |&(first, last): &(u32, u32)| self.between(Uid(first), Uid(last));
        uids.ranges().iter().flat_map(between)
    }

    /// The deliveries of those of `uids` that exist, ascending.
    pub fn each_delivery(&self, uids: &UidSet, mut each: impl FnMut(Uid, ObjectId)) {
        for &(first, last) in uids.ranges() {
            let from = self.chunk_of(Uid(first));
            for chunk in self.chunks.get(from..).unwrap_or_default() {
                let inside = chunk.below(Uid(first))..end_at(chunk, Uid(last));
                chunk.each_delivery(inside, &mut each);
                if chunk.last_uid().0 >= last {
                    break;
                }
            }
        }
    }

    /// The rows below `end` with a MODSEQ above `modseq`, ascending. Chunks without one are passed
    /// over.
    pub fn changed_since(&self, modseq: ModSeq, end: Uid) -> impl Iterator<Item = Row> + '_ {
        let chunks = self.chunks.iter().filter(move |c| c.latest() > modseq);
        chunks
            .flat_map(move |chunk| chunk.changed_since(modseq).map(|at| chunk.row(at)))
            .take_while(move |row| row.uid < end)
    }

    /// Counts every row; `recent_first` is the first UID that is not claimed as `\Recent`.
    #[must_use]
    pub fn tally(&self, recent_first: Uid) -> Tally {
        let mut tally = Tally::default();
        for chunk in &self.chunks {
            chunk.count(&mut tally);
        }
        tally.recent = (self.len() - self.position(recent_first)) as u32;
        tally
    }

    /// Adds a row with a UID above every other.
    pub fn push(&mut self, row: &Row) {
        let start = self.len();
        match self.chunks.last_mut() {
            Some(tail) if tail.len() < CHUNK_ROWS_MAX => {
                assert!(tail.last_uid() < row.uid, "rows arrive in ascending order");
                tail.push(row);
                if tail.len() == CHUNK_ROWS_MAX {
                    tail.fit();
                }
            }
            tail => {
                let last_uid = tail.map_or(Uid(0), |tail| tail.last_uid());
                assert!(last_uid < row.uid, "rows arrive in ascending order");
                let mut chunk = Chunk::of(row);
                chunk.start = start;
                self.chunks.push(chunk);
            }
        }
    }

    /// Adds rows that lie above every row here.
    pub fn append(&mut self, newer: Rows) {
        newer.chunks.into_iter().for_each(|chunk| self.join(chunk));
        self.settle();
    }

    /// Asks `change` for the new flags, keywords and MODSEQ of each of `uids` that exists.
    pub fn update(
        &mut self,
        uids: &UidSet,
        mut change: impl FnMut(&Row) -> Option<(Flags, Keywords, ModSeq)>,
    ) {
        for (at, inside) in self.hits(uids) {
            let Some(chunk) = self.chunks.get_mut(at) else {
                continue;
            };
            for at in inside {
                if let Some((flags, keywords, modseq)) = change(&chunk.row(at)) {
                    chunk.set_flags(at, flags, keywords, modseq);
                }
            }
        }
    }

    /// Removes those of `uids` that exist.
    pub fn remove(&mut self, uids: &UidSet) {
        let mut hits = self.hits(uids).into_iter().peekable();
        let Some(first) = hits.peek().map(|hit| hit.0) else {
            return;
        };
        while let Some((at, hole)) = hits.next() {
            let mut holes = vec![hole];
            while let Some((_, hole)) = hits.next_if(|hit| hit.0 == at) {
                holes.push(hole);
            }
            if let Some(chunk) = self.chunks.get_mut(at) {
                chunk.keep(&around(&holes, chunk.len()));
            }
        }
        self.close_up(first.saturating_sub(1));
    }

    /// Joins chunks that have shrunk, from number `from` on, and counts the rows before each again.
    fn close_up(&mut self, from: usize) {
        let rest = self.chunks.get(from..).unwrap_or_default();
        let has_room =
            |pair: &[Chunk]| pair.iter().map(Chunk::len).sum::<usize>() <= CHUNK_ROWS_MAX;
        if rest.windows(2).any(has_room) || rest.iter().any(|chunk| chunk.len() == 0) {
            let rest = self.chunks.split_off(from).into_iter();
            rest.filter(|chunk| chunk.len() > 0)
                .for_each(|chunk| self.join(chunk));
            self.settle();
        }
        let mut start = 0;
        for chunk in &mut self.chunks {
            chunk.start = start;
            start = chunk.end();
        }
    }

    /// What the rows occupy beside the struct itself, in bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let chunks = self.chunks.iter().map(Chunk::heap_bytes).sum::<usize>();
        self.chunks.capacity() * size_of::<Chunk>() + chunks
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(u32::try_from(self.chunks.len()).expect("UIDs have 32 bits"));
        self.chunks.iter().for_each(|chunk| chunk.encode(out));
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Rows, Short> {
        let mut rows = Rows::new();
        for _ in 0..fields.u32()? {
            let chunk = Chunk::decode(fields)?;
            if rows
                .chunks
                .last()
                .is_some_and(|tail| tail.last_uid() >= chunk.row(0).uid)
            {
                return Err(Short);
            }
            rows.join(chunk);
        }
        rows.settle();
        Ok(rows)
    }

    /// The first chunk with a UID of at least `uid`.
    fn chunk_of(&self, uid: Uid) -> usize {
        self.chunks.partition_point(|chunk| chunk.last_uid() < uid)
    }

    /// Where `uids` lie: number of a chunk and positions in it, ascending, none empty.
    fn hits(&self, uids: &UidSet) -> Vec<(usize, Range<usize>)> {
        let mut hits = Vec::new();
        for &(first, last) in uids.ranges() {
            let from = self.chunk_of(Uid(first));
            for (at, chunk) in self.chunks.iter().enumerate().skip(from) {
                let inside = chunk.below(Uid(first))..end_at(chunk, Uid(last));
                if !inside.is_empty() {
                    hits.push((at, inside));
                }
                if chunk.last_uid().0 >= last {
                    break;
                }
            }
        }
        hits
    }

    /// Adds a chunk behind the last one, or its rows to the last one if they have room there.
    fn join(&mut self, mut chunk: Chunk) {
        let start = self.len();
        match self.chunks.last_mut() {
            Some(tail) if tail.len() + chunk.len() <= CHUNK_ROWS_MAX => {
                assert!(
                    tail.last_uid() < chunk.row(0).uid,
                    "chunks lie one behind the other"
                );
                (0..chunk.len()).for_each(|at| tail.push(&chunk.row(at)));
            }
            tail => {
                let last_uid = tail.as_ref().map_or(Uid(0), |tail| tail.last_uid());
                assert!(
                    last_uid < chunk.row(0).uid,
                    "chunks lie one behind the other"
                );
                tail.into_iter().for_each(Chunk::tighten);
                chunk.start = start;
                self.chunks.push(chunk);
            }
        }
    }

    /// Ends a run of joins.
    fn settle(&mut self) {
        self.chunks.last_mut().into_iter().for_each(Chunk::tighten);
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Rows {}

impl FromIterator<Row> for Rows {
    fn from_iter<T: IntoIterator<Item = Row>>(ascending: T) -> Rows {
        let mut rows = Rows::new();
        ascending.into_iter().for_each(|row| rows.push(&row));
        rows
    }
}

/// Rows up to a last UID, by value.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    chunk: Option<&'a Chunk>,
    at: usize,
    end: usize,
    chunks: std::slice::Iter<'a, Chunk>,
    last: Uid,
}

impl Iterator for Iter<'_> {
    type Item = Row;

    #[inline]
    fn next(&mut self) -> Option<Row> {
        while self.at >= self.end {
            if self.chunk?.len() > self.end {
                return None;
            }
            let chunk = self.chunks.next()?;
            self.chunk = Some(chunk);
            self.at = 0;
            self.end = end_at(chunk, self.last);
        }
        let row = self.chunk?.row(self.at);
        self.at += 1;
        Some(row)
    }
}

/// The position in `chunk` behind its last row with a UID up to `last`.
fn end_at(chunk: &Chunk, last: Uid) -> usize {
    if chunk.last_uid() <= last {
        chunk.len()
    } else {
        chunk.below(Uid(last.0 + 1))
    }
}

/// What is left of `0..len` beside holes that ascend.
fn around(holes: &[Range<usize>], len: usize) -> Vec<Range<usize>> {
    let starts = std::iter::once(0).chain(holes.iter().map(|hole| hole.end));
    let ends = holes.iter().map(|hole| hole.start).chain([len]);
    let kept = starts.zip(ends).map(|(start, end)| start..end);
    kept.filter(|range| !range.is_empty()).collect()
}
