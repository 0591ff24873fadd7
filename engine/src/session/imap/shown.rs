//! A message as a client is shown it: as it is, or with its headers in ASCII for one that did not
//! say that it reads UTF-8 (RFC 9755 §7, RFC 6858 §3).
//!
//! What is shown is a message of its own, with places, parts and a structure that fit each other:
//! the original with some fields of its headers, also of its parts, exchanged. Only those fields
//! are held. RFC822.SIZE stays that of the original, which RFC 6858 §3 allows.

use super::mailstore::{Mailstore, Octets};
use crate::wire::mime::limit::HEADER_BYTES_MAX;
use crate::wire::mime::part::{Part, Structure};
use crate::wire::mime::scan::Scanner;
use crate::wire::mime::surrogate::replacements;
use ::store::error::ReadError;
use ::store::limit::CHUNK_BYTES;
use std::ops::Range;
use std::rc::Rc;

/// Octets that stand in place of others in one message; what would need more is left out.
const MADE_BYTES_MAX: usize = 128 << 10;

/// Places where a message is changed, but for one more in each part.
const PATCHES_MAX: usize = 4096;

/// A message, and how it is shown.
pub(super) struct Shown<S: Mailstore> {
    message: S::Message,
    surrogate: Option<Rc<Surrogate>>,
}

/// What is changed in a message, and what it is then.
#[derive(Debug)]
pub(super) struct Surrogate {
    patches: Patches,
    structure: Rc<Structure>,
}

#[derive(Default, Debug)]
struct Patches {
    /// Ascending, apart from each other.
    all: Vec<Patch>,
    /// Octets that were made for them.
    made: usize,
}

#[derive(Debug)]
struct Patch {
    /// Octets of the original.
    at: Range<u64>,
    /// Where the octets that stand for them begin in what is shown.
    shown_at: u64,
    made: Vec<u8>,
}

/// A stretch of what is shown that lies in one place.
enum Stretch<'a> {
    Original(Range<u64>),
    Made(&'a [u8]),
}

impl<S: Mailstore> Shown<S> {
    pub(super) fn as_it_is(message: S::Message) -> Shown<S> {
        let surrogate = None;
        Shown { message, surrogate }
    }

    pub(super) fn show_in_ascii(&mut self, surrogate: Rc<Surrogate>) {
        self.surrogate = Some(surrogate);
    }

    pub(super) fn octets(&self) -> u64 {
        let octets = self.message.octets();
        match &self.surrogate {
            Some(surrogate) => surrogate.patches.shown_octets(octets),
            None => octets,
        }
    }

    /// As it is.
    pub(super) fn message(&self) -> &S::Message {
        &self.message
    }

    /// Holds nothing that can be read again.
    pub(super) fn let_go(&self) {
        self.message.let_go();
    }

    /// Some octets from `from` on, none beyond `to`.
    pub(super) async fn read(&self, store: &S, from: u64, to: u64) -> Result<Vec<u8>, ReadError> {
        match &self.surrogate {
            Some(surrogate) => surrogate.patches.read(store, &self.message, from..to).await,
            None => store.read(&self.message, from, to).await,
        }
    }
}

impl Surrogate {
    /// Of a message with this structure.
    pub(super) async fn of<S: Mailstore>(
        store: &S,
        message: &S::Message,
        structure: &Structure,
    ) -> Result<Surrogate, ReadError> {
        let mut patches = Patches::default();
        for part in structure.parts() {
            let header = header(store, message, part).await?;
            patches.add_header(&part.header, &header);
        }
        let structure = Rc::new(patches.scan(store, message).await?);
        Ok(Surrogate { patches, structure })
    }

    /// Of what is shown.
    pub(super) fn structure(&self) -> Rc<Structure> {
        Rc::clone(&self.structure)
    }
}

impl Patches {
    /// Adds what has to change in a header, of which `octets` is the beginning.
    fn add_header(&mut self, at: &Range<u64>, octets: &[u8]) {
        for (range, made) in replacements(octets) {
            if self.all.len() >= PATCHES_MAX || self.made + made.len() > MADE_BYTES_MAX {
                return self.add(at.start + range.start as u64..at.end, b"\r\n".to_vec());
            }
            let place = at.start + range.start as u64..at.start + range.end as u64;
            self.add(place, made);
        }
        let end = at.start + octets.len() as u64;
        if end < at.end {
            self.add(end..at.end, b"\r\n".to_vec());
        }
    }

    fn add(&mut self, at: Range<u64>, mut made: Vec<u8>) {
        self.made += made.len();
        let (shown_at, end) = self.end();
        match self.all.last_mut() {
            Some(last) if last.at.end == at.start => {
                last.at.end = at.end;
                last.made.append(&mut made);
            }
            _ => self.all.push(Patch {
                shown_at: shown_at + (at.start - end),
                at,
                made,
            }),
        }
    }

