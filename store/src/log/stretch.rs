//! What was read of segments last, a few stretches of it: a mailbox is read from front to end, and
//! what a reader wants next lies mostly behind what it had, or a little before.
//!
//! A record is only taken out of a stretch when its checksum fits. Where it does not, nothing is
//! said of the record: the stretch may have been read before the record was written.

use super::Place;
use super::frame::{RECORD_HEADER_BYTES, RecordHeader};
use super::reader::Record;
use crate::codec::checksum::seat;
use crate::disk::Block;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

/// The stretches that are kept, the newest first.
#[derive(Default)]
pub(super) struct Stretches {
    kept: RefCell<VecDeque<Stretch>>,
}

struct Stretch {
    segment: u32,
    salt: u64,
    start: u64,
    block: Rc<Block>,
}

impl Stretch {
    fn end(&self) -> u64 {
        self.start + self.block.len() as u64
    }

    fn record(&self, place: Place) -> Option<Record> {
        let start = place.offset().checked_sub(self.start)?;
        let record = Record::within(Rc::clone(&self.block), usize::try_from(start).ok()?)?;
        record
            .is_whole(seat(self.salt, place.offset()))
            .then_some(record)
    }
}

impl Stretches {
    /// The record at a place, where all of it is here.
    pub(super) fn find(&self, place: Place) -> Option<Record> {
        let kept = self.kept.borrow();
        let segment = place.segment();
        let mut of_segment = kept.iter().filter(|stretch| stretch.segment == segment);
        of_segment.find_map(|stretch| stretch.record(place))
    }

    /// Which octets of its segment are best read with a record. Whoever goes on behind what was
    /// read last gets more at a time, as long as it does; `before`: how far in front of the record
    /// others lie that are asked for with it.
    pub(super) fn around(&self, place: Place, before: usize) -> Range<u64> {
        let (segment, at) = (place.segment(), place.offset());
        let kept = self.kept.borrow();
        let goes_on = |stretch: &&Stretch| {
            stretch.segment == segment && (stretch.start..stretch.end() + NEAR_BYTES).contains(&at)
        };
        match kept.iter().find(goes_on) {
            Some(last) => {
                let bytes = (last.block.len() * GROWTH).min(STRETCH_BYTES_MAX) as u64;
                at.saturating_sub(OVERLAP_BYTES)..at + bytes
            }
            None => {
                let behind = FIRST_BYTES.saturating_sub(before).max(FIRST_BYTES / 2);
                at.saturating_sub(before as u64)..at + behind as u64
            }
        }
    }

    /// Keeps what was read of a segment, and forgets the oldest stretch.
    pub(super) fn keep(&self, place: Place, salt: u64, start: u64, block: Block) {
        let mut kept = self.kept.borrow_mut();
        let segment = place.segment();
        // What is read anew is in the new one.
        let end = start + block.len() as u64;
        kept.retain(|old| old.segment != segment || old.end() <= start || old.start >= end);
        kept.truncate(STRETCHES_MAX - 1);
        kept.push_front(Stretch {
            segment,
            salt,
            start,
            block: Rc::new(block),
        });
    }

    pub(super) fn forget(&self, is_unwanted: impl Fn(u32) -> bool) {
        self.kept
            .borrow_mut()
            .retain(|stretch| !is_unwanted(stretch.segment));
    }
}

/// The length of the record that begins `octets`, if it begins there.
pub(super) fn record_length(octets: &[u8]) -> Option<usize> {
    let header = RecordHeader::decode(octets).ok()?;
    Some(RECORD_HEADER_BYTES + header.len as usize)
}

/// As many readers go through their mail at once without reading anything twice.
const STRETCHES_MAX: usize = 8;

/// Read with a record that has nothing to do with the last one: most are shorter.
pub(super) const FIRST_BYTES: usize = 8 << 10;

/// A stretch grows to so much.
const STRETCH_BYTES_MAX: usize = 256 << 10;
const GROWTH: usize = 4;

/// Others' mail between two messages of one reader.
const NEAR_BYTES: u64 = 64 << 10;

/// A delivery lies behind its message: this much in front of a stretch is read again, so that
/// the message is in it too.
const OVERLAP_BYTES: u64 = 16 << 10;
