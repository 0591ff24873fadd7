//! What one run of the index says of one mailbox: the difference to the layers of older runs.
//!
//! ```text
//!  newest   arrivals  overlays  expunged  vanished
//!     ↓     arrivals  overlays  expunged  vanished
//!  oldest   arrivals     –         –      vanished
//! ```
//!
//! Arrivals lie above every UID of older layers. Overlays and expunges speak of rows of older
//! layers only, and never both of the same row: what happens to a row after its arrival, and before
//! the layer is written, is in the arrival. Composition is pure and in any grouping gives the same.

mod bytes;
#[cfg(test)]
mod tests;

use super::row::Row;
use super::rows::Rows;
use super::vanished::Vanished;
use crate::mail::flags::{Flags, Keywords};
use crate::mail::id::{ModSeq, Uid};
use crate::mail::uidset::UidSet;
use crate::record::Broken;
use std::collections::BTreeMap;

/// A part of the history of a mailbox, or all of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layer {
    pub arrivals: Rows,
    /// Ascending by UID.
    pub overlays: Vec<Overlay>,
    /// Rows of older layers that are gone. Complete, unlike `vanished`.
    pub expunged: UidSet,
    pub vanished: Vanished,
}

/// New flags of a row of an older layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overlay {
    pub uid: Uid,
    pub modseq: ModSeq,
    pub flags: Flags,
    pub keywords: Keywords,
}

impl Layer {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let says_nothing = self.overlays.is_empty() && self.expunged.is_empty();
        self.arrivals.is_empty() && says_nothing && self.vanished.is_empty()
    }

    /// The whole mailbox out of all its layers, the oldest first.
    pub fn compose_all(layers: impl IntoIterator<Item = Layer>) -> Result<Layer, Broken> {
        layers
            .into_iter()
            .try_fold(Layer::default(), |older, newer| older.compose(newer, true))
    }

    /// Two neighbouring layers as one. With `is_bottom` there is no older one: what speaks of older
    /// rows has done its work and is dropped.
    pub fn compose(self, newer: Layer, is_bottom: bool) -> Result<Layer, Broken> {
        let mut older = self;
        if !newer.arrivals.lies_above(&older.arrivals) {
            return Err(Broken("UIDs of two layers overlap"));
        }
        if !newer.vanished.comes_after(&older.vanished) {
            return Err(Broken("histories of two layers overlap"));
        }
        if !is_bottom {
            older.expunged = expunged_below(&older, &newer);
        }
        older.arrivals.remove(&newer.expunged);
        let below = overlay(&mut older.arrivals, &newer.overlays);
        older.overlays = match is_bottom {
            true => Vec::new(),
            false => merged(&older.overlays, below, &newer.expunged),
        };
        if is_bottom {
            older.expunged = UidSet::new();
        }
        older.arrivals.append(newer.arrivals);
        older.vanished.append(newer.vanished);
        Ok(older)
    }
}

impl Overlay {
    /// What `row` adds to the same row in an older layer.
    pub(super) fn of(row: &Row) -> Overlay {
        Overlay {
            uid: row.uid,
            modseq: row.modseq,
            flags: row.flags,
            keywords: row.keywords,
        }
    }
}

/// The rows below `older` that are gone after `newer`.
fn expunged_below(older: &Layer, newer: &Layer) -> UidSet {
    let here = older.arrivals.of(&newer.expunged).map(|row| row.uid);
    let below = newer.expunged.without(&UidSet::from_ascending(here));
    older.expunged.union(&below)
}

/// Changes `rows` as `overlays` say and returns those that speak of other rows.
fn overlay(rows: &mut Rows, overlays: &[Overlay]) -> Vec<Overlay> {
    let mut other = Vec::new();
    let mut next = overlays.iter().peekable();
    let uids = UidSet::from_ascending(overlays.iter().map(|overlay| overlay.uid));
    rows.update(&uids, |row| {
        while let Some(overlay) = next.next_if(|overlay| overlay.uid < row.uid) {
            other.push(*overlay);
        }
        let overlay = next.next()?;
        Some((overlay.flags, overlay.keywords, overlay.modseq))
    });
    other.extend(next);
    other
}

/// Overlays of two layers that speak of rows below both.
fn merged(older: &[Overlay], newer: Vec<Overlay>, expunged: &UidSet) -> Vec<Overlay> {
    let left = older
        .iter()
        .filter(|overlay| !expunged.contains(overlay.uid));
    let both = left.copied().chain(newer);
    let by_uid: BTreeMap<Uid, Overlay> = both.map(|overlay| (overlay.uid, overlay)).collect();
    by_uid.into_values().collect()
}
