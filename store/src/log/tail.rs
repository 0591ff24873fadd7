//! The hot tail: the last durable frames, kept in memory so that fresh mail is read without the
//! disk.

use super::Place;
use crate::disk::Block;
use std::collections::VecDeque;
use std::rc::Rc;

pub(super) struct HotTail {
    frames: VecDeque<HotFrame>,
    bytes: usize,
    bytes_max: usize,
}

struct HotFrame {
    start: Place,
    /// Of the segment.
    salt: u64,
    block: Rc<Block>,
}

impl HotTail {
    pub(super) fn new(bytes_max: usize) -> HotTail {
        HotTail {
            frames: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Keeps a frame and gives back the oldest ones that nobody reads any more. Frames come in the
    /// order of their places.
    pub(super) fn push(
        &mut self,
        start: Place,
        salt: u64,
        block: Rc<Block>,
        mut free: impl FnMut(Block),
    ) {
        self.bytes += block.len();
        self.frames.push_back(HotFrame { start, salt, block });
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.frames.pop_front() else {
                return;
            };
            self.bytes -= oldest.block.len();
            if let Ok(block) = Rc::try_unwrap(oldest.block) {
                free(block);
            }
        }
    }

    /// The frame that holds this place, the offset of the place within it, and the segment's salt.
    pub(super) fn find(&self, place: Place) -> Option<(Rc<Block>, usize, u64)> {
        let after = self.frames.partition_point(|frame| frame.start <= place);
        let frame = self.frames.get(after.checked_sub(1)?)?;
        let within = place.offset().checked_sub(frame.start.offset())? as usize;
        let same = frame.start.segment() == place.segment() && within < frame.block.len();
        same.then(|| (frame.block.clone(), within, frame.salt))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn finds_what_it_holds_and_forgets_the_oldest() {
        let mut tail = HotTail::new(3 * 4096);
        let mut freed = 0;
        for index in 0..5 {
            let start = Place::new(index / 3, 4096 + u64::from(index % 3) * 4096);
            tail.push(start, 9, Rc::new(Block::zeroed(4096)), |_| freed += 1);
        }
        assert_eq!(freed, 2);
        assert!(tail.find(Place::new(0, 4096)).is_none());
        assert!(tail.find(Place::new(0, 8192 + 8)).is_none());
        assert_eq!(tail.find(Place::new(0, 12288 + 64)).unwrap().1, 64);
        assert!(tail.find(Place::new(0, 16384)).is_none());
        assert_eq!(tail.find(Place::new(1, 4096)).unwrap().1, 0);
        assert_eq!(tail.find(Place::new(1, 8192 + 4088)).unwrap().1, 4088);
        assert!(tail.find(Place::new(1, 12288)).is_none());
        assert!(tail.find(Place::new(2, 4096)).is_none());
    }
}