    /// Where the last patch ends, in what is shown and in the original.
    fn end(&self) -> (u64, u64) {
        let end = |last: &Patch| (last.shown_at + last.made.len() as u64, last.at.end);
        self.all.last().map_or((0, 0), end)
    }

    fn shown_octets(&self, octets: u64) -> u64 {
        let (shown, original) = self.end();
        shown + octets.saturating_sub(original)
    }

    /// Where the octets of what is shown lie, as far as they lie together.
    fn stretch(&self, range: &Range<u64>) -> Stretch<'_> {
        let next = self
            .all
            .partition_point(|patch| patch.shown_at <= range.start);
        let until = self
            .all
            .get(next)
            .map_or(range.end, |patch| patch.shown_at.min(range.end));
        let Some(patch) = next.checked_sub(1).and_then(|before| self.all.get(before)) else {
            return Stretch::Original(range.start..until);
        };
        let within = range.start - patch.shown_at;
        let octets = patch.made.len() as u64;
        if within < octets {
            let end = (range.end - patch.shown_at).min(octets);
            let place = usize::try_from(within).ok().zip(usize::try_from(end).ok());
            let made = place.and_then(|(from, to)| patch.made.get(from..to));
            return Stretch::Made(made.unwrap_or_default());
        }
        let original = |shown: u64| patch.at.end + (shown - patch.shown_at - octets);
        Stretch::Original(original(range.start)..original(until))
    }

    async fn read<S: Mailstore>(
        &self,
        store: &S,
        message: &S::Message,
        range: Range<u64>,
    ) -> Result<Vec<u8>, ReadError> {
        match self.stretch(&range) {
            Stretch::Original(place) => store.read(message, place.start, place.end).await,
            Stretch::Made(octets) => Ok(octets.to_vec()),
        }
    }

    async fn scan<S: Mailstore>(
        &self,
        store: &S,
        message: &S::Message,
    ) -> Result<Structure, ReadError> {
        let end = self.shown_octets(message.octets());
        let mut scanner = Scanner::new();
        let mut at = 0;
        while at < end {
            let to = end.min(at + CHUNK_BYTES as u64);
            let piece = self.read(store, message, at..to).await?;
            if piece.is_empty() {
                return Err(ReadError::Gone);
            }
            scanner.feed(&piece);
            at += piece.len() as u64;
        }
        Ok(scanner.finish())
    }
}

/// The header of a part, or as many of its lines as [`HEADER_BYTES_MAX`] holds.
async fn header<S: Mailstore>(
    store: &S,
    message: &S::Message,
    part: &Part,
) -> Result<Vec<u8>, ReadError> {
    let Range { start, end } = part.header;
    let to = end.min(start.saturating_add(HEADER_BYTES_MAX as u64));
    let mut header = Vec::new();
    while start + (header.len() as u64) < to {
        let piece = store.read(message, start + header.len() as u64, to).await?;
        if piece.is_empty() {
            return Err(ReadError::Gone);
        }
        header.extend_from_slice(&piece);
    }
    if to < end {
        let lines = memchr::memrchr(b'\n', &header).map_or(0, |at| at + 1);
        header.truncate(lines);
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_octet_that_is_shown_lies_where_it_belongs(
            cuts in prop::collection::vec((0_u64..9, 1_u64..9, "[a-z]{0,5}"), 0..9),
            step in 1_u64..7,
        ) {
            let original: Vec<u8> = (0..200).collect();
            let (mut patches, mut shown, mut at) = (Patches::default(), Vec::new(), 0);
            for (gap, octets, made) in cuts {
                let place = at + gap..at + gap + octets;
                shown.extend_from_slice(&original[at as usize..place.start as usize]);
                shown.extend_from_slice(made.as_bytes());
                at = place.end;
                patches.add(place, made.into_bytes());
            }
            shown.extend_from_slice(&original[at as usize..]);
            let end = patches.shown_octets(200);
            prop_assert_eq!(end, shown.len() as u64);
            let mut read = Vec::new();
            while (read.len() as u64) < end {
                let from = read.len() as u64;
                match patches.stretch(&(from..end.min(from + step))) {
                    Stretch::Made(octets) => read.extend_from_slice(octets),
                    Stretch::Original(place) => {
                        let place = place.start as usize..place.end as usize;
                        read.extend_from_slice(&original[place]);
                    }
                }
                prop_assert!(read.len() as u64 > from);
            }
            prop_assert_eq!(read, shown);
        }
    }
}
