//! The structures of the messages that a session looked at last: clients ask for BODYSTRUCTURE,
//! then for part after part, and each time the same scan would be due.

use super::mailstore::{Mailstore, Octets};
use super::shown::{Shown, Surrogate};
use crate::wire::mime::limit::HEADER_BYTES_MAX;
use crate::wire::mime::part::Structure;
use crate::wire::mime::scan::Scanner;
use ::store::error::ReadError;
use ::store::limit::CHUNK_BYTES;
use ::store::mail::id::ObjectId;
use std::ops::Range;
use std::rc::Rc;

/// Structures a session keeps.
const STRUCTURES_MAX: usize = 4;

/// Parts of all kept structures together; only a single structure, which the MIME room bounds, may
/// have more.
const PARTS_KEPT_MAX: usize = 256;

/// A short list, the last used at its end.
#[derive(Default)]
pub(super) struct Structures {
    kept: Vec<Kept>,
}

struct Kept {
    delivery: ObjectId,
    structure: Rc<Structure>,
    /// How it is shown in ASCII, once somebody asked.
    surrogate: Option<Rc<Surrogate>>,
    parts: usize,
}

impl Structures {
    pub(super) fn clear(&mut self) {
        self.kept = Vec::new();
    }

    /// The structure of a whole message, scanned piece by piece unless it is known.
    pub(super) async fn of<S: Mailstore>(
        &mut self,
        store: &S,
        delivery: ObjectId,
        message: &S::Message,
    ) -> Result<Rc<Structure>, ReadError> {
        if let Some(at) = self.kept.iter().position(|kept| kept.delivery == delivery) {
            let known = self.kept.remove(at);
            let structure = Rc::clone(&known.structure);
            self.kept.push(known);
            return Ok(structure);
        }
        let mut scanner = Scanner::new();
        let mut pieces = Pieces::new(0, message.octets());
        while let Some(piece) = pieces.next(store, message).await? {
            scanner.feed(&piece);
        }
        let structure = Rc::new(scanner.finish());
        self.keep(delivery, Rc::clone(&structure));
        Ok(structure)
    }

    fn keep(&mut self, delivery: ObjectId, structure: Rc<Structure>) {
        let parts = structure.parts().count();
        let full = |kept: &[Kept]| {
            let all = kept.iter().map(|kept| kept.parts).sum::<usize>() + parts;
            kept.len() >= STRUCTURES_MAX || (all > PARTS_KEPT_MAX && !kept.is_empty())
        };
        while full(&self.kept) {
            self.kept.remove(0);
        }
        self.kept.push(Kept {
            delivery,
            structure,
            surrogate: None,
            parts,
        });
    }

    /// What has to be exchanged in a message so that its headers are ASCII; `None` where they are.
    pub(super) async fn in_ascii<S: Mailstore>(
        &mut self,
        store: &S,
        delivery: ObjectId,
        message: &S::Message,
    ) -> Result<Option<Rc<Surrogate>>, ReadError> {
        let structure = self.of(store, delivery, message).await?;
        if !structure.is_wide {
            return Ok(None);
        }
        // The structure was used last, so that it is the last one.
        if let Some(surrogate) = self.kept.last().and_then(|kept| kept.surrogate.clone()) {
            return Ok(Some(surrogate));
        }
        let surrogate = Rc::new(Surrogate::of(store, message, &structure).await?);
        if let Some(kept) = self.kept.last_mut() {
            kept.surrogate = Some(Rc::clone(&surrogate));
        }
        Ok(Some(surrogate))
    }
}

/// The header of a message and no more than the piece in which it ends: what ENVELOPE and a search
/// of headers look at.
pub(super) async fn head<S: Mailstore>(
    store: &S,
    message: &S::Message,
) -> Result<Structure, ReadError> {
    let mut scanner = Scanner::new();
    let mut pieces = Pieces::new(0, message.octets());
    while scanner.header_octets().is_none()
        && let Some(piece) = pieces.next(store, message).await?
    {
        scanner.feed(&piece);
    }
    Ok(scanner.finish())
}

/// The header as it stands, up to [`HEADER_BYTES_MAX`].
pub(super) async fn raw_header<S: Mailstore>(
    store: &S,
    message: &S::Message,
) -> Result<Vec<u8>, ReadError> {
    let mut scanner = Scanner::new();
    let mut header = Vec::new();
    let mut pieces = Pieces::new(0, message.octets().min(HEADER_BYTES_MAX as u64));
    while scanner.header_octets().is_none()
        && let Some(piece) = pieces.next(store, message).await?
    {
        scanner.feed(&piece);
        header.extend_from_slice(&piece);
    }
    let end = scanner
        .header_octets()
        .and_then(|end| usize::try_from(end).ok());
    header.truncate(end.unwrap_or(header.len()));
    Ok(header)
}

/// A range of a message, in order, a piece at a time.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    at: u64,
    end: u64,
}

impl Pieces {
    pub(super) fn new(from: u64, to: u64) -> Pieces {
        Pieces { at: from, end: to }
    }

    /// The next piece; an error of the device or the checksum instead of wrong octets.
    pub(super) async fn next<S: Mailstore>(
        &mut self,
        store: &S,
        message: &S::Message,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        match self.due() {
            Some(due) => self.take(store.read(message, due.start, due.end).await?),
            None => Ok(None),
        }
    }

    /// The same of what a client is shown.
    pub(super) async fn next_shown<S: Mailstore>(
        &mut self,
        store: &S,
        shown: &Shown<S>,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        match self.due() {
            Some(due) => self.take(shown.read(store, due.start, due.end).await?),
            None => Ok(None),
        }
    }

    fn due(&self) -> Option<Range<u64>> {
        let to = self.end.min(self.at.saturating_add(CHUNK_BYTES as u64));
        (self.at < self.end).then_some(self.at..to)
    }

    fn take(&mut self, piece: Vec<u8>) -> Result<Option<Vec<u8>>, ReadError> {
        if piece.is_empty() {
            // Shorter than it said: what was promised of it must not be made up.
            return Err(ReadError::Gone);
        }
        self.at = self.at.saturating_add(piece.len() as u64);
        Ok(Some(piece))
    }
}
