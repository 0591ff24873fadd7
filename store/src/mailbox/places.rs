//! Where the objects lie that were made since the last checkpoint; older ones are found in the
//! location table.

use super::frozen::Frozen;
use crate::log::Place;
use crate::mail::id::ObjectId;
use crate::record::MessageHead;
use crate::table::locations::Location;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Objects up to here are in the location table.
    base: ObjectId,
    /// Objects from `base + 1` on; some numbers were never used.
    recent: VecDeque<Option<Location>>,
    /// Messages with a piece of their body in an earlier segment than their MESSAGE: that segment
    /// cannot be emptied without moving them.
    straddling: Vec<(ObjectId, u32)>,
}

impl Places {
    /// Nothing is recent; objects up to `base` are in the table.
    pub(crate) fn after(base: ObjectId, straddling: Vec<(ObjectId, u32)>) -> Places {
        Places {
            base,
            recent: VecDeque::new(),
            straddling,
        }
    }

    /// The place of a recent object.
    pub(crate) fn find(&self, object: ObjectId) -> Option<Place> {
        let at = self.index(object)?;
        self.recent.get(at)?.map(|location| location.place)
    }

    /// The last object that may be anywhere.
    pub(crate) fn last(&self) -> ObjectId {
        ObjectId(self.base.0 + self.recent.len() as u64)
    }

    pub(crate) fn straddling(&self) -> &[(ObjectId, u32)] {
        &self.straddling
    }

    pub(crate) fn put(&mut self, object: ObjectId, located: Location) {
        let Some(at) = self.index(object) else {
            return;
        };
        if at >= self.recent.len() {
            self.recent.resize(at + 1, None);
        }
        if let Some(slot) = self.recent.get_mut(at) {
            *slot = Some(located);
        }
    }

    /// Remembers a message whose body began in an earlier segment.
    pub(crate) fn note_pieces(&mut self, head: &MessageHead, place: Place) {
        let segments = head.pieces.iter().map(|piece| piece.place.segment());
        if let Some(first) = segments.min()
            && first < place.segment()
        {
            self.straddling.push((head.object, first));
        }
    }

    pub(crate) fn freeze(&self, frozen: &mut Frozen) {
        frozen.first_object = ObjectId(self.base.0 + 1);
        frozen.places = self.recent.iter().copied().collect();
    }

    /// Objects up to `last` are in the location table, segments below `first_segment` are gone.
    pub(crate) fn published(&mut self, first_segment: u32, last: ObjectId) {
        let known = last
            .0
            .saturating_sub(self.base.0)
            .min(self.recent.len() as u64);
        self.recent.drain(..known as usize);
        self.base = self.base.max(last);
        self.straddling
            .retain(|(_, segment)| *segment >= first_segment);
    }

    fn index(&self, object: ObjectId) -> Option<usize> {
        let above = object.0.checked_sub(self.base.0)?.checked_sub(1)?;
        usize::try_from(above).ok()
    }
}
