//! What was expunged at which MODSEQ: the answer to QRESYNC (RFC 7162 §3.2.10).
//!
//! At most `VANISHED_RANGES_MAX` ranges are kept, the latest. Everything expunged after the floor
//! is here; whoever asks for more has to compare the UIDs it knows with those that are there.

use crate::codec::{Fields, Put, Short};
use crate::limit::VANISHED_RANGES_MAX;
use crate::mail::id::ModSeq;
use crate::mail::uidset::UidSet;
use std::collections::VecDeque;

/// Expunges of one mailbox, or of a part of its history.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Vanished {
    floor: ModSeq,
    /// Ascending by MODSEQ, then by UID.
    ranges: VecDeque<Gone>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Gone {
    modseq: ModSeq,
    first: u32,
    last: u32,
}

impl Vanished {
    /// A history of which nothing is known up to `floor`.
    #[must_use]
    pub fn after(floor: ModSeq) -> Vanished {
        Vanished {
            floor,
            ranges: VecDeque::new(),
        }
    }

    /// Nothing was expunged, nor forgotten.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.floor == ModSeq(0)
    }

    /// What was expunged after `modseq`; `None` where that is not known any more.
    #[must_use]
    pub fn since(&self, modseq: ModSeq) -> Option<UidSet> {
        if modseq < self.floor {
            return None;
        }
        let ranges = self.ranges.range(self.position(modseq)..);
        Some(UidSet::from_ranges(
            ranges.map(|gone| (gone.first, gone.last)),
        ))
    }

    /// The part of the history that comes after `modseq`, to be appended to what came before.
    #[must_use]
    pub fn tail(&self, modseq: ModSeq) -> Vanished {
        let ranges = self.ranges.range(self.position(modseq)..).copied();
        Vanished {
            floor: if self.floor > modseq {
                self.floor
            } else {
                ModSeq(0)
            },
            ranges: ranges.collect(),
        }
    }

    /// Adds what was expunged at a MODSEQ above every other.
    pub fn push(&mut self, modseq: ModSeq, uids: &UidSet) {
        for &(first, last) in uids.ranges() {
            self.ranges.push_back(Gone {
                modseq,
                first,
                last,
            });
        }
        self.forget();
    }

    /// Whether every expunge here came after all of `older`.
    #[must_use]
    pub fn comes_after(&self, older: &Vanished) -> bool {
        let latest = older.ranges.back().map_or(older.floor, |gone| gone.modseq);
        self.ranges.front().is_none_or(|gone| gone.modseq > latest)
    }

    /// Adds a history that [comes after](Self::comes_after) this one.
    pub fn append(&mut self, newer: Vanished) {
        if newer.floor > self.floor {
            self.floor = newer.floor;
            self.ranges.clear();
        }
        self.ranges.extend(newer.ranges);
        self.forget();
    }

    /// Drops what is too much. Ranges of one MODSEQ are kept or dropped together.
    fn forget(&mut self) {
        let surplus = self.ranges.len().saturating_sub(VANISHED_RANGES_MAX);
        if let Some(last) = surplus.checked_sub(1).and_then(|at| self.ranges.get(at)) {
            self.floor = last.modseq;
            self.ranges.drain(..self.position(self.floor));
        }
    }

    /// Where the ranges after `modseq` begin.
    fn position(&self, modseq: ModSeq) -> usize {
        self.ranges.partition_point(|gone| gone.modseq <= modseq)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_varint(self.floor.0);
        out.put_u32(u32::try_from(self.ranges.len()).expect("VANISHED_RANGES_MAX bounds them"));
        let mut before = self.floor;
        for gone in &self.ranges {
            out.put_varint(gone.modseq.0 - before.0);
            out.put_varint(u64::from(gone.first));
            out.put_varint(u64::from(gone.last - gone.first));
            before = gone.modseq;
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Vanished, Short> {
        let mut vanished = Vanished::after(ModSeq(fields.varint()?));
        let count = fields.u32()? as usize;
        if count > VANISHED_RANGES_MAX {
            return Err(Short);
        }
        let (mut before, mut end) = (vanished.floor.0, u32::MAX);
        for _ in 0..count {
            let modseq = before.checked_add(fields.varint()?).ok_or(Short)?;
            let first = fields.varint32()?;
            let last = first.checked_add(fields.varint32()?).ok_or(Short)?;
            if first == 0 || (modseq == before && first <= end) {
                return Err(Short);
            }
            (before, end) = (modseq, last);
            let modseq = ModSeq(modseq);
            vanished.ranges.push_back(Gone {
                modseq,
                first,
                last,
            });
        }
        Ok(vanished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_the_floor_tells_the_rest() {
        let mut vanished = Vanished::default();
        // Every second UID, so that each is a range; two ranges at each MODSEQ.
        for modseq in 1..=VANISHED_RANGES_MAX as u64 {
            let first = modseq as u32 * 4;
            let uids = UidSet::from_ranges([(first, first), (first + 2, first + 2)]);
            vanished.push(ModSeq(modseq), &uids);
        }
        let half = VANISHED_RANGES_MAX as u64 / 2;
        assert_eq!(vanished.ranges.len(), VANISHED_RANGES_MAX);
        assert_eq!(vanished.since(ModSeq(half - 1)), None);
        assert_eq!(vanished.since(ModSeq(half)).unwrap().len(), 2 * half);
        // An expunge of too many ranges is forgotten as a whole.
        let many = (1..=VANISHED_RANGES_MAX as u32 + 1).map(|n| (n * 2, n * 2));
        vanished.push(ModSeq(1 << 40), &UidSet::from_ranges(many));
        assert!(vanished.ranges.is_empty());
        assert_eq!(vanished.since(ModSeq((1 << 40) - 1)), None);
        assert_eq!(vanished.since(ModSeq(1 << 40)), Some(UidSet::new()));
    }
}
