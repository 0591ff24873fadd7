//! Messages on their way to a block of signatures: each passes twice, in the pieces in which it
//! lies ([`FirstPass`](crate::search::FirstPass)).
//!
//! In memory are the front of one, which has its header, and one piece of it: a few megabytes,
//! whatever its length. Between two of them the task pauses.

use super::letter::Letter;
use super::source::Source;
use super::{CompactError, Pace, Progress, Site};
use crate::disk::Disk;
use crate::limit::RECORD_BYTES_MAX;
use crate::log::Place;
use crate::search::{Gathering, HEADER_BYTES_MAX, Texts};
use crate::table::locations::Locations;
use std::ops::Range;

pub(super) struct Passing<'a, D: Disk, P> {
    site: &'a Site<'a, D>,
    source: Source<D>,
    pace: &'a P,
    /// The first pieces of the present message.
    front: Vec<u8>,
    /// Messages so far, and all of them.
    done: u64,
    total: u64,
    since_pause: usize,
}

impl<'a, D: Disk, P: Pace> Passing<'a, D, P> {
    pub(super) fn new(site: &'a Site<'a, D>, pace: &'a P, total: u64) -> Passing<'a, D, P> {
        Passing {
            site,
            source: Source::new(site),
            pace,
            front: Vec::new(),
            done: 0,
            total,
            since_pause: 0,
        }
    }

    /// The delivery at a place, if it can be read.
    pub(super) async fn letter<L: Disk>(
        &mut self,
        locations: &Locations<L>,
        place: Place,
    ) -> Result<Option<Letter>, CompactError> {
        self.done += 1;
        Letter::at(self.site, &mut self.source, locations, place).await
    }

    /// Signs a message. `false`: not all of it can be read, or its header is too long.
    pub(super) async fn sign(
        &mut self,
        texts: &dyn Texts,
        letter: &Letter,
        gathering: &mut Gathering,
    ) -> Result<bool, CompactError> {
        let mut front = std::mem::take(&mut self.front);
        front.clear();
        let signed = self.pass(texts, letter, gathering, &mut front).await;
        self.front = front;
        if !matches!(signed, Ok(true)) {
            gathering.forget();
        }
        signed
    }

    async fn pass(
        &mut self,
        texts: &dyn Texts,
        letter: &Letter,
        gathering: &mut Gathering,
        front: &mut Vec<u8>,
    ) -> Result<bool, CompactError> {
        let Some(behind) = self.read_front(letter, front).await? else {
            return Ok(false);
        };
        let Some(header) = header_of(front, behind.is_empty()) else {
            return Ok(false);
        };
        let mut first = texts.begin();
        first.feed(front);
        let mut feed = |piece: &[u8]| first.feed(piece);
        if !self.show(letter, behind.clone(), &mut feed).await? {
            return Ok(false);
        }
        let mut each = |field, text: &str| gathering.add(field, text);
        let mut second = first.texts(header, &mut each);
        second.feed(front);
        let mut feed = |piece: &[u8]| second.feed(piece);
        if !self.show(letter, behind, &mut feed).await? {
            return Ok(false);
        }
        second.finish();
        gathering.sign(texts, (letter.account, letter.object()), header);
        Ok(true)
    }

    /// Reads what has the header; the pieces behind it. `None`: it cannot be read.
    async fn read_front(
        &mut self,
        letter: &Letter,
        front: &mut Vec<u8>,
    ) -> Result<Option<Range<usize>>, CompactError> {
        let all = letter.pieces();
        for number in 0..all {
            if front.len() > HEADER_BYTES_MAX {
                return Ok(Some(number..all));
            }
            let mut keep = |piece: &[u8]| front.extend_from_slice(piece);
            if !self.show(letter, number..number + 1, &mut keep).await? {
                return Ok(None);
            }
        }
        Ok(Some(all..all))
    }

    /// Shows some pieces; `false` where one cannot be read.
    async fn show(
        &mut self,
        letter: &Letter,
        pieces: Range<usize>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, CompactError> {
        for number in pieces {
            let shown = letter.show(self.site, &mut self.source, number, &mut *each);
            let Some(octets) = shown.await? else {
                return Ok(false);
            };
            self.since_pause += octets;
            if self.since_pause >= PAUSE_BYTES {
                self.since_pause = 0;
                let (done, total) = (self.done, self.total);
                let at = "signing";
                self.pace.give_way(Progress { at, done, total }).await;
            }
        }
        Ok(true)
    }
}

/// A message up to the empty line behind its header, with it; all of one that is whole and has
/// none. `None`: the header is too long, or goes on behind what is here.
fn header_of(front: &[u8], is_whole: bool) -> Option<&[u8]> {
    let mut end = 0;
    let mut lines = front.split_inclusive(|octet| *octet == b'\n');
    let is_ended = lines.any(|line| {
        end += line.len();
        matches!(line, b"\n" | b"\r\n")
    });
    let header = front.get(..end).filter(|_| is_ended || is_whole);
    header.filter(|header| header.len() <= HEADER_BYTES_MAX)
}

/// Between two pauses.
const PAUSE_BYTES: usize = 1 << 20;

// The front is no longer than a header and a record.
const _: () = assert!(HEADER_BYTES_MAX + RECORD_BYTES_MAX <= 2 << 20);
